//! How a request's connection watches it, as far as whoever answers it may know. Ends nothing itself.

use std::sync::Arc;

use crate::activity::InHand;
use crate::exchange::Exchange;

/// What judges a request while it is answered.
pub(crate) enum Watch {
    /// HTTP/1.1: the connection as a whole.
    Connection(InHand),
    /// HTTP/2: a stream of its own.
    Stream(Arc<Exchange>),
}

impl Watch {
    /// The app has the request: how long it may take is `[upstream]`'s to say, not `edge.request_timeout`'s.
    pub(crate) fn hand_over(&self) {
        match self {
            Self::Connection(in_hand) => in_hand.hand_over(),
            Self::Stream(exchange) => exchange.hand_over(),
        }
    }
}
