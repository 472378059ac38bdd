//! The life of the server between start and stop: waits for a signal or a crash, then stops in reverse order.

use std::time::{Duration, Instant};

use mainstay_base::task::Group;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::boot::Running;
use crate::cli::Exit;
use crate::reload::InForce;
use crate::settings::{Inputs, Loaded};

/// Time the hard stop may take for each group.
const LAST: Duration = Duration::from_secs(2);

/// Waits until the server shall stop, stops it, and says how it went.
///
/// SIGTERM or SIGINT drains: no new connections, requests in hand are finished within the grace of the settings. A second
/// signal stops now. SIGHUP reads the settings again.
pub(crate) async fn run(
    running: Running,
    inputs: &Inputs,
    loaded: Loaded,
    signals: Signals,
) -> Exit {
    let grace = loaded.settings.shutdown_grace.0;
    let mut in_force = InForce::of(loaded);
    let Signals { mut stop, mut hang_up } = signals;
    let Running { storage, services, work, control, traffic, .. } = &running;
    loop {
        tokio::select! {
            () = stop.next() => tracing::info!("stopping: finishing what is in hand"),
            () = storage.crashed() => {}
            () = services.crashed() => {}
            () = work.crashed() => {}
            () = control.crashed() => {}
            () = traffic.crashed() => {}
            Some(()) = hang_up.recv() => {
                in_force.reload(&running, inputs);
                continue;
            }
        }
        break;
    }
    running.health.draining();
    work.stop_softly();
    let deadline = Instant::now() + grace;
    let stopping = async {
        for (name, group) in [
            ("traffic", traffic),
            ("control", control),
            ("jobs", work),
            ("services", services),
            ("storage", storage),
        ] {
            // One grace for all: whoever stops later gets what is left of it.
            let left = group.finish(deadline.saturating_duration_since(Instant::now()), LAST).await;
            if left > 0 {
                tracing::warn!(group = name, left, "cut off: did not finish in time");
            }
        }
    };
    tokio::select! {
        () = stopping => {}
        () = stop.next() => {
            tracing::warn!("second signal: stopping now");
            for group in [traffic, control, work, services, storage] {
                group.stop_now();
            }
        }
    }
    close(running.store.close()).await;
    verdict([storage, services, work, control, traffic])
}

/// Waits for the store no longer than for a group: a thread that was cut off may hold it, in a write that the disk does
/// not end.
async fn close<E: std::fmt::Display>(closing: impl Future<Output = Result<(), E>>) {
    let why = match tokio::time::timeout(LAST, closing).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it is still in use".to_owned(),
    };
    tracing::warn!(error = why, "the store was not closed cleanly; it recovers at the next start");
}

fn verdict(groups: [&Group; 5]) -> Exit {
    let crashes: Vec<_> = groups.iter().flat_map(|group| group.crashes()).collect();
    for crash in &crashes {
        tracing::error!(task = crash.task, reason = %crash.reason, "the server stopped because a task crashed");
    }
    if crashes.is_empty() { Exit::Done } else { Exit::Unwell }
}

/// What the process listens to. Made before anything else: a signal that nobody listens to ends the process at once.
pub(crate) struct Signals {
    stop: Stop,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on; what comes before [`run`] is heard there.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let stop = Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Self { stop, hang_up: signal(SignalKind::hangup())? })
    }
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mainstay_api::health::Status;
    use mainstay_telemetry::log::Logged;

    use super::*;
    use crate::boot;
    use crate::settings::{Flag, load};

    #[tokio::test]
    async fn a_store_that_does_not_close_holds_up_no_stop_for_longer_than_two_seconds() {
        let began = Instant::now();
        let closing = close(std::future::pending::<Result<(), std::fmt::Error>>());
        // Beside a timer of the same task: a machine that stands still holds up both.
        let closed = tokio::time::timeout(Duration::from_millis(2_100), closing).await;
        assert!(closed.is_ok(), "it waits still");
        assert!(began.elapsed() >= Duration::from_secs(2), "a slow disk is given its time");
    }

    /// A server on ports of the system's choice.
    async fn start(home: &Path) -> (Running, Inputs, Loaded) {
        let flag = |setting, text: &str| Flag { name: "--flag", setting, text: text.to_owned() };
        let data_dir = home.join("data");
        let flags = vec![
            flag("edge.listen", "127.0.0.1:0"),
            flag("admin.listen", "127.0.0.1:0"),
            flag("data_dir", data_dir.to_str().expect("text")),
        ];
        let site_dir = Some(home.to_owned());
        let inputs = Inputs { site_dir, flags, ..Inputs::default() };
        let loaded = load(&inputs).expect("settings");
        let running = boot::boot(&loaded, &Logged::default(), false).await.expect("a server");
        (running, inputs, loaded)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crashed_task_is_red_health_and_a_failing_exit_code() {
        let of: [fn(&Running) -> &Group; 5] =
            [|r| &r.storage, |r| &r.services, |r| &r.work, |r| &r.control, |r| &r.traffic];
        for group in of {
            let home = tempfile::tempdir().expect("a folder");
            let (running, inputs, loaded) = start(home.path()).await;
            let (health, group) = (running.health.clone(), group(&running).clone());
            assert!(health.is_ready() && health.report().0 == Status::Pass);
            group.spawn("doomed", |_| async { Err("out of luck") });
            group.crashed().await;
            let (status, checks) = health.report();
            assert_eq!((status, health.is_ready()), (Status::Fail, false));
            assert!(checks.iter().any(|check| check.output.contains("doomed")), "{checks:?}");
            let signals = Signals::listen().expect("signals");
            assert_eq!(run(running, &inputs, loaded, signals).await as u8, 1);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_was_told_to_stop_is_done() {
        let home = tempfile::tempdir().expect("a folder");
        let (running, inputs, loaded) = start(home.path()).await;
        let signals = Signals::listen().expect("signals");
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).expect("told");
        assert_eq!(run(running, &inputs, loaded, signals).await as u8, 0);
    }
}
