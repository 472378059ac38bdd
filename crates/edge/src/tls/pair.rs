//! A certificate chain and its key, read from two files and checked against each other. Never kept in any other form.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_base::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::error::Error;
use super::keys::Certificate;
use super::validity::Validity;

/// Larger files are no certificates: a chain has a few KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The two files of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Certificate chain in PEM, the server's own first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// What tells one state of both files from another; a file that is away has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp([Option<FileStamp>; 2]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// A pair in use.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) certificate: Arc<Certificate>,
    pub(super) validity: Option<Validity>,
}

impl Files {
    /// Follows links, as those who renew certificates swap them.
    pub(super) fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let found = path.metadata().ok()?;
            Some(FileStamp {
                device: found.dev(),
                inode: found.ino(),
                bytes: found.size(),
                modified: (found.mtime(), found.mtime_nsec()),
            })
        };
        Stamp([of(&self.cert), of(&self.key)])
    }

    /// Reads and checks both.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Pair, Error> {
        let chain = read_chain(&self.cert)?;
        let own = chain.first().map(|first| first.as_ref()).unwrap_or_default();
        let validity = Validity::of(own);
        let refused = |source| Error::Certificate { path: self.cert.clone(), source };
        chain.first().map(ParsedCertificate::try_from).transpose().map_err(refused)?;
        let key = provider
            .key_provider
            .load_private_key(read_key(&self.key)?)
            .map_err(|source| Error::Key { path: self.key.clone(), source })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(Error::Mismatch { cert: self.cert.clone(), key: self.key.clone() });
            }
            Err(source) => return Err(refused(source)),
        }
        Ok(Pair { certificate: Arc::new(Certificate::new(certified)), validity })
    }

    /// Whether users other than the owner and its group may read the key.
    pub(super) fn is_key_open(&self) -> bool {
        self.key.metadata().is_ok_and(|found| found.mode() & 0o007 != 0)
    }
}

impl Pair {
    /// When the certificate ends; `None` when it does not say so in a way we can read.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.validity.map(|validity| validity.until)
    }
}

/// A host without port and brackets.
pub(super) fn bare(host: &str) -> &str {
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return host;
    }
    let name = crate::sites::split_port(host).0;
    name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = read.map_err(|source| Error::Damaged { path: path.to_owned(), source })?;
    if chain.is_empty() {
        return Err(Error::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(path)?;
    let path = || path.to_owned();
    PrivateKeyDer::from_pem_slice(&text).map_err(|fault| match fault {
        // RFC 7468 §11, and the older form with a "Proc-Type: 4,ENCRYPTED" line.
        _ if memchr::memmem::find(&text, b"ENCRYPTED").is_some() => {
            Error::Passphrase { path: path() }
        }
        pem::Error::NoItemsFound => Error::NoKey { path: path() },
        source => Error::Damaged { path: path(), source },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    if path.metadata().map_err(unreadable)?.size() > FILE_BYTES_MAX {
        return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read(path).map_err(unreadable)
}
