//! `mainstay key`: API keys made, listed and revoked. The running server is asked, so that it knows at once; without one
//! the command reads and writes the store itself.

use std::io::Write;

use mainstay_api::control::Failure;
pub use mainstay_api::control::keys::Wanted;
use mainstay_api::control::keys::{self, Key, Made, Revoked};
use mainstay_base::{Clock, Entropy};
use mainstay_identity::Keys;
use mainstay_store::Store;

use crate::cli::Exit;
use crate::command::asked::{self, Lacking};
use crate::command::check::Format;
use crate::command::{Readable, write_columns};
use crate::settings::Inputs;

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

/// What the running server answered, or the store where none runs; else how the command ends.
fn find<T>(
    readable: &Readable,
    asked: Result<T, Failure>,
    lacking: Lacking,
    alone: impl AsyncFnOnce(Keys) -> Result<T, mainstay_identity::key::Error>,
) -> anyhow::Result<Result<T, Exit>> {
    let of = readable.settings.identity.clone();
    let work = async |store: &Store| {
        alone(Keys::new(of, store.clone(), Clock::System, Entropy::System)).await
    };
    let look = "`mainstay key list` shows what there is";
    asked::find(readable, asked, (lacking, look), work, asked::exit_of)
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
    write_columns(&rows, out)
}
