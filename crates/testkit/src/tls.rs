//! TLS for tests: a private authority, its certificates, and a client that trusts it alone. Verification is never off.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::http::Connection;

/// A day, as certificates end on one.
pub type Day = time::OffsetDateTime;

/// A day of the calendar.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn day(year: i32, month: u8, day: u8) -> Day {
    rcgen::date_time_ymd(year, month, day)
}

/// A certificate and its key in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
}

/// An authority nobody but a test knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert: String,
}

/// A client's settings: whom it trusts, what it asks for. Clones share the sessions they may resume.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// When the library refuses.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own: one that is its server's, too, is nobody's authority to OpenSSL.
        let name = format!("authority {}", crate::fresh_id());
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), cert }
    }

    /// A server's certificate for these names.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_until(names, day(4096, 1, 1))
    }

    /// The same, good until then.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn issue_until(&self, names: &[&str], end: Day) -> Pair {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = end;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Pair { cert, key: key.serialize_pem() }
    }

    /// The authority's own certificate in PEM.
    #[must_use]
    pub fn cert(&self) -> &str {
        &self.cert
    }

    /// A client of TLS 1.3 that trusts this authority and asks for a server of this name.
    #[must_use]
    pub fn client(&self, name: &str, protocols: &[&str]) -> TlsClient {
        TlsClient::new(&self.cert, name, protocols, &TLS13)
    }

    /// The same with TLS 1.2.
    #[must_use]
    pub fn old_client(&self, name: &str, protocols: &[&str]) -> TlsClient {
        TlsClient::new(&self.cert, name, protocols, &TLS12)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Writes `cert.pem` and `key.pem` into a folder, the key private.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, dir: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let key = dir.join("key.pem");
        std::fs::write(dir.join("cert.pem"), &self.cert).expect("a certificate");
        std::fs::write(&key, &self.key).expect("a key");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("a private key");
    }
}

impl TlsClient {
    /// A client of TLS 1.3 that trusts one certificate.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn trusting(cert: &str, name: &str, protocols: &[&str]) -> Self {
        Self::new(cert, name, protocols, &TLS13)
    }

    fn new(
        trusted: &str,
        name: &str,
        protocols: &[&str],
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let trusted = rustls::pki_types::CertificateDer::from_pem_slice(trusted.as_bytes());
        roots.add(trusted.expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self { config: Arc::new(config), name }
    }

    /// The same without saying which name it asks for, as clients of old.
    #[must_use]
    pub fn without_sni(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_sni = false;
        Self { config: Arc::new(config), name: self.name.clone() }
    }

    /// Connects and shakes hands.
    ///
    /// # Panics
    /// When either fails.
    #[must_use]
    pub fn open(&self, address: SocketAddr) -> Connection {
        let opened = self.try_open(address);
        opened.unwrap_or_else(|error| panic!("no TLS with {address}: {error}"))
    }

    /// Connects and shakes hands, or says why not.
    ///
    /// # Errors
    /// The operating system's, or TLS's as [`std::io::ErrorKind::InvalidData`].
    pub fn try_open(&self, address: SocketAddr) -> Result<Connection> {
        let mut plain = Connection::connect(address)?;
        let mut session = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(std::io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut plain)?;
        }
        Ok(Connection::over(Transport::Tls(Box::new(StreamOwned::new(session, plain))), address))
    }
}

/// What a test's client reads and writes.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// What ALPN agreed on.
    pub(crate) fn protocol(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
            }
        }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
