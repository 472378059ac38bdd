//! A disk that gives nothing back, or takes its time with it, keeps nobody waiting and loses nothing.

use std::path::Path;

use super::super::Safety;
use super::super::tests::{bring_back, drain, next, open, take_away};
use super::*;

#[test]
fn the_pause_grows_once_nothing_can_be_read() {
    let seconds = |failures| pause_after(failures).as_secs();
    assert!((0..=TRIES).all(|failures| seconds(failures) == 0));
    let grown: Vec<_> = (1..9).map(|more| seconds(TRIES + more)).collect();
    assert_eq!(grown, [10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(seconds(u32::MAX), 600);
}

#[tokio::test]
async fn a_file_that_the_disk_does_not_give_back_holds_up_nothing_and_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    for record in [b"1", b"2"] {
        journal.append(record, Safety::Process).await.unwrap();
    }
    assert_eq!(next(&mut journal).await.unwrap(), b"1");
    journal.advance(b"1").await.unwrap();
    let path = journal.path(journal.newest().unwrap());
    // Not among what was read of it.
    journal.append(b"3", Safety::Process).await.unwrap();
    take_away(&path);
    // The file is being written to; what is read meanwhile, and what comes, lies in another one.
    assert_eq!(next(&mut journal).await, None);
    journal.append(b"4", Safety::Process).await.unwrap();
    assert_eq!(drain(&mut journal).await, [b"4"]);
    assert!(journal.is_empty());
    for _ in 0..2 * TRIES {
        journal.try_unreadable(much_later());
        assert_eq!(next(&mut journal).await, None);
    }
    assert_eq!((journal.unreadable(), journal.errors()), (1, 1 + 2 * u64::from(TRIES)));
    assert!(journal.bytes() > 0);
    bring_back(&path);
    journal.try_unreadable(much_later());
    assert_eq!(drain(&mut journal).await, [b"2", b"3"]);
    assert_eq!((journal.unreadable(), journal.damaged(), journal.bytes()), (0, 0, 0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Longer than any file rests.
fn much_later() -> Instant {
    Instant::now() + std::time::Duration::from_secs(3_600)
}

/// Two files of one record each, of which the disk gives none back, and that were set apart.
async fn two_unreadable(dir: &Path) -> Journal {
    let mut journal = open(dir).await;
    for record in [b"1", b"2"] {
        journal.append(record, Safety::Process).await.unwrap();
        take_away(&journal.path(journal.newest().unwrap()));
        journal.turn_page();
    }
    assert_eq!(next(&mut journal).await, None);
    assert_eq!((journal.unreadable(), journal.errors()), (2, 2));
    journal
}

#[tokio::test]
async fn one_file_is_tried_at_a_time_and_each_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = two_unreadable(dir.path()).await;
    for round in 1..=6 {
        journal.try_unreadable(much_later());
        assert_eq!(journal.unreadable(), 1);
        assert_eq!(next(&mut journal).await, None);
        assert_eq!(journal.errors(), 2 + round);
    }
    let failures: Vec<_> = journal.unreadable.iter().map(|file| file.failures).collect();
    assert_eq!(failures, [4, 4]);
}

#[tokio::test]
async fn a_file_of_which_nothing_can_be_read_rests_longer_and_longer() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = two_unreadable(dir.path()).await;
    for _ in 0..2 * (TRIES - 1) {
        journal.try_unreadable(Instant::now());
        assert_eq!(next(&mut journal).await, None);
    }
    let (mut errors, mut later) = (journal.errors(), Instant::now());
    assert_eq!(errors, u64::from(2 * TRIES));
    // Read around the bad places, of which the whole file is one; then it is left alone for ten seconds.
    for (seconds, tried) in [(0, 2), (9, 0), (11, 2), (0, 0), (19, 0), (21, 2)] {
        if tried > 0 {
            later = Instant::now();
        }
        for _ in 0..2 {
            journal.try_unreadable(later + std::time::Duration::from_secs(seconds));
            assert_eq!(next(&mut journal).await, None);
        }
        assert_eq!(journal.errors(), errors + tried, "after {seconds} s");
        errors = journal.errors();
    }
}

#[tokio::test]
async fn what_was_read_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    for record in [b"1", b"2", b"3"] {
        journal.append(record, Safety::Process).await.unwrap();
    }
    let path = journal.path(journal.newest().unwrap());
    assert_eq!(next(&mut journal).await.unwrap(), b"1");
    take_away(&path);
    assert_eq!(drain(&mut journal).await, [b"1", b"2", b"3"]);
    assert_eq!((journal.errors(), journal.readings.len()), (0, 0));
}

/// Opening a pipe for reading waits until somebody writes to it, as a disk that dies makes one wait.
#[tokio::test]
async fn a_file_that_the_disk_takes_its_time_with_is_waited_for_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"1", Safety::Process).await.unwrap();
    let slow = journal.path(journal.newest().unwrap());
    journal.turn_page();
    journal.append(b"2", Safety::Process).await.unwrap();
    let aside = slow.with_extension("aside");
    std::fs::rename(&slow, &aside).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&slow).status().unwrap().success());
    for _ in 0..3 {
        assert_eq!(next(&mut journal).await, None, "the disk takes its time");
        assert_eq!((journal.unreadable(), journal.errors()), (1, 0));
        assert_eq!(journal.readings.len(), 1, "one is under way");
        journal.append(b"3", Safety::Process).await.unwrap();
        assert_eq!(next(&mut journal).await.unwrap(), b"2", "the next one is there");
        journal.try_unreadable(Instant::now());
    }
    // It answers, and cannot give the file back: a pipe has no places.
    drop(std::fs::OpenOptions::new().write(true).open(&slow).unwrap());
    assert_eq!(next(&mut journal).await.unwrap(), b"2");
    assert_eq!((journal.unreadable(), journal.errors()), (1, 1), "asked once");
    std::fs::rename(&aside, &slow).unwrap();
    journal.try_unreadable(much_later());
    assert_eq!(drain(&mut journal).await, [b"1", b"2", b"3", b"3", b"3"]);
}

/// What the disk gives back of three records, each with a hole for what it does not.
#[tokio::test]
async fn a_place_that_the_disk_does_not_give_back_is_counted_once() {
    const EACH: usize = super::super::record::HEAD + 6;
    for (holes, left) in [
        (vec![], vec!["first ", "second", "third "]),
        (vec![(0, 3)], vec!["second", "third "]),
        (vec![(EACH, EACH + 8)], vec!["first ", "third "]),
        (vec![(2 * EACH, 3 * EACH)], vec!["first ", "second"]),
        (vec![(3 * EACH - 1, 3 * EACH)], vec!["first ", "second"]),
        (vec![(4, 5), (2 * EACH, 3 * EACH)], vec!["second"]),
        (vec![(0, 3 * EACH - 1)], vec![]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path()).await;
        for record in [b"first ", b"second", b"third "] {
            journal.append(record, Safety::Process).await.unwrap();
        }
        let mut bytes = std::fs::read(journal.path(journal.newest().unwrap())).unwrap();
        holes.iter().for_each(|(from, to)| bytes[*from..*to].fill(0xff));
        let (file, is_whole) = (journal.segments[0], holes.is_empty());
        let work: Work = Box::pin(async move { Ok((bytes, is_whole)) });
        journal.readings.push(Reading::begin(file, work));
        let found = drain(&mut journal).await;
        assert_eq!(found, left.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{holes:?}");
        let (places, files) = (holes.len() as u64, usize::from(!is_whole));
        assert_eq!((journal.damaged(), journal.kept()), (places, files), "{holes:?}");
    }
}
