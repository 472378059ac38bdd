//! A connection that leaves HTTP after a `101`: where a request says who carries it on. Carries nothing itself.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

/// The client's side of a connection that no longer speaks HTTP, with what was read of it already.
pub(crate) trait ClientIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ClientIo for T {}

/// Carries a connection to its end.
pub(crate) type Carry =
    Box<dyn FnOnce(Box<dyn ClientIo>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Put by the connection into a request that asks for another protocol; filled where the answer is `101`.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<Mutex<Option<Carry>>>);

impl Switch {
    /// Who carries the connection on once the `101` is sent.
    pub(crate) fn leave(&self, carry: Carry) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(carry);
    }

    /// Taken by the connection when HTTP is over.
    pub(crate) fn take(&self) -> Option<Carry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
