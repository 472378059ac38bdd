//! API keys over the control socket: made, listed, revoked by who may read the data dir. What a command prints of them is
//! said here as well, whether a server answers or the command reads the store itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path as Id, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay_base::Timestamp;
use mainstay_base::secret::{ExposeSecret as _, SecretString};
use mainstay_identity::Keys;
use mainstay_identity::key::{Error, Known, Listed};
use serde::{Deserialize, Serialize};

use super::{Control, Failure, request};
use crate::problem::Problem;

/// Keys of one answer.
const PAGE: u32 = 100;

/// A key to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// Words between commas.
    pub scopes: String,
    /// How long it counts; none: for ever.
    pub lifetime_ms: Option<u64>,
}

/// A key that was made: the one time its text is told. Not to be printed whole by accident.
#[derive(Serialize, Deserialize)]
pub struct Made {
    /// Names it; part of its text.
    pub id: String,
    /// Its text.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Words between commas.
    pub scopes: String,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

/// A key as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Names it; part of its text.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Words between commas.
    pub scopes: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// When it was ended by hand.
    pub revoked: Option<Timestamp>,
}

/// Whether a key was ended just now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// False: there is none of this id, or it was ended before.
    pub revoked: bool,
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: String,
}

impl From<(SecretString, Known)> for Made {
    fn from((text, known): (SecretString, Known)) -> Self {
        Self {
            id: known.id.to_string(),
            key: text.expose_secret().to_owned(),
            name: known.name.to_string(),
            scopes: known.scopes.to_string(),
            expires: known.expires,
        }
    }
}

impl From<Listed> for Key {
    fn from(Listed { known, created, last_used, revoked }: Listed) -> Self {
        Self {
            id: known.id.to_string(),
            name: known.name.to_string(),
            scopes: known.scopes.to_string(),
            created,
            expires: known.expires,
            last_used,
            revoked,
        }
    }
}

pub(super) fn routes() -> Router<Arc<Control>> {
    Router::new().route("/keys", get(list).post(create)).route("/keys/{id}/revoke", post(revoke))
}

async fn create(
    State(control): State<Arc<Control>>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Made>, Problem> {
    let made = create_in(&control.keys, &wanted).await.map_err(|error| Problem::of(&error))?;
    tracing::info!(key = made.id, name = made.name, scopes = made.scopes, "an API key was made");
    Ok(Json(made))
}

async fn list(
    State(control): State<Arc<Control>>,
    Query(After { after }): Query<After>,
) -> Result<Json<Vec<Key>>, Problem> {
    let listed = control.keys.list(&after, PAGE).await.map_err(|error| Problem::of(&error))?;
    Ok(Json(listed.into_iter().map(Key::from).collect()))
}

async fn revoke(
    State(control): State<Arc<Control>>,
    Id(id): Id<String>,
) -> Result<Json<Revoked>, Problem> {
    let revoked = control.keys.revoke(&id).await.map_err(|error| Problem::of(&error))?;
    if revoked {
        tracing::info!(key = id, "an API key was revoked");
    }
    Ok(Json(Revoked { revoked }))
}

/// Makes a key.
///
/// # Errors
/// See [`Keys::create`], and [`Error::Scope`].
pub async fn create_in(keys: &Keys, wanted: &Wanted) -> Result<Made, Error> {
    let scopes = wanted.scopes.parse()?;
    let lifetime = wanted.lifetime_ms.map(Duration::from_millis);
    Ok(keys.create(&wanted.name, scopes, lifetime).await?.into())
}

/// All keys, read in pages.
///
/// # Errors
/// See [`Keys::list`].
pub async fn list_in(keys: &Keys) -> Result<Vec<Key>, Error> {
    let mut all: Vec<Key> = Vec::new();
    loop {
        let after = all.last().map_or("", |key| key.id.as_str()).to_owned();
        let page = keys.list(&after, PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page.into_iter().map(Key::from));
    }
}

/// Asks the server that owns `data_dir` for a key.
///
/// # Errors
/// [`Failure`].
pub fn request_key(data_dir: &Path, wanted: &Wanted) -> Result<Made, Failure> {
    let body = serde_json::to_string(wanted).unwrap_or_default();
    request(data_dir, "POST", "/keys", &body)
}

/// Asks it for all keys.
///
/// # Errors
/// [`Failure`].
pub fn request_keys(data_dir: &Path) -> Result<Vec<Key>, Failure> {
    let mut all: Vec<Key> = Vec::new();
    loop {
        let after = all.last().map_or("", |key| key.id.as_str());
        let path = format!("/keys?after={after}");
        let page: Vec<Key> = request(data_dir, "GET", &path, "")?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Asks it to revoke a key. An id that cannot be one is not asked about.
///
/// # Errors
/// [`Failure`].
pub fn request_revocation(data_dir: &Path, id: &str) -> Result<Revoked, Failure> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(Revoked { revoked: false });
    }
    request(data_dir, "POST", &format!("/keys/{id}/revoke"), "")
}
