//! What waits and what is unconfirmed: nothing is let go too early, whatever this machine's disk does.

use std::path::PathBuf;

use mainstay_testkit::Tmpfs;

use super::super::journal::tests::take_away;
use super::*;
use crate::contract::Sample;
use crate::postgres::position::Lsn;
use crate::{Record, page_view};

const MIB: u64 = 1 << 20;

fn sealed(n: u32) -> Sealed<'static> {
    let view = page_view::Row { id: Sample(n).event_id(), ..Sample(n).view() };
    let batch = Batch { records: vec![Record::PageView(view)], visit: None };
    Sealed { id: n.to_string(), batch: Cow::Owned(batch) }
}

fn at(timeline: u32, lsn: u64) -> Position {
    Position { timeline, lsn: Lsn(lsn) }
}

async fn remember(spool: &mut Spool, n: u32) {
    spool.remember(&[&sealed(n)], at(1, n.into())).await.unwrap();
}

/// Everything that waits, in order; it is let go.
async fn drain(spool: &mut Spool) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((records, batches)) = spool.next(MIB).await.unwrap() {
        all.extend(batches.into_iter().map(|sealed| sealed.id));
        spool.done(&records).await.unwrap();
    }
    all
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Writes of this process so far, of whatever it writes to.
fn count_writes() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap();
    counts.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn thousands_are_put_back_with_a_few_writes() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 64 * MIB).await.unwrap();
    spool.keep(&[&sealed(9_999)]).await.unwrap();
    for n in 0..5_000 {
        remember(&mut spool, n).await;
    }
    spool.mark_lost();
    let before = count_writes();
    spool.put_back().await.unwrap();
    // Among them the runtime's own, to wake its threads.
    let writes = count_writes() - before;
    assert!((1..500).contains(&writes), "{writes}");
    assert!(!spool.is_put_back_due());
    assert_eq!(files(&dir.path().join("unconfirmed")), 0);
    let expected = std::iter::once(9_999).chain(0..5_000).map(|n| n.to_string());
    assert_eq!(drain(&mut spool).await, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_disk_that_the_spool_has_filled_is_emptied_and_then_the_rest_is_put_back() {
    let disk = Tmpfs::mount(512);
    let dir = disk.dir().join("spool");
    let mut spool = Spool::open(&dir, MIB).await.unwrap();
    // Larger than what will be left.
    for n in 0..100 {
        remember(&mut spool, n).await;
    }
    let mut waiting = Vec::new();
    for n in 1_000.. {
        match spool.keep(&[&sealed(n)]).await {
            Ok(()) => waiting.push(n.to_string()),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                break;
            }
        }
    }
    assert!(waiting.len() > 100, "{}", waiting.len());
    // What a process finds that starts now.
    let mut spool = Spool::open(&dir, MIB).await.unwrap();
    spool.put_back().await.unwrap_err();
    assert!(spool.is_put_back_due());
    // The replicas of the new primary say that they have everything: nothing is let go because of that.
    spool.confirm(&[at(1, u64::MAX)]).await.unwrap();
    assert_eq!(drain(&mut spool).await, waiting);
    spool.put_back().await.unwrap();
    let expected: Vec<_> = (0..100).map(|n: u32| n.to_string()).collect();
    assert_eq!(drain(&mut spool).await, expected);
}

#[tokio::test]
async fn after_a_loss_nothing_is_let_go_before_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    remember(&mut spool, 1).await;
    spool.mark_lost();
    // This machine's disk does not take it yet; the new primary has taken more, and its replica has that.
    spool.remember(&[&sealed(2)], at(2, 5)).await.unwrap();
    assert!(!spool.awaits_confirmation());
    spool.confirm(&[at(2, 9)]).await.unwrap();
    spool.put_back().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["1", "2"]);
    // From then on it is as before.
    spool.remember(&[&sealed(3)], at(2, 12)).await.unwrap();
    spool.confirm(&[at(2, 12)]).await.unwrap();
    assert_eq!(files(&dir.path().join("unconfirmed")), 0);
}

/// The only file of a queue.
fn only_file(dir: &Path, queue: &str) -> PathBuf {
    let files = std::fs::read_dir(dir.join(queue)).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "journal")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap()
}

#[tokio::test]
async fn what_was_lost_and_damaged_is_counted_once_however_often_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    for n in 1..=2 {
        remember(&mut spool, n).await;
    }
    let path = only_file(dir.path(), "unconfirmed");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    spool.mark_lost();
    // A file where a folder should be: nothing is written there.
    let (waiting, aside) = (dir.path().join("waiting"), dir.path().join("aside"));
    std::fs::rename(&waiting, &aside).unwrap();
    std::fs::write(&waiting, "").unwrap();
    for _ in 0..3 {
        spool.put_back().await.unwrap_err();
    }
    assert_eq!((spool.damaged(), spool.errors()), (1, 3));
    std::fs::remove_file(&waiting).unwrap();
    std::fs::rename(&aside, &waiting).unwrap();
    spool.put_back().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["2"]);
    assert_eq!((spool.damaged(), spool.kept()), (1, 1));
}

#[tokio::test]
async fn what_was_lost_and_cannot_be_read_is_put_back_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    remember(&mut spool, 1).await;
    let path = only_file(dir.path(), "unconfirmed");
    spool.confirm(&[at(1, 0)]).await.unwrap();
    remember(&mut spool, 2).await;
    take_away(&path);
    spool.mark_lost();
    spool.put_back().await.unwrap();
    assert!(!spool.is_put_back_due());
    assert_eq!(drain(&mut spool).await, ["2"]);
    assert_eq!((spool.is_empty(), spool.unreadable()), (true, 1));
    // It lies among what waits now, whatever is confirmed.
    std::fs::rename(path.with_extension("away"), only_file(dir.path(), "waiting")).unwrap();
    spool.try_again().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["1"]);
    assert_eq!((spool.unreadable(), spool.bytes()), (0, 0));
}

#[tokio::test]
async fn what_was_lost_stays_due_when_the_next_primary_is_lost_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    remember(&mut spool, 1).await;
    // A folder in its place: reading that as a file fails. It goes nowhere, where there is a file in the place of a folder.
    let path = only_file(dir.path(), "unconfirmed");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (waiting, aside) = (dir.path().join("waiting"), dir.path().join("aside"));
    std::fs::rename(&waiting, &aside).unwrap();
    std::fs::write(&waiting, "").unwrap();
    spool.mark_lost();
    spool.put_back().await.unwrap_err();
    spool.mark_lost();
    assert!(spool.is_put_back_due(), "it is forgotten");
    std::fs::remove_file(&waiting).unwrap();
    std::fs::rename(&aside, &waiting).unwrap();
    spool.put_back().await.unwrap();
    assert_eq!((spool.is_put_back_due(), spool.unreadable()), (false, 1));
}

#[tokio::test]
async fn what_the_disk_does_not_let_go_of_is_removed_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    spool.keep(&[&sealed(1)]).await.unwrap();
    let (records, _) = spool.next(MIB).await.unwrap().unwrap();
    // A folder in its place: removing that as a file fails.
    let path = only_file(dir.path(), "waiting");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    spool.done(&records).await.unwrap_err();
    spool.try_again().await.unwrap_err();
    assert!(spool.is_empty() && spool.is_troubled() && spool.bytes() > 0);
    spool.keep(&[&sealed(2)]).await.unwrap();
    let (records, _) = spool.next(MIB).await.unwrap().unwrap();
    spool.done(&records).await.expect("the next file has nothing to do with it");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    spool.try_again().await.unwrap();
    assert_eq!((spool.is_troubled(), spool.bytes(), path.exists()), (false, 0, false));
}

#[tokio::test]
async fn what_stays_of_one_queue_keeps_nothing_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    // Folders in the place of files: removing those as files fails.
    let block = |queue| {
        let path = only_file(dir.path(), queue);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        path
    };
    spool.keep(&[&sealed(1)]).await.unwrap();
    let (records, _) = spool.next(MIB).await.unwrap().unwrap();
    let waiting = block("waiting");
    spool.done(&records).await.unwrap_err();
    remember(&mut spool, 2).await;
    let unconfirmed = block("unconfirmed");
    spool.confirm(&[at(1, 2)]).await.unwrap_err();
    std::fs::remove_dir(&unconfirmed).unwrap();
    spool.try_again().await.unwrap_err();
    assert_eq!(spool.unconfirmed_bytes(), 0);
    std::fs::remove_dir(&waiting).unwrap();
    spool.try_again().await.unwrap();
    assert!(!spool.is_troubled());
}

/// Opening a pipe for reading waits until somebody writes to it, as a disk that dies makes one wait.
#[tokio::test]
async fn what_was_lost_and_is_read_slowly_stays_due_until_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    remember(&mut spool, 1).await;
    let slow = only_file(dir.path(), "unconfirmed");
    spool.confirm(&[at(1, 0)]).await.unwrap();
    remember(&mut spool, 2).await;
    let aside = slow.with_extension("aside");
    std::fs::rename(&slow, &aside).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&slow).status().unwrap().success());
    spool.mark_lost();
    spool.put_back().await.unwrap();
    assert!(spool.is_put_back_due(), "the second file was not looked at yet");
    spool.put_back().await.unwrap();
    assert!(!spool.is_put_back_due());
    assert_eq!(drain(&mut spool).await, ["2"]);
    assert_eq!(spool.unreadable(), 1);
    // Whoever opened it for reading ends, and the file is whole again.
    let among_others = only_file(dir.path(), "waiting");
    drop(std::fs::OpenOptions::new().write(true).open(&among_others).unwrap());
    std::fs::rename(&aside, &among_others).unwrap();
    spool.try_again().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["1"]);
}

#[tokio::test]
async fn a_replica_that_stays_behind_costs_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 64 * MIB).await.unwrap();
    for n in 10..60 {
        remember(&mut spool, n).await;
        // One that is away, and one that answers and is behind.
        spool.confirm(&[]).await.unwrap();
        spool.confirm(&[at(1, 100), at(1, 9)]).await.unwrap();
    }
    assert!(files(&dir.path().join("unconfirmed")) <= PAGES_MAX + 1);
    spool.confirm(&[at(1, 59), at(1, 59)]).await.unwrap();
    assert_eq!(files(&dir.path().join("unconfirmed")), 0);
    // Without one that answers there is nothing to begin another file for.
    for n in 60..70 {
        remember(&mut spool, n).await;
        spool.confirm(&[]).await.unwrap();
    }
    assert_eq!(files(&dir.path().join("unconfirmed")), 1);
}

#[tokio::test]
async fn at_the_bound_the_oldest_are_forgotten_and_the_rest_is_confirmed_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 8_000).await.unwrap();
    for n in 1..=200 {
        remember(&mut spool, n).await;
        spool.confirm(&[at(1, 0)]).await.unwrap();
    }
    assert!(spool.unconfirmed.bytes() <= 8_000);
    assert!(spool.awaits_confirmation());
    spool.confirm(&[at(1, 199)]).await.unwrap();
    assert!(spool.awaits_confirmation(), "the last one is not there");
    spool.confirm(&[at(1, 200)]).await.unwrap();
    assert!(!spool.awaits_confirmation());
    assert_eq!(files(&dir.path().join("unconfirmed")), 0);
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_kept_aside_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    spool.keep(&[&sealed(1)]).await.unwrap();
    let newer = br#"[{"id":"2","batch":{"records":[{"Thought":{}}],"visit":null}}]"#;
    spool.waiting.append(newer, Safety::Machine).await.unwrap();
    spool.keep(&[&sealed(3)]).await.unwrap();
    // Read twice, as when the database does not take it at once: told once.
    assert!(spool.next(MIB).await.unwrap().is_some());
    assert_eq!(drain(&mut spool).await, ["1", "3"]);
    assert_eq!((spool.damaged(), spool.kept()), (1, 1));
}

#[tokio::test]
async fn copies_are_brought_to_the_disk_once_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    let began = Instant::now();
    let after = |millis| began + Duration::from_millis(millis);
    for (millis, is_written, is_left) in [
        (0, true, false),
        (999, true, true),
        (1_000, false, false),
        (1_500, true, true),
        (1_999, false, true),
        (2_000, false, false),
        (2_100, false, false),
        // What rested for long is brought there at once.
        (9_000, true, false),
    ] {
        if is_written {
            remember(&mut spool, millis).await;
        }
        spool.sync(after(millis.into())).await.unwrap();
        assert_eq!(spool.unconfirmed.is_unsynced(), is_left, "after {millis} ms");
    }
}

#[tokio::test]
async fn what_one_primary_had_is_not_let_go_by_what_another_ones_standbys_have() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    spool.remember(&[&sealed(1)], at(1, 5)).await.unwrap();
    // Nobody has noticed yet that it was replaced.
    spool.remember(&[&sealed(2)], at(2, 7)).await.unwrap();
    spool.confirm(&[at(2, 9)]).await.unwrap();
    spool.mark_lost();
    spool.put_back().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["1", "2"]);
}

#[tokio::test]
async fn what_is_old_enough_is_let_go_untold() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), MIB).await.unwrap();
    remember(&mut spool, 1).await;
    let then = Instant::now();
    spool.unconfirmed.turn_page();
    remember(&mut spool, 2).await;
    spool.let_go_until(then).await.unwrap();
    spool.mark_lost();
    spool.let_go_until(Instant::now()).await.unwrap();
    spool.put_back().await.unwrap();
    assert_eq!(drain(&mut spool).await, ["2"]);
}
