//! What becomes of questions and changes when servers fail: real servers that are killed, stopped, cut off and promoted.

mod house;
mod warnings;

mod asleep;
mod durable;
mod failover;
mod lag;
mod migrating;
mod one_address;
mod partitions;
mod pinned;
mod pool;
mod pooled;
mod probing;
mod reads;
mod silent;
mod split;
mod spool;
mod tls;
mod together;
mod tokens;

use house::{House, LONG, Load, until};
