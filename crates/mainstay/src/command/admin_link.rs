//! `mainstay admin link`: another single-use sign-in link from the running server, through its control socket.

use std::io::Write;

use mainstay_api::control;

use crate::cli::Exit;
use crate::settings::{Inputs, survey};

/// Asks the server that owns the data dir for a link and prints it.
///
/// # Errors
/// When standard output is closed.
pub fn admin_link(inputs: &Inputs, json: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let settings = survey(inputs).loaded.map(|loaded| loaded.settings).unwrap_or_default();
    match control::request_link(&settings.data_dir) {
        Ok(link) if json => writeln!(out, "{}", serde_json::to_string(&link)?)?,
        Ok(link) => writeln!(out, "{}", link.url)?,
        Err(error) => {
            let dir = settings.data_dir.display();
            writeln!(
                std::io::stderr(),
                "mainstay: no server answers for the data dir {dir}: {error}"
            )?;
            return Ok(Exit::Unavailable);
        }
    }
    Ok(Exit::Done)
}
