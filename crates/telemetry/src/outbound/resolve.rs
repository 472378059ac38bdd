//! Names to addresses, once for each request. Judges none of them.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::check::{Place, Target};
use super::error::Error;

/// A function that knows names.
type Table = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who is asked about names.
#[derive(Clone)]
pub enum Resolver {
    /// The system.
    System,
    /// A table of the caller's.
    Table(Arc<Table>),
}

impl Resolver {
    /// A function as resolver.
    #[must_use]
    pub fn table(table: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self::Table(Arc::new(table))
    }

    /// Every address of a target; an address is its own.
    pub(super) async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, Error> {
        let name = match &target.place {
            Place::Address(address) => return Ok(vec![*address]),
            Place::Name(name) => name,
        };
        match self {
            Self::System => {
                let found = tokio::net::lookup_host((name.as_str(), target.port)).await;
                Ok(found.map_err(Error::Resolve)?.map(|address| address.ip()).collect())
            }
            Self::Table(table) => table(name).map_err(Error::Resolve),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Table(_) => "Table",
        })
    }
}
