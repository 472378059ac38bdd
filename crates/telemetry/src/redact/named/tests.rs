//! Tests of `named`.

use super::*;

/// What is kept of each text, however often it is hidden.
fn check(rows: &[(&str, &str)]) {
    for (text, kept) in rows {
        let hidden = hide_named(text);
        assert_eq!(hidden, *kept, "{text}");
        assert_eq!(hide_named(&hidden), *kept, "twice: {text}");
    }
}

#[test]
fn what_its_name_calls_secret_is_hidden() {
    check(&[
        (
            "Authorization: Bearer SECRET password: SECRET and token=SECRET",
            "Authorization: Bearer [secret] password: [secret] and token=[secret]",
        ),
        ("&token=SECRET11", "&token=[secret]"),
        ("foo ? token = SECRET10 now", "foo ? token = [secret] now"),
        ("a b&csrfToken=SECRET&x=1", "a b&csrfToken=[secret]&x=1"),
        (r#"{"api_key":"SECRET","n":1}"#, r#"{"api_key":"[secret]","n":1}"#),
        ("client-secret='SECRET'", "client-secret='[secret]'"),
        ("x-api-key: SECRET", "x-api-key: [secret]"),
        ("password=é!", "password=[secret]"),
        ("secret_key=SECRET passphrase=SECRET", "secret_key=[secret] passphrase=[secret]"),
        ("jwt=SECRET, pwd:SECRET", "jwt=[secret], pwd:[secret]"),
        ("secret=[secret]", "secret=[secret]"),
        // Tokens.
        (r#"{"access_token":"SECRET"}"#, r#"{"access_token":"[secret]"}"#),
        (r#"{"token":"SECRET"}"#, r#"{"token":"[secret]"}"#),
        ("{ token: 'SECRET' }", "{ token: '[secret]' }"),
        ("X-Auth-Token: SECRET", "X-Auth-Token: [secret]"),
        ("X-CSRF-Token: SECRET", "X-CSRF-Token: [secret]"),
        ("/token:SECRET", "/token:[secret]"),
        ("expired token: SECRET", "expired token: [secret]"),
        // In quotes, to the value's own.
        (r#"{"password":"SECRET&4, x)y"}"#, r#"{"password":"[secret]"}"#),
        (r#"password: "my SECRET phrase""#, r#"password: "[secret]""#),
        (r#"{"pwd":"a\"SECRET\\","n":1}"#, r#"{"pwd":"[secret]","n":1}"#),
        (r#"{"pwd":"it's SECRET"}"#, r#"{"pwd":"[secret]"}"#),
        (r#""{\"password\":\"SECRET\"}""#, r#""{\"password\":\"[secret]\"}""#),
        (r#"{\"pwd\":\"a\\\"SECRET\\\\\"}"#, r#"{\"pwd\":\"[secret]\"}"#),
        (r#"\\\"pwd\\\":\\\"a b\\\\\\\"SECRET\\\""#, r#"\\\"pwd\\\":\\\"[secret]\\\""#),
        (r#"password: \"SECRET\" x"#, r#"password: \"[secret]\" x"#),
        (r#""{\"password\":\"SECRET", x"#, r#""{\"password\":\"[secret]", x"#),
        (r#""{\"password\":SECRET\"""#, r#""{\"password\":[secret]\"""#),
        ("password: `a SECRET`.", "password: `[secret]`."),
        ("pwd: \"a SECRET\nnext", "pwd: \"[secret]\nnext"),
        (
            r#"{"privateKey":"a
SECRET"}"#,
            r#"{"privateKey":"[secret]"}"#,
        ),
        (r#"{"authorization":["Bearer SECRET"]}"#, r#"{"authorization":["Bearer [secret]"]}"#),
        (r#"{"cookie":"a=SECRET; b='SECRET'"}"#, r#"{"cookie":"[secret]"}"#),
        // To the end of the line.
        ("Authorization: token SECRET", "Authorization: [secret]"),
        ("Authorization: Negotiate SECRET==\nHost: h", "Authorization: [secret]\nHost: h"),
        (
            r#"Authorization: Digest username="me", response="SECRET", qop=auth"#,
            "Authorization: [secret]",
        ),
        ("'Authorization: AWS4 SECRET, SECRET' sent", "'Authorization: [secret]' sent"),
        (r#"an Authorization: token SECRET\""#, r#"an Authorization: [secret]\""#),
        ("Cookie: sid=SECRET; b=SECRET\r\nHost: h", "Cookie: [secret]\r\nHost: h"),
        ("Set-Cookie: sid=SECRET; Path=/", "Set-Cookie: [secret]"),
        ("Cookie: name=O'Brien; sid=SECRET", "Cookie: [secret]"),
        ("curl -H 'Cookie: a=1; sid=SECRET' https://h", "curl -H 'Cookie: [secret]' https://h"),
        (r"'Cookie: name=O\'Brien; sid=SECRET', x", "'Cookie: [secret]', x"),
        (r"curl -H 'Cookie: n=O'\''Brien; sid=SECRET' h", "curl -H 'Cookie: [secret]' h"),
        ("Authorization: Basic SECRET", "Authorization: Basic [secret]"),
        // A quote in quotes of another kind ends no line.
        (r#"Authorization: Digest realm='my "x"', nonce=SECRET"#, "Authorization: [secret]"),
        (r#"Authorization: Digest realm=`my "x"`, nonce=SECRET"#, "Authorization: [secret]"),
        // Other names.
        ("passwd=SECRET aws-access-key: SECRET", "passwd=[secret] aws-access-key: [secret]"),
        ("JSESSIONID=SECRET;x private_key=SECRET", "JSESSIONID=[secret];x private_key=[secret]"),
        (
            r#"\\\\\\\"pwd\\\\\\\":\\\\\\\"a SECRET\\\\\\\""#,
            r#"\\\\\\\"pwd\\\\\\\":\\\\\\\"[secret]\\\\\\\""#,
        ),
        // Other signs, other blanks.
        (r#""password"=>"SECRET""#, r#""password"=>"[secret]""#),
        (r#":password => "SECRET""#, r#":password => "[secret]""#),
        ("password:\tSECRET", "password:\t[secret]"),
        ("password:\n  SECRET", "password:\n  [secret]"),
        ("password==SECRET", "password==[secret]"),
        ("password%3DSECRET", "password%3D[secret]"),
        ("password%3aSECRET x", "password%3a[secret] x"),
        ("cb%26access_token%253dSECRET", "cb%26access_token%253d[secret]"),
        ("user[password]=SECRET", "user[password]=[secret]"),
        ("user%5Bpassword%5D=SECRET", "user%5Bpassword%5D=[secret]"),
        ("%7B%22token%22%3A%22SECRET%22%7D", "%7B%22token%22%3A[secret]"),
    ]);
}

#[test]
fn lists_and_what_stands_in_them_are_hidden_whole() {
    check(&[
        ("{ password: [ 'SECRET' ] }", "{ password: [ '[secret]' ] }"),
        (
            "\"password\": [\n  \"a\",\n  \"SECRET\"\n],\n\"n\": 1",
            "\"password\": [\n  \"[secret]\"\n],\n\"n\": 1",
        ),
        (r#"{'password': ['a', "it's SECRET"], 'n': 1}"#, r#"{'password': ['[secret]"], 'n': 1}"#),
        (r#"{"password":["a",null,"SECRET"],"n":1}"#, r#"{"password":["[secret]"],"n":1}"#),
        (r#"{"password":[null,"SECRET"]}"#, r#"{"password":[[secret]"]}"#),
        (r#"{"jwt":[["a"],["SECRET"]],"n":1}"#, r#"{"jwt":[["[secret]"]],"n":1}"#),
        (
            r#"{"password":[{"id":1,"token":"SECRET"}],"n":1}"#,
            r#"{"password":[{"[secret]"}],"n":1}"#,
        ),
        (r#"cookie: [{"name":"sid","value":"SECRET"}], n"#, r#"cookie: [{"[secret]"}], n"#),
        (r#"{"password":{"value":"SECRET"},"n":1}"#, r#"{"password":{"[secret]"},"n":1}"#),
        (
            r#"{"authorization":{"a":{"b":["x"]},"c":"SECRET"},"n":1}"#,
            r#"{"authorization":{"[secret]"},"n":1}"#,
        ),
        (r#"{\"cookie\":{\"sid\":\"SECRET\"},\"n\":1}"#, r#"{\"cookie\":{\"[secret]\"},\"n\":1}"#),
        ("{ token: { id: 'SECRET', n: { m: SECRET } }, n: 1 }", "{ token: { [secret] }, n: 1 }"),
        (r#"User { password: Some("SECRET"), n: 1 }"#, r#"User { password: [secret]"), n: 1 }"#),
        (
            r#"User { password: Secret { value: "SECRET" }, n: 1 }"#,
            r#"User { password: [secret] }, n: 1 }"#,
        ),
        (r#"token=Map(a -> "b", c -> "SECRET") n"#, "token=[secret]) n"),
        ("password: {}, n: 1", "password: {}, n: 1"),
        ("Cookie: {x}=1; sid=SECRET", "Cookie: {[secret]"),
        (r#"Cookie: prefs={"a":"b"}; sid=SECRET"#, "Cookie: [secret]"),
        ("password:\n  - SECRET\n  - b: SECRET\nuser: x", "password:\n  - [secret]\nuser: x"),
        ("password=[pa(SECRET] x", "password=[[secret]"),
        ("Authorization: [Bearer (SECRET)]", "Authorization: [Bearer [secret]]"),
        ("Cookie:[a=(1); sid=SECRET]", "Cookie:[[secret]"),
        ("Cookie: [x]=1; sid=SECRET", "Cookie: [[secret]"),
        (r#""Cookie: prefs={\"a\":1}; sid=SECRET", "n""#, r#""Cookie: [secret]", "n""#),
        (r#"curl -H 'Cookie: n=O'"'"'Brien; sid=SECRET' h"#, "curl -H 'Cookie: [secret]' h"),
        (
            r#"{"cmd":"curl -H 'Cookie: n=O'\\''Brien; sid=SECRET' h"}"#,
            r#"{"cmd":"curl -H 'Cookie: [secret]' h"}"#,
        ),
        (
            r#"{"cmd":"curl -H 'Cookie: n=O'\"'\"'Brien; sid=SECRET' h"}"#,
            r#"{"cmd":"curl -H 'Cookie: [secret]' h"}"#,
        ),
        // What a shell has for an apostrophe is none in other quotes.
        (r#"{"Cookie: sid=SECRET'"'"' x"#, r#"{"Cookie: [secret]"'"' x"#),
        ("{password=[a b, SECRET], n=1}", "{password=[[secret]], n=1}"),
        ("{password=[a(b, c), SECRET], n=1}", "{password=[[secret]], n=1}"),
        ("{password: [ SECRET ], n: 1}", "{password: [ [secret] ], n: 1}"),
        (
            r#"{"password":[{"id":"a","t":"b"},"SECRET"],"n":1}"#,
            r#"{"password":[{"[secret]"],"n":1}"#,
        ),
        (
            "password (x): (SECRET\n    at f (https://h/app.js:3:14)",
            "password (x): (SECRET\n    at f (https://h/app.js:3:14)",
        ),
        (
            "password: (SECRET\n    at f (https://h/app.js:3:14)",
            "password: ([secret]\n    at f (https://h/app.js:3:14)",
        ),
        (
            r#""set-cookie":["a=1; Path=/","sid=SECRET; x"],"n":1"#,
            r#""set-cookie":["[secret]"],"n":1"#,
        ),
        (r#"{"password":["a", "SECRET"]}"#, r#"{"password":["[secret]"]}"#),
        (r#"{\"jwt\":[\"a\",\"SECRET\"],\"b\":1}"#, r#"{\"jwt\":[\"[secret]\"],\"b\":1}"#),
    ]);
}

#[test]
fn blocks_of_yaml_are_hidden_whole() {
    check(&[
        ("password:\n\u{a0}SECRET x", "password:\n\u{a0}[secret] x"),
        ("password:\n  \u{3000}SECRET x", "password:\n  \u{3000}[secret] x"),
        ("password:\n\u{c}SECRET x", "password:\n\u{c}[secret] x"),
        (
            "a:\n  token:\n    - id: 1\n      value: SECRET\n  n: 1",
            "a:\n  token:\n    - [secret]\n  n: 1",
        ),
        ("token:\n- SECRET\n\n- a\n  SECRET\nn: 1", "token:\n- [secret]\nn: 1"),
        ("password:\n  value: SECRET\n  old: SECRET\nn: 1", "password:\n  [secret]\nn: 1"),
        (
            "password:\n  it is SECRET\n    at f (h:3:14)",
            "password:\n  [secret]\n    at f (h:3:14)",
        ),
        (
            "\"password\":\n    \"SECRET\",\n  \"n\": 1",
            "\"password\":\n    \"[secret]\",\n  \"n\": 1",
        ),
    ]);
}

#[test]
fn honest_texts_stay_whole() {
    for text in [
        "Unexpected token: keyword",
        "Unexpected token < in JSON at position 0",
        "Unexpected token = in JSON at position 4",
        "JSON.parse: unexpected token: x",
        "expected token: )",
        "Unknown token: name",
        "Illegal token: name",
        "SyntaxError: Unexpected token '='",
        "SyntaxError: Unexpected token '=' in expression",
        "SyntaxError: Unexpected token ':', \"a:b\" is not valid JSON",
        "Cannot read properties of undefined (reading 'token')",
        "undefined is not an object (evaluating 'this.token === null')",
        "if (token == other) and password != null",
        "users.map(token => token.id)",
        "Wrong password",
        "password: ",
        "password=\"\"",
        "Wrong password:\n    at login (https://h/app.js:3:14)",
        "at f (https://h/app.js:3:14)",
        "at f (https://h/reset-password:3:14)",
        "f@https://h/session-token:3:14",
        "tokens: 3, passwords: 2, secretary: Ann",
        "100%, 20%3 and %3",
        "%25%2525",
        "é=é: é",
        "=:%3D",
        "",
    ] {
        assert_eq!(hide_named(text), text);
    }
}

/// Whatever stands before, every order of three pieces that matter and many by chance: a plain value is hidden, nothing panics.
#[test]
fn no_text_before_saves_a_secret() {
    const PIECES: [&str; 30] = [
        ",",
        "(",
        ")",
        "{",
        "}",
        r"'\''",
        "password",
        "token",
        "cookie",
        "Authorization",
        "unexpected ",
        "Bearer ",
        "=",
        ":",
        "=>",
        "%3D",
        "%25",
        "%22",
        "\"",
        "'",
        "`",
        "\\",
        "\n",
        " ",
        "[",
        "]",
        "é",
        "\u{2028}",
        "at ",
        "3:14",
    ];
    let check = |odd: &str| {
        for text in [
            format!("{odd} password=SECRET"),
            format!("pwd=\"{odd}é\" pwd: SECRET"),
            format!("{odd} password={{x: {{y: SECRET}}, z: SECRET}}"),
        ] {
            let hidden = hide_named(&text);
            assert!(!hidden.contains("SECRET"), "{text:?}: {hidden:?}");
        }
    };
    for one in PIECES {
        for two in PIECES {
            for three in PIECES {
                check(&format!("{one}{two}{three}"));
            }
        }
    }
    // A linear congruential generator (Knuth's MMIX): every run tries the same.
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES[(state >> 33) as usize % PIECES.len()]);
        }
        check(&text);
    }
}
