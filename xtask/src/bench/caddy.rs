//! A peer for HTTP/2 over TLS: Debian's Caddy with eight security headers, compression and an access log.

use std::path::Path;

use anyhow::Context as _;

use super::running::{Launch, Running, SERVER_CORE, folder, free_address};
use super::tls::Pair;
use super::{headers, prepare};

/// Starts Caddy on the site in `dir`.
pub(super) fn start(dir: &Path, pair: &Pair) -> anyhow::Result<Running> {
    let address = free_address()?;
    let own = folder(dir, "caddy")?;
    let file = own.join("Caddyfile");
    std::fs::write(&file, config(dir, address.port(), pair)).context("Caddyfile")?;
    let binary = prepare::find("caddy")?;
    let program = [
        "env".into(),
        // One worker, and nothing written into somebody's home.
        "GOMAXPROCS=1".into(),
        format!("HOME={}", own.display()),
        format!("XDG_CONFIG_HOME={}", own.display()),
        format!("XDG_DATA_HOME={}", own.display()),
        binary.display().to_string(),
        "run".into(),
        "--adapter".into(),
        "caddyfile".into(),
        "--config".into(),
        file.display().to_string(),
    ];
    Launch { program: &program, address, dir: &own, core: SERVER_CORE }
        .until_it_answers_over_tls("/1k.txt", pair)
}

/// Caddy's settings.
pub(super) fn config(dir: &Path, port: u16, pair: &Pair) -> String {
    let headers = headers::lines(|name, value| format!("\t\t{name} \"{value}\"\n"));
    format!(
        "{{
\tadmin off
\tauto_https off
\tservers {{
\t\tprotocols h1 h2
\t}}
}}
https://:{port} {{
\tbind 127.0.0.1
\ttls {cert} {key}
\tlog {{
\t\toutput file {dir}/caddy/access.log
\t}}
\theader {{
{headers}\t}}
\tencode gzip
\troot * {dir}/site
\tfile_server {{
\t\tprecompressed br gzip
\t}}
}}
",
        cert = pair.cert.display(),
        key = pair.key.display(),
        dir = dir.display(),
    )
}
