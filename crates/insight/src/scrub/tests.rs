//! Tests of `scrub`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::*;

#[test]
fn pages_have_one_name_and_no_query() {
    for (url, host, path) in [
        ("https://Example.COM/about.html?token=SECRET#x", "example.com", "/about"),
        ("http://www.example.com", "example.com", "/"),
        ("https://example.com:8443/x/index.html#SECRET", "example.com", "/x/"),
        ("https://example.com/index.html", "example.com", "/"),
        ("https://user:SECRET@example.com/a?b=@SECRET", "example.com", "/a"),
        ("https://example.com?token=SECRET", "example.com", "/"),
        ("https://example.com#SECRET", "example.com", "/"),
        ("https://example.com/a%3Ftoken=SECRET", "example.com", "/a"),
        ("https://example.com/a%253ftoken=SECRET", "example.com", "/a"),
        ("https://example.com/a%23SECRET", "example.com", "/a"),
        ("https://example.com/a;jsessionid=SECRET", "example.com", "/a"),
        ("https://example.com/a;v=1;jsessionid=SECRET", "example.com", "/a;v=1"),
        ("https://example.com/caf%C3%A9/", "example.com", "/caf%C3%A9/"),
        ("https://example.com/%25", "example.com", "/%25"),
        ("http://[::1]:8080/x", "[::1]", "/x"),
        ("http://www.com/", "www.com", "/"),
        ("https://example.com/.html", "example.com", "/.html"),
        ("https://example.com/https://u:SECRET@h/x", "example.com", "/https://h/x"),
        ("https://example.com/@jane", "example.com", "/@jane"),
        ("https://example.com/cb&access_token=SECRET", "example.com", "/cb&access_token=[secret]"),
        ("https://example.com/reset/token=SECRET", "example.com", "/reset/token=[secret]"),
        ("https://example.com/reset/token%3DSECRET/x", "example.com", "/reset/token%3D[secret]"),
        ("https://example.com/cb%26jwt%253dSECRET", "example.com", "/cb%26jwt%253d[secret]"),
        ("https://example.com/@a/pwd=SECRET", "example.com", "/@a/pwd=[secret]"),
        ("https://example.com/wiki/Password:_a_tale", "example.com", "/wiki/Password:_a_tale"),
        ("https://example.com/a=b", "example.com", "/a=b"),
    ] {
        let address = parse_http(url).unwrap_or_else(|| panic!("{url}"));
        assert_eq!((&*address.host, &*address.path), (host, path), "{url}");
    }
    for bad in [
        "",
        "/about",
        "about",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://exa mple.com/",
        "https://example.com/\n",
        "httpx://example.com/",
        "data:text/html,x",
    ] {
        assert_eq!(parse_http(bad), None, "{bad}");
    }
    let long = format!("https://example.com/{}é?token=SECRET", "a".repeat(PATH_BYTES_MAX - 2));
    let path = parse_http(&long).map(|a| a.path.into_owned()).unwrap_or_default();
    assert!(path.len() == PATH_BYTES_MAX - 1 && path.ends_with('a'), "{path}");
    assert_eq!(parse_http(&format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX))), None);
}

#[test]
fn only_listed_parameters_survive() {
    let said = campaign("token=SECRET&utm_source=news+letter&utm_medium=e%2Dmail&ref=other&x=1");
    assert_eq!(said.source.as_deref(), Some("news letter"));
    assert_eq!(said.rest.as_deref(), Some(r#"{"medium":"e-mail"}"#));
    assert_eq!(
        campaign("via=https%3A%2F%2Fwww.T.co%2Fx%3Ftoken%3DSECRET").source.as_deref(),
        Some("t.co")
    );
    assert_eq!(campaign("utm_source=%20&source=b").source.as_deref(), Some("b"));
    assert_eq!(campaign("utm_source=/x?token=SECRET").source.as_deref(), Some("/x"));
    assert_eq!(campaign("utm_source=%ff%00").source.as_deref(), Some("\u{fffd}"));
    assert_eq!(campaign("token=SECRET"), Campaign::default());
    let mailed = campaign("utm_content=jane%40example.org&ref=Jane.Doe%2Bx%40mail.example.org");
    assert_eq!(mailed.source.as_deref(), Some("[email]"));
    assert_eq!(mailed.rest.as_deref(), Some(r#"{"content":"[email]"}"#));
    let keyed = campaign(
        "utm_term=key-550e8400-e29b-41d4-a716-446655440000&via=sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    );
    assert_eq!(
        (keyed.source.as_deref(), keyed.rest.as_deref()),
        (Some("[id]"), Some(r#"{"term":"[id]"}"#))
    );
    let long = campaign(&format!("utm_term={}", "é".repeat(80)));
    assert_eq!(long.rest.map(|r| r.matches('é').count()), Some(50));
}

#[test]
fn secrets_in_free_text_are_gone_and_the_rest_is_kept() {
    for (text, kept) in [
        ("Failed to fetch https://h/api?token=SECRET#x now", "Failed to fetch https://h/api now"),
        ("GET /api?token=SECRET, then", "GET /api, then"),
        ("(https://h/a?token=SECRET)", "(https://h/a)"),
        ("\"https://h/a?token=SECRET#x\"", "\"https://h/a\""),
        ("https://h/a#access_token=SECRET", "https://h/a"),
        ("#access_token=SECRET", ""),
        ("?token=SECRET&more=SECRET", ""),
        ("open '?q=\"SECRET word\"&x=SECRET' failed", "open '' failed"),
        ("https://me:SECRET@h/a", "https://h/a"),
        ("redirect=https%3A%2F%2Fh%2Fa%3Ftoken%3DSECRET end", "redirect=https%3A%2F%2Fh%2Fa end"),
        ("at f (https://h/app.js?token=SECRET:3:14)", "at f (https://h/app.js:3:14)"),
        (
            "f@https://h/app.js?v=SECRET:3:14\ng@https://h/b.js:1:2",
            "f@https://h/app.js:3:14\ng@https://h/b.js:1:2",
        ),
        ("    at https://h/p#SECRET:1:2", "    at https://h/p:1:2"),
        ("a[href=\"/x?token=SECRET\"]>b#main", "a[href=\"/x\"]>b#main"),
        ("really? yes: a?.b ? c : d", "really? yes: a?.b ? c : d"),
        ("div#main>img.hero", "div#main>img.hero"),
        ("100% of é", "100% of é"),
        ("a?b/c?SECRET d?e", "a?b/c d?e"),
    ] {
        assert_eq!(scrub_text(text, 1_000), kept, "{text}");
    }
    assert_eq!(scrub_text("ééé", 3), "é");
    assert_eq!(scrub_text(&"/?a ".repeat(10), 6), "/ / / ");
}

#[test]
fn errors_lose_mail_addresses_but_not_frames() {
    for (text, kept) in [
        ("no user jane.doe+x@mail.example.org.", "no user [email]"),
        ("f@https://h/app.js:1:2", "f@https://h/app.js:1:2"),
        ("react-dom@18.2.0/index.js", "react-dom@18.2.0/index.js"),
        ("a@b, c@d.io", "a@b, [email]"),
        ("@", "@"),
    ] {
        assert_eq!(scrub_error_text(text, 1_000), kept, "{text}");
    }
}

/// Each of them may let a careless reader look at all that follows, or at all that came before.
const MARKS: [&str; 45] = [
    "?",
    "a?b",
    "/?",
    "%3F",
    "@",
    "a@",
    "://",
    "://@",
    "#'",
    "?='",
    "pwd=",
    "pwd=\"\n",
    "pwd=\\\"\n",
    "pwd:'\\' ",
    "cookie=\n",
    "token %3D",
    "%25",
    "]",
    "pwd=[",
    "pwd= ",
    "=",
    "=>",
    "==> ",
    "pwd==",
    "pwd=['',",
    "pwd=[ ",
    "pwd=[\n",
    "pwd=[a,",
    "pwd=[(",
    "'cookie=\\'",
    "pwd=[a(",
    "pwd=[{",
    "pwd=[a:'",
    "'cookie=a'\\''",
    "cookie=a'",
    "%22",
    "pwd={",
    "pwd={\"a\":{",
    "pwd=a {",
    "pwd=Some(",
    "pwd:\n- ",
    "pwd:\n a",
    "pwd:\n  \n",
    "cookie: {",
    "cookie={\"",
];

#[test]
fn what_is_hidden_makes_a_text_no_longer_than_its_marks() {
    for pattern in MARKS {
        let text = pattern.repeat(25_000 / pattern.len());
        assert!(scrub_error_text(&text, 1_000).len() <= 1_000, "{pattern:?}");
        // A mark may be longer than the value it stands for.
        assert!(scrub_error_text(&text, usize::MAX).len() <= 3 * text.len(), "{pattern:?}");
    }
}

/// A query without an end, a thousand times over, would take minutes if every mark looked at all that follows. So many
/// times the text costs so many times the work, not their square: of the processor's time for this thread, which goes on
/// for nobody else.
#[test]
fn work_grows_with_the_length_of_the_text_only() {
    const SHORT: usize = 6_250;
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let work = |text: &str| {
        let began = spent();
        std::hint::black_box(scrub_error_text(text, usize::MAX));
        spent() - began
    };
    for pattern in MARKS {
        let text = |times: usize| pattern.repeat(SHORT / pattern.len() * times);
        let short = text(1);
        let least = (0..3).map(|_| work(&short)).min().expect("three");
        // The longest tells most, the others sooner.
        for times in [4, 16, 64] {
            let long = text(times);
            let mut ratios = (0..3).map(|_| work(&long).div_duration_f64(least));
            let most = 3.0 * times as f64;
            assert!(ratios.any(|ratio| ratio < most), "{pattern:?} {times} times: {least:?} once");
        }
    }
}
