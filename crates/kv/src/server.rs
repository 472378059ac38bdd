//! State shared through Redis or Valkey. Every call has two answers: the store's in time, or this process's memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use redis::{Cmd, FromRedisValue, cmd};

use crate::channel::Channels;
use crate::engine::{Bounds, Freshness, Taken, owner};
use crate::lease::{Grant, Lease};
use crate::local::Local;
use crate::metrics::{Answer, Metrics, Operation};
use crate::{Count, Error, Settings};

mod call;
mod failure;
mod keep;
mod link;
mod listen;
mod look;
mod many;
mod names;
mod scan;
mod script;
mod state;

use call::{OnMove, Wait};
use failure::Failure;
use link::To;
use names::Names;
use script::Script;
use state::{Handle, State};

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
        match self.state.for_read(key) {
            None => self.recall(key),
            Some(handle) => {
                let time = self.settings.answer_within.0;
                let (found, failure) = self.get_from(&handle, key, freshness, time).await;
                if let Some(failure) = failure {
                    self.state.note_failure(&handle, &failure);
                }
                found
            }
        }
    }

    /// What the store says of a key, memory where it does not say in time, and why not.
    async fn get_from(
        &self,
        handle: &Handle,
        key: &str,
        freshness: Freshness,
        within: Duration,
    ) -> (Option<Bytes>, Option<Failure>) {
        let name = self.names.value(handle.generation, key);
        let get = cmd("GET").arg(&name).to_owned();
        match self.fetch(handle, &name, get, freshness, within, OnMove::Wait).await {
            Ok(found) => {
                self.metrics.count(Operation::Get, Answer::Store);
                (found, None)
            }
            Err(failure) => (self.recall(key), Some(failure)),
        }
    }

    fn recall(&self, key: &str) -> Option<Bytes> {
        self.metrics.count(Operation::Get, Answer::Memory);
        self.state.memory.get(key)
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
        let taken = match self.state.for_write_of(key, &here) {
            None => Taken::Locally,
            Some((handle, before)) => {
                let name = self.names.value(handle.generation, key);
                let time = self.settings.answer_within.0;
                let change = change(&handle);
                match self.call::<()>(&handle, To::Primary(&name), change, time).await {
                    Ok(()) if self.state.note_written(&handle, key, before) => Taken::Shared,
                    _ => {
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
            let counted =
                self.run_briefly::<(i64, u64)>(&handle, Script::COUNT, &[&key], &arguments).await;
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
        // Asked again by the same owner it is the same grant.
        let (script, wait) = (Script::ACQUIRE, Wait::Patiently);
        let answer = self.ask_lease::<(bool, u64, u64)>(name, script, &arguments, wait).await?;
        Ok(match answer {
            (true, token, _) => Grant::Granted(Lease { name: name.to_owned(), token, owner }),
            (false, token, left) => Grant::Held { token, left: Duration::from_millis(left) },
        })
    }

    pub(crate) async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        let arguments = [lease.owner.clone(), ttl.as_millis().to_string()];
        self.ask_lease(&lease.name, Script::RENEW, &arguments, Wait::Patiently).await
    }

    pub(crate) async fn release(&self, lease: &Lease) -> Result<bool, Error> {
        // Not repeated after a failover: a second answer would be that it is nobody's. A refusal of a slot on its way did nothing.
        let wait = Wait::Within(self.settings.answer_within.0);
        let owner = std::slice::from_ref(&lease.owner);
        self.ask_lease(&lease.name, Script::RELEASE, owner, wait).await
    }

    async fn ask_lease<T: FromRedisValue>(
        &self,
        name: &str,
        script: Script,
        arguments: &[String],
        wait: Wait,
    ) -> Result<T, Error> {
        let key = self.names.lease(name);
        let answer = match self.state.handle() {
            Some(handle) => self.run(&handle, script, &[&key], arguments, wait).await.ok(),
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
}
