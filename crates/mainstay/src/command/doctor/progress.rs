//! How far the requests have come: a bar on a terminal, a line per group elsewhere. Written to standard error, so that the report stays what it is.

use std::io::{IsTerminal, Result, Write};

use crate::command::bar;

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Drawn over again, on a terminal.
    Bar,
    /// A line per group.
    Lines,
}

pub(super) struct Progress {
    out: Box<dyn Write>,
    shape: Shape,
    done: usize,
    total: usize,
}

impl Progress {
    pub(super) fn of_standard_error(total: usize) -> Self {
        let shape = if std::io::stderr().is_terminal() { Shape::Bar } else { Shape::Lines };
        Self::new(Box::new(std::io::stderr()), shape, total)
    }

    fn new(out: Box<dyn Write>, shape: Shape, total: usize) -> Self {
        Self { out, shape, done: 0, total }
    }

    /// A group of this many requests begins.
    pub(super) fn begin(&mut self, group: &str, requests: usize) {
        let (first, last, total) = (self.done + 1, self.done + requests, self.total);
        // Nobody is left to tell when standard error is closed; the report may still be read.
        drop(match self.shape {
            Shape::Bar => self.draw(group),
            Shape::Lines => {
                writeln!(self.out, "{group}: requests {first} to {last} of {total}")
            }
        });
    }

    /// Another one is done.
    pub(super) fn step(&mut self, group: &str) {
        self.done += 1;
        if self.shape == Shape::Bar {
            drop(self.draw(group));
        }
    }

    /// Clears the bar's line.
    pub(super) fn finish(&mut self) {
        if self.shape == Shape::Bar {
            drop(write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush()));
        }
    }

    fn draw(&mut self, group: &str) -> Result<()> {
        let (done, total) = (self.done, self.total);
        let bar = bar(done as u64, total as u64);
        write!(self.out, "\r\x1b[K{bar} {done} of {total}  {group}")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Rc<RefCell<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn show(shape: Shape) -> String {
        let kept = Kept::default();
        let mut progress = Progress::new(Box::new(kept.clone()), shape, 3);
        for (group, requests) in [("lengths", 1), ("chunks", 2)] {
            progress.begin(group, requests);
            (0..requests).for_each(|_| progress.step(group));
        }
        progress.finish();
        String::from_utf8(kept.0.take()).expect("text")
    }

    #[test]
    fn a_terminal_sees_a_bar_and_a_file_a_line_per_group() {
        let bar = show(Shape::Bar);
        assert!(bar.contains("████████░░░░░░░░░░░░░░░░ 1 of 3  lengths"), "{bar}");
        assert!(bar.contains("████████████████████████ 3 of 3  chunks"), "{bar}");
        assert!(bar.ends_with("\r\x1b[K"), "{bar:?}");
        assert_eq!(
            show(Shape::Lines),
            "lengths: requests 1 to 1 of 3\nchunks: requests 2 to 3 of 3\n"
        );
    }
}
