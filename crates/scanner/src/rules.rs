//! What is looked for beyond the Observatory's grade: one file for each kind of fault, each a table of rules. Asks nobody: `scan` does.

mod content;
pub(crate) mod cookies;
pub(crate) mod exposed;
pub(crate) mod graded;
pub(crate) mod hello;
pub(crate) mod markup;
pub(crate) mod open;
pub(crate) mod transport;
