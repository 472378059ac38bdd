//! Tests of `gathered`: TLS over loopback, and a look at what the client's socket holds.

use std::future::poll_fn;
use std::mem::MaybeUninit;

use hyper::rt::Write as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::activity::Activity;
use crate::socket::{Socket, Stream};

const PIECE: usize = 10_000;

async fn connected() -> (Gathered, TlsStream<TcpStream>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair that fits");
    // They would lie in the client's socket before anything is written.
    server.send_tls13_tickets = 0;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let activity = Arc::new(Activity::new(Arc::default()));
    let accept = async {
        let (tcp, _) = listener.accept().await.expect("accepted");
        // Small enough that a client which reads nothing is soon noticed.
        SockRef::from(&tcp).set_send_buffer_size(64 << 10).expect("set");
        let socket = Socket::new(tcp, Arc::clone(&activity));
        TlsAcceptor::from(Arc::new(server)).accept(socket).await.expect("shaken")
    };
    let connect = async {
        let tcp = TcpStream::connect(address).await.expect("connected");
        SockRef::from(&tcp).set_recv_buffer_size(64 << 10).expect("set");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(client)).connect(name, tcp).await.expect("shaken")
    };
    let (server, client) = tokio::join!(accept, connect);
    let stream = Watched::new(Stream::tls(Box::new(server)), activity);
    (Gathered::new(stream), client)
}

/// Writes as the protocol does, a flush after each piece, until it is told to wait. What was taken.
fn write(io: &mut Gathered, cx: &mut Context<'_>, bytes: &[u8]) -> usize {
    let mut taken = 0;
    while taken < bytes.len() {
        let piece = &bytes[taken..bytes.len().min(taken + PIECE)];
        let (head, body) = piece.split_at(piece.len().min(9));
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        let Poll::Ready(wrote) = Pin::new(&mut *io).poll_write_vectored(cx, &parts) else { break };
        taken += wrote.expect("written");
        if Pin::new(&mut *io).poll_flush(cx).is_pending() {
            break;
        }
    }
    taken
}

/// Bytes in the client's socket.
fn arrived(client: &TlsStream<TcpStream>) -> usize {
    let mut bytes = vec![MaybeUninit::uninit(); 1 << 20];
    SockRef::from(client.get_ref().0).peek(&mut bytes).unwrap_or(0)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn what_a_turn_writes_leaves_together_at_its_end() {
    let (mut io, mut client) = connected().await;
    let sent = text(3 * PIECE);
    let taken = poll_fn(|cx| Poll::Ready(write(&mut io, cx, &sent))).await;
    assert_eq!((taken, arrived(&client)), (sent.len(), 0), "kept until the turn is over");
    poll_fn(|cx| {
        io.send(cx);
        Poll::Ready(())
    })
    .await;
    assert!(arrived(&client) > sent.len(), "{}", arrived(&client));
    let mut read = vec![0; sent.len()];
    client.read_exact(&mut read).await.expect("read");
    assert!(read == sent);
}

#[tokio::test]
async fn a_long_turn_does_not_gather_without_end() {
    let (mut io, client) = connected().await;
    let sent = text(100 * PIECE);
    let taken = poll_fn(|cx| Poll::Ready(write(&mut io, cx, &sent))).await;
    // Not more than both sockets and the cipher's buffer hold.
    assert!(arrived(&client) > 0 && taken < 60 * PIECE, "{taken}");
}

#[tokio::test]
async fn a_client_that_reads_late_is_waited_for_and_gets_everything_in_order() {
    let (mut io, mut client) = connected().await;
    let sent = text(300 * PIECE);
    let expected = sent.clone();
    let reading = async {
        let mut read = vec![0; expected.len()];
        client.read_exact(&mut read).await.expect("read");
        assert!(read == expected);
    };
    let (mut at, mut waited) = (0, false);
    let writing = poll_fn(|cx| {
        at += write(&mut io, cx, &sent[at..]);
        io.send(cx);
        let behind = Pin::new(&mut io).poll_flush(cx).is_pending();
        waited |= behind;
        if at < sent.len() && !behind {
            cx.waker().wake_by_ref();
        }
        if at == sent.len() && !behind { Poll::Ready(()) } else { Poll::Pending }
    });
    tokio::join!(writing, reading);
    assert!(waited, "a flush that waits for nobody");
}
