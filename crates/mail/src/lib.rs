//! Letters: rendered from templates by name, handed to one mail server over SMTP. Decides neither when nor how often to try.
//!
//! # Invariants
//! - Nothing of a letter can become a header or a command: recipients, subject and template names hold no control character.
//! - Values are put into HTML escaped. A value that a template asks for and nobody gave is an error that names it, never a gap.
//! - Templates are read from one folder; no name leads out of it.
//! - A password goes over a connection that is not encrypted only where the settings say so.
//! - Whoever repeats a letter under the same id sends the same `Message-ID`.
//! - Neither recipients nor what is said to them are logged, and no error repeats them.

mod error;
mod letter;
mod server;
pub mod settings;
mod template;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use mainstay_base::Clock;

pub use error::{Error, SetupError};
pub use letter::Letter;
pub use settings::Settings;

use letter::Sender;
use server::Server;
use template::Templates;

/// The way to the mail server. Cheap to clone.
#[derive(Clone)]
pub struct Mail(Arc<Inner>);

struct Inner {
    server: Option<Server>,
    sender: Option<Sender>,
    templates: Templates,
    clock: Clock,
}

impl Mail {
    /// Reads the settings, and the authorities that are believed. Connects to nobody; without a server in the settings each
    /// letter is refused in words.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn open(settings: &Settings, clock: Clock) -> Result<Self, SetupError> {
        let server = settings.target().map_err(SetupError::Setting)?;
        let server = server.map(|target| Server::new(target, settings)).transpose()?;
        let sender = Sender::of(settings).map_err(SetupError::Setting)?;
        let templates = Templates::of(settings);
        Ok(Self(Arc::new(Inner { server, sender, templates, clock })))
    }

    /// Renders a letter and waits until the server has taken it; answers its `Message-ID`. The server takes it for all of its
    /// recipients, or for none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(&self, letter: &Letter) -> Result<String, Error> {
        let Inner { server, sender, templates, clock } = &*self.0;
        let missing = |what: &str| Error::Refused(format!("no letter can be sent: {what}"));
        let server = server.as_ref().ok_or_else(|| missing("set mail.url to a mail server"))?;
        let sender = sender.as_ref().ok_or_else(|| missing("set mail.from"))?;
        let recipients = sender.recipients(letter)?;
        let rendered = templates.render(letter)?;
        let (id, message) = sender.write(letter, recipients, rendered, clock.now())?;
        server.send(&message).await?;
        Ok(id)
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("server", &self.0.server).finish_non_exhaustive()
    }
}
