//! The task that keeps the connection: one trial at a time while the store is away, and its return without anything stale.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::task::Stop;
use redis::cmd;

use super::Server;
use super::call::OnMove;
use super::failure::{Failure, tell};
use super::link::{Link, To};
use super::many::worst;
use super::script::Script;
use super::state::{Handle, Repair};
use crate::engine::timed;

/// Pause below which no trial or probe follows another.
const PAUSE_MIN: Duration = Duration::from_millis(10);

impl Server {
    /// Tries, returns, repairs, looks around, until the soft stop.
    pub(super) async fn keep(self: Arc<Self>, stop: Stop) -> Result<(), Infallible> {
        loop {
            let pause = tokio::select! {
                () = stop.soft() => return Ok(()),
                pause = self.keep_once() => pause,
            };
            tokio::select! {
                () = stop.soft() => return Ok(()),
                () = self.state.wake.notified() => {}
                () = tokio::time::sleep(pause.max(PAUSE_MIN)) => {}
            }
        }
    }

    async fn keep_once(&self) -> Duration {
        if let Some(handle) = self.state.handle() {
            // Whose key cannot be repaired now still hears what others did.
            let looked = self.look_for_generation(&handle).await;
            let repaired = match self.state.handle() {
                Some(handle) => self.repair(&handle).await,
                None => Ok(()),
            };
            return match looked.and(repaired) {
                Ok(()) => self.settings.probe_every.0,
                // It will be refused again.
                Err(failure) if !failure.is_outage => self.settings.probe_every.0,
                // Soon again: where few ask, it is this task that finds out that the store is away.
                Err(_) => self.settings.failure_window.0 / self.settings.failures_max.max(1) / 2,
            };
        }
        if let Err(reason) = self.try_return().await {
            self.state.note_trial(reason);
        }
        self.settings.trial_every.0
    }

    /// One trial. Callers never wait for it.
    async fn try_return(&self) -> Result<(), String> {
        let nodes = u32::try_from(self.settings.nodes.len()).unwrap_or(u32::MAX);
        let patience = self.settings.connect_timeout.0.saturating_mul(nodes.saturating_add(2));
        let link = tokio::time::timeout(patience, Link::open(&self.settings)).await;
        let link = link.map_err(|_| format!("no connection within {patience:?}"))?;
        let link = link.map_err(|error| tell(&error))?;
        loop {
            let (known, is_dirty) = self.state.begin_return();
            match self.agree(&link, known, is_dirty).await {
                Ok(generation) if self.state.finish_return(&link, generation) => break,
                Ok(_) => {}
                Err(failure) => {
                    self.state.end_return(is_dirty);
                    return Err(failure.reason);
                }
            }
        }
        // What was published meanwhile was not heard here.
        self.channels.break_all("recovery");
        Ok(())
    }

    /// Agrees with the store on the generation, a new one where changes were missed.
    async fn agree(&self, link: &Link, known: u64, is_new: bool) -> Result<u64, Failure> {
        let key = self.names.generation();
        let arguments = [known.to_string(), u8::from(is_new).to_string()];
        let (keys, time) = ([key.as_str()], self.settings.connect_timeout.0);
        // By its text: the server may be new.
        let command = Script::GENERATION.call_by_text(&keys, &arguments);
        let ask = link.send(&command, To::Primary(&key));
        let answer = tokio::time::timeout(time, ask).await.map_err(|_| Failure::late(time))?;
        let answer = answer.map_err(|error| Failure::of(&error, link))?;
        let generation = redis::from_redis_value(answer).map_err(|_| Failure::unreadable())?;
        if is_new {
            self.metrics.generations.inc();
            tracing::warn!(generation, "changes were missed: all stored values are left behind");
        }
        Ok(generation)
    }

    /// Deletes keys whose write failed, so that nobody reads what was there before, and tells of messages that may be lost.
    async fn repair(&self, handle: &Handle) -> Result<(), Failure> {
        let (mut repaired, took) = (Ok(()), timed());
        for piece in self.state.list_repairs().chunks(self.settings.batch()) {
            let repairs = piece.iter().map(|repair| self.repair_key(handle, repair));
            // One slow moment counts once, however many wait for its end.
            let all = async {
                let failures = join_all(repairs).await.into_iter().filter_map(Result::err);
                worst(failures).map_or(Ok(()), Err)
            };
            repaired = repaired.and(self.watch(handle, all).await);
            // Those that were not tried now are the first next time.
            let is_refused = repaired.as_ref().is_err_and(|failure| !failure.is_outage);
            let is_late = repaired.is_err() && took() >= self.settings.patience.0;
            if is_refused || is_late {
                break;
            }
        }
        repaired.and(self.tell_unheard(handle).await)
    }

    async fn repair_key(&self, handle: &Handle, repair: &Repair) -> Result<(), Failure> {
        if !self.state.begin_repair(repair) {
            return Ok(());
        }
        let name = self.names.value(handle.generation, &repair.key);
        let (unlink, patience) = (cmd("UNLINK").arg(&name).to_owned(), self.settings.patience.0);
        let to = To::Primary(&name);
        let answer = self.send::<()>(handle, to, &unlink, patience, OnMove::Wait).await;
        self.state.finish_repair(repair, answer.is_ok());
        answer
    }

    async fn tell_unheard(&self, handle: &Handle) -> Result<(), Failure> {
        let mut told = Ok(());
        for channel in self.state.take_unheard() {
            let sent = self.send_gap(handle, &channel).await;
            if sent.is_err() {
                self.state.note_unheard(&channel, &|| {});
                told = sent;
            }
        }
        told
    }

    /// Another process may have begun a generation while this one heard nothing of it.
    async fn look_for_generation(&self, handle: &Handle) -> Result<(), Failure> {
        let key = self.names.generation();
        let arguments = [handle.generation.to_string(), "0".to_owned()];
        // Not with patience: where few ask, it is by this that an outage is noticed.
        let generation = self.run_briefly(handle, Script::GENERATION, &[&key], &arguments).await?;
        self.hear_generation(generation);
        Ok(())
    }

    /// Takes a generation that another process began.
    pub(super) fn hear_generation(&self, generation: u64) {
        if self.state.adopt(generation) {
            tracing::info!(generation, "another process left all stored values behind");
            self.channels.break_all("generation");
        }
    }
}
