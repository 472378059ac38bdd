//! A certificate of our own for development: made once, kept in the data dir, made anew when names change or its end is near.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use mainstay_base::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::crypto::CryptoProvider;

use super::error::Error;
use super::pair::{Files, Pair};

const CERT: &str = "self-signed.crt";
const KEY: &str = "self-signed.key";
const DAY: Duration = Duration::from_secs(86_400);
/// Browsers take no more than 398 days; the Mozilla guideline says 366.
const LIFE: Duration = Duration::from_secs(365 * 86_400);
/// What is left of its life when it is made anew.
const NEAR: Duration = Duration::from_secs(30 * 86_400);

/// Where it is kept.
pub(super) fn files(keys_dir: &Path) -> Files {
    Files { cert: keys_dir.join(CERT), key: keys_dir.join(KEY) }
}

/// The one that is kept, or a new one in its place.
pub(super) fn open(
    files: &Files,
    hosts: &[String],
    now: Timestamp,
    provider: &CryptoProvider,
) -> Result<Pair, Error> {
    let names = names_for(hosts);
    if let Ok(kept) = files.load(provider)
        && !is_near_end(&kept, now)
        && names.iter().all(|name| kept.certificate.covers(name))
    {
        return Ok(kept);
    }
    make(files, &names, now)?;
    files.load(provider)
}

/// Whether it is time for another one.
pub(super) fn is_near_end(pair: &Pair, now: Timestamp) -> bool {
    pair.validity.is_none_or(|validity| validity.from > now || validity.until.since(now) < NEAR)
}

/// The names of this machine seen from itself, and the sites'. A bare `*` or a broken name is left out.
fn names_for(hosts: &[String]) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<_> = own.into_iter().chain(hosts.iter().cloned()).collect();
    names
        .retain(|name| rustls::pki_types::ServerName::try_from(name.replace("*.", "any.")).is_ok());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn make(files: &Files, names: &[String], now: Timestamp) -> Result<(), Error> {
    let refused = |source| Error::SelfSigned { names: names.join(", "), source };
    let mut params = CertificateParams::new(names).map_err(refused)?;
    params.distinguished_name.push(DnType::CommonName, "Mainstay self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day back: clocks of other machines may be behind.
    (params.not_before, params.not_after) = (date(now.minus(DAY)), date(now.minus(DAY).plus(LIFE)));
    let key = KeyPair::generate().map_err(refused)?;
    let certificate = params.self_signed(&key).map_err(refused)?;
    write(&files.key, key.serialize_pem().as_bytes())?;
    write(&files.cert, certificate.pem().as_bytes())
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_seconds())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// Private from its first byte, and whole or not there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    let new = path.with_added_extension("new");
    drop(std::fs::remove_file(&new));
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .map_err(unwritable)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unwritable)?;
    std::fs::rename(&new, path).map_err(unwritable)
}
