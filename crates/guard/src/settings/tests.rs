//! Words of the settings file, what `auto` means, and values that mean nothing.

use super::*;

#[test]
fn auto_means_what_environment_and_preset_say() {
    for (environment, csp) in
        [(Environment::Development, Csp::Report), (Environment::Production, Csp::Enforce)]
    {
        let resolved = Headers::default().resolved(environment);
        assert_eq!((resolved.csp, resolved.hsts), (csp, Hsts::Off));
        let preset = Headers { headers: Preset::Roadmap, ..Headers::default() };
        assert_eq!(preset.resolved(environment).hsts, Hsts::Preload);
        let off = Headers { hsts: Hsts::Off, ..preset };
        assert_eq!(off.resolved(environment).hsts, Hsts::Off);
    }
    let said = Headers { csp: Csp::Off, hsts: Hsts::Day, ..Headers::default() };
    assert_eq!(said.resolved(Environment::Development), said);
}

#[test]
fn words_of_the_file_are_these_and_no_others() {
    let read = |text: &str| serde_json::from_str::<Headers>(text);
    let headers = read(
        r#"{"headers":"roadmap","hsts":"preload","frame":"same-origin","csp":"report",
            "referrer":"strict-origin","resource":"same-site","allow":{"connect":["wss://x.example"]}}"#,
    )
    .unwrap();
    assert_eq!(headers.headers, Preset::Roadmap);
    assert_eq!(headers.allow.sources(Kind::Connect).count(), 1);
    for wrong in [r#"{"heders":"default"}"#, r#"{"hsts":"forever"}"#, r#"{"allow":{"scripts":[]}}"#]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    assert!(serde_json::from_str::<Cors>(r#"{"origin":[]}"#).is_err());
}

#[test]
fn sources_that_mean_nothing_are_named() {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let allow = Allow {
        script: texts(&["data:", "https://ok.example"]),
        img: texts(&[
            "blob:",
            "cdn.example",
            "https://x.example/path",
            "https://*.example",
            "'unsafe-inline'",
            "*",
        ]),
        connect: texts(&["wss://ok.example:8443", "https://a;b.example"]),
        ..Allow::default()
    };
    let fields: Vec<String> =
        allow.list_problems().into_iter().map(|problem| problem.field).collect();
    let expected: Vec<_> = ["script", "img", "img", "img", "img", "img", "connect"]
        .map(|field| format!("allow.{field}"))
        .into();
    assert_eq!(fields, expected);
    assert_eq!(allow.sources(Kind::Img).collect::<Vec<_>>(), [Source::Blob]);
    assert_eq!(allow.sources(Kind::Script).count(), 1);
}

#[test]
fn origins_no_browser_sends_are_named() {
    for (origin, fine) in [
        ("https://app.example", true),
        ("http://localhost:3000", true),
        ("http://[::1]:3000", true),
        ("https://app.example/", false),
        ("https://app.example:443", false),
        ("https://App.example", false),
        ("https://*.example", false),
        ("https://b\u{fc}cher.example", false),
        ("app.example", false),
        ("null", false),
        ("*", false),
        ("", false),
    ] {
        let cors = Cors { origins: vec![origin.to_owned()], ..Cors::default() };
        assert_eq!(cors.list_problems().is_empty(), fine, "{origin}");
    }
}
