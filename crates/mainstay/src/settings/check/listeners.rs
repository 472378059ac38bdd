//! The addresses of the listeners. Binds nothing.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use mainstay_edge::sites::split_port;
use mainstay_edge::tls::settings as tls;

use super::Check;
use crate::settings::Site;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn listeners(&mut self) {
        let public = self.address(&KeyPath::dotted("edge.listen"), &self.settings.edge.listen);
        let path = KeyPath::dotted("admin.listen");
        let Some(admin) = self.address(&path, &self.settings.admin.listen) else { return };
        if !admin.ip().to_canonical().is_loopback() {
            let message = "must be a loopback address: the admin side speaks plain http, reach it through a tunnel";
            let meant = format!("127.0.0.1:{}", admin.port());
            self.complain_meaning(&path, message, Some(meant));
        }
        if admin.port() != 0 && public == Some(admin) {
            self.complain(&path, "is the address of the public listener");
        }
    }

    pub(super) fn tls(&mut self) {
        let tls = &self.settings.tls;
        let path = |key: &str| KeyPath::dotted("tls").key(key);
        self.pair(&KeyPath::dotted("tls"), tls.cert.as_deref(), tls.key.as_deref());
        for (n, site) in self.settings.site.iter().enumerate() {
            let own = KeyPath::dotted("site").index(n).key("tls");
            self.pair(&own, site.tls.cert.as_deref(), site.tls.key.as_deref());
            self.rival_pair(n);
        }
        let Some(text) = &tls.redirect_listen else { return };
        let Some(redirect) = self.address(&path("redirect_listen"), text) else { return };
        if !self.settings.speaks_tls() {
            let message = "sends visitors to https, which is not spoken without \"tls.cert\" or \"tls.self_signed\"";
            self.complain(&path("redirect_listen"), message);
        }
        if redirect.port() != 0 && self.settings.edge.listen.parse() == Ok(redirect) {
            self.complain(&path("redirect_listen"), "is the address of the public listener");
        }
    }

    /// Both files or none, and none beside a certificate that is for all names.
    fn pair(&mut self, at: &KeyPath, cert: Option<&Path>, key: Option<&Path>) {
        match (cert, key) {
            (Some(_), None) => {
                let message = format!("is missing: \"{at}.cert\" needs its key");
                self.complain(&at.key("key"), message);
            }
            (None, Some(_)) => {
                let message = format!("is missing: \"{at}.key\" needs its certificate");
                self.complain(&at.key("cert"), message);
            }
            (Some(_), Some(_)) if self.settings.tls.self_signed => {
                let message = format!("cannot be together with \"{at}.cert\"");
                self.complain(&KeyPath::dotted("tls.self_signed"), message);
            }
            _ => {}
        }
    }

    /// A name has one certificate, on whatever port it is asked for: who asks for one names no port (RFC 6066 §3).
    fn rival_pair(&mut self, n: usize) {
        let (earlier, rest) = self.settings.site.split_at(n);
        let Some(site) = rest.first() else { return };
        let all = &self.settings.tls;
        let Some(pair) = pair_of(site, all) else { return };
        let name = |host: &str| split_port(host).0.to_ascii_lowercase();
        let names: Vec<_> = site.hosts.iter().map(|host| name(host)).collect();
        for (m, other) in earlier.iter().enumerate() {
            if pair_of(other, all).is_none_or(|theirs| theirs == pair) {
                continue;
            }
            let Some(shared) =
                other.hosts.iter().map(|host| name(host)).find(|n| names.contains(n))
            else {
                continue;
            };
            // Told where a site has its own; where both have, at the later one.
            let (at, holder) = if site.tls.cert.is_some() { (n, other) } else { (m, site) };
            let what =
                if holder.tls.cert.is_some() { "the certificate of" } else { "\"tls.cert\" at" };
            let message = format!(
                "\"{shared}\" has {what} \"{}\" already: clients ask for one by the name, without a port",
                holder.name
            );
            self.complain(&KeyPath::dotted("site").index(at).key("tls").key("cert"), message);
            return;
        }
    }

    fn address(&mut self, path: &KeyPath, text: &str) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let message = format!("must be an IP address and a port, not \"{text}\"");
        self.complain_meaning(path, message, guess_address(text));
        None
    }
}

/// Certificate and key that a site presents: its own, or those for all. None where there are none for all.
fn pair_of<'a>(site: &'a Site, all: &'a tls::Settings) -> Option<(&'a Path, Option<&'a Path>)> {
    let own = site.tls.cert.as_deref().map(|cert| (cert, site.tls.key.as_deref()));
    own.or_else(|| Some((all.cert.as_deref()?, all.key.as_deref())))
}

/// What people write for an address where an IP address is needed.
fn guess_address(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port: u16 = port.parse().ok()?;
    match host {
        "*" => Some(format!("0.0.0.0:{port}")),
        "" | "localhost" => Some(format!("127.0.0.1:{port}")),
        host => host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_for_an_address_is_understood() {
        for (text, meant) in [
            ("8080", Some("127.0.0.1:8080")),
            (":8080", Some("127.0.0.1:8080")),
            ("localhost:80", Some("127.0.0.1:80")),
            ("*:80", Some("0.0.0.0:80")),
            ("http://10.0.0.1:80/", Some("10.0.0.1:80")),
            ("::1:80", Some("[::1]:80")),
            ("example.org:80", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(guess_address(text).as_deref(), meant, "{text}");
        }
    }
}
