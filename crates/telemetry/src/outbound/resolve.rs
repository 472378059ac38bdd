//! Names to addresses, once for each request. Judges none of them.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;
use url::Url;

use super::check::{Place, Target};
use super::error::Error;

/// Lookups at a time, of all requests together.
const LOOKUPS_MAX: usize = 16;

/// A function that knows names.
type Table = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who is asked about names.
#[derive(Clone)]
pub enum Resolver {
    /// The system.
    System,
    /// A table of the caller's, which is asked for names as they are written, a final dot included.
    Table(Arc<Table>),
}

impl Resolver {
    /// A function as resolver. It may take its time.
    #[must_use]
    pub fn table(table: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self::Table(Arc::new(table))
    }

    /// Asks, and waits for as long as it takes.
    fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                Ok((name, port).to_socket_addrs()?.map(|address| address.ip()).collect())
            }
            Self::Table(table) => table(name),
        }
    }
}

/// Asks about names, so many at once: a lookup cannot be broken off, and one that hangs keeps its thread.
pub(super) struct Names {
    pub(super) resolver: Resolver,
    free: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new(resolver: Resolver) -> Self {
        Self { resolver, free: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// Every address of a target; an address is its own.
    pub(super) async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, Error> {
        let name = match &target.place {
            Place::Address(address) => return Ok(vec![*address]),
            Place::Name(name) => written(name, &target.url),
        };
        let free = Arc::clone(&self.free).acquire_owned().await;
        let free = free.map_err(|closed| Error::Resolve(io::Error::other(closed)))?;
        let (resolver, port) = (self.resolver.clone(), target.port);
        let looking = tokio::task::spawn_blocking(move || {
            let found = resolver.look_up(&name, port);
            // Given back when the lookup is over, not when nobody waits for it any more.
            drop(free);
            found
        });
        let found = looking.await.map_err(|failed| Error::Resolve(io::Error::other(failed)))?;
        found.map_err(Error::Resolve)
    }
}

/// The name with the dot at its end where it was written with one: it is looked for in no other domain (resolv.conf(5)).
fn written(name: &str, url: &Url) -> String {
    let has_dot = url.host_str().is_some_and(|host| host.ends_with('.'));
    if has_dot { format!("{name}.") } else { name.to_owned() }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Table(_) => "Table",
        })
    }
}
