//! `mainstay admin link`: another single-use sign-in link from the running server, through its control socket.

use std::io::Write;

use mainstay_api::control;

use crate::cli::Exit;
use crate::command::Readable;
use crate::settings::Inputs;

/// Asks the server that owns the data dir for a link and prints it.
///
/// # Errors
/// When standard output is closed.
pub fn admin_link(inputs: &Inputs, json: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    match control::request_link(&readable.settings.data_dir) {
        Ok(link) if json => writeln!(out, "{}", serde_json::to_string(&link)?)?,
        Ok(link) => writeln!(out, "{}", link.url)?,
        Err(error) => return Ok(readable.nobody_answers(&error)?),
    }
    Ok(Exit::Done)
}
