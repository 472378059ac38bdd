//! Redis goes away and comes back: killed, stopped, cut off, moved about. Real servers, real time.

mod away;
mod channels;
mod cluster;
mod coherence;
mod cost;
mod process;
