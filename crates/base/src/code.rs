//! The closed set of error codes that callers and clients branch on, and what each is called; who renders an error is `api/problem` on our own paths, `edge/problem` on a site's.

/// What went wrong, in the only words a caller may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The input breaks a rule (400).
    Invalid,
    /// Nobody is signed in (401).
    Unauthenticated,
    /// Somebody is, but may not (403).
    Forbidden,
    /// No such thing (404).
    NotFound,
    /// The thing is in another state (409).
    Conflict,
    /// More bytes or items than allowed (413).
    TooLarge,
    /// Too many requests (429).
    Limited,
    /// A wait ended before the work did (504).
    Timeout,
    /// A server behind us failed (502).
    Upstream,
    /// A service we need is away for now (503).
    Unavailable,
    /// Our own fault (500).
    Internal,
}

impl ErrorCode {
    /// The HTTP status of this code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Limited => 429,
            Self::Internal => 500,
            Self::Upstream => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// What programs may branch on in problem+json: the `type` of RFC 9457 §3.1.1, the same whoever renders it.
    #[must_use]
    pub fn problem_type(self) -> String {
        format!("urn:mainstay:problem:{}", self.slug())
    }

    /// The last segment of the problem type, also its documentation page's name.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too-large",
            Self::Limited => "limited",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// An error with a code, and a sentence that may be shown to a stranger.
pub trait Coded: std::error::Error {
    /// The code callers branch on.
    fn code(&self) -> ErrorCode;

    /// A sentence for the client. Must not name hosts, paths, SQL or secrets; unused for 5xx.
    fn public(&self) -> String;
}
