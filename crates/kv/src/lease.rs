//! What is known of a lease: who holds it, with which token, for how long. Granting is done by the engines.

use std::time::Duration;

/// A lease that was granted to this caller. It ends by itself; nothing is done when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Greater than that of every earlier grant of the same name: whoever guards what the lease is for refuses smaller ones
    /// than it has seen (a *fencing token*).
    pub token: u64,
    /// Known to this holder alone.
    pub(crate) owner: String,
}

/// The answer to who wants a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It is the caller's.
    Granted(Lease),
    /// It is somebody else's, for this long unless renewed.
    Held {
        /// The holder's token.
        token: u64,
        /// What is left of its time.
        left: Duration,
    },
}
