//! One lane against a server in the same thread, step by step.

use std::net::{Shutdown, TcpListener};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;

struct Pair {
    lane: Lane,
    socket: TcpStream,
    server: ServerConnection,
}

fn connected() -> anyhow::Result<Pair> {
    let dir = tempfile::tempdir()?;
    let files = tls::Pair::write(dir.path())?;
    let certs = vec![CertificateDer::from_pem_file(&files.cert)?];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs, PrivateKeyDer::from_pem_file(&files.key)?)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let lane = Lane::open(listener.local_addr()?, &tls::client(&files.cert)?)?;
    let (socket, _) = listener.accept()?;
    Ok(Pair { lane, socket, server: ServerConnection::new(Arc::new(config))? })
}

impl Pair {
    /// The server takes in one piece and sends what it has to say.
    fn serve(&mut self) -> anyhow::Result<()> {
        self.server.read_tls(&mut self.socket)?;
        self.server.process_new_packets()?;
        while self.server.wants_write() {
            self.server.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

#[test]
fn a_handshake_counts_once_the_server_has_ended_it() -> anyhow::Result<()> {
    let mut pair = connected()?;
    pair.serve()?;
    assert!(!pair.lane.advance()?);
    assert!(pair.lane.has_said_goodbye);
    while pair.server.is_handshaking() {
        pair.serve()?;
    }
    // The tickets are no end.
    assert!(!pair.lane.advance()?);
    pair.socket.shutdown(Shutdown::Both)?;
    assert_eq!(wait(std::slice::from_ref(&pair.lane))?, [0]);
    assert!(pair.lane.advance()?);
    Ok(())
}

#[test]
fn a_connection_that_ends_before_is_no_handshake() -> anyhow::Result<()> {
    let mut pair = connected()?;
    pair.server.read_tls(&mut pair.socket)?;
    pair.socket.shutdown(Shutdown::Both)?;
    assert_eq!(wait(std::slice::from_ref(&pair.lane))?, [0]);
    assert!(pair.lane.advance().is_err());
    Ok(())
}
