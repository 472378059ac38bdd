//! What the log is told while something is done, by its message and the site.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings of a piece of work on this thread: `SITE: MESSAGE`.
pub(super) fn warnings(work: impl FnOnce()) -> Vec<String> {
    let heard = Heard::default();
    let lines = Arc::clone(&heard.0);
    tracing::subscriber::with_default(heard, work);
    lines.lock().expect("heard").clone()
}

#[derive(Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

/// The two fields of an event that are looked at.
#[derive(Default)]
struct Line {
    site: String,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let place = match field.name() {
            "site" => &mut self.site,
            "message" => &mut self.message,
            _ => return,
        };
        // Writing to a String cannot fail.
        let _ = write!(place, "{value:?}");
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let Line { site, message } = line;
        self.0.lock().expect("heard").push(format!("{site}: {message}"));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
