//! Tests of `log`.

use std::io;
use std::sync::{Arc, Mutex};

use mainstay_base::Timestamp;
use serde_json::Value as Json;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn lines_of(style: Style, level: Level, work: impl FnOnce()) -> String {
    let kept = Kept::default();
    let clock = Clock::fixed(Timestamp::from_seconds(1_800_000_000));
    let lines = Lines::new(style, clock, kept.clone());
    tracing::subscriber::with_default(subscriber(lines, Logged::default(), level), work);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_nobody_reads_is_not_made() {
    use tracing::{Level as At, enabled};
    let lines = Lines::new(Style::Json, Clock::System, Kept::default());
    let subscriber = subscriber(lines, Logged::default(), Level::Info);
    tracing::subscriber::with_default(subscriber, || {
        // HTTP/2's library has a span for every frame.
        assert!(!enabled!(target: "h2", At::TRACE) && !enabled!(target: "h2", At::DEBUG));
        assert!(!enabled!(target: "mainstay_edge", At::DEBUG));
        assert!(enabled!(target: "h2", At::WARN) && enabled!(target: "mainstay_edge", At::INFO));
    });
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open {path}")]
struct Outer {
    path: &'static str,
    source: io::Error,
}

#[test]
fn json_lines_hold_fields_and_spans_and_no_secret() {
    let text = lines_of(Style::Json, Level::Info, || {
        let span = tracing::info_span!("request", id = 7_u64, route = tracing::field::Empty);
        let _entered = span.enter();
        span.record("route", "/a?token=SECRET");
        let source = io::Error::other("password=SECRET");
        let error = Outer { path: "/x\u{1b}[31m\"", source };
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            admin_token = "SECRET",
            tokens = 5_u64,
            peer = ?"203.0.113.77".parse::<std::net::IpAddr>(),
            ok = true,
            nan = f64::NAN,
            "bad\nline /p?q=SECRET"
        );
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains("SECRET") && !text.contains("113.77"), "{text}");
    let line: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(line["time"], "2027-01-15T08:00:00Z");
    assert_eq!(line["level"], "warn");
    assert_eq!(line["message"], "bad\nline /p");
    assert_eq!(line["fields"]["error"], "cannot open /x\u{1b}[31m\": password=[redacted]");
    assert_eq!(line["fields"]["admin_token"], "[redacted]");
    assert_eq!(line["fields"]["tokens"], "[redacted]");
    assert_eq!(line["fields"]["ok"], true);
    assert_eq!(line["fields"]["nan"], "NaN");
    assert_eq!(line["spans"][0]["name"], "request");
    assert_eq!(line["spans"][0]["fields"]["id"], 7);
    assert_eq!(line["spans"][0]["fields"]["route"], "/a");
}

#[test]
fn text_lines_are_one_line_each_and_steer_no_terminal() {
    let text = lines_of(Style::Text, Level::Info, || {
        tracing::info!(path = "/a b", odd = "x\u{1b}[2J", "hello \u{1b}[31m\nforged line");
    });
    assert_eq!(
        text,
        "2027-01-15T08:00:00Z INFO  mainstay_telemetry::log::tests: \
         hello \\u001b[31m\\nforged line path=\"/a b\" odd=x\\u001b[2J\n"
    );
}

#[test]
fn libraries_are_heard_from_warnings_on() {
    let text = lines_of(Style::Text, Level::Debug, || {
        tracing::debug!("ours");
        tracing::trace!("too fine");
        tracing::info!(target: "hyper", "theirs, quiet");
        tracing::warn!(target: "hyper", "theirs, loud");
    });
    assert!(text.contains("ours") && text.contains("theirs, loud"), "{text}");
    assert!(!text.contains("too fine") && !text.contains("quiet"), "{text}");
    let text = lines_of(Style::Text, Level::Error, || tracing::warn!(target: "hyper", "theirs"));
    assert_eq!(text, "");
}
