//! Tests of `access`.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::agent::AgentClass;
use mainstay_base::units::Size;

use super::*;

const GRACE: Duration = Duration::from_secs(20);

fn line(path: &str) -> Line<'_> {
    Line {
        at: Timestamp::EPOCH,
        request_id: 1,
        told_id: None,
        client: IpAddr::from([203, 0, 113, 77]),
        method: "GET",
        host: "h.example",
        path,
        status: 200,
        bytes: 1,
        micros: 1,
        agent: AgentClass::Bot,
        route: "/",
        protocol: "HTTP/1.1",
        referrer_host: None,
    }
}

fn registry() -> Registry {
    Registry::new(&settings::Metrics::default(), Clock::default())
}

fn shed(registry: &Registry) -> u64 {
    registry.counter(&names::ACCESS_LOG_SHED).get()
}

/// An access log over a given end, with room for `queue` buffers.
fn log_to(out: Out, queue: usize, registry: &Registry, group: &Group) -> AccessLog {
    let shared = Arc::new(Shared::new(registry.counter(&names::ACCESS_LOG_SHED)));
    let sender = Some(writer::start(out, queue, &shared, group).unwrap());
    AccessLog { sender, shared, settings: settings::Log::default() }
}

#[tokio::test]
async fn lines_of_all_workers_reach_the_file_and_survive_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (group, registry) = (Group::new(), registry());
    let log = AccessLog::open(&settings::Log::default(), folder.path(), &registry, &group).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut buffer = log.writer();
            scope.spawn(move || {
                for n in 0..2_000 {
                    buffer.push(&line(&format!("/{worker}/{n}")));
                }
            });
        }
    });
    assert_eq!(group.finish(GRACE, GRACE).await, 0, "the writer ends when all is written");
    assert_eq!(group.crashes(), []);
    let path = folder.path().join("logs/access.log");
    let text = fs::read_to_string(&path).unwrap();
    let paths: std::collections::HashSet<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].to_string())
        .collect();
    assert_eq!((paths.len(), shed(&registry)), (8_000, 0));
    assert!(!text.contains("113.77"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_soft_stop_waits_for_lines_that_are_still_held() {
    let folder = tempfile::tempdir().unwrap();
    let (group, registry) = (Group::new(), registry());
    let log = AccessLog::open(&settings::Log::default(), folder.path(), &registry, &group).unwrap();
    let mut buffer = log.writer();
    let polled_twice = 2 * writer::STOP_POLL + Duration::from_millis(100);
    let early = tokio::time::timeout(polled_twice, group.finish(GRACE, GRACE)).await;
    assert!(early.is_err(), "a buffer is still open");
    buffer.push(&line("/late"));
    drop(buffer);
    assert_eq!(group.finish(GRACE, GRACE).await, 0);
    let text = fs::read_to_string(folder.path().join("logs/access.log")).unwrap();
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn a_hard_stop_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (group, registry) = (Group::new(), registry());
    let log = AccessLog::open(&settings::Log::default(), folder.path(), &registry, &group).unwrap();
    let mut buffer = log.writer();
    assert_eq!(group.finish(Duration::ZERO, GRACE).await, 0);
    buffer.push(&line("/too late"));
    drop(buffer);
    assert_eq!(shed(&registry), 1, "given up, but not unseen");
}

#[test]
fn a_buffer_is_handed_over_when_full_or_due() {
    let registry = registry();
    let (sender, receiver) = std::sync::mpsc::sync_channel(64);
    let shared = Arc::new(Shared::new(registry.counter(&names::ACCESS_LOG_SHED)));
    let log = AccessLog { sender: Some(sender), shared, settings: settings::Log::default() };
    let mut buffer = log.writer();
    buffer.push(&line("/1"));
    buffer.flush_due(Timestamp::EPOCH.plus(Duration::from_millis(999)));
    assert!(receiver.try_recv().is_err(), "not yet due");
    buffer.flush_due(Timestamp::EPOCH.plus(Duration::from_secs(1)));
    assert!(receiver.try_recv().is_ok(), "due after a second");
    buffer.flush_due(Timestamp::from_seconds(9));
    assert!(receiver.try_recv().is_err(), "nothing left");
    buffer.push(&line("/2"));
    buffer.flush_due(Timestamp::from_seconds(-9));
    assert!(receiver.try_recv().is_ok(), "a clock set back keeps nothing waiting");
    while receiver.try_recv().is_err() {
        buffer.push(&line("/3"));
        assert!(buffer.lines.len() < 64 << 10, "full at 64 KiB");
    }
}

#[tokio::test]
async fn a_full_disk_sheds_lines_and_counts_them() {
    let (group, registry) = (Group::new(), registry());
    let full = LogFile::open(Path::new("/dev/full"), 1 << 20, 5).unwrap();
    let log = log_to(Out::File(full), 64, &registry, &group);
    let mut buffer = log.writer();
    for _ in 0..10 {
        buffer.push(&line("/"));
    }
    drop(buffer);
    assert_eq!(group.finish(GRACE, GRACE).await, 0);
    assert_eq!(shed(&registry), 10);
    assert!(log.is_shedding());
    assert_eq!(group.crashes(), []);
}

#[tokio::test]
async fn a_slow_disk_never_holds_the_worker() {
    let (group, registry) = (Group::new(), registry());
    let (open, gate) = mpsc::channel();
    let log = log_to(Out::Gate(gate), 2, &registry, &group);
    let mut buffer = log.writer();
    for _ in 0..10 {
        buffer.push(&line("/"));
        buffer.flush();
    }
    // One may be in the writer's hands and two in the queue; nobody has opened the gate.
    assert!((7..=8).contains(&shed(&registry)), "{}", shed(&registry));
    assert!(log.is_shedding());
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    drop(buffer);
    assert_eq!(group.finish(GRACE, GRACE).await, 0);
    assert!(!log.is_shedding(), "said to be well again once lines are written");
}

#[test]
fn the_file_is_rotated_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut file = LogFile::open(&path, 10, 2).unwrap();
    for text in ["first 1\n", "second\n", "third 3\n", "fourth\n"] {
        file.append(text.as_bytes()).unwrap();
    }
    drop(file);
    // A restart goes on where the last process stopped.
    LogFile::open(&path, 10, 2).unwrap().append(b"5\n").unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert_eq!(read("access.log"), "fourth\n5\n");
    assert_eq!(read("access.log.1"), "third 3\n");
    assert_eq!(read("access.log.2"), "second\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    let mut none_kept = LogFile::open(&path, 10, 0).unwrap();
    none_kept.append(b"sixth 6\n").unwrap();
    assert_eq!(read("access.log"), "sixth 6\n");
}

#[test]
fn a_file_moved_away_by_hand_does_not_stop_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut file = LogFile::open(&path, 10, 0).unwrap();
    file.append(b"first 1\n").unwrap();
    fs::remove_file(&path).unwrap();
    file.append(b"second\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
}

#[test]
fn half_a_line_of_a_killed_process_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    fs::write(&path, "{\"time\":\"20").unwrap();
    LogFile::open(&path, 100, 1).unwrap().append(b"{}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"time\":\"20\n{}\n");
    LogFile::open(&path, 100, 1).unwrap().append(b"{}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"time\":\"20\n{}\n{}\n");
}

#[test]
fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("logs"), "a file").unwrap();
    let opened =
        AccessLog::open(&settings::Log::default(), folder.path(), &registry(), &Group::new());
    assert!(opened.unwrap_err().path.ends_with("logs"));
}

#[test]
fn off_means_off() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings::Log { access: settings::Access::Off, ..Default::default() };
    let group = Group::new();
    let log = AccessLog::open(&settings, folder.path(), &registry(), &group).unwrap();
    log.writer().push(&line("/"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn small_settings_are_read_as_written() {
    let text = r#"{"log":{"access":"stdout","access_rotate":"1MiB"},"metrics":{"max_routes":5}}"#;
    let settings: crate::Settings = serde_json::from_str(text).unwrap();
    assert_eq!(settings.log.access, settings::Access::Stdout);
    assert_eq!(settings.log.access_rotate, Size::mib(1));
    assert_eq!(settings.metrics.max_routes, 5);
    assert!(serde_json::from_str::<crate::Settings>(r#"{"log":{"acess":"off"}}"#).is_err());
}
