//! The data plane: listeners, the request's phases, static files, drain. Never speaks SQL, never knows an endpoint of ours.
//!
//! A request enters in [`listen`], is carried by one connection task of one worker thread ([`worker`]), and is
//! answered by [`phases::answer`], one function that reads top to bottom; plain requests for what is in memory are
//! answered in its stead by [`fast_path`]. Files come from [`files`], which keeps every answer ready to send: bytes,
//! validators, compressed variants and the whole header block.
//!
//! # Invariants
//! - Nothing outside a site's folder, no dotfile, and nothing of ours (data dir, settings, keys) is ever served.
//! - Every answer of a parsed request carries the security headers exactly once.
//! - No lock is held across an await; no file is read on a worker thread except by `stat`.

pub mod check;
pub mod desync;
pub mod html;
pub mod settings;
pub mod site;
pub mod sites;
pub mod tls;

mod accept;
mod activity;
mod addresses;
mod app;
mod arriving;
mod body;
mod conditional;
mod connection;
mod content;
mod cors;
mod exchange;
mod exchanges;
mod fast_path;
mod files;
mod folder;
mod followed;
mod gathered;
mod hidden;
mod http1;
mod http2;
mod kinds;
mod listen;
mod origin;
mod pages;
mod path;
mod patience;
mod phases;
mod problem;
mod proxied;
mod range;
mod serve;
mod settle;
mod socket;
mod stream;
mod switch;
mod template;
mod to_https;
mod variants;
mod watch;
mod watched;
mod worker;

pub use serve::{AppStatus, Edge, Ours, Parts, SiteStatus, StartError, start};
pub use settings::Settings;
