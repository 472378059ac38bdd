//! `mainstay key`: API keys made, listed and revoked. The running server is asked, so that it knows at once; without one
//! the command reads and writes the store itself.

use std::io::Write;

use mainstay_api::control::Failure;
pub use mainstay_api::control::keys::Wanted;
use mainstay_api::control::keys::{self, Key, Made, Revoked};
use mainstay_base::{Clock, Coded, Entropy, ErrorCode};
use mainstay_identity::Keys;
use mainstay_store::Store;

use crate::cli::Exit;
use crate::command::check::Format;
use crate::command::{Readable, place_of, refuse, runtime};
use crate::data_dir::DataDir;
use crate::settings::{Inputs, Settings};

/// Makes a key and prints it, the only time it is told.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn create(
    inputs: &Inputs,
    wanted: &Wanted,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    let asked = keys::request_key(&readable.settings.data_dir, wanted);
    let alone = async |keys: Keys| keys::create_in(&keys, wanted).await;
    let made: Made = match find(&readable, asked, Lacking::Made, alone)? {
        Ok(made) => made,
        Err(exit) => return Ok(exit),
    };
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&made)?)?,
        Format::Text => {
            writeln!(out, "{}", made.key)?;
            out.flush()?;
            let until = made.expires.map_or("for ever".into(), |at| format!("until {at}"));
            writeln!(
                std::io::stderr(),
                "mainstay: this is key {} ({}), good for {} {until}. It is not shown again.",
                made.id,
                made.name,
                made.scopes
            )?;
        }
    }
    Ok(Exit::Done)
}

/// Prints all keys, those that ended lately among them; never their texts.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn list(inputs: &Inputs, format: Format, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    let asked = keys::request_keys(&readable.settings.data_dir);
    let all =
        match find(&readable, asked, Lacking::Told, async |keys: Keys| keys::list_in(&keys).await)?
        {
            Ok(all) => all,
            Err(exit) => return Ok(exit),
        };
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&all)?)?,
        Format::Text => write_table(&all, out)?,
    }
    Ok(Exit::Done)
}

/// Ends a key; [`Exit::Unwell`] when there is none of this id that could be ended.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn revoke(
    inputs: &Inputs,
    id: &str,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    let asked = keys::request_revocation(&readable.settings.data_dir, id);
    let alone = async |keys: Keys| Ok(Revoked { revoked: keys.revoke(id).await? });
    let revoked = match find(&readable, asked, Lacking::Told, alone)? {
        Ok(revoked) => revoked,
        Err(exit) => return Ok(exit),
    };
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(&revoked)?)?;
    }
    if revoked.revoked {
        if format == Format::Text {
            let within = readable.settings.identity.key_cache;
            writeln!(out, "revoked; every server refuses it within {within}")?;
        }
        return Ok(Exit::Done);
    }
    // Whoever gives a whole key in place of its id must not find it in a log.
    writeln!(
        std::io::stderr(),
        "mainstay: no key of this id that is not revoked; `mainstay key list` shows ids"
    )?;
    Ok(Exit::Unwell)
}

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    /// It is made: a key may be there before the first start.
    Made,
    /// It is told: whoever looks for keys has named another folder.
    Told,
}

/// What the running server answered, or the store where none runs; else how the command ends.
fn find<T>(
    readable: &Readable,
    asked: Result<T, Failure>,
    lacking: Lacking,
    alone: impl AsyncFnOnce(Keys) -> Result<T, mainstay_identity::key::Error>,
) -> anyhow::Result<Result<T, Exit>> {
    match asked {
        Ok(found) => Ok(Ok(found)),
        Err(error @ Failure::Refused { status, .. }) => {
            let exit = if status < 500 { Exit::Unwell } else { Exit::Unavailable };
            refuse(&error, exit).map(Err)
        }
        Err(Failure::Silent(error)) => {
            writeln!(
                std::io::stderr(),
                "mainstay: the running server did not answer ({error}) and may have done it all the same; `mainstay key list` shows what there is"
            )?;
            Ok(Err(Exit::Unavailable))
        }
        // The data dir may be another one than the settings would say.
        Err(Failure::Nobody(error)) if !readable.is_whole => {
            Ok(Err(readable.nobody_answers(&error)?))
        }
        Err(Failure::Nobody(_)) => without_server(&readable.settings, lacking, alone),
    }
}

fn without_server<T>(
    settings: &Settings,
    lacking: Lacking,
    work: impl AsyncFnOnce(Keys) -> Result<T, mainstay_identity::key::Error>,
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
        let of = settings.identity.clone();
        let worked = work(Keys::new(of, store.clone(), Clock::System, Entropy::System)).await;
        // A file that cannot be closed in order loses nothing: its log is read by whoever opens it next.
        drop(store.close().await);
        match worked {
            Ok(found) => Ok(Ok(found)),
            Err(error) => refuse(&error, exit_of(&error)).map(Err),
        }
    })
}

fn exit_of(error: &impl Coded) -> Exit {
    match error.code() {
        ErrorCode::Unavailable => Exit::Unavailable,
        ErrorCode::Invalid | ErrorCode::Conflict => Exit::Unwell,
        _ => Exit::Refused,
    }
}

fn write_table(all: &[Key], out: &mut dyn Write) -> std::io::Result<()> {
    let time = |at: Option<mainstay_base::Timestamp>| at.map_or("-".into(), |at| at.to_string());
    let head = ["ID", "SCOPES", "EXPIRES", "LAST USED", "REVOKED", "NAME"].map(String::from);
    let row = |key: &Key| {
        [
            key.id.clone(),
            key.scopes.clone(),
            time(key.expires),
            time(key.last_used),
            time(key.revoked),
            key.name.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(all.iter().map(row)).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
