//! What a command asks: of the running server, over its control socket, or of the store itself where none runs.

use std::io::Write as _;
use std::time::Duration;

use mainstay_api::control::Failure;
use mainstay_base::{Coded, ErrorCode};
use mainstay_store::Store;

use super::{Readable, place_of, refuse, runtime};
use crate::cli::Exit;
use crate::data_dir::DataDir;
use crate::settings::Settings;

/// What a command's own writer may take to end.
pub(super) const LAST: Duration = Duration::from_secs(2);

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacking {
    /// It is made: what is asked for may be there before the first start.
    Made,
    /// It is told: whoever looks for something has named another folder.
    Told,
}

/// What the running server answered, or the store where none runs; else how the command ends. `look` says where one sees
/// what was done where the answer was lost.
pub(super) fn find<T, E: std::error::Error>(
    readable: &Readable,
    asked: Result<T, Failure>,
    (lacking, look): (Lacking, &str),
    alone: impl AsyncFnOnce(&Store) -> Result<T, E>,
    exit: impl FnOnce(&E) -> Exit,
) -> anyhow::Result<Result<T, Exit>> {
    match asked {
        Ok(found) => Ok(Ok(found)),
        Err(error @ Failure::Refused { status, .. }) => {
            refuse(&error, exit_of_status(status)).map(Err)
        }
        Err(Failure::Silent(error)) => {
            writeln!(
                std::io::stderr(),
                "mainstay: the running server did not answer ({error}) and may have done it all the same; {look}"
            )?;
            Ok(Err(Exit::Unavailable))
        }
        // The data dir may be another one than the settings would say.
        Err(Failure::Nobody(error)) if !readable.is_whole => {
            Ok(Err(readable.nobody_answers(&error)?))
        }
        Err(Failure::Nobody(_)) => without_server(&readable.settings, lacking, alone, exit),
    }
}

/// How a command ends that was refused with this status of HTTP.
pub(super) fn exit_of_status(status: u16) -> Exit {
    if status < 500 { Exit::Unwell } else { Exit::Unavailable }
}

fn without_server<T, E: std::error::Error>(
    settings: &Settings,
    lacking: Lacking,
    work: impl AsyncFnOnce(&Store) -> Result<T, E>,
    exit: impl FnOnce(&E) -> Exit,
) -> anyhow::Result<Result<T, Exit>> {
    let is_there = settings.database.is_set() || settings.data_dir.join("core.db").exists();
    if lacking == Lacking::Told && !is_there {
        let dir = settings.data_dir.display();
        writeln!(std::io::stderr(), "mainstay: nothing was ever stored in the data dir {dir}")?;
        return Ok(Err(Exit::Unavailable));
    }
    // A server that is on its way, or does not answer, holds it.
    let _held = match DataDir::open(&settings.data_dir) {
        Ok(held) => held,
        Err(error) => return refuse(&error, Exit::Refused).map(Err),
    };
    runtime()?.block_on(async {
        let store = match Store::open(place_of(settings)).await {
            Ok(store) => store,
            Err(error) => return refuse(&error, exit_of(&error)).map(Err),
        };
        let worked = work(&store).await;
        // A file that cannot be closed in order loses nothing: its log is read by whoever opens it next.
        drop(store.close().await);
        match worked {
            Ok(found) => Ok(Ok(found)),
            Err(error) => refuse(&error, exit(&error)).map(Err),
        }
    })
}

/// How a command ends that met this error.
pub(super) fn exit_of(error: &impl Coded) -> Exit {
    match error.code() {
        ErrorCode::Unavailable => Exit::Unavailable,
        ErrorCode::Invalid | ErrorCode::Conflict => Exit::Unwell,
        _ => Exit::Refused,
    }
}
