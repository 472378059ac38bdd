//! What can go wrong between a request and its answer, whose fault it was, and whether asking again may help. Renders nothing.

use std::time::Duration;

use http::StatusCode;
use mainstay_base::code::{Coded, ErrorCode};

/// A wait that has an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// TCP and TLS.
    Connect,
    /// From the request, or the last piece of its body, to the answer's head.
    Answer,
}

/// Why a request got no answer. Names the upstream by its place in the site's list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every upstream fails its checks, is tried by somebody else, or drains.
    #[error("no upstream is healthy")]
    NoneHealthy {
        /// When the next check may change that.
        retry_after: Duration,
    },
    /// Every healthy upstream has as many exchanges in hand as it may.
    #[error("every upstream has all the requests it may have in hand")]
    Busy,
    /// No connection.
    #[error("cannot connect to upstream {upstream}")]
    Connect {
        /// Which.
        upstream: usize,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A wait ended.
    #[error("upstream {upstream} took too long ({phase:?})")]
    Timeout {
        /// Which.
        upstream: usize,
        /// In what.
        phase: Phase,
    },
    /// The connection ended before a complete head came.
    #[error("upstream {upstream} closed the connection without an answer")]
    Closed {
        /// Which.
        upstream: usize,
        /// Why.
        #[source]
        source: Option<hyper::Error>,
    },
    /// What came is not an HTTP answer we may pass on.
    #[error("upstream {upstream} gave an answer that is not valid HTTP: {what}")]
    BadAnswer {
        /// Which.
        upstream: usize,
        /// What was wrong with it.
        what: &'static str,
    },
    /// The request's own body broke off: its sender's doing.
    #[error("the request's body broke off")]
    Request,
    /// It was here again and again: an upstream's address leads back to us, or its sender repeats our mark.
    #[error(
        "the request has been here again and again: the address of an upstream leads back to this server, or a client repeats this server's mark"
    )]
    Loop,
    /// CONNECT: we stand in front of a site, not between a browser and the world.
    #[error("CONNECT is not passed on")]
    Method,
}

/// Whose fault an error was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sender of the request.
    Client,
    /// The app behind us.
    Upstream,
    /// Our own limits.
    Us,
}

impl Error {
    /// The status a client is told: 400, 405, 502, 503, 504 or 508.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoneHealthy { .. } | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Connect { .. } | Self::Closed { .. } | Self::BadAnswer { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Request => StatusCode::BAD_REQUEST,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Whether the client may send the same request again in the hope of an answer.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            // Nothing of it was sent.
            Self::NoneHealthy { .. } | Self::Busy | Self::Connect { .. } => true,
            Self::Timeout { phase, .. } => *phase == Phase::Connect,
            Self::Closed { .. } | Self::BadAnswer { .. } => false,
            Self::Request | Self::Loop | Self::Method => false,
        }
    }

    /// The time after which asking again makes sense, where we know one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoneHealthy { retry_after } => Some(*retry_after),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The upstream to blame, by its place in the site's list.
    #[must_use]
    pub fn upstream(&self) -> Option<usize> {
        match self {
            Self::Connect { upstream, .. }
            | Self::Timeout { upstream, .. }
            | Self::Closed { upstream, .. }
            | Self::BadAnswer { upstream, .. } => Some(*upstream),
            Self::NoneHealthy { .. } | Self::Busy => None,
            Self::Request | Self::Loop | Self::Method => None,
        }
    }

    /// Whose fault it was.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Request | Self::Method => Fault::Client,
            Self::Busy | Self::Loop => Fault::Us,
            _ => Fault::Upstream,
        }
    }

    /// The outcome's name in metrics and logs.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NoneHealthy { .. } => "none_healthy",
            Self::Busy => "busy",
            Self::Connect { .. } => "connect_failed",
            Self::Timeout { phase: Phase::Connect, .. } => "connect_timeout",
            Self::Timeout { phase: Phase::Answer, .. } => "answer_timeout",
            Self::Closed { .. } => "closed",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Loop => "loop",
            Self::Request | Self::Method => "request_broken",
        }
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoneHealthy { .. } | Self::Busy => ErrorCode::Unavailable,
            Self::Timeout { .. } => ErrorCode::Timeout,
            Self::Connect { .. } | Self::Closed { .. } | Self::BadAnswer { .. } => {
                ErrorCode::Upstream
            }
            Self::Loop => ErrorCode::Internal,
            Self::Request | Self::Method => ErrorCode::Invalid,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Request => "The request's body ended too early.".into(),
            Self::Method => "CONNECT is not possible here.".into(),
            _ => "The application behind this site gave no answer.".into(),
        }
    }
}
