//! The control socket: how commands on this machine talk to the running server. The file's mode (0600) is the access check.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay_base::Clock;
use mainstay_base::task::Group;
use mainstay_identity::{Keys, Owner};
use mainstay_jobs::Jobs;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::problem::Problem;

pub mod jobs;
pub mod keys;

/// File name of the socket in the data dir.
pub const SOCKET: &str = "control.sock";

/// Where the running server listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Process id.
    pub pid: u32,
    /// Version of the binary.
    pub version: String,
    /// Where visitors find the site, `https://…`: the public URL where one is set.
    pub site: String,
    /// The public listener as bound, with the port it was given.
    pub address: SocketAddr,
    /// The admin listener's address, `http://…`.
    pub admin: String,
}

/// A fresh sign-in link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The whole URL, usable once.
    pub url: String,
}

/// What a probe of the private listener answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it said yes (200).
    pub is_good: bool,
    /// Its word.
    pub said: String,
}

/// How long a command waits for the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer read: a job with its data and its result.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No server listens there: nothing was asked.
    #[error(transparent)]
    Nobody(std::io::Error),
    /// One listens and did not answer, or not as it should: it may have done what it was asked all the same.
    #[error(transparent)]
    Silent(#[from] std::io::Error),
    /// It refused, in its own words; with the status of HTTP.
    #[error("{said}")]
    Refused {
        /// As in HTTP: 4xx means the question, 5xx the server.
        status: u16,
        /// Its words.
        said: String,
    },
}

pub(crate) struct Control {
    owner: Owner,
    keys: Keys,
    jobs: Jobs,
    clock: Clock,
    status: Status,
}

/// Serves the control socket in `group`. A stale socket file is replaced; the caller holds the data dir's lock.
///
/// # Errors
/// The operating system's, when the socket cannot be made.
pub fn start(
    data_dir: &Path,
    (owner, keys): (Owner, Keys),
    (jobs, clock): (Jobs, Clock),
    status: Status,
    group: &Group,
) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = data_dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The data dir is 0700, so nobody else can connect between the two calls.
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let control = Arc::new(Control { owner, keys, jobs, clock, status });
    let router = Router::new()
        .route("/status", get(show_status))
        .route("/link", post(create_link))
        .merge(keys::routes())
        .merge(jobs::routes())
        .with_state(control);
    group.spawn("control socket", |stop| async move {
        let soft = stop.clone();
        let serving =
            axum::serve(listener, router).with_graceful_shutdown(async move { soft.soft().await });
        let served = tokio::select! {
            served = serving.into_future() => served,
            () = stop.hard() => Ok(()),
        };
        drop(std::fs::remove_file(path));
        served
    });
    Ok(())
}

async fn show_status(State(control): State<Arc<Control>>) -> Json<Status> {
    Json(control.status.clone())
}

async fn create_link(State(control): State<Arc<Control>>) -> Result<Json<Link>, Problem> {
    let token = control.owner.create_link().await.map_err(|error| Problem::of(&error))?;
    Ok(Json(Link { url: link_url(&control.status.admin, token.expose()) }))
}

/// The address a sign-in link opens.
#[must_use]
pub fn link_url(admin: &str, token: &str) -> String {
    format!("{admin}/enter?token={token}")
}

/// Asks the server that owns `data_dir` for a sign-in link.
///
/// # Errors
/// When no server listens there, or it answers with anything but a link.
pub fn request_link(data_dir: &Path) -> Result<Link, Failure> {
    request(data_dir, "POST", "/link", "")
}

/// Asks the server that owns `data_dir` where it listens.
///
/// # Errors
/// When no server listens there.
pub fn request_status(data_dir: &Path) -> Result<Status, Failure> {
    request(data_dir, "GET", "/status", "")
}

/// Asks the private listener of the server that owns `data_dir` one of its probes, by way of the network as a stranger
/// would: a server that answers its own socket only is not well.
///
/// # Errors
/// When no server owns the directory, or its listener does not answer.
pub fn request_probe(data_dir: &Path, path: &str) -> Result<Verdict, Failure> {
    let admin = request_status(data_dir)?.admin;
    let fault = || std::io::Error::other("the server did not say where it listens");
    let address = admin.strip_prefix("http://").ok_or_else(fault)?;
    let peer: SocketAddr = address.parse().map_err(|_| fault())?;
    let stream = TcpStream::connect_timeout(&peer, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let Answer { status, body } = exchange(stream, ("GET", path), address, "")?;
    Ok(Verdict { is_good: status == 200, said: body.trim().to_owned() })
}

/// What came back.
struct Answer {
    status: u16,
    body: String,
}

fn request<T: serde::de::DeserializeOwned>(
    data_dir: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> Result<T, Failure> {
    let stream = UnixStream::connect(data_dir.join(SOCKET)).map_err(unreached)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let Answer { status, body } = exchange(stream, (method, path), "control", body)?;
    if status >= 400 {
        return Err(Failure::Refused { status, said: said(status, &body) });
    }
    let read = serde_json::from_str(&body);
    Ok(read.map_err(|_| std::io::Error::other("the server did not answer as expected"))?)
}

/// Only a socket that is not there, or that nobody has open, says that there is no server.
fn unreached(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::Nobody(error),
        _ => Failure::Silent(error),
    }
}

/// What a problem says, see [`Problem`].
fn said(status: u16, body: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    match detail {
        Some(detail) => detail.to_owned(),
        None if status == 404 => {
            "the running server does not know this: is it an older one?".into()
        }
        None => format!("the running server could not do it ({status}); its log says why"),
    }
}

/// One HTTP/1.0 exchange: the server closes when it is done, so reading to the end is the whole protocol.
fn exchange(
    mut stream: impl Read + Write,
    (method, path): (&str, &str),
    host: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.unwrap_or(0), body: body.to_owned() })
}
