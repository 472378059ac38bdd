//! The peer for proxying: Debian's HAProxy with equal features (eight security headers, compression, a log, forwarded headers, kept connections; no rate limit, as ours has none).
//!
//! Its log goes to a ring in memory: HAProxy has no buffered log on disk, and a system call per line would make it the
//! slower one.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use super::running::{Launch, Running, SERVER_CORE, folder, free_address};
use super::{headers, prepare};

/// Starts HAProxy in front of `app`.
pub(super) fn start(dir: &Path, app: SocketAddr) -> anyhow::Result<Running> {
    let address = free_address()?;
    let own = folder(dir, "haproxy")?;
    let file = own.join("haproxy.cfg");
    std::fs::write(&file, config(address, app)).context("haproxy.cfg")?;
    let binary = prepare::find("haproxy")?;
    let program =
        [binary.display().to_string(), "-db".into(), "-f".into(), file.display().to_string()];
    Launch { program: &program, address, dir: &own, core: SERVER_CORE }.until_it_answers("/1k.txt")
}

/// HAProxy's settings.
pub(super) fn config(address: SocketAddr, app: SocketAddr) -> String {
    let headers =
        headers::lines(|name, value| format!("  http-response set-header {name} \"{value}\"\n"));
    format!(
        "global
  nbthread 1
  maxconn 8000
  log ring@requests local0
ring requests
  format raw
  maxlen 1200
  size 1048576
defaults
  mode http
  log global
  option httplog
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option http-keep-alive
frontend public
  bind {address} backlog 4096
  option forwardfor
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
{headers}  compression algo gzip
  compression type text/html text/plain text/css application/json
  default_backend app
backend app
  server one {app} maxconn 4096 pool-max-conn -1
"
    )
}
