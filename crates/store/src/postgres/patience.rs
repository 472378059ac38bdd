//! How long a statement may take before its connection is given up.

use std::io;
use std::time::Duration;

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
