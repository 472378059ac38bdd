//! The country of an address, from a database file the owner gave; asks no service and keeps no address.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, PathElement, Reader};

/// The configured database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("country database {}", path.display())]
pub struct Error {
    /// The configured file.
    pub path: PathBuf,
    /// Why not.
    pub source: MaxMindDbError,
}

/// Where countries come from; tells none when no file is configured.
#[derive(Debug, Default)]
pub struct Countries(Option<Reader<Vec<u8>>>);

/// Where databases keep the code: MaxMind's and DB-IP's layout, then the flat one of ip-location-db.
const CODES: [&[PathElement<'static>]; 2] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
];

impl Countries {
    /// Reads the file into memory.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read or is no such database.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self(None)) };
        match Reader::open_readfile(path) {
            Ok(reader) => Ok(Self(Some(reader))),
            Err(source) => Err(Error { path: path.to_owned(), source }),
        }
    }

    /// ISO 3166-1 alpha-2 code of the address. Takes the whole address: a truncated one may lie in another country.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<String> {
        let found = self.0.as_ref()?.lookup(address.to_canonical()).ok()?;
        let code = CODES.iter().find_map(|path| found.decode_path::<&str>(path).ok().flatten())?;
        let is_code = code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic());
        is_code.then(|| code.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests;
