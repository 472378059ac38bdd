//! What is away is tried: at the start for a moment, then again and again. Says why it is away, once per reason.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use sqlx::migrate::MigrateError;

use super::{Error, Part};
use crate::postgres::migrate;
use crate::{Engine, Store};

/// How long a start waits for the database before it goes on without.
const START_WITHIN: Duration = Duration::from_secs(15);

impl Store {
    /// Tries what is away again and again, until all is open.
    pub(super) async fn reopen(self, stop: Stop) -> Result<(), Infallible> {
        let trying = async {
            while !self.is_open() && stop.rested(self.reopen_every).await {
                for part in self.parts().iter().filter(|part| self.is_away(**part)) {
                    if let Err(error) = self.try_part(*part).await {
                        self.note(*part, &error).await;
                    }
                }
            }
        };
        // A step of the schema, or another process's, may take minutes.
        tokio::select! {
            () = trying => {}
            () = stop.soft() => {}
        }
        stop.soft().await;
        Ok(())
    }

    /// A start does not wait for a long step of the schema, another process's for one: the site is served meanwhile.
    pub(super) async fn try_database_at_start(&self) -> Result<(), Error> {
        match tokio::time::timeout(START_WITHIN, self.try_part(Part::Database)).await {
            Ok(tried) => tried,
            Err(_) => {
                let what = "its schema is being brought up to date";
                let late = std::io::Error::new(std::io::ErrorKind::TimedOut, what);
                let late = MigrateError::Execute(sqlx::Error::Io(late));
                self.note(Part::Database, &migrate::Error::from(late).into()).await;
                Ok(())
            }
        }
    }

    /// Opens a part, or notes why it is away.
    pub(super) async fn try_part(&self, part: Part) -> Result<(), Error> {
        match self.open_part(part).await {
            Ok(()) => {
                let mut waited = false;
                self.away.send_modify(|all| {
                    let away = all.iter().find(|away| away.part == part.name());
                    waited = away.is_some_and(|away| away.reason != "not opened yet");
                    all.retain(|away| away.part != part.name());
                });
                if waited {
                    let part = part.name();
                    tracing::info!(
                        part,
                        "open again: what was refused or waited meanwhile is taken"
                    );
                }
                Ok(())
            }
            Err(error) if error.is_passing() => {
                self.note(part, &error).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Logged when it is news: a store may be away for days.
    async fn note(&self, part: Part, error: &Error) {
        let reason = error.reason();
        if let Engine::Sqlite(db) = self.find_engine(part) {
            db.note_away(format!("{} is away: {reason}", part.name())).await;
        }
        let is_news = self.away.send_if_modified(|all| {
            let away = all.iter_mut().find(|away| away.part == part.name());
            let Some(away) = away.filter(|away| away.reason != reason) else { return false };
            away.reason.clone_from(&reason);
            true
        });
        if is_news {
            tracing::warn!(
                part = part.name(),
                reason,
                "{error}; the site is served without it and it is left as it is. To mend this: {}",
                error.advice()
            );
        }
    }
}
