//! How a request to somebody else fails. Renders nothing for visitors: who asked decides what may be told.

use std::io;

use mainstay_base::net::Class;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not be asked: nothing was sent there, not even to a resolver unless an address is the reason. With redirects,
    /// those before it were asked.
    #[error("refused: {0}")]
    Refused(Rule),
    /// The name leads nowhere.
    #[error("the name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// Nobody listens at any of its addresses.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// TLS failed, or the certificate is not to be believed.
    #[error("TLS failed")]
    Tls {
        /// Why.
        #[source]
        source: io::Error,
        /// The certificates that were shown, the server's own first, as DER; none when it did not come to that.
        chain: Vec<Vec<u8>>,
    },
    /// It took too long.
    #[error("timed out: {0}")]
    Timeout(Phase),
    /// The answer is no HTTP, or broke off.
    #[error("no whole answer")]
    Answer(#[source] hyper::Error),
    /// The body is in an encoding that nobody asked for, or is not what it says.
    #[error("the body cannot be decoded")]
    Encoding,
    /// The body is longer than the limit.
    #[error("the body is longer than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// It sends on and on.
    #[error("more than {max} redirects")]
    TooManyRedirects {
        /// The limit.
        max: usize,
    },
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connecting, TLS included.
    Connect,
    /// All of it.
    Answer,
}

/// The rule that a URL breaks, or that an address it leads to breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// It is no URL by the rules of browsers (WHATWG).
    Url,
    /// Neither http nor https.
    Scheme,
    /// It carries a name or a password.
    UserInfo,
    /// Another port than those allowed.
    Port,
    /// A name that means another host on every network: `localhost`, one without a dot, `….internal`.
    LocalName,
    /// An address that is no public host's.
    Address(Class),
    /// None of the origins that may be asked.
    NotOurs,
    /// It sends from https to http.
    Downgrade,
    /// It sends to something that is no URL.
    Location,
    /// It sends the body on to another origin than it was meant for.
    BodyElsewhere,
    /// The name has no address.
    NoAddress,
}

impl Rule {
    /// The rule's name: stable, for logs, metrics and errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "unreadable URL",
            Self::Scheme => "scheme",
            Self::UserInfo => "user information in the URL",
            Self::Port => "port",
            Self::LocalName => "local name",
            Self::Address(class) => class.as_str(),
            Self::NotOurs => "not a configured origin",
            Self::Downgrade => "redirect from https to http",
            Self::Location => "unreadable redirect",
            Self::BodyElsewhere => "redirect of a body to another origin",
            Self::NoAddress => "no address",
        }
    }
}

impl Error {
    /// The rule that refused it, when one did.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Refused(rule) => Some(*rule),
            _ => None,
        }
    }

    /// How it ended, as a label.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Resolve(_) => "resolve_failed",
            Self::Connect(_) => "connect_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Timeout(_) => "timeout",
            Self::Answer(_) | Self::Encoding => "bad_answer",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyRedirects { .. } => "too_many_redirects",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Answer => "no whole answer",
        })
    }
}
