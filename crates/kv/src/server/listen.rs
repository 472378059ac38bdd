//! Messages: sent with a number, heard on a connection of its own, and a heartbeat so that silence means something.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mainstay_base::task::Stop;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use super::Server;
use super::call::Wait;
use super::failure::Failure;
use super::link::Ear;
use super::many::worst;
use super::script::Script;
use super::state::Handle;
use crate::channel::Sign;

/// What a connection says, until it is dealt with.
struct Heard {
    pushes: mpsc::Receiver<PushInfo>,
    /// More was said than there was room for.
    overflow: Arc<AtomicBool>,
}

impl Server {
    pub(super) async fn send_message(
        &self,
        handle: &Handle,
        channel: &str,
        payload: &Bytes,
    ) -> Result<(), Failure> {
        let generation = handle.generation.to_string();
        let (key, called) = (self.names.sequence(channel), self.names.channel(channel));
        let verb = handle.link.publish_verb();
        let arguments = [verb.as_bytes(), called.as_bytes(), generation.as_bytes(), payload];
        self.run_briefly::<u64>(handle, Script::PUBLISH, &[&key], &arguments).await.map(drop)
    }

    /// Tells everybody who listens to a channel that a message may be missing.
    pub(super) async fn send_gap(&self, handle: &Handle, channel: &str) -> Result<(), Failure> {
        let (key, called) = (self.names.sequence(channel), self.names.channel(channel));
        let generation = handle.generation.to_string();
        let arguments = [handle.link.publish_verb(), &called, &generation];
        self.run_briefly::<u64>(handle, Script::SKIP, &[&key], &arguments).await.map(drop)
    }

    /// Listens to the channels that somebody in this process wants, until the soft stop.
    pub(super) async fn listen(self: Arc<Self>, stop: Stop) -> Result<(), Infallible> {
        loop {
            let reason = tokio::select! {
                () = stop.soft() => return Ok(()),
                reason = self.listen_once() => reason,
            };
            self.channels.break_all(reason);
            if !stop.rested(self.settings.trial_every.0).await {
                return Ok(());
            }
        }
    }

    /// Listens until something may have been missed; answers what.
    async fn listen_once(&self) -> &'static str {
        while self.channels.list().is_empty() {
            self.channels.added.notified().await;
        }
        self.state.ready().await;
        let Some(handle) = self.state.handle() else { return "away" };
        let (sender, pushes) = mpsc::channel(self.settings.channel_queue.max(1) as usize);
        let overflow = Arc::new(AtomicBool::new(false));
        let is_full = Arc::clone(&overflow);
        let hear = move |push: PushInfo| {
            sender.try_send(push).map_err(|_| {
                is_full.store(true, Ordering::Relaxed);
                redis::aio::SendError
            })
        };
        let time = self.settings.connect_timeout.0 * 2;
        let ear = tokio::time::timeout(time, Ear::open(&self.settings, &handle.link, hear)).await;
        let Ok(Ok(ear)) = ear else { return "connect" };
        self.attend(ear, Heard { pushes, overflow }).await
    }

    /// A channel that takes its time to be joined holds up no message of another until that time is over.
    async fn attend(&self, ear: Ear, mut heard: Heard) -> &'static str {
        let (mut known, mut joins) = (Vec::<String>::new(), FuturesUnordered::new());
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat_every.0.max(PAUSE_MIN));
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wanted = self.channels.list();
            known.retain(|channel| wanted.contains(channel));
            for channel in wanted {
                if !known.contains(&channel) {
                    joins.push(self.join(ear.clone(), channel.clone()));
                    known.push(channel);
                }
            }
            tokio::select! {
                push = heard.pushes.recv() => match push {
                    Some(push) => {
                        if let Some(reason) = self.take(push) {
                            return reason;
                        }
                    }
                    None => return "connection",
                },
                Some(is_joined) = joins.next() => {
                    if !is_joined {
                        return "subscribe";
                    }
                }
                () = self.channels.added.notified() => {}
                _ = heartbeat.tick() => self.beat_all(&known).await,
            }
            if heard.overflow.load(Ordering::Relaxed) {
                return "overflow";
            }
            if self.channels.has_silent(self.settings.silence_max.0) {
                return "silence";
            }
        }
    }

    /// Listens to a channel, and then asks for its number: everything after it is heard. What comes in before is the first
    /// that is known of it.
    async fn join(&self, mut ear: Ear, channel: String) -> bool {
        let (time, called) = (self.settings.connect_timeout.0, self.names.channel(&channel));
        let subscribed = tokio::time::timeout(time, ear.subscribe(&called)).await;
        let Some(handle) = self.state.handle() else { return false };
        // A refusal would be told by nobody else.
        let tell = |failure: &Failure| {
            if !failure.is_outage {
                self.state.note_failure(&handle, failure);
            }
        };
        match subscribed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tell(&Failure::of(&error, &handle.link));
                return false;
            }
            Err(_) => return false,
        }
        match self.beat(&handle, &channel, Wait::AmongManyPatiently).await {
            Ok(number) => {
                self.channels.join(&channel, number);
                true
            }
            Err(failure) => {
                tell(&failure);
                false
            }
        }
    }

    async fn beat_all(&self, channels: &[String]) {
        let Some(handle) = self.state.handle() else { return };
        let time = self.settings.answer_within.0;
        let wait = Wait::AmongMany(time);
        let beats = channels.iter().map(|channel| self.beat(&handle, channel, wait));
        // To those who listen what fails is silence.
        let failures = join_all(beats).await.into_iter().filter_map(Result::err);
        if let Some(failure) = worst(failures) {
            self.state.note_failure(&handle, &failure);
        }
    }

    /// Sends a heartbeat unless another process did lately; answers the number of the last message.
    async fn beat(&self, handle: &Handle, channel: &str, wait: Wait) -> Result<u64, Failure> {
        let (sequence, beat) = (self.names.sequence(channel), self.names.beat(channel));
        // A little less than the pause, or every second one would be left out.
        let pause = self.settings.heartbeat_every.0.mul_f64(0.9).as_millis().max(1).to_string();
        let (called, generation) = (self.names.channel(channel), handle.generation.to_string());
        let arguments = [handle.link.publish_verb(), &called, &generation, &pause];
        self.run(handle, Script::BEAT, &[&sequence, &beat], &arguments, wait).await
    }

    /// Deals with what the connection said; a reason when it says that something was missed.
    fn take(&self, push: PushInfo) -> Option<&'static str> {
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                let mut data = push.data.into_iter();
                let (Some(Value::BulkString(called)), Some(Value::BulkString(bytes))) =
                    (data.next(), data.next())
                else {
                    return None;
                };
                let called = String::from_utf8(called).ok()?;
                let channel = self.names.find_channel(&called)?;
                let (sign, generation, payload) = parse(&Bytes::from(bytes))?;
                self.hear_generation(generation);
                self.channels.hear(channel, sign, payload);
                None
            }
            PushKind::Disconnection => Some("connection"),
            // The slot of the channel went to another server.
            PushKind::SUnsubscribe => Some("moved"),
            _ => None,
        }
    }
}

/// Pause below which no heartbeat follows another.
const PAUSE_MIN: std::time::Duration = std::time::Duration::from_millis(10);

/// `m12:3:payload` or `h12:3:`: kind and number, generation, payload.
fn parse(bytes: &Bytes) -> Option<(Sign, u64, Bytes)> {
    let mut colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let (first, second) = (colons.next()?, colons.next()?);
    let number = |from, to| std::str::from_utf8(bytes.get(from..to)?).ok()?.parse().ok();
    let sign = match bytes.first()? {
        b'm' => Sign::Message(number(1, first)?),
        b'h' => Sign::Heartbeat(number(1, first)?),
        _ => return None,
    };
    let generation = number(first + 1, second)?;
    Some((sign, generation, bytes.slice(second + 1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_strangers_left_out() {
        let read = |text: &'static str| parse(&Bytes::from_static(text.as_bytes()));
        let payload = Bytes::from_static(b"a:b");
        assert_eq!(read("m12:3:a:b"), Some((Sign::Message(12), 3, payload)));
        assert_eq!(read("h0:0:"), Some((Sign::Heartbeat(0), 0, Bytes::new())));
        for stranger in ["", "m", "m1:2", "x1:2:", "m:2:", "m1:x:", "mm1:2:"] {
            assert_eq!(read(stranger), None, "{stranger}");
        }
    }
}
