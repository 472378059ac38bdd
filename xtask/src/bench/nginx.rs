//! Debian's nginx in four roles: the peer for files, for TLS and for proxying, with equal features (eight security headers, gzip, a buffered access log, an open file cache; no rate limit, as ours has none), and the app that proxies stand in front of.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use super::running::{LOAD_CORE, Launch, Running, SERVER_CORE, folder, free_address};
use super::tls::Pair;
use super::{headers, prepare};

/// Bytes of the app's answer.
pub(super) const ANSWER_BYTES: usize = 1_024;

/// What it is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'a> {
    /// Serve the site's folder.
    Site,
    /// The same over TLS.
    SiteOverTls(&'a Pair),
    /// Stand in front of an app.
    Proxy(SocketAddr),
    /// Be the app: one answer from memory, no log, nothing of its own cost counted.
    App,
}

impl Role<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Site => "nginx",
            Self::SiteOverTls(_) => "nginx-tls",
            Self::Proxy(_) => "nginx-proxy",
            Self::App => "app",
        }
    }
}

/// Starts nginx in a role; the site is the one in `dir`.
pub(super) fn start(dir: &Path, role: &Role<'_>) -> anyhow::Result<Running> {
    let address = free_address()?;
    let own = folder(dir, role.name())?;
    let file = own.join("nginx.conf");
    std::fs::write(&file, config(dir, address.port(), role)).context("nginx.conf")?;
    let program = [
        prepare::find("nginx")?.display().to_string(),
        "-c".into(),
        file.display().to_string(),
        "-e".into(),
        own.join("error.log").display().to_string(),
    ];
    let core = if matches!(role, Role::App) { LOAD_CORE } else { SERVER_CORE };
    let launch = Launch { program: &program, address, dir: &own, core };
    match role {
        Role::SiteOverTls(pair) => launch.until_it_answers_over_tls("/1k.txt", pair),
        Role::Site | Role::Proxy(_) | Role::App => launch.until_it_answers("/1k.txt"),
    }
}

/// nginx's settings.
pub(super) fn config(dir: &Path, port: u16, role: &Role<'_>) -> String {
    let (own, site) = (dir.join(role.name()), dir.join("site"));
    let (own, site) = (own.display(), site.display());
    let user = if rustix::process::geteuid().is_root() { "root" } else { "nobody" };
    let log = match role {
        Role::App => "off".to_owned(),
        _ => format!("{own}/access.log combined buffer=64k flush=1s"),
    };
    let listen = match role {
        Role::SiteOverTls(_) => format!("{port} ssl http2 backlog=4096"),
        _ => format!("{port} backlog=4096"),
    };
    let above = match role {
        Role::Proxy(app) => {
            format!("  upstream app {{\n    server {app};\n    keepalive 256;\n  }}\n")
        }
        _ => String::new(),
    };
    let headers = match role {
        Role::App => String::new(),
        _ => headers::lines(|name, value| format!("    add_header {name} \"{value}\" always;\n")),
    };
    let secure = match role {
        Role::SiteOverTls(pair) => secure(pair),
        _ => String::new(),
    };
    let answer = match role {
        Role::Site | Role::SiteOverTls(_) => {
            "    location / { try_files $uri $uri/index.html =404; }\n".to_owned()
        }
        Role::Proxy(_) => PASS.to_owned(),
        Role::App => format!(
            "    location / {{ default_type text/plain; return 200 \"{}\"; }}\n",
            "x".repeat(ANSWER_BYTES)
        ),
    };
    format!(
        "user {user};
worker_processes 1;
daemon off;
pid {own}/pid;
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
  access_log {log};
  client_body_temp_path {own}/body;
  proxy_temp_path {own}/proxy;
  fastcgi_temp_path {own}/fastcgi;
  uwsgi_temp_path {own}/uwsgi;
  scgi_temp_path {own}/scgi;
{above}  server {{
    listen 127.0.0.1:{listen};
    root {site};
    gzip on;
    gzip_vary on;
    gzip_comp_level 5;
    gzip_min_length 1000;
    gzip_types text/css text/plain application/javascript application/json;
    gzip_static on;
{secure}{headers}{answer}  }}
}}
"
    )
}

/// The settings in which a role differs from the site's, for people.
pub(super) fn describe(role: &Role<'_>) -> String {
    let (dir, port) = (Path::new("DIR"), 0);
    let (usual, other) = (config(dir, port, &Role::Site), config(dir, port, role));
    let differing = |these: &str, those: &str, sign: char| {
        let own = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        own.map(|line| format!("{sign}{line}\n")).collect::<String>()
    };
    format!("{}{}", differing(&usual, &other, '-'), differing(&other, &usual, '+'))
}

/// The same suite and key exchange as ours agrees on with this load, and no handshake that another one pays for.
fn secure(pair: &Pair) -> String {
    let (cert, key) = (pair.cert.display(), pair.key.display());
    format!(
        "    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_ecdh_curve X25519;
    ssl_session_cache off;
    ssl_session_tickets off;
"
    )
}

/// What an app behind a proxy is told, as ours tells it.
const PASS: &str = "    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
    }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_role_is_where_it_differs() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let told = describe(&Role::Proxy(nobody));
        assert!(told.contains("+      proxy_pass http://app;"), "{told}");
        assert!(told.contains("-    location / { try_files"), "{told}");
        assert!(!told.contains("add_header") && !told.contains("gzip on"), "{told}");
        assert_eq!(describe(&Role::Site), "");
    }

    #[test]
    fn nobody_is_limited_in_a_row_where_ours_is_not() {
        let pair = Pair { cert: "/c".into(), key: "/k".into() };
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        for role in [Role::Site, Role::SiteOverTls(&pair), Role::Proxy(nobody), Role::App] {
            assert!(!config(Path::new("/d"), 0, &role).contains("limit_req"), "{role:?}");
        }
    }
}
