//! How long a statement may take before its connection is given up.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};

/// A bound on the wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(pub(crate) Duration);

impl Patience {
    /// The answer, or a time-out as an error of the connection: whoever meets it must not use the connection again.
    pub(crate) async fn keep<T>(
        self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        match tokio::time::timeout(self.0, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {:?}", self.0),
            ))),
        }
    }
}

/// A timer that is set anew for each statement of a connection. One that is made and given up each time takes the runtime's
/// lock twice for a statement; a later time is noted without it.
#[derive(Debug)]
pub(crate) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    pub(crate) fn new() -> Self {
        Self(Box::pin(tokio::time::sleep(Duration::ZERO)))
    }

    /// The answer, if it comes within this time.
    pub(crate) async fn within<T>(
        &mut self,
        time: Duration,
        mut answer: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        self.0.as_mut().reset(Instant::now() + time);
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            // An answer of many parts uses up what a task may do at a turn: its time passes all the same.
            Poll::Pending => pin!(unconstrained(self.0.as_mut())).poll(cx).map(|()| None),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let mut timer = Timer::new();
        let begun = Instant::now();
        for _ in 0..3 {
            let late = pin!(pending::<()>());
            assert_eq!(timer.within(Duration::from_secs(2), late).await, None);
            assert_eq!(timer.within(Duration::from_secs(9), pin!(ready(7))).await, Some(7));
            let slow = pin!(tokio::time::sleep(Duration::from_secs(3)));
            assert_eq!(timer.within(Duration::from_secs(4), slow).await, Some(()));
        }
        assert_eq!(begun.elapsed().as_secs(), 3 * (2 + 3));
    }
}
