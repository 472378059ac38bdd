//! How sending a letter can fail. Repeats neither recipients nor what was said to them.

use std::io;

use lettre::transport::smtp;

use crate::letter::Message;
use crate::settings;

/// Why a letter was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The same letter will not be taken another time.
    #[error("{0}")]
    Refused(String),
    /// The server did not take it now; it may later, or once what the words name is mended.
    #[error("{0}")]
    Unavailable(String),
}

/// Why no letter could ever be sent.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting that means nothing.
    #[error("{0}")]
    Setting(settings::Problem),
    /// The authorities cannot be read.
    #[error("mail.ca_file cannot be read")]
    Authorities(#[source] std::io::Error),
    /// The library's own.
    #[error("TLS to the mail server cannot be set up")]
    Library(#[source] smtp::Error),
}

/// Characters of a server's words that are repeated.
const WORDS_MAX: usize = 200;

/// What the server said of a letter.
pub(crate) fn of_letter(error: &smtp::Error, message: &Message) -> Error {
    if error.is_permanent() {
        return Error::Refused(format!(
            "the mail server refused the letter: {}",
            words(error, message)
        ));
    }
    if error.is_client() {
        // The library's rules: an address beyond ASCII where the server takes none.
        return Error::Refused(format!("the letter cannot be sent there: {}", source(error)));
    }
    Error::Unavailable(format!(
        "the mail server did not take the letter: {}",
        words(error, message)
    ))
}

/// What went wrong before it heard of the letter: that is not the letter's fault.
pub(crate) fn of_connection(what: &str, error: &smtp::Error) -> Error {
    Error::Unavailable(format!("{what}: {}", source(error)))
}

/// Whether TLS failed, or the certificate is not to be believed: connecting tells it as data that means nothing.
pub(crate) fn is_tls(error: &smtp::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        let io = source.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        next = source.source();
    }
    error.is_tls()
}

fn source(error: &smtp::Error) -> String {
    let mut text = match error.status() {
        Some(code) => format!("{code}"),
        None => String::new(),
    };
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            let gap = if text.is_empty() { "" } else { " " };
            text = format!("{text}{gap}{said}");
        }
        next = source.source();
    }
    if text.is_empty() { error.to_string() } else { one_line(&text) }
}

/// A server's answer without whom the letter is for: servers like to repeat it.
fn words(error: &smtp::Error, message: &Message) -> String {
    let text = source(error);
    let names = message.recipients();
    let is_about = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        word.contains('@') || names.contains(&bare)
    };
    let words = text.split(' ').map(|word| if is_about(word) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn one_line(text: &str) -> String {
    let clean = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    let clean = clean.collect::<Vec<_>>().join(" ");
    let mut short: String = clean.chars().take(WORDS_MAX).collect();
    if short.len() < clean.len() {
        short.push('…');
    }
    short
}
