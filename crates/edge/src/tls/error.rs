//! Why TLS cannot be spoken: the file, what is wrong with it, what to do. Holds no secret.

use std::path::PathBuf;

use rustls::pki_types::pem;

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate in the file.
    #[error("{} holds no certificate: it should have a line \"-----BEGIN CERTIFICATE-----\". A binary (DER) one is \
converted by `openssl x509 -inform der -in FILE -out cert.pem`", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No key in the file.
    #[error("{} holds no private key: it should have a line \"-----BEGIN PRIVATE KEY-----\". A binary (DER) one is \
converted by `openssl pkey -inform der -in FILE -out key.pem`", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted, and nobody is there to type a passphrase.
    #[error("the key in {} is protected by a passphrase; write it without one by `openssl pkey -in FILE -out key.pem`, \
readable by this user alone", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file begins like PEM and does not go on like it.
    #[error("{} is damaged: it is no valid PEM; copy it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        #[source]
        source: pem::Error,
    },
    /// A certificate that is no X.509 version 3.
    #[error("the first certificate in {} cannot be used; it should be the server's own, X.509 version 3", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A key of a kind that TLS 1.2 and 1.3 do not use, or a broken one.
    #[error("the key in {} cannot be used; ECDSA P-256 or RSA with 2048 bits and more can", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Certificate and key are of different pairs.
    #[error("the key in {} does not belong to the first certificate in {}; name the key the certificate was issued \
for, and see that the server's own certificate comes before its chain", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Settings that name neither files nor a self-signed certificate.
    #[error(
        "TLS is on, but \"tls.cert\" and \"tls.key\" are not both set, and \"tls.self_signed\" is not either"
    )]
    Unset,
    /// The certificate of our own cannot be made.
    #[error("no self-signed certificate can be made for {names}")]
    SelfSigned {
        /// The names it was to be for.
        names: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The certificate of our own cannot be kept.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The library refuses, or the system has no randomness for ticket keys.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
}
