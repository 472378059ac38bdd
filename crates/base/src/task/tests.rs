//! Tests of `task`.

use std::convert::Infallible;
use std::time::Duration;

use super::{Crash, Group};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn members_end_at_the_soft_stop_without_a_crash() {
    let group = Group::new();
    group.spawn("loop", |stop| async move {
        stop.soft().await;
        Ok::<(), Infallible>(())
    });
    assert_eq!(group.finish(LONG, LONG).await, 0);
    assert_eq!(group.crashes(), []);
}

#[tokio::test]
async fn a_panic_an_error_and_an_early_end_are_crashes() {
    for (name, reason) in [
        ("panics", "boom"),
        ("fails", "broken"),
        ("leaves", "returned before it was asked to stop"),
    ] {
        let group = Group::new();
        match name {
            "panics" => group.spawn(name, |_| async {
                if std::env::args().count() > 0 {
                    std::panic::panic_any("boom")
                }
                Ok::<(), Infallible>(())
            }),
            "fails" => group.spawn(name, |_| async { Err::<(), _>("broken") }),
            _ => group.spawn(name, |_| async { Ok::<(), Infallible>(()) }),
        }
        group.crashed().await;
        assert_eq!(group.crashes(), [Crash { task: name, reason: reason.into() }]);
    }
}

#[tokio::test]
async fn a_thread_that_fails_is_a_crash_and_one_that_waits_is_not() -> std::io::Result<()> {
    let group = Group::new();
    group.spawn_thread("fails", |_| Err::<(), _>("no disk"))?;
    group.crashed().await;
    assert_eq!(group.crashes(), [Crash { task: "fails", reason: "no disk".into() }]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_member_deaf_to_the_soft_stop_meets_the_hard_one() {
    let group = Group::new();
    group.spawn("deaf", |stop| async move {
        stop.hard().await;
        Ok::<(), Infallible>(())
    });
    assert_eq!(group.finish(Duration::from_secs(5), LONG).await, 0);
    assert_eq!(group.crashes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_never_ends_is_counted() {
    let group = Group::new();
    group.spawn_child("stuck", std::future::pending());
    assert_eq!(group.finish(Duration::from_secs(1), Duration::from_secs(1)).await, 1);
}

#[tokio::test]
async fn a_panicking_child_is_counted_and_ends_nobody_else() {
    let group = Group::new();
    group.spawn_child("connection", async { std::panic::panic_any("bad bytes") });
    assert_eq!(group.finish(LONG, LONG).await, 0);
    assert_eq!((group.child_panics(), group.crashes().len()), (1, 0));
}

#[tokio::test]
async fn work_that_never_waits_is_done_at_once_and_what_waits_becomes_a_task() {
    let group = Group::new();
    let (done, mut seen) = tokio::sync::oneshot::channel();
    group.start_child("quick", async { assert!(done.send(()).is_ok()) });
    assert_eq!(seen.try_recv(), Ok(()), "before anything was awaited");
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let (done, seen) = tokio::sync::oneshot::channel();
    group.start_child("waits", async {
        drop(gone.await);
        assert!(done.send(()).is_ok());
    });
    drop(go);
    assert_eq!(seen.await, Ok(()), "woken though it was first polled elsewhere");
    assert_eq!(group.finish(LONG, LONG).await, 0);
}

#[tokio::test]
async fn a_panic_is_counted_wherever_the_work_was_when_it_came() {
    let group = Group::new();
    group.start_child("at once", async { std::panic::panic_any("bad bytes") });
    assert_eq!(group.child_panics(), 1);
    group.start_child("later", async {
        tokio::task::yield_now().await;
        std::panic::panic_any("bad bytes")
    });
    assert_eq!(group.finish(LONG, LONG).await, 0);
    assert_eq!((group.child_panics(), group.crashes().len()), (2, 0));
}
