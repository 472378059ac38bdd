//! TLS to others: who is believed, and which certificates were shown. Verification has no switch.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::check::{Place, Target};
use super::error::{Error, Phase};

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The system's authorities.
    System,
    /// Those in a file (PEM).
    File(PathBuf),
    /// Those in this text (PEM).
    Pem(String),
}

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The authorities cannot be read.
    #[error("cannot read the authorities")]
    Read(#[source] rustls::pki_types::pem::Error),
    /// There is none.
    #[error("no certificate of an authority: the system has none, or the file is empty")]
    NoAuthority,
    /// The library's own.
    #[error("cannot set up TLS")]
    Library(#[from] rustls::Error),
    /// The library's own.
    #[error("cannot set up TLS")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// What TLS agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// `TLSv1_3`, as the library writes it.
    pub version: String,
    /// The certificates that were shown, the server's own first, as DER.
    pub chain: Vec<Vec<u8>>,
}

pub(super) struct Connector {
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
}

/// A connection, secured or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    pub(super) fn new(trust: &Trust) -> Result<Self, SetupError> {
        let roots = Arc::new(authorities(trust)?);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        Ok(Self { provider, verifier: verifier.build()? })
    }

    /// Shakes hands where the scheme asks for it.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        target: &Target,
        deadline: Instant,
    ) -> Result<(Stream, Option<Secured>), Error> {
        if target.url.scheme() != "https" {
            return Ok((Stream::Plain(stream), None));
        }
        let witness =
            Arc::new(Witness { verifier: Arc::clone(&self.verifier), seen: Mutex::default() });
        let fail = |source| Error::Tls { source, chain: witness.chain() };
        let config = self.config(Arc::clone(&witness)).map_err(|e| fail(io::Error::other(e)))?;
        let name = name(target).map_err(fail)?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = match timeout_at(deadline, connecting).await {
            Ok(stream) => stream.map_err(fail)?,
            Err(_) => return Err(Error::Timeout(Phase::Connect)),
        };
        let version = stream.get_ref().1.protocol_version();
        let version = version.map_or_else(String::new, |version| format!("{version:?}"));
        let secured = Secured { version, chain: witness.chain() };
        Ok((Stream::Tls(Box::new(stream)), Some(secured)))
    }

    fn config(&self, witness: Arc<Witness>) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            // The library's word for a verifier of the caller's: this one asks the library's own.
            .dangerous()
            .with_custom_certificate_verifier(witness)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn name(target: &Target) -> io::Result<ServerName<'static>> {
    match &target.place {
        Place::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| io::ErrorKind::InvalidInput.into())
        }
        Place::Address(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}

fn authorities(trust: &Trust) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let mut add = |read: Result<CertificateDer<'static>, _>| {
        roots.add(read.map_err(SetupError::Read)?).map_err(SetupError::from)
    };
    match trust {
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::File(path) => {
            CertificateDer::pem_file_iter(path)
                .map_err(SetupError::Read)?
                .try_for_each(&mut add)?;
        }
        Trust::Pem(text) => {
            CertificateDer::pem_slice_iter(text.as_bytes()).try_for_each(&mut add)?;
        }
    }
    if roots.is_empty() { Err(SetupError::NoAuthority) } else { Ok(roots) }
}

/// Remembers what was shown, and leaves the verdict to the library.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<Vec<u8>>>,
}

impl Witness {
    fn chain(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            shown.map(|certificate| certificate.to_vec()).collect();
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
