//! What the tasks of `cargo xtask` are made of, so that tests can call them too. Nothing here is part of the binary.

pub mod bench;
pub mod soak;
pub mod tidy;

mod server;
mod wire;
