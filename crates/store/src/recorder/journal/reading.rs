//! A file that is being read. Whoever wants it waits for a moment only: on a disk that dies one block may take seconds. What
//! the disk takes its time with is looked for again later, and what was read is kept until it is let go.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Segment;

/// How long a file is waited for at each look; nothing is committed meanwhile.
const WITHIN: Duration = Duration::from_millis(500);

/// What lies in a file between two places, and whether that is all of it.
type Outcome = io::Result<(Vec<u8>, bool)>;
pub(super) type Work = Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>;

pub(super) struct Reading {
    number: u64,
    from: u64,
    to: u64,
    state: State,
}

enum State {
    /// Goes on where it was at each look.
    UnderWay(Work),
    Over(Arc<Vec<u8>>, bool),
}

/// A part of what was read.
pub(super) struct Rest {
    bytes: Arc<Vec<u8>>,
    from: usize,
}

impl Rest {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}

impl Reading {
    /// Of what is left of a file.
    pub(super) fn begin(segment: Segment, work: Work) -> Self {
        Self {
            number: segment.number,
            from: segment.read_at,
            to: segment.bytes,
            state: State::UnderWay(work),
        }
    }

    pub(super) fn is_of(&self, number: u64) -> bool {
        self.number == number
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::UnderWay(_))
    }

    /// Whether it gives what is left of this file, to which something may have been written since.
    pub(super) fn gives(&self, segment: Segment) -> bool {
        self.number == segment.number && self.to == segment.bytes && self.from <= segment.read_at
    }

    /// What lies there from this place on, and whether that is all of it; none while the disk takes its time.
    pub(super) async fn look(&mut self, from: u64) -> io::Result<Option<(Rest, bool)>> {
        if let State::UnderWay(work) = &mut self.state {
            let Ok(outcome) = tokio::time::timeout(WITHIN, work).await else { return Ok(None) };
            let (bytes, is_whole) = outcome?;
            self.state = State::Over(Arc::new(bytes), is_whole);
        }
        let State::Over(bytes, is_whole) = &self.state else { return Ok(None) };
        let from = usize::try_from(from.saturating_sub(self.from)).unwrap_or(usize::MAX);
        Ok(Some((Rest { bytes: Arc::clone(bytes), from }, *is_whole)))
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, from, to, .. } = self;
        write!(f, "Reading({number}, {from}..{to}, under way: {})", self.is_under_way())
    }
}
