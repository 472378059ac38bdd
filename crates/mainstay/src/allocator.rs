//! Memory that is free goes back to the system soon, in small pages. Knows nothing of what it was used for.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use mainstay_base::task::Stop;

/// How often the allocator is made to look.
const EVERY: Duration = Duration::from_secs(1);
/// A block so large that mimalloc gives it pages of its own (above an eighth of 4 MiB).
const LARGE_BYTES: usize = 1 << 20;

/// Does without huge pages, also where the system gives them to everybody: a few bytes in use would hold two megabytes.
pub(crate) fn use_small_pages() {
    // An error: a system that knows no such thing.
    let _unknown_there = rustix::thread::disable_transparent_huge_pages(true);
}

/// Makes the allocator look for memory that has been free for a while.
///
/// mimalloc gives back what has been free for a second, but it looks only when pages come or go: an idle server kept
/// what its last load had left, 18 KB for each idle connection. To have every page given back at once
/// (`MIMALLOC_PURGE_DELAY=0`) costs a page fault per proxied request, a fifth of its processor time.
pub(crate) async fn look_for_free_memory(stop: Stop) -> Result<(), Infallible> {
    while stop.rested(EVERY).await {
        drop(black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
    }
    Ok(())
}
