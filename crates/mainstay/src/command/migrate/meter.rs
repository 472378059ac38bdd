//! How far a copy has come: a bar on a terminal, a line per table elsewhere. Written to standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use mainstay_store::transfer::Progress;

use crate::command::bar;

/// A bar is drawn no more often.
const EVERY: Duration = Duration::from_millis(100);

pub(super) struct Meter {
    out: Box<dyn Write + Send>,
    is_terminal: bool,
    drawn: Option<Instant>,
    table: (&'static str, Instant),
}

impl Meter {
    pub(super) fn of_standard_error() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self::new(Box::new(std::io::stderr()), is_terminal)
    }

    fn new(out: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        Self { out, is_terminal, drawn: None, table: ("", Instant::now()) }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let now = Instant::now();
        if self.table.0 != progress.table {
            self.table = (progress.table, now);
        }
        // Nobody is left to tell when standard error is closed; the copy goes on.
        drop(if self.is_terminal {
            self.draw(progress, now)
        } else if progress.is_done && progress.done > 0 {
            let Progress { pass, table, done, .. } = progress;
            writeln!(self.out, "pass {pass}: {table}: {done} rows")
        } else {
            Ok(())
        });
    }

    fn draw(&mut self, progress: &Progress, now: Instant) -> std::io::Result<()> {
        if !progress.is_done && self.drawn.is_some_and(|drawn| now - drawn < EVERY) {
            return Ok(());
        }
        self.drawn = Some(now);
        let Progress { pass, table, done, total, .. } = progress;
        let bar = bar(*done, *total);
        let rate = *done as f64 / (now - self.table.1).as_secs_f64().max(0.001);
        write!(self.out, "\r\x1b[Kpass {pass}  {table:<20} {bar} {done} of {total}, {rate:.0}/s")?;
        self.out.flush()
    }

    /// Clears the bar's line.
    pub(super) fn finish(&mut self) {
        if self.is_terminal {
            drop(write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("kept").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(is_terminal: bool) -> String {
        let kept = Kept::default();
        let mut meter = Meter::new(Box::new(kept.clone()), is_terminal);
        let step = |done, is_done| Progress { pass: 1, table: "users", done, total: 10, is_done };
        for progress in [step(5, false), step(12, true)] {
            meter.show(&progress);
        }
        meter.finish();
        let bytes = kept.0.lock().expect("kept").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_terminal_sees_a_bar_and_a_file_lines() {
        let bar = shown(true);
        assert!(bar.contains("████████████░░░░░░░░░░░░ 5 of 10"), "{bar}");
        assert!(bar.contains("████████████████████████ 12 of 10"), "{bar}");
        assert_eq!(shown(false), "pass 1: users: 12 rows\n");
    }
}
