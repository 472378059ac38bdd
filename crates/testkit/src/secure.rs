//! A server that answers each request by a function, in the clear or by TLS: one request a connection. Keeps nothing of what it heard.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tls::Pair;

/// How long a read or write may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A head that is longer is cut off.
const HEAD_MAX: u64 = 64 << 10;

/// Makes the bytes of an answer from the head of a request.
type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// The server. Ends when dropped.
pub struct Answerer {
    /// Where it listens.
    pub address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Answerer {
    /// In the clear.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn plain(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// By TLS, showing this certificate.
    ///
    /// # Panics
    /// When no port is free, or the pair is none.
    #[must_use]
    pub fn secure(pair: &Pair, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
        let chain = chain.collect::<std::result::Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        Self::start(Some(Arc::new(config)), Arc::new(answer))
    }

    fn start(config: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if seen.load(SeqCst) {
                    return;
                }
                let (config, answer) = (config.clone(), Arc::clone(&answer));
                // A client that left, or spoke no TLS, is what some tests are for.
                spawn(move || drop(serve(socket, config, &*answer)));
            }
        });
        Self { address, stopped }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        // Wakes the acceptor, which closes the listening socket.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(socket: TcpStream, config: Option<Arc<ServerConfig>>, answer: &Answer) -> Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    match config {
        None => exchange(socket, answer),
        Some(config) => {
            let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(session, socket);
            exchange(&mut stream, answer)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
    }
}

fn exchange(mut stream: impl Read + Write, answer: &Answer) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && (head.len() as u64) < HEAD_MAX {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
    }
    stream.write_all(&answer(&String::from_utf8_lossy(&head)))?;
    stream.flush()
}

#[expect(clippy::disallowed_methods, reason = "threads of a test's own server, ended with it")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Answerer").field(&self.address).finish()
    }
}
