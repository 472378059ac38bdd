//! Content-Security-Policy (CSP3) of the site's pages and files: what a page contains, and the policy that allows exactly this. Reading HTML is edge's work.

pub mod css;
mod hash;
mod page;
mod policy;
mod reporting;
mod resource;
mod source;
mod text;
pub mod upstream;

pub use hash::Hash;
pub use page::{
    HASHES_MAX, PageFacts, STYLE_ATTRIBUTES_MAX, list_concerns, static_policy, untouched_policy,
};
pub use policy::{Mode, Policy};
pub use reporting::Reporting;
pub use resource::{Resources, api_policy, error_page_policy, resource_policy};
pub use source::{Base, Kind, Origin, Source, Target};
pub use text::{attribute_text, inline_text, markup_text};
