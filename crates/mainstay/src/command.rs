//! The commands, one file each. How a command is called lives in `cli`; nothing here reads the process's arguments.

pub mod admin_link;
pub mod check;
pub mod doctor;
pub mod migrate;
pub mod print_config;
pub mod probe;
pub mod serve;
