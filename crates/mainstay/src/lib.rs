//! The binary's own room: command line, settings tree, wiring, start and stop. The only room that knows every room; no other knows it.

mod allocator;
pub mod cli;
pub mod command;
pub mod kinds;
pub mod settings;

mod boot;
mod data_dir;
mod descriptors;
mod plan;
mod reload;
mod run;
mod served;
mod work;
