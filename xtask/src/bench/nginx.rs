//! The peer for files: Debian's nginx with equal features (eight security headers, gzip, a rate limit, a buffered access log, an open file cache).

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::ours::{Running, free_address, start};

/// As many headers, of about as many bytes, as a site with a strict policy sends.
const HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
    ),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// Starts nginx on the site in `dir`.
pub(super) fn start_nginx(dir: &Path) -> anyhow::Result<Running> {
    let address = free_address()?;
    let own = dir.join("nginx");
    std::fs::create_dir_all(&own)?;
    let file = own.join("nginx.conf");
    std::fs::write(&file, config(dir, address.port())).context("nginx.conf")?;
    let errors = own.join("error.log");
    let program = [
        binary().display().to_string(),
        "-c".into(),
        file.display().to_string(),
        "-e".into(),
        errors.display().to_string(),
    ];
    start(&program, address, "/1k.txt", &own.join("server"))
}

/// nginx's settings. The limit is there and counts, above what the load reaches.
pub(super) fn config(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    let headers: String = HEADERS
        .iter()
        .map(|(name, value)| format!("    add_header {name} \"{value}\" always;\n"))
        .collect();
    format!(
        "user {user};
worker_processes 1;
daemon off;
pid {dir}/nginx/pid;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  keepalive_timeout 120s;
  server_tokens off;
  etag on;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  open_file_cache_errors on;
  access_log {dir}/nginx/access.log combined buffer=64k flush=1s;
  client_body_temp_path {dir}/nginx/body;
  proxy_temp_path {dir}/nginx/proxy;
  fastcgi_temp_path {dir}/nginx/fastcgi;
  uwsgi_temp_path {dir}/nginx/uwsgi;
  scgi_temp_path {dir}/nginx/scgi;
  limit_req_zone $binary_remote_addr zone=clients:10m rate=1000000r/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {dir}/site;
    gzip on;
    gzip_vary on;
    gzip_comp_level 5;
    gzip_min_length 1000;
    gzip_types text/css text/plain application/javascript application/json;
    gzip_static on;
    limit_req zone=clients burst=100000 nodelay;
    limit_req_status 429;
{headers}    location / {{ try_files $uri $uri/index.html =404; }}
  }}
}}
",
        user = if rustix::process::geteuid().is_root() { "root" } else { "nobody" },
    )
}

/// Debian puts it where only root looks.
fn binary() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/nginx");
    if sbin.is_file() { sbin } else { PathBuf::from("nginx") }
}
