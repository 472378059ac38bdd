//! A network that fails by command: a TCP proxy on loopback in front of one address. Passes bytes on unread.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::port::free_port;

/// Connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// How long the way to the server may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Every piece of bytes arrives later, in both directions.
    Slow(Duration),
    /// New connections are answered once the server has woken up, which the first of them begins.
    Asleep(Duration),
    /// Connections open, but no byte arrives.
    Silent,
    /// Connections are refused.
    Cut,
}

/// The proxy; it ends with the value.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    weather: Weather,
    listener: Option<TcpListener>,
    open: Vec<Arc<Pair>>,
}

/// A client's connection and, once it is made, the one to the server.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: Mutex<Option<TcpStream>>,
    /// Bytes were swallowed: what came after them would make no sense.
    has_lost: AtomicBool,
}

impl ChaosProxy {
    /// A proxy in front of `target`, in fair weather.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        Self::start_at(free_port(), target)
    }

    /// The same on a given port.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn start_at(port: u16, target: SocketAddr) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let weather = Weather::Fair;
        let state = State { target, weather, listener: None, open: Vec::new() };
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        listen(&shared, address);
        Self { address, shared }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Closes every connection and leads new ones to another server, as an address does that moves.
    pub fn turn_to(&self, target: SocketAddr) {
        let mut state = self.shared.lock();
        state.target = target;
        state.close_all();
    }

    /// Closes every connection and refuses new ones.
    pub fn cut(&self) {
        let mut state = self.shared.change(Weather::Cut);
        state.close_all();
        // Shut down first: that wakes the acceptor, which holds the same socket.
        if let Some(listener) = state.listener.take() {
            drop(socket2::SockRef::from(&listener).shutdown(Shutdown::Both));
        }
    }

    /// Every piece of bytes takes this long, in each direction.
    pub fn delay(&self, by: Duration) {
        drop(self.shared.change(Weather::Slow(by)));
        self.open_again();
    }

    /// Closes every connection. The next one is accepted at once and answered only after so long, like all that come
    /// meanwhile: a database that went to sleep has to wake up. Then the weather is fair.
    pub fn sleep(&self, wakes_in: Duration) {
        self.shared.change(Weather::Asleep(wakes_in)).close_all();
        self.open_again();
    }

    /// Whether nothing has woken the server since it was put to sleep.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        matches!(self.shared.lock().weather, Weather::Asleep(_))
    }

    /// Accepts connections and swallows every byte: what a dead machine or a broken route looks like.
    pub fn half_open(&self) {
        drop(self.shared.change(Weather::Silent));
        self.open_again();
    }

    /// Fair weather again. Connections that lost bytes are closed.
    pub fn heal(&self) {
        let mut state = self.shared.change(Weather::Fair);
        state.open.retain(|pair| {
            if pair.has_lost.load(SeqCst) {
                pair.close();
            }
            !pair.has_lost.load(SeqCst)
        });
        drop(state);
        self.open_again();
    }

    fn open_again(&self) {
        if self.shared.lock().listener.is_none() {
            listen(&self.shared, self.address);
        }
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, weather: Weather) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.weather = weather;
        self.changed.notify_all();
        state
    }

    /// Waits until the server is awake.
    fn wake(&self) {
        let state = self.lock();
        let Weather::Asleep(wakes_in) = state.weather else { return };
        let is_asleep = |state: &mut State| matches!(state.weather, Weather::Asleep(_));
        let waited = self.changed.wait_timeout_while(state, wakes_in, is_asleep);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if is_asleep(&mut state) {
            state.weather = Weather::Fair;
            self.changed.notify_all();
        }
    }

    /// Waits as long as the weather delays, and tells whether a piece of bytes arrives.
    fn carries(&self) -> bool {
        let state = self.lock();
        let Weather::Slow(by) = state.weather else { return state.weather == Weather::Fair };
        let is_slow = |state: &mut State| matches!(state.weather, Weather::Slow(_));
        let waited = self.changed.wait_timeout_while(state, by, is_slow);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        matches!(state.weather, Weather::Fair | Weather::Slow(_))
    }
}

impl State {
    fn close_all(&mut self) {
        for pair in self.open.drain(..) {
            pair.close();
        }
    }
}

impl Pair {
    fn close(&self) {
        drop(self.client.shutdown(Shutdown::Both));
        if let Some(server) = &*self.server.lock().unwrap_or_else(PoisonError::into_inner) {
            drop(server.shutdown(Shutdown::Both));
        }
    }
}

fn listen(shared: &Arc<Shared>, address: SocketAddr) {
    let listener = TcpListener::bind(address).expect("a port of ours");
    shared.lock().listener = Some(listener.try_clone().expect("a socket"));
    let shared = Arc::clone(shared);
    spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            welcome(&shared, client);
        }
    });
}

fn welcome(shared: &Arc<Shared>, client: TcpStream) {
    let pair = Pair { client, server: Mutex::new(None), has_lost: AtomicBool::new(false) };
    let pair = Arc::new(pair);
    let mut state = shared.lock();
    if state.weather == Weather::Cut || state.open.len() >= CONNECTIONS_MAX {
        return;
    }
    state.open.push(Arc::clone(&pair));
    drop(state);
    let shared = Arc::clone(shared);
    spawn(move || {
        drop(carry_both_ways(&shared, &pair));
        pair.close();
        shared.lock().open.retain(|open| !Arc::ptr_eq(open, &pair));
    });
}

fn carry_both_ways(shared: &Arc<Shared>, pair: &Arc<Pair>) -> std::io::Result<()> {
    shared.wake();
    let target = shared.lock().target;
    let server = TcpStream::connect_timeout(&target, CONNECT)?;
    *pair.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.try_clone()?);
    server.set_nodelay(true)?;
    pair.client.set_nodelay(true)?;
    let (back_from, back_to) = (server.try_clone()?, pair.client.try_clone()?);
    let (shared_back, pair_back) = (Arc::clone(shared), Arc::clone(pair));
    let back = spawn(move || carry(&shared_back, &pair_back, back_from, back_to));
    carry(shared, pair, pair.client.try_clone()?, server);
    drop(back.join());
    Ok(())
}

/// One direction, until either end closes; then the other end is told.
fn carry(shared: &Shared, pair: &Pair, mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !shared.carries() {
            pair.has_lost.store(true, SeqCst);
        } else if pair.has_lost.load(SeqCst) || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // Through silence no end is heard either.
    if !shared.carries() {
        pair.has_lost.store(true, SeqCst);
    }
    if !pair.has_lost.load(SeqCst) {
        drop(to.shutdown(Shutdown::Write));
    }
}

#[expect(clippy::disallowed_methods, reason = "a network works beside the test")]
fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(work)
}

#[cfg(test)]
mod tests;
