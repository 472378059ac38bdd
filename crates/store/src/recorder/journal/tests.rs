//! Records come back whole and in order, whatever became of their files.

use super::record::HEAD;
use super::*;

pub(super) async fn open(dir: &Path) -> Journal {
    Journal::open(dir, 64 << 20).await.unwrap()
}

pub(super) async fn drain(journal: &mut Journal) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(record) = next(journal).await {
        journal.advance(&record).await.unwrap();
        all.push(record);
    }
    all
}

/// The oldest record.
pub(super) async fn next(journal: &mut Journal) -> Option<Vec<u8>> {
    journal.read_many(1).await.unwrap().into_iter().next()
}

#[tokio::test]
async fn records_come_back_in_order_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..9_u8).map(|n| vec![n; 1 << 20]).collect();
    let mut journal = open(dir.path()).await;
    for record in &records {
        journal.append(record, Safety::Machine).await.unwrap();
    }
    assert!(journal.segments.len() > 1, "{journal:?}");
    // One is let go, the rest is there after a restart; the first of its file comes again.
    let first = next(&mut journal).await.unwrap();
    journal.advance(&first).await.unwrap();
    assert_eq!(next(&mut journal).await.unwrap(), records[1]);
    let mut journal = open(dir.path()).await;
    journal.append(b"last", Safety::Process).await.unwrap();
    let mut expected = records.clone();
    expected.push(b"last".to_vec());
    assert_eq!(drain(&mut journal).await, expected);
    assert!(journal.is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_cut_short_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    for keep in [1, HEAD, HEAD + 3] {
        let mut journal = open(dir.path()).await;
        journal.append(b"whole", Safety::Process).await.unwrap();
        journal.append(b"broken", Safety::Process).await.unwrap();
        let path = journal.path(journal.newest().unwrap());
        let cut = (HEAD + 5 + keep) as u64;
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
        let mut journal = open(dir.path()).await;
        journal.append(b"after", Safety::Process).await.unwrap();
        assert_eq!(drain(&mut journal).await, [&b"whole"[..], b"after"], "{keep} bytes");
    }
}

#[tokio::test]
async fn it_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), 100).await.unwrap();
    journal.append(&[1; 60], Safety::Process).await.unwrap();
    let full = journal.append(&[2; 60], Safety::Process).await.unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(drain(&mut journal).await, [[1; 60]]);
    journal.append(&[2; 60], Safety::Process).await.unwrap();
}

/// Lies in the file and was refused: the disk took its bytes and then did not say that they are safe.
fn write_unsafely(path: &Path, record: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&record::frame(record).unwrap()).unwrap();
}

#[tokio::test]
async fn a_record_that_was_refused_takes_no_other_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    for record in [b"1", b"2"] {
        journal.append(record, Safety::Machine).await.unwrap();
    }
    write_unsafely(&journal.path(journal.newest().unwrap()), b"refused");
    journal.turn_page();
    journal.append(b"3", Safety::Machine).await.unwrap();
    assert_eq!(journal.read_many(1 << 20).await.unwrap(), [b"1", b"2"]);
    assert_eq!(drain(&mut journal).await, [b"1", b"2", b"3"]);
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_of_what_it_refused() {
    let disk = mainstay_testkit::Tmpfs::mount(256);
    let mut journal = open(disk.dir()).await;
    let mut kept = Vec::new();
    // Larger than a page: the last one is written in part.
    for n in 0..100_u8 {
        let record = vec![n; 30_000];
        match journal.append(&record, Safety::Machine).await {
            Ok(()) => kept.push(record),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
                let files = std::fs::read_dir(disk.dir()).unwrap().flatten();
                let sizes: Vec<_> = files.map(|file| file.metadata().unwrap().len()).collect();
                assert_eq!(sizes, [journal.bytes()], "after {n}");
            }
        }
    }
    assert!((4..10).contains(&kept.len()), "{}", kept.len());
    let mut again = open(disk.dir()).await;
    assert_eq!(drain(&mut again).await, kept);
}

#[tokio::test]
async fn numbers_never_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        journal.append(b"a", Safety::Process).await.unwrap();
        numbers.push(journal.newest().unwrap());
        journal.drop_up_to(u64::MAX).await.unwrap();
    }
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    // A file in the way costs one try, not all of them.
    std::fs::write(journal.path(numbers[2] + 1), b"").unwrap();
    journal.append(b"b", Safety::Process).await.unwrap_err();
    journal.append(b"c", Safety::Process).await.unwrap();
    assert_eq!(next(&mut journal).await.unwrap(), b"c");
}

#[tokio::test]
async fn a_file_that_was_taken_away_is_missed_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"a", Safety::Process).await.unwrap();
    let path = journal.path(journal.newest().unwrap());
    journal.turn_page();
    journal.append(b"b", Safety::Process).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut journal).await.unwrap(), b"b");
    assert_eq!(journal.damaged(), 1);
}

/// The disk gives nothing of the file back: reading where this process has no memory is an I/O error.
pub(crate) fn take_away(path: &Path) {
    std::fs::rename(path, path.with_extension("away")).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", path).unwrap();
}

pub(crate) fn bring_back(path: &Path) {
    std::fs::rename(path.with_extension("away"), path).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_stands_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"a", Safety::Process).await.unwrap();
    let path = journal.path(journal.newest().unwrap());
    journal.turn_page();
    journal.append(b"b", Safety::Process).await.unwrap();
    // A folder in its place: removing that as a file fails.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    journal.drop_first().await.unwrap_err();
    assert_eq!(next(&mut journal).await.unwrap(), b"b");
    journal.append(b"c", Safety::Process).await.unwrap();
    // Gone by somebody else's hand, it is gone.
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(drain(&mut journal).await, [b"b", b"c"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn pages_are_let_go_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"a", Safety::Process).await.unwrap();
    let first = journal.newest().unwrap();
    journal.turn_page();
    journal.append(b"b", Safety::Process).await.unwrap();
    journal.drop_up_to(first).await.unwrap();
    assert_eq!(drain(&mut journal).await, [b"b"]);
}

/// Three records in one file, each with its place.
async fn three(dir: &Path) -> (PathBuf, [usize; 3]) {
    let mut journal = open(dir).await;
    for record in [&b"first record"[..], b"second record", b"third record"] {
        journal.append(record, Safety::Process).await.unwrap();
    }
    let second = HEAD + b"first record".len();
    (journal.path(journal.newest().unwrap()), [0, second, second + HEAD + b"second record".len()])
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_record_is_left_out_and_the_next_one_is_read() {
    const LENGTH: usize = 0;
    const DIGEST: usize = 5;
    const BODY: usize = HEAD + 2;
    for place in [LENGTH, LENGTH + 1, LENGTH + 3, DIGEST, BODY] {
        for damaged in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let (path, places) = three(dir.path()).await;
            flip(&path, places[damaged] + place);
            let spoilt = std::fs::read(&path).unwrap();
            let mut journal = open(dir.path()).await;
            let mut whole =
                vec![b"first record".to_vec(), b"second record".to_vec(), b"third record".to_vec()];
            whole.remove(damaged);
            assert_eq!(drain(&mut journal).await, whole, "record {damaged}, byte {place}");
            assert_eq!(
                (journal.damaged(), journal.kept()),
                (1, 1),
                "record {damaged}, byte {place}"
            );
            let kept: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert_eq!(std::fs::read(kept[0].path()).unwrap(), spoilt, "kept as it is");
            // Nobody reads it again.
            assert_eq!(drain(&mut open(dir.path()).await).await, Vec::<Vec<u8>>::new());
        }
    }
}

#[tokio::test]
async fn what_follows_a_damaged_block_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, places) = three(dir.path()).await;
    let mut bytes = std::fs::read(&path).unwrap();
    // From the middle of the first record to the middle of the second.
    bytes[HEAD + 4..places[1] + HEAD + 4].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"another file", Safety::Process).await.unwrap();
    assert_eq!(drain(&mut journal).await, [&b"third record"[..], b"another file"]);
    assert_eq!((journal.damaged(), journal.kept()), (1, 1));
}

#[tokio::test]
async fn few_damaged_files_are_kept_and_whoever_takes_them_away_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=6 {
        let (path, _) = three(dir.path()).await;
        flip(&path, HEAD);
        let mut journal = open(dir.path()).await;
        assert_eq!(drain(&mut journal).await.len(), 2);
        assert_eq!(journal.kept(), n.min(4));
    }
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().flatten().map(|f| f.file_name()).collect();
        names.sort();
        names
    };
    let expected: Vec<std::ffi::OsString> =
        (3..=6).map(|n| format!("{n:012}.damaged").into()).collect();
    assert_eq!(names(), expected);
    let mut journal = open(dir.path()).await;
    names().iter().for_each(|name| std::fs::remove_file(dir.path().join(name)).unwrap());
    journal.look_at_kept().await.unwrap();
    assert_eq!(journal.kept(), 0);
}

#[tokio::test]
async fn bytes_that_never_came_to_the_disk_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, places) = three(dir.path()).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[places[2]..].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let mut journal = open(dir.path()).await;
    assert_eq!(drain(&mut journal).await, [&b"first record"[..], b"second record"]);
    assert_eq!((journal.damaged(), journal.kept()), (0, 0));
}

#[tokio::test]
async fn what_need_not_survive_the_machine_is_brought_to_the_disk_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).await;
    journal.append(b"a", Safety::Machine).await.unwrap();
    assert!(!journal.is_unsynced());
    journal.append(b"b", Safety::Process).await.unwrap();
    journal.turn_page();
    journal.append(b"c", Safety::Process).await.unwrap();
    journal.sync().await.unwrap();
    assert!(!journal.is_unsynced());
    // Takes every write, and says of every fsync that it cannot be done. Both files are asked, the full one first.
    let no_disk = || std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    for is_full in [true, false] {
        journal.tail = Some(File::from_std(no_disk()));
        journal.append(b"d", Safety::Process).await.unwrap();
        if is_full {
            journal.turn_page();
            journal.append(b"e", Safety::Process).await.unwrap();
        }
        let before = journal.errors();
        let refused = journal.sync().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(journal.errors(), before + 1);
        journal.sync().await.unwrap();
    }
}
