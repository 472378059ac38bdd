//! The owner's way in: a single-use link becomes a session of a few hours.

use mainstay_base::entropy::Exhausted;
use mainstay_base::{Clock, Coded, Entropy, ErrorCode, Timestamp};
use mainstay_store::Store;
use mainstay_store::tables::{console_link, console_session};

use crate::Settings;
use crate::token::{Token, hash};

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `owner`.
    pub role: String,
    /// When it ends by itself.
    pub expires: Timestamp,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The link was used before, has expired, or never existed: one answer for all, it tells a stranger nothing.
    #[error("the sign-in link is spent, expired or unknown")]
    Spent,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] mainstay_store::Error),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] Exhausted),
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Spent => ErrorCode::Unauthenticated,
            Self::Store(error) => error.code(),
            Self::Entropy(_) => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Spent => "This sign-in link was used already or has expired.".into(),
            Self::Store(_) | Self::Entropy(_) => "Signing in is not possible right now.".into(),
        }
    }
}

/// Links and sessions of the console's owner.
#[derive(Clone)]
pub struct Owner {
    settings: Settings,
    store: Store,
    clock: Clock,
    entropy: Entropy,
}

impl Owner {
    /// Nothing is read or written yet.
    #[must_use]
    pub fn new(settings: Settings, store: Store, clock: Clock, entropy: Entropy) -> Self {
        Self { settings, store, clock, entropy }
    }

    /// Makes a sign-in link's token.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Entropy`].
    pub async fn create_link(&self) -> Result<Token, Error> {
        let token = Token::generate(&self.entropy)?;
        let now = self.clock.now();
        let expires = now.plus(self.settings.link_lifetime.0);
        console_link::create(self.store.core(), &hash(token.expose()), now, expires).await?;
        Ok(token)
    }

    /// Spends a link and begins a session; returns the session's token and when it ends.
    ///
    /// # Errors
    /// [`Error::Spent`] for every link that is not fresh.
    pub async fn spend_link(&self, link: &str) -> Result<(Token, Session), Error> {
        let now = self.clock.now();
        if !console_link::spend(self.store.core(), &hash(link), now).await? {
            return Err(Error::Spent);
        }
        let token = Token::generate(&self.entropy)?;
        let expires = now.plus(self.settings.session_lifetime.0);
        console_session::create(self.store.core(), &hash(token.expose()), "owner", now, expires)
            .await?;
        Ok((token, Session { role: "owner".into(), expires }))
    }

    /// The live session behind a cookie.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find_session(&self, cookie: &str) -> Result<Option<Session>, Error> {
        let found =
            console_session::find_live(self.store.core(), &hash(cookie), self.clock.now()).await?;
        Ok(found.map(|row| Session { role: row.role, expires: row.expires_at }))
    }

    /// Ends a session; an unknown one is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_session(&self, cookie: &str) -> Result<(), Error> {
        console_session::revoke(self.store.core(), &hash(cookie), self.clock.now()).await?;
        Ok(())
    }

    /// Forgets links and sessions that are over.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_expired(&self) -> Result<(), Error> {
        let now = self.clock.now();
        console_link::delete_expired(self.store.core(), now).await?;
        console_session::delete_expired(self.store.core(), now).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
