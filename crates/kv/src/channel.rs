//! Channels of this process: who listens, what was heard last. Each engine says what comes in; nothing is sent from here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

use crate::metrics::Metrics;
use crate::{Error, Settings};

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message. Those of one channel come in order, without one missing unless a gap is told in between.
    Message {
        /// Its number in the channel; none while Redis is away and only this process hears it.
        sequence: Option<u64>,
        /// What was published.
        payload: Bytes,
    },
    /// Something may have been missed: whatever was remembered because of this channel is no longer sure.
    Gap,
}

/// The listening end of a channel. Ends when dropped.
#[derive(Debug)]
pub struct Subscription {
    events: broadcast::Receiver<Event>,
    _channels: Arc<Channels>,
}

/// All channels that somebody listens to.
#[derive(Debug)]
pub(crate) struct Channels {
    open: Mutex<HashMap<String, Channel>>,
    /// Wakes whoever has to tell the store of a new one.
    pub(crate) added: Notify,
    metrics: Metrics,
    channels_max: usize,
    queue: usize,
}

#[derive(Debug)]
struct Channel {
    events: broadcast::Sender<Event>,
    last: Last,
    heard: Instant,
}

/// What is known of the numbers of a channel.
#[derive(Clone, Copy, Debug)]
enum Last {
    Unknown,
    /// Listening began when the store was at this number; it and some before it may still come in.
    From(u64),
    /// The last message heard.
    Heard(u64),
}

/// What came in on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Message of this number follows.
    Message(u64),
    /// The last message had this number.
    Heartbeat(u64),
}

impl Subscription {
    /// The next event. Never ends.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(_)) => Event::Gap,
            // The channel is held by this very subscription.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Channels {
    pub(crate) fn new(settings: &Settings, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            added: Notify::new(),
            metrics: metrics.clone(),
            channels_max: settings.channels_max.max(1) as usize,
            queue: settings.channel_queue.max(1) as usize,
        })
    }

    /// A new listener of a channel.
    pub(crate) fn subscribe(self: &Arc<Self>, name: &str) -> Result<Subscription, Error> {
        let mut open = self.lock();
        open.retain(|_, channel| channel.events.receiver_count() > 0);
        if let Some(channel) = open.get(name) {
            return Ok(self.subscription(channel.events.subscribe()));
        }
        if open.len() >= self.channels_max {
            return Err(Error::Full);
        }
        let (events, receiver) = broadcast::channel(self.queue);
        open.insert(
            name.to_owned(),
            Channel { events, last: Last::Unknown, heard: Instant::now() },
        );
        self.added.notify_one();
        Ok(self.subscription(receiver))
    }

    fn subscription(self: &Arc<Self>, events: broadcast::Receiver<Event>) -> Subscription {
        Subscription { events, _channels: Arc::clone(self) }
    }

    /// The channels that somebody listens to.
    pub(crate) fn list(&self) -> Vec<String> {
        let mut open = self.lock();
        open.retain(|_, channel| channel.events.receiver_count() > 0);
        open.keys().cloned().collect()
    }

    /// Gives a message to who listens in this process, without a number.
    pub(crate) fn deliver_here(&self, name: &str, payload: Bytes) {
        if let Some(channel) = self.lock().get(name) {
            channel.send(Event::Message { sequence: None, payload });
        }
    }

    /// Takes what came in, tells of what is missing before it.
    pub(crate) fn hear(&self, name: &str, sign: Sign, payload: Bytes) {
        let mut open = self.lock();
        let Some(channel) = open.get_mut(name) else { return };
        channel.heard = Instant::now();
        let (number, before) = match sign {
            Sign::Message(number) => (number, number.saturating_sub(1)),
            Sign::Heartbeat(number) => (number, number),
        };
        let is_missing = match channel.last {
            Last::Unknown => false,
            Last::From(last) => before > last,
            Last::Heard(last) => before != last,
        };
        if is_missing {
            self.metrics.gap("sequence");
            channel.send(Event::Gap);
        }
        channel.last = Last::Heard(number);
        if let Sign::Message(number) = sign {
            channel.send(Event::Message { sequence: Some(number), payload });
        }
    }

    /// Every message after this number is expected. Told when the store listens for a channel anew.
    pub(crate) fn join(&self, name: &str, last: u64) {
        if let Some(channel) = self.lock().get_mut(name) {
            channel.heard = Instant::now();
            if matches!(channel.last, Last::Unknown) {
                channel.last = Last::From(last);
            }
        }
    }

    /// Tells everybody of a gap; numbers begin anew.
    pub(crate) fn break_all(&self, reason: &'static str) {
        for channel in self.lock().values_mut() {
            channel.last = Last::Unknown;
            channel.heard = Instant::now();
            self.metrics.gap(reason);
            channel.send(Event::Gap);
        }
    }

    /// Whether a channel is silent for too long.
    pub(crate) fn has_silent(&self, max: Duration) -> bool {
        self.lock().values().any(|channel| channel.heard.elapsed() > max)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    /// That nobody listens is no error.
    fn send(&self, event: Event) {
        drop(self.events.send(event));
    }
}

#[cfg(test)]
mod tests;
