//! One case over one connection: sends its bytes, hears what comes, learns whether the connection still serves. Judges nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_edge::desync::{
    After, Answer, Case, Client, End, Reading, Target, read_answers, speaks_http,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Most bytes heard in one case.
const HEARD_BYTES_MAX: usize = 16 << 20;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For what must come.
    pub answer: Duration,
    /// For what must not come.
    pub silence: Duration,
}

/// A listener to be asked.
#[derive(Clone, Debug)]
pub struct Listener {
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Listener {
    /// One that speaks in the clear.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// One that speaks TLS and is asked for `name`; none when that is no name. Its certificate is not looked at: this
    /// machine's own server is asked, nothing secret is said, and one made for development is welcome.
    #[must_use]
    pub fn tls(address: SocketAddr, name: &str) -> Option<Self> {
        let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).ok()?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        let verifier = Arc::new(AnyCertificate(provider));
        let config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Some(Self { address, tls: Some((Arc::new(config), name)) })
    }

    /// Whether somebody listens and speaks as supposed.
    #[must_use]
    pub fn connects(&self) -> bool {
        let connected = self.connect(Duration::from_secs(5));
        connected.is_ok_and(|mut wire| match &mut wire {
            Wire::Plain(_) => true,
            Wire::Tls(stream) => stream.conn.complete_io(&mut stream.sock).is_ok(),
        })
    }

    fn connect(&self, patience: Duration) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&self.address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_read_timeout(Some(patience))?;
        Ok(match &self.tls {
            None => Wire::Plain(stream),
            Some((config, name)) => {
                let connection = ClientConnection::new(Arc::clone(config), name.clone());
                let connection = connection.map_err(io::Error::other)?;
                Wire::Tls(Box::new(StreamOwned::new(connection, stream)))
            }
        })
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// A conversation.
struct Talk {
    wire: Wire,
    methods: Vec<&'static str>,
    heard: Vec<u8>,
    reading: Reading,
    ended: bool,
}

/// Sends a case, and [`Target::last`] behind it where the connection may go on.
///
/// # Errors
/// When there is no connection to the listener.
pub fn ask(
    listener: &Listener,
    target: &Target,
    case: &Case,
    patience: Patience,
) -> io::Result<Client> {
    let wire = listener.connect(patience.answer)?;
    let (methods, heard) = (case.methods(), Vec::new());
    let mut talk = Talk { wire, methods, heard, reading: Reading::default(), ended: false };
    for (at, bytes) in case.sends.iter().enumerate() {
        if at > 0 {
            talk.hear(patience.answer, |said| said.interim > 0 || said.whole() > 0);
        }
        // A server that refused the first half need not take the second.
        drop(talk.wire.write(bytes));
    }
    let wanted = case.requests.len().max(1);
    let is_done = |said: &Reading| {
        said.whole() >= wanted || said.answers.iter().any(|answer| answer.closes())
    };
    let is_early = |said: &Reading| said.whole() > case.requests.len();
    match case.end {
        End::Waits => talk.hear(patience.silence, is_early),
        End::Closed | End::Left => talk.hear(patience.answer, |_| false),
        End::Open | End::Any => talk.hear(patience.answer, is_done),
        End::MayLeave => {
            talk.hear(patience.answer, |said| is_done(said) || has_left(said));
            if has_left(&talk.reading) {
                talk.hear(patience.answer, |said| {
                    said.answers.last().is_some_and(|left| speaks_http(&left.body))
                });
            }
        }
    }
    let after = match case.end {
        End::MayLeave if !has_left(&talk.reading) => talk.ask_last(target, patience),
        End::Open | End::Any => talk.ask_last(target, patience),
        End::Waits if is_early(&talk.reading) => talk.ask_behind_unfinished(target, patience),
        _ if talk.ended => After::Closed,
        _ => After::Silent,
    };
    Ok(Client { reading: talk.reading, after })
}

/// Whether the app agreed to speak HTTP no more.
fn has_left(said: &Reading) -> bool {
    said.answers.iter().any(|answer| answer.status == 101)
}

impl Talk {
    /// Reads until `enough`, the end, or the time is up.
    fn hear(&mut self, time: Duration, enough: impl Fn(&Reading) -> bool) {
        let until = Instant::now() + time;
        let mut buffer = [0; 16 << 10];
        while !self.ended && !enough(&self.reading) && self.heard.len() < HEARD_BYTES_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wire.socket().set_read_timeout(Some(left)).is_err() {
                return;
            }
            match self.wire.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(read) => self.heard.extend_from_slice(&buffer[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return,
                    // A reset, or an end of TLS without its good-bye: nothing more comes.
                    _ => self.ended = true,
                },
            }
            self.reading = read_answers(&self.heard, &self.methods, self.ended);
        }
    }

    /// Asks once more. The answer to that is taken out.
    fn ask_last(&mut self, target: &Target, patience: Patience) -> After {
        match self.take_last(target, patience) {
            Some(_) => After::Served,
            None => self.end(),
        }
    }

    /// The same where an unfinished request was answered: to who waits for its rest these bytes are the rest, or an error.
    /// The answer that says so is taken out as well.
    fn ask_behind_unfinished(&mut self, target: &Target, patience: Patience) -> After {
        let before = self.reading.answers.len();
        if self.take_last(target, patience).is_some_and(|answer| !is_to_no_request(&answer)) {
            return After::Served;
        }
        let answers = &mut self.reading.answers;
        if answers.len() == before + 1 && answers.last().is_some_and(is_to_no_request) {
            answers.pop();
        }
        self.end()
    }

    fn take_last(&mut self, target: &Target, patience: Patience) -> Option<Answer> {
        let before = self.reading.answers.len();
        if !self.ended && !self.reading.answers.iter().any(Answer::closes) {
            drop(self.wire.write(&target.last()));
        }
        self.hear(patience.answer, |_| false);
        // Only an answer to what asked for the end of the connection announces it.
        let answers = &mut self.reading.answers;
        let is_to_last =
            answers.len() > before && answers.last().is_some_and(|a| a.whole && a.closes());
        if self.ended && is_to_last { answers.pop() } else { None }
    }

    fn end(&self) -> After {
        if self.ended { After::Closed } else { After::Silent }
    }
}

/// Whether it says of bytes that they are no request, or not all of one.
fn is_to_no_request(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 408 | 413 | 431 | 501 | 505)
}

/// Takes every certificate; the key must still be the certificate's.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
