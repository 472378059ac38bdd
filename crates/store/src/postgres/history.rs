//! The newest history of the database that this machine has seen: which database cluster, and how many promotions it has had.
//! Kept in the data directory, so that a process which starts while only a replaced primary answers does not take it for
//! the primary.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use tokio::fs;

use crate::whole;

const FILE: &str = "history";

/// A history: grows by one with every promotion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// The database cluster, by the number that it was given when it was made.
    pub(crate) system: i64,
    pub(crate) timeline: u32,
}

impl History {
    /// Whether this one is over since `newer` began. Those of two clusters do not compare.
    fn is_older_than(self, newer: Self) -> bool {
        self.system == newer.system && self.timeline < newer.timeline
    }
}

impl FromStr for History {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (system, timeline) = text.trim().split_once(' ').ok_or(())?;
        let system = system.parse().map_err(drop)?;
        Ok(Self { system, timeline: timeline.parse().map_err(drop)? })
    }
}

/// What is known, and where it is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    file: Option<PathBuf>,
    /// What is found lies there as it is, whatever is seen.
    is_read_only: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    newest: Option<History>,
    /// What the file says.
    written: Option<History>,
    /// Somebody who takes changes has been taken for the primary since this process began.
    is_settled: bool,
    refused: Option<History>,
}

/// Why somebody who takes changes is not the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its history is over: a replica was promoted.
    Over { found: u32, newest: u32 },
    /// It is of another database cluster.
    Stranger,
}

impl Refused {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Over { found, newest } => format!(
                "takes changes of a history that is over (timeline {found}, and {newest} was seen)"
            ),
            Self::Stranger => "takes changes of another database cluster".into(),
        }
    }
}

impl Kept {
    /// What lies in the data directory.
    pub(crate) async fn find(data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let newest = match fs::read_to_string(&file).await {
            Ok(text) => {
                let read = text.parse();
                if read.is_err() {
                    tracing::warn!(
                        file = %file.display(),
                        "the history of the database that was seen last cannot be read; the one that is found now counts"
                    );
                }
                read.ok()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "the history of the database that was seen last cannot be read");
                None
            }
        };
        let inner = Inner { newest, written: newest, ..Inner::default() };
        Self { file: Some(file), is_read_only: false, inner: Mutex::new(inner) }
    }

    /// The same for whoever only looks: nothing is written.
    pub(crate) fn only_to_look(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    pub(crate) fn newest(&self) -> Option<History> {
        self.lock().newest
    }

    /// Whether who has this history may be the primary. `is_known_here`: somebody of the cluster that was seen last answers.
    pub(super) fn judge(&self, found: History, is_known_here: bool) -> Option<Refused> {
        let inner = self.lock();
        let newest = inner.newest?;
        if found.is_older_than(newest) {
            return Some(Refused::Over { found: found.timeline, newest: newest.timeline });
        }
        let is_stranger = found.system != newest.system;
        (is_stranger && (inner.is_settled || is_known_here)).then_some(Refused::Stranger)
    }

    /// Says why nobody is the primary, when that is news.
    pub(super) fn refuse(&self, node: &str, found: History, why: Refused) {
        let is_news = self.lock().refused.replace(found) != Some(found);
        if is_news {
            let file = self.file.as_deref().map(|file| file.display().to_string());
            tracing::warn!(
                node,
                reason = why.reason(),
                file,
                "nothing is written to this server, and no other takes changes. If it is the right one (restored from a backup), \
                 stop, remove the file, and start again"
            );
        }
    }

    /// Remembers the history of the one who is the primary now, on disk before anything is written to it. Where the disk
    /// does not take it, it is tried again with the next one.
    pub(super) async fn settle(&self, found: History) {
        let (before, is_written) = {
            let mut inner = self.lock();
            if inner.newest.is_some_and(|newest| found.is_older_than(newest)) {
                return;
            }
            inner.is_settled = true;
            inner.refused = None;
            (inner.newest.replace(found), inner.written == Some(found))
        };
        if let Some(before) = before.filter(|before| before.system != found.system) {
            tracing::warn!(
                before = before.system,
                now = found.system,
                "the database is another cluster than the one that was seen last; its history counts from now on"
            );
        }
        let Some(file) = self.file.as_deref().filter(|_| !is_written && !self.is_read_only) else {
            return;
        };
        let text = format!("{} {}\n", found.system, found.timeline);
        match whole::write(file, &text).await {
            Ok(()) => self.lock().written = Some(found),
            Err(_) if before == Some(found) => {}
            Err(error) => tracing::warn!(
                %error,
                file = %file.display(),
                "the history of the database cannot be kept: after a restart an older one would not be known as such"
            ),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: History = History { system: 7, timeline: 2 };

    fn found(system: i64, timeline: u32) -> History {
        History { system, timeline }
    }

    #[tokio::test]
    async fn what_was_seen_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Kept::find(dir.path()).await.newest(), None);
        Kept::find(dir.path()).await.settle(OURS).await;
        let kept = Kept::find(dir.path()).await;
        assert_eq!(kept.newest(), Some(OURS));
        for (found, is_known_here, expected) in [
            (found(7, 2), true, None),
            (found(7, 3), true, None),
            (found(7, 1), true, Some(Refused::Over { found: 1, newest: 2 })),
            // Somebody may have moved to another cluster; not while the one that is known answers.
            (found(8, 1), false, None),
            (found(8, 1), true, Some(Refused::Stranger)),
        ] {
            assert_eq!(kept.judge(found, is_known_here), expected, "{found:?}");
        }
        // Nor in the middle of a process.
        kept.settle(OURS).await;
        assert_eq!(kept.judge(found(8, 1), false), Some(Refused::Stranger));
        std::fs::write(dir.path().join(FILE), "nonsense").unwrap();
        assert_eq!(Kept::find(dir.path()).await.newest(), None);
    }

    #[tokio::test]
    async fn a_disk_that_did_not_take_it_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let kept = Kept::find(&data).await;
        kept.settle(OURS).await;
        assert!(!data.exists());
        std::fs::create_dir(&data).unwrap();
        kept.settle(OURS).await;
        assert_eq!(Kept::find(&data).await.newest(), Some(OURS));
    }

    #[tokio::test]
    async fn whoever_only_looks_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::find(dir.path()).await.only_to_look();
        kept.settle(OURS).await;
        assert_eq!((kept.newest(), dir.path().join(FILE).exists()), (Some(OURS), false));
        Kept::find(dir.path()).await.settle(OURS).await;
        let kept = Kept::find(dir.path()).await.only_to_look();
        kept.settle(found(7, 3)).await;
        assert_eq!(kept.judge(OURS, true), Some(Refused::Over { found: 2, newest: 3 }));
        assert_eq!(Kept::find(dir.path()).await.newest(), Some(OURS));
    }

    #[tokio::test]
    async fn nobody_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::find(dir.path()).await;
        kept.settle(OURS).await;
        kept.settle(found(7, 1)).await;
        assert_eq!(kept.newest(), Some(OURS));
        assert_eq!(Kept::find(dir.path()).await.newest(), Some(OURS));
    }
}
