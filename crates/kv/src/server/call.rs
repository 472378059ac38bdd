//! How the store is asked: as long as a page may wait, or with patience; what is asked again, and what its silence says.

use std::pin::pin;
use std::time::Duration;

use redis::{Cmd, FromRedisValue};

use super::Server;
use super::failure::{Failure, is_redirection};
use super::link::To;
use super::script::Script;
use super::state::Handle;
use crate::engine::{Freshness, timed};

/// Pause before a slot on its way is asked for again, in which others use up their leave to ask its new node.
const MOVING_REST: Duration = Duration::from_millis(1);

/// How long a caller waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// As somebody does for whom memory answers else.
    Within(Duration),
    /// As somebody does for whom nobody else answers: `redis.patience`, in which a failover is outlasted.
    Patiently,
    /// One of many at once: who asks judges them together, because one slow moment counts once.
    AmongMany(Duration),
    /// The same with patience. Others find out that the store is away.
    AmongManyPatiently,
}

/// What is done about a refusal because the slot is on its way to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnMove {
    /// It is asked for again until it answers.
    Wait,
    /// The caller is told at once: several keys may be on both nodes, and no one answers for all of them.
    Tell,
}

impl Server {
    /// Asks the store. What goes wrong counts towards its being away.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: Cmd,
        within: Duration,
    ) -> Result<T, Failure> {
        let answer = self.send(handle, to, &command, within, OnMove::Wait).await;
        if let Err(failure) = &answer {
            self.state.note_failure(handle, failure);
        }
        answer
    }

    /// The same with patience, of what may be done twice.
    pub(super) async fn call_patiently<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: Cmd,
    ) -> Result<T, Failure> {
        self.watch(handle, self.send_patiently(handle, to, &command)).await
    }

    /// The same, once: of what is repeated by who asks, or begun anew.
    pub(super) async fn call_once<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: Cmd,
    ) -> Result<T, Failure> {
        let patience = self.settings.patience.0;
        self.watch(handle, self.send(handle, to, &command, patience, OnMove::Wait)).await
    }

    /// Waits for what may take long. That it takes longer than others wait says at once what it says of their calls, and is
    /// forgiven where there is an answer after all: one who is slow alone is no outage.
    pub(super) async fn watch<T>(
        &self,
        handle: &Handle,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (within, mut asked) = (self.settings.answer_within.0, pin!(asked));
        let (answer, late) = match tokio::time::timeout(within, &mut asked).await {
            Ok(answer) => (answer, None),
            Err(_) => {
                let counted = self.state.note_failure(handle, &Failure::late(within));
                (asked.await, Some(counted))
            }
        };
        match (&answer, late) {
            (Err(failure), Some(_)) if failure.is_outage => {}
            // A refusal is an answer, and is told.
            (Err(failure), counted) if !failure.is_outage => {
                self.state.note_failure(handle, failure);
                if let Some(Some(counted)) = counted {
                    self.state.forgive(counted);
                }
            }
            (Err(failure), None) if failure.is_outage => {
                self.state.note_failure(handle, failure);
            }
            (_, Some(Some(counted))) => self.state.forgive(counted),
            _ => {}
        }
        answer
    }

    /// Asks again what met a failover, `redis.retries` times with `redis.retry_delay` in between. Each attempt has its share
    /// of the patience, so that one which nobody answers leaves time for the next.
    async fn send_patiently<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let (patience, pause) = (self.settings.patience.0, self.settings.retry_delay.0);
        let (took, mut handle, mut repeats) = (timed(), handle.clone(), self.settings.retries);
        loop {
            let left = patience.saturating_sub(took());
            let share =
                left.saturating_sub(pause.saturating_mul(repeats)) / repeats.saturating_add(1);
            let share = share.max(self.settings.answer_within.0);
            let answer = self.send(&handle, to, command, share, OnMove::Wait).await;
            match answer {
                Err(failure) if failure.is_outage && repeats > 0 && took() + pause < patience => {
                    repeats -= 1;
                    handle = self.rest(&handle, &failure).await;
                }
                answer => return answer,
            }
        }
    }

    /// The pause before a repetition: the store as it is afterwards.
    pub(super) async fn rest(&self, handle: &Handle, failure: &Failure) -> Handle {
        self.metrics.repeats.inc();
        if failure.is_final {
            // Somebody has to connect anew, or there is nothing to repeat it on.
            self.state.note_failure(handle, failure);
        }
        tokio::time::sleep(self.settings.retry_delay.0).await;
        self.state.handle().unwrap_or_else(|| handle.clone())
    }

    /// Reads. A replica gets half of the time where the answer may be stale; what it does not answer is asked of the
    /// primary, and replicas rest for a while. What goes wrong is for the caller to note.
    pub(super) async fn fetch<T: FromRedisValue>(
        &self,
        handle: &Handle,
        name: &str,
        read: Cmd,
        freshness: Freshness,
        within: Duration,
        on_move: OnMove,
    ) -> Result<T, Failure> {
        let mut left = within;
        if freshness == Freshness::Stale && self.state.may_ask_replicas() {
            let took = timed();
            match self.send(handle, To::Any(name), &read, left / 2, on_move).await {
                Ok(found) => return Ok(found),
                Err(_) => self.state.rest_replicas(),
            }
            left = left.saturating_sub(took());
        }
        self.send(handle, To::Primary(name), &read, left, on_move).await
    }

    /// Sends a command, again where it was refused because its slot is on the way to another node: such a refusal did
    /// nothing, which cannot be said of what the client itself repeats after a lost connection.
    ///
    /// While a slot moves, the leave to ask its new node (ASKING) holds for the next command of a connection, which is
    /// another's where many share it. Whose leave was taken is sent back and forth until it is lucky. One that never is was
    /// refused, and says nothing of the other slots; one whose last question was met with silence was not.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        handle: &Handle,
        to: To<'_>,
        command: &Cmd,
        within: Duration,
        on_move: OnMove,
    ) -> Result<T, Failure> {
        let (took, mut unlucky) = (timed(), None);
        let lucky = async {
            loop {
                let error = match handle.link.send(command, to).await {
                    Err(error) if is_redirection(&error) && on_move == OnMove::Wait => error,
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

    /// Runs a script as somebody does for whom memory answers else.
    pub(super) async fn run_briefly<T: FromRedisValue>(
        &self,
        handle: &Handle,
        script: Script,
        keys: &[&str],
        arguments: &[impl AsRef<[u8]>],
    ) -> Result<T, Failure> {
        let wait = Wait::Within(self.settings.answer_within.0);
        self.run(handle, script, keys, arguments, wait).await
    }

    /// Runs a script by its hash: one round trip. A server that does not know it yet is sent the text.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        handle: &Handle,
        script: Script,
        keys: &[&str],
        arguments: &[impl AsRef<[u8]>],
        wait: Wait,
    ) -> Result<T, Failure> {
        let (by_hash, took) = (script.call_by_hash(keys, arguments), timed());
        match self.ask(handle, keys, by_hash, wait).await {
            Err(failure) if failure.is_unknown_script => {
                let wait = match wait {
                    Wait::Within(time) => Wait::Within(time.saturating_sub(took())),
                    Wait::AmongMany(time) => Wait::AmongMany(time.saturating_sub(took())),
                    Wait::Patiently | Wait::AmongManyPatiently => wait,
                };
                self.ask(handle, keys, script.call_by_text(keys, arguments), wait).await
            }
            answer => answer,
        }
    }

    async fn ask<T: FromRedisValue>(
        &self,
        handle: &Handle,
        keys: &[&str],
        command: Cmd,
        wait: Wait,
    ) -> Result<T, Failure> {
        let to = To::Primary(keys.first().copied().unwrap_or_default());
        match wait {
            Wait::Within(time) => self.call(handle, to, command, time).await,
            Wait::Patiently => self.call_patiently(handle, to, command).await,
            Wait::AmongMany(time) => self.send(handle, to, &command, time, OnMove::Wait).await,
            Wait::AmongManyPatiently => self.send_patiently(handle, to, &command).await,
        }
    }
}
