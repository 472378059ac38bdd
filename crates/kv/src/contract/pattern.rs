//! Contract of deleting by pattern.

use std::time::Duration;

use bytes::Bytes;

use super::fixture::Fixture;
use crate::{Freshness::Exact, Taken};

pub(super) async fn a_pattern_deletes_what_it_means_and_counts_it(f: &Fixture) {
    let hour = Some(Duration::from_secs(3_600));
    let pages: Vec<_> = (0..600).map(|n| format!("page:{n}:html")).collect();
    let others = ["page", "pages:1:html", "page:1:htm", "page:x?[1]:json", "page:x1:json", "a*b"];
    for key in pages.iter().map(String::as_str).chain(others) {
        f.one.set(key, Bytes::from_static(b"x"), hour).await.unwrap();
    }
    assert_eq!(f.other.invalidate("page:*:html").await, Ok((600, Taken::Shared)));
    let pages: Vec<_> = pages.iter().map(String::as_str).collect();
    assert!(f.one.get_many(&pages, Exact).await.unwrap().iter().all(Option::is_none));
    let left = f.one.get_many(&others, Exact).await.unwrap();
    assert!(left.iter().all(Option::is_some), "{left:?}");
    // Signs that are something to Redis are themselves here.
    assert_eq!(f.other.invalidate("page:x?[1]*").await, Ok((1, Taken::Shared)));
    assert_eq!(f.other.invalidate("page:*:html").await, Ok((0, Taken::Shared)));
    assert_eq!(f.other.invalidate("*").await, Ok((5, Taken::Shared)));
}
