//! State shared through Redis or Valkey. Every call has two answers: the store's in time, or this process's memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use redis::{Cmd, FromRedisValue, cmd};

use crate::channel::Channels;
use crate::engine::{Bounds, Freshness, Taken, owner, timed};
use crate::lease::{Grant, Lease};
use crate::local::Local;
use crate::metrics::{Answer, Metrics, Operation};
use crate::{Count, Error, Settings};

mod failure;
mod keep;
mod link;
mod listen;
mod look;
mod names;
mod scan;
mod script;
mod state;

use failure::{Failure, is_redirection};
use link::To;
use names::Names;
use script::Script;
use state::{Handle, State};

/// Pause before a slot on its way is asked for again, in which others use up their leave to ask its new node.
const MOVING_REST: Duration = Duration::from_millis(1);

/// A server or a cluster, whether it is there or not.
#[derive(Debug)]
pub struct Server {
    pub(crate) channels: Arc<Channels>,
    pub(crate) bounds: Bounds,
    settings: Settings,
    entropy: Entropy,
    metrics: Metrics,
    names: Names,
    state: State,
}

impl Server {
    pub(crate) fn new(
        settings: &Settings,
        clock: Clock,
        entropy: Entropy,
        memory: Arc<Local>,
        channels: Arc<Channels>,
        metrics: Metrics,
        bounds: Bounds,
    ) -> Self {
        let (settings, names) = (settings.clone(), Names::new(&settings.namespace));
        let state = State::new(&settings, clock, memory, metrics.clone());
        Self { channels, bounds, settings, entropy, metrics, names, state }
    }

    pub(crate) fn start(self: &Arc<Self>, group: &Group) {
        let (keeper, listener) = (Arc::clone(self), Arc::clone(self));
        group.spawn("kv", |stop| keeper.keep(stop));
        group.spawn("kv channels", |stop| listener.listen(stop));
    }

    pub(crate) async fn wait_ready(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.state.ready()).await.is_ok()
    }

    pub(crate) async fn get(&self, key: &str, freshness: Freshness) -> Option<Bytes> {
        let memory = || {
            self.metrics.count(Operation::Get, Answer::Memory);
            self.state.memory.get(key)
        };
        let Some(handle) = self.state.for_read(key) else { return memory() };
        match self.fetch(&handle, key, freshness).await {
            Ok(found) => {
                self.metrics.count(Operation::Get, Answer::Store);
                found
            }
            Err(_) => memory(),
        }
    }

    /// A replica gets half of the time; what it does not answer is asked of the primary, and replicas rest for a while.
    async fn fetch(
        &self,
        handle: &Handle,
        key: &str,
        freshness: Freshness,
    ) -> Result<Option<Bytes>, Failure> {
        let name = self.names.value(handle.generation, key);
        let mut left = self.settings.answer_within.0;
        if freshness == Freshness::Stale && self.state.may_ask_replicas() {
            let (get, took) = (cmd("GET").arg(&name).to_owned(), timed());
            match self.send(handle, To::Any(&name), get, left / 2).await {
                Ok(found) => return Ok(found),
                Err(_) => self.state.rest_replicas(),
            }
            left = left.saturating_sub(took());
        }
        let get = cmd("GET").arg(&name).to_owned();
        self.call(handle, To::Primary(&name), get, left).await
    }

    pub(crate) async fn get_many(&self, keys: &[&str], freshness: Freshness) -> Vec<Option<Bytes>> {
        // One question per key: they share connections and packets, and no slot on its way to another node can hold up the
        // keys of others (TRYAGAIN).
        let questions = stream::iter(keys).map(|key| self.get(key, freshness));
        questions.buffered(self.settings.batch()).collect().await
    }

    pub(crate) async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Taken {
        let here = || self.state.memory.set(key, value.clone(), ttl);
        let set = |handle: &Handle| {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let mut set = cmd("SET");
            set.arg(self.names.value(handle.generation, key)).arg(&value[..]).arg("PX").arg(millis);
            set
        };
        self.write(Operation::Set, key, here, set).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Taken {
        let here = || self.state.memory.delete(key);
        let unlink = |handle: &Handle| {
            cmd("UNLINK").arg(self.names.value(handle.generation, key)).to_owned()
        };
        self.write(Operation::Delete, key, here, unlink).await
    }

    /// Changes a value in the store. Where that fails the change is made in memory, and the key is not read from the store
    /// until it was deleted there.
    async fn write(
        &self,
        operation: Operation,
        key: &str,
        here: impl Fn(),
        change: impl Fn(&Handle) -> Cmd,
    ) -> Taken {
        let taken = match self.state.for_write(&here) {
            None => Taken::Locally,
            Some(handle) => {
                let name = self.names.value(handle.generation, key);
                let time = self.settings.answer_within.0;
                let change = change(&handle);
                match self.call::<()>(&handle, To::Primary(&name), change, time).await {
                    Ok(()) => {
                        self.state.note_written(&handle, key);
                        Taken::Shared
                    }
                    Err(_) => {
                        self.state.note_unwritten(key, &here);
                        Taken::Locally
                    }
                }
            }
        };
        self.count(operation, taken);
        taken
    }

    pub(crate) async fn increment(
        &self,
        name: &str,
        by: i64,
        window: Duration,
    ) -> Result<Count, Error> {
        if let Some(handle) = self.state.handle() {
            let key = self.names.counter(name);
            let arguments = [by.to_string(), window.as_millis().to_string()];
            let counted = self.run::<(i64, u64)>(&handle, Script::COUNT, &[&key], &arguments).await;
            if let Ok((value, left)) = counted {
                self.count(Operation::Count, Taken::Shared);
                let left = Duration::from_millis(left);
                return Ok(Count { value, left, taken: Taken::Shared });
            }
        }
        self.count(Operation::Count, Taken::Locally);
        let (value, left) = self.state.memory.increment(name, by, window)?;
        Ok(Count { value, left, taken: Taken::Locally })
    }

    pub(crate) async fn acquire(&self, name: &str, ttl: Duration) -> Result<Grant, Error> {
        let owner = owner(&self.entropy)?;
        let arguments = [owner.clone(), ttl.as_millis().to_string()];
        let answer = self.ask_lease::<(bool, u64, u64)>(name, Script::ACQUIRE, &arguments).await?;
        Ok(match answer {
            (true, token, _) => Grant::Granted(Lease { name: name.to_owned(), token, owner }),
            (false, token, left) => Grant::Held { token, left: Duration::from_millis(left) },
        })
    }

    pub(crate) async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        let arguments = [lease.owner.clone(), ttl.as_millis().to_string()];
        self.ask_lease(&lease.name, Script::RENEW, &arguments).await
    }

    pub(crate) async fn release(&self, lease: &Lease) -> Result<bool, Error> {
        self.ask_lease(&lease.name, Script::RELEASE, std::slice::from_ref(&lease.owner)).await
    }

    async fn ask_lease<T: FromRedisValue>(
        &self,
        name: &str,
        script: Script,
        arguments: &[String],
    ) -> Result<T, Error> {
        let key = self.names.lease(name);
        let answer = match self.state.handle() {
            Some(handle) => self.run(&handle, script, &[&key], arguments).await.ok(),
            None => None,
        };
        let by = if answer.is_some() { Answer::Store } else { Answer::Nobody };
        self.metrics.count(Operation::Lease, by);
        answer.ok_or(Error::Away)
    }

    pub(crate) async fn publish(&self, channel: &str, payload: Bytes) -> Taken {
        let here = || self.channels.deliver_here(channel, payload.clone());
        let taken = match self.state.for_write(&here) {
            None => Taken::Locally,
            Some(handle) => match self.send_message(&handle, channel, &payload).await {
                Ok(()) => Taken::Shared,
                Err(_) => {
                    self.state.note_unheard(channel, &here);
                    Taken::Locally
                }
            },
        };
        self.count(Operation::Publish, taken);
        taken
    }

    fn count(&self, operation: Operation, taken: Taken) {
        let by = if taken == Taken::Shared { Answer::Store } else { Answer::Memory };
        self.metrics.count(operation, by);
    }

    /// Asks the store. What goes wrong counts towards its being away.
    async fn call<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: Cmd,
        within: Duration,
    ) -> Result<T, Failure> {
        let answer = self.send(handle, to, command, within).await;
        if let Err(failure) = &answer {
            self.state.note_failure(handle, failure);
        }
        answer
    }

    /// Sends a command, again where it was refused because its slot is on the way to another node: such a refusal did
    /// nothing, which cannot be said of what the client itself repeats after a lost connection.
    ///
    /// While a slot moves, the leave to ask its new node (ASKING) holds for the next command of a connection, which is
    /// another's where many share it. Whose leave was taken is sent back and forth until it is lucky. One that never is was
    /// refused, and says nothing of the other slots; one whose last question was met with silence was not.
    async fn send<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: Cmd,
        within: Duration,
    ) -> Result<T, Failure> {
        let (took, mut unlucky) = (timed(), None);
        let lucky = async {
            loop {
                let error = match handle.link.send(&command, to).await {
                    Err(error) if is_redirection(&error) => error,
                    answer => return answer,
                };
                unlucky = Some((Failure::of(&error, &handle.link), took()));
                tokio::time::sleep(MOVING_REST).await;
            }
        };
        let answer = tokio::time::timeout(within, lucky).await;
        self.metrics.note_call(took());
        match answer {
            Ok(Ok(value)) => redis::from_redis_value(value).map_err(|_| Failure::unreadable()),
            Ok(Err(error)) => Err(Failure::of(&error, &handle.link)),
            Err(_) => Err(match unlucky {
                Some((failure, at)) if within.saturating_sub(at) < within / 2 => failure,
                _ => Failure::late(within),
            }),
        }
    }

    /// Runs a script by its hash: one round trip. A server that does not know it yet is sent the text.
    async fn run<T: FromRedisValue>(
        &self,
        handle: &Handle,
        script: Script,
        keys: &[&str],
        arguments: &[impl AsRef<[u8]>],
    ) -> Result<T, Failure> {
        let to = || To::Primary(keys.first().copied().unwrap_or_default());
        let (time, took) = (self.settings.answer_within.0, timed());
        match self.call(handle, to(), script.call_by_hash(keys, arguments), time).await {
            Err(failure) if failure.is_unknown_script => {
                let left = time.saturating_sub(took());
                self.call(handle, to(), script.call_by_text(keys, arguments), left).await
            }
            answer => answer,
        }
    }
}
