//! The first message of TLS 1.0 and 1.1 (RFC 2246, RFC 4346), which no library of today speaks, and whether a server takes it. Sends nothing itself.

/// A version that was given up (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    Tls10,
    Tls11,
}

/// Key exchanges and ciphers that servers of that time know, the strongest first.
const CIPHERS: [u16; 8] = [0xc014, 0xc013, 0xc00a, 0xc009, 0x0039, 0x0033, 0x0035, 0x002f];
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

impl Old {
    pub(crate) const ALL: [Self; 2] = [Self::Tls10, Self::Tls11];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
        }
    }

    fn bytes(self) -> [u8; 2] {
        match self {
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
        }
    }

    /// What a client of that version says first to a server of this name.
    pub(crate) fn hello(self, host: &str, random: [u8; 32]) -> Vec<u8> {
        let mut body = self.bytes().to_vec();
        body.extend(random);
        // No session to resume.
        body.push(0);
        let ciphers: Vec<u8> = CIPHERS.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
        body.extend(with_length(&ciphers));
        // No compression.
        body.extend([1, 0]);
        body.extend(with_length(&extensions(host)));
        let length = (body.len() as u32).to_be_bytes();
        let mut message = vec![CLIENT_HELLO];
        message.extend_from_slice(&length[1..]);
        message.extend(body);
        let mut record = vec![HANDSHAKE, 3, 1];
        record.extend(with_length(&message));
        record
    }

    /// Whether the server went along with it.
    pub(crate) fn is_taken(self, answer: &[u8]) -> bool {
        matches!(answer, [HANDSHAKE, 3, _, _, _, SERVER_HELLO, _, _, _, major, minor, ..]
            if [*major, *minor] == self.bytes())
    }
}

/// The name (RFC 6066), groups and formats of points (RFC 8422).
fn extensions(host: &str) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |kind: u16, bytes: &[u8]| {
        all.extend(kind.to_be_bytes());
        all.extend(with_length(bytes));
    };
    if host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[') {
        let mut name = vec![0];
        name.extend(with_length(host.as_bytes()));
        add(0, &with_length(&name));
    }
    add(10, &[0, 6, 0, 29, 0, 23, 0, 24]);
    add(11, &[1, 0]);
    all
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u16).to_be_bytes();
    [&length, bytes].concat()
}
