//! Events turned into lines, with the spans around them. What may be written is decided in `redact`.

use std::io::Write as _;

use mainstay_base::Clock;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, Value};
use crate::json;

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Text,
    ColouredText,
}

/// Writes each event as one line.
#[derive(Debug)]
pub(super) struct Lines<W> {
    style: Style,
    clock: Clock,
    writer: W,
}

/// A span as a line shows it.
#[derive(Debug)]
struct Span {
    name: &'static str,
    fields: Fields,
}

impl<W> Lines<W> {
    pub(super) fn new(style: Style, clock: Clock, writer: W) -> Self {
        Self { style, clock, writer }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Span { name: attributes.metadata().name(), fields });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(span) = span.extensions_mut().get_mut::<Span>()
        {
            values.record(&mut span.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let head = Head {
            time: self.clock.now().to_rfc3339(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
        };
        let mut line = Vec::with_capacity(256);
        let spans = context.event_scope(event).map(|scope| scope.from_root());
        match self.style {
            Style::Json => begin_json(&mut line, &head, &fields),
            Style::Text => begin_text(&mut line, &head, &fields),
            Style::ColouredText => begin_coloured(&mut line, &head, &fields),
        }
        for (at, span) in spans.into_iter().flatten().enumerate() {
            if let Some(span) = span.extensions().get::<Span>() {
                match self.style {
                    Style::Json => add_json_span(&mut line, at, span),
                    Style::Text | Style::ColouredText => add_text_span(&mut line, span),
                }
            }
        }
        if self.style == Style::Json {
            line.extend_from_slice(b"]}");
        }
        line.push(b'\n');
        // There is nowhere to say that standard error is gone.
        let _unheard = self.writer.make_writer().write_all(&line);
    }
}

struct Head<'a> {
    time: String,
    level: Level,
    target: &'a str,
}

fn begin_json(line: &mut Vec<u8>, head: &Head<'_>, fields: &Fields) {
    line.extend_from_slice(b"{\"time\":");
    push_quoted(line, &head.time);
    line.extend_from_slice(b",\"level\":");
    push_quoted(line, &head.level.as_str().to_ascii_lowercase());
    line.extend_from_slice(b",\"target\":");
    push_quoted(line, head.target);
    line.extend_from_slice(b",\"message\":");
    push_quoted(line, &fields.message);
    line.extend_from_slice(b",\"fields\":");
    push_json_fields(line, fields);
    line.extend_from_slice(b",\"spans\":[");
}

fn add_json_span(line: &mut Vec<u8>, at: usize, span: &Span) {
    line.extend_from_slice(if at == 0 { b"{\"name\":" } else { b",{\"name\":" });
    push_quoted(line, span.name);
    line.extend_from_slice(b",\"fields\":");
    push_json_fields(line, &span.fields);
    line.push(b'}');
}

fn push_json_fields(line: &mut Vec<u8>, fields: &Fields) {
    line.push(b'{');
    for (at, (name, value)) in fields.list.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        push_quoted(line, name);
        line.push(b':');
        match value {
            Value::Bare(value) => line.extend_from_slice(value.as_bytes()),
            Value::Text(value) => push_quoted(line, value),
        }
    }
    line.push(b'}');
}

fn begin_text(line: &mut Vec<u8>, head: &Head<'_>, fields: &Fields) {
    line.extend_from_slice(head.time.as_bytes());
    line.extend_from_slice(format!(" {:5} ", head.level.as_str()).as_bytes());
    push_message(line, head, fields);
}

/// Colours by severity: red, yellow, green, blue, and a dim time.
fn begin_coloured(line: &mut Vec<u8>, head: &Head<'_>, fields: &Fields) {
    let colour = match head.level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG | Level::TRACE => 34,
    };
    let (time, level) = (&head.time, head.level.as_str());
    let begin = format!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:5}\x1b[0m ");
    line.extend_from_slice(begin.as_bytes());
    push_message(line, head, fields);
}

fn push_message(line: &mut Vec<u8>, head: &Head<'_>, fields: &Fields) {
    line.extend_from_slice(head.target.as_bytes());
    line.extend_from_slice(b": ");
    // Escaped, so that a message cannot begin a line of its own or steer the terminal.
    push_unless_plain(line, &fields.message);
    push_text_fields(line, fields);
}

fn add_text_span(line: &mut Vec<u8>, span: &Span) {
    line.extend_from_slice(b" in ");
    line.extend_from_slice(span.name.as_bytes());
    push_text_fields(line, &span.fields);
}

fn push_text_fields(line: &mut Vec<u8>, fields: &Fields) {
    for (name, value) in &fields.list {
        line.push(b' ');
        line.extend_from_slice(name.as_bytes());
        line.push(b'=');
        match value {
            Value::Bare(value) => line.extend_from_slice(value.as_bytes()),
            Value::Text(value) if value.is_empty() || value.contains(' ') => {
                push_quoted(line, value);
            }
            Value::Text(value) => push_unless_plain(line, value),
        }
    }
}

/// Text as it is when nothing in it needs an escape, else without its quotes escaped as in JSON.
fn push_unless_plain(line: &mut Vec<u8>, text: &str) {
    if text.contains(char::is_control) {
        json::escape(line, text);
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}

fn push_quoted(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    json::escape(line, text);
    line.push(b'"');
}
