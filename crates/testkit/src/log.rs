//! What a process wrote to a pipe, line by line, and whether a test may pass with it.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Lines of one output of a process, gathered as they come. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Gathers everything that comes out of `pipe`.
    #[expect(clippy::disallowed_methods, reason = "a pipe needs a reader that outlives every call")]
    pub(crate) fn follow(pipe: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let shared = log.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                shared.change(|lines| lines.lines.push(text));
                line.clear();
            }
            shared.change(|lines| lines.ended = true);
        });
        log
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Everything so far as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The first line that holds `fragment`, waited for.
    ///
    /// # Panics
    /// When none came `within` the time.
    #[must_use]
    pub fn wait_for(&self, fragment: &str, within: Duration) -> String {
        let find = |lines: &Lines| lines.lines.iter().find(|line| line.contains(fragment)).cloned();
        let (lines, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), within, |lines| find(lines).is_none() && !lines.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let found = find(&lines);
        found.unwrap_or_else(|| panic!("no line with {fragment:?} in:\n{}", lines.lines.join("\n")))
    }

    /// Waits until the process closed its end, so that nothing is missing.
    pub(crate) fn finish(&self) {
        let wait = Duration::from_secs(5);
        let ended = self.0.1.wait_timeout_while(self.lock(), wait, |lines| !lines.ended);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lines that no test may pass with, but for those that hold one of the `expected` fragments.
    pub(crate) fn list_faults(&self, expected: &[String]) -> Vec<String> {
        let fault = |line: &String| {
            line.contains("panicked at")
                || line.contains("\"level\":\"error\"")
                || line.contains(" ERROR ")
        };
        let mut lines = self.lines();
        lines.retain(|line| fault(line) && !expected.iter().any(|known| line.contains(known)));
        lines
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
