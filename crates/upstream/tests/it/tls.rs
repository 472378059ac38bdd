//! https upstreams: verified against an authority and a name, or not asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use mainstay_base::task::Group;
use mainstay_upstream::{Error, OpenError, Target, Upstreams};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::stage::{Stage, plan, text};

/// An authority of our own, its certificate in a file.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What an app over TLS noticed: the name asked for and the head of each request.
type Noticed = Arc<Mutex<Vec<(Option<String>, String)>>>;

async fn serve(acceptor: TlsAcceptor, group: &Group) -> (u16, Noticed) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let noticed = Noticed::default();
    let (kept, stop) = (Arc::clone(&noticed), group.stop().clone());
    group.spawn_child("tls-app", async move {
        loop {
            let accepted = tokio::select! {
                () = stop.soft() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok(mut stream) = acceptor.accept(accepted.unwrap().0).await else { continue };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            kept.lock().unwrap().push((name, String::from_utf8(head).unwrap()));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (port, noticed)
}

/// A stage in front of an https app whose certificate is for `name`, asked by `host`, believing `trusted`.
async fn stage_for(
    name: &str,
    host: &str,
    authority: &Authority,
    trusted: &Authority,
) -> (Stage, Noticed) {
    let group = Group::new();
    let (port, noticed) = serve(authority.acceptor(name), &group).await;
    let mut plan = plan(&[], |settings| settings.ca_file = Some(trusted.file()));
    plan.targets = vec![Target::parse(&format!("https://{host}:{port}")).unwrap()];
    (Stage::of(plan), noticed)
}

#[tokio::test]
async fn the_right_name_from_the_right_authority_is_asked() {
    let authority = Authority::new();
    let (stage, noticed) = stage_for("localhost", "localhost", &authority, &authority).await;
    let exchange = stage.get("/").await.unwrap();
    assert_eq!(text(exchange).await.unwrap(), "secret");
    let noticed = noticed.lock().unwrap();
    let (name, head) = &noticed[0];
    assert_eq!(name.as_deref(), Some("localhost"));
    assert!(head.contains("host: localhost:"), "an https upstream is told its own name: {head}");
}

#[tokio::test]
async fn a_wrong_name_or_a_stranger_is_not_told_anything() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (name, host, authority) in [
        ("app.example", "localhost", &ours),
        ("localhost", "127.0.0.1", &ours),
        ("localhost", "localhost", &theirs),
    ] {
        let (stage, noticed) = stage_for(name, host, authority, &ours).await;
        let error = stage.get("/").await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{name} {host}: {error:?}");
        assert!(noticed.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_renewed_file_of_authorities_is_noticed_and_believed() {
    let (old, new) = (Authority::new(), Authority::new());
    let (stage, _noticed) = stage_for("localhost", "localhost", &new, &old).await;
    assert!(stage.get("/").await.is_err(), "signed by one that is not believed yet");
    assert!(stage.upstreams.is_current());
    let again = std::fs::read(old.file()).unwrap();
    std::fs::write(old.file(), &again).unwrap();
    assert!(stage.upstreams.is_current(), "the same authorities");
    std::fs::write(old.file(), std::fs::read(new.file()).unwrap()).unwrap();
    assert!(!stage.upstreams.is_current());
    let mut plan = plan(&[], |settings| settings.ca_file = Some(old.file()));
    plan.targets = vec![Target::parse(&stage.upstreams.status()[0].url).unwrap()];
    let next = stage.upstreams.replaced(plan).unwrap();
    let asked =
        crate::stage::request(http::Method::GET, "/", mainstay_upstream::RequestBody::empty());
    let exchange = next.connections(&stage.group).send(asked).await.unwrap();
    assert_eq!(text(exchange).await.unwrap(), "secret");
    std::fs::remove_file(old.file()).unwrap();
    assert!(!next.is_current(), "opening it again will say what is wrong");
}

#[tokio::test]
async fn a_file_without_authorities_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let stage = Stage::new(&["127.0.0.1:1".parse().unwrap()]);
    for file in [empty, folder.path().join("missing.pem")] {
        let mut plan = plan(&[], |settings| settings.ca_file = Some(file));
        plan.targets = vec![Target::parse("https://app.example").unwrap()];
        let opened = Upstreams::open(plan, &stage.registry, &mainstay_base::Clock::System);
        assert!(matches!(opened, Err(OpenError::Tls(_))));
    }
}
