//! Tests of `line`.

use serde_json::Value as Json;

use super::*;

fn line<'a>(path: &'a str) -> Line<'a> {
    Line {
        at: Timestamp::from_micros(1_800_000_000_000_042),
        request_id: 0xabc,
        told_id: None,
        client: IpAddr::from([203, 0, 113, 77]),
        method: "GET",
        host: "h.example",
        path,
        status: 200,
        bytes: 1_234,
        micros: 45,
        agent: AgentClass::Mobile,
        route: "/posts/{id}",
        protocol: "HTTP/1.1",
        referrer_host: None,
    }
}

fn written(formatter: &mut Formatter, line: &Line<'_>) -> String {
    let mut out = Vec::new();
    formatter.write(&mut out, line);
    assert!(out.len() <= BYTES_MAX);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_tells_of_the_request() {
    let text = written(&mut Formatter::default(), &line("/posts/7"));
    assert_eq!(
        text,
        concat!(
            r#"{"time":"2027-01-15T08:00:00.000042Z","request_id":"00000000000000000000000000000abc","#,
            r#""client":"203.0.113.0","method":"GET","host":"h.example","path":"/posts/7","#,
            r#""route":"/posts/{id}","status_code":200,"bytes":1234,"duration_us":45,"#,
            r#""user_agent_type":"mobile","protocol":"HTTP/1.1"}"#,
            "\n"
        )
    );
    let text =
        written(&mut Formatter::default(), &Line { referrer_host: Some("r.example"), ..line("/") });
    assert!(text.ends_with(",\"referrer_host\":\"r.example\"}\n"), "{text}");
}

#[test]
fn hostile_words_stay_inside_their_string() {
    let broken = String::from_utf8_lossy(b"/\xff\xfe\xc2\x9b31m/\xf0\x9f");
    let controls: String = (0..=0x9f_u32).filter_map(char::from_u32).collect();
    let endless = "\u{1}".repeat(5_000);
    for odd in [
        &*broken,
        &controls,
        &endless,
        "/\"},{\"status_code\":1,\"x\":\"",
        "/\\",
        "/é\u{2028}😀",
        "",
    ] {
        let line = Line {
            method: odd,
            host: odd,
            route: odd,
            protocol: odd,
            told_id: Some(odd),
            ..line(odd)
        };
        let text = written(&mut Formatter::default(), &Line { referrer_host: Some(odd), ..line });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        let json: Json = serde_json::from_str(&text).unwrap();
        let path = odd.split('#').next().unwrap_or_default();
        assert_eq!(json["path"], path[..path.floor_char_boundary(512)], "{odd:?}");
        assert_eq!(json["status_code"], 200);
    }
}

#[test]
fn long_words_are_cut_at_a_character() {
    let long = "é".repeat(400);
    let json: Json =
        serde_json::from_str(&written(&mut Formatter::default(), &line(&format!("/{long}"))))
            .unwrap();
    assert_eq!(json["path"], format!("/{}", "é".repeat(255)));
}

#[test]
fn times_are_right_across_seconds_and_before_the_epoch() {
    let mut formatter = Formatter::default();
    for (micros, text) in [
        (1_800_000_000_999_999, "2027-01-15T08:00:00.999999Z"),
        (1_800_000_001_000_000, "2027-01-15T08:00:01.000000Z"),
        (1_800_000_000_000_001, "2027-01-15T08:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ] {
        let line = Line { at: Timestamp::from_micros(micros), ..line("/") };
        assert!(written(&mut formatter, &line).contains(text), "{text}");
    }
}

#[test]
fn addresses_are_written_as_their_network_in_canonical_form() {
    for client in [
        "203.0.113.77",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::1",
        "::ffff:203.0.113.77",
        "2001:db8:1:2:3:4:5:6",
        "2001:db8::1",
        "2001:0:1::1",
        "2001::5",
        "0:1:a0::9",
        "fe80::1",
        "ffff:ffff:ffff:ffff::",
    ] {
        let address: IpAddr = client.parse().unwrap();
        let text = written(&mut Formatter::default(), &Line { client: address, ..line("/") });
        let expected = format!("\"client\":\"{}\"", net::truncate(address));
        assert!(text.contains(&expected), "{expected} is not in {text}");
    }
}

#[test]
fn a_query_that_was_encoded_with_the_path_is_none_of_it() {
    for (path, kept) in [
        ("/p%3Ftoken=SECRET", "/p"),
        ("/p%3ftoken=SECRET", "/p"),
        ("/p%253Ftoken=SECRET", "/p"),
        ("/p%23access_token=SECRET", "/p"),
        ("/cb&access_token=SECRET", "/cb&access_token=[secret]"),
        ("/reset/token%3dSECRET/x", "/reset/token%3d[secret]"),
        ("/p;JSESSIONID=SECRET", "/p;JSESSIONID=[secret]"),
        ("/p%3Bjsessionid%3DSECRET", "/p%3Bjsessionid%3D[secret]"),
        ("/wiki/Password:_a_tale", "/wiki/Password:_a_tale"),
        ("/a;jsessionid=SECRET", "/a"),
        ("/100%25%3", "/100%25%3"),
        ("/é%", "/é%"),
        ("/%c3%a9/3f", "/%c3%a9/3f"),
    ] {
        let json: Json =
            serde_json::from_str(&written(&mut Formatter::default(), &line(path))).unwrap();
        assert_eq!(json["path"], kept, "{path}");
    }
}
