//! The closed list of reasons for which a request is refused before it reaches the site. The limits themselves are elsewhere.

/// Why a request or connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not HTTP, or ambiguous.
    BadRequest,
    /// Headers above the size or count allowed.
    HeaderTooLarge,
    /// Headers not there in time.
    HeaderTimeout,
    /// A body above the size allowed.
    BodyTooLarge,
    /// A body not there in time.
    BodyTimeout,
    /// Too many connections.
    Connections,
    /// The client did not take the answer in time.
    WriteTimeout,
    /// A method that is not served.
    Method,
    /// A host that is none of ours.
    Host,
    /// A host that another certificate is for than the connection's.
    Misdirected,
    /// A request that was here before: an app's address leads back to us.
    Loop,
    /// Too many connections of one address.
    AddressConnections,
    /// Not a TLS handshake, or one without anything in common.
    Handshake,
    /// A handshake that was not completed in time.
    HandshakeTimeout,
}

impl Refusal {
    /// Every reason, in the order of [`Refusal::index`].
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::HeaderTooLarge,
        Self::HeaderTimeout,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::Connections,
        Self::WriteTimeout,
        Self::Method,
        Self::Host,
        Self::Misdirected,
        Self::Loop,
        Self::AddressConnections,
        Self::Handshake,
        Self::HandshakeTimeout,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HeaderTooLarge => "header_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::Connections => "connections",
            Self::WriteTimeout => "write_timeout",
            Self::Method => "method",
            Self::Host => "host",
            Self::Misdirected => "misdirected",
            Self::Loop => "loop",
            Self::AddressConnections => "address_connections",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
        }
    }

    /// Position in [`Refusal::ALL`], for tables indexed by reason.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}
