//! The data plane: listeners, the request's phases, static files, drain. Never speaks SQL, never knows an endpoint of ours.
//!
//! A request enters in [`listen`], is carried by one connection task of one worker thread ([`worker`]), and is
//! answered by [`phases::answer`], one function that reads top to bottom. Files come from [`files`], which keeps
//! every answer ready to send: bytes, validators, compressed variants and the whole header block.
//!
//! # Invariants
//! - Nothing outside a site's folder, no dotfile, and nothing of ours (data dir, settings, keys) is ever served.
//! - Every answer of a parsed request carries the security headers exactly once.
//! - No lock is held across an await; no file is read on a worker thread except by `stat`.

pub mod check;
pub mod html;
pub mod settings;
pub mod site;

mod activity;
mod body;
mod conditional;
mod content;
mod files;
mod hidden;
mod kinds;
mod listen;
mod pages;
mod path;
mod phases;
mod range;
mod serve;
mod stream;
mod variants;
mod worker;

pub use serve::{Edge, Ours, Parts, StartError, start};
pub use settings::Settings;
