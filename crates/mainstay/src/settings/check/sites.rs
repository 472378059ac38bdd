//! Sites: their names, hosts, folders and upstreams. Looks at no file inside a folder, connects to nothing.

use mainstay_edge::sites::is_host;
use mainstay_upstream::Target;

use super::Check;
use crate::settings::Site;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn sites(&mut self) {
        let sites = &self.settings.site;
        for (n, site) in sites.iter().enumerate() {
            let path = KeyPath::dotted("site").index(n);
            self.site_name(&path, site, &sites[..n]);
            self.site_hosts(&path, site, &sites[..n]);
            self.site_content(&path, site);
        }
    }

    fn site_name(&mut self, path: &KeyPath, site: &Site, earlier: &[Site]) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if site.name.is_empty() || site.name.len() > 64 || !site.name.chars().all(plain) {
            let message = "must be 1 to 64 letters, digits, \"-\" or \"_\"";
            self.complain(&path.key("name"), message);
        }
        if earlier.iter().any(|earlier| earlier.name == site.name) {
            self.complain(&path.key("name"), format!("\"{}\" is taken already", site.name));
        }
    }

    fn site_hosts(&mut self, path: &KeyPath, site: &Site, earlier: &[Site]) {
        let hosts = path.key("hosts");
        if site.hosts.is_empty() {
            let taken = earlier.iter().find(|earlier| earlier.hosts.is_empty());
            if let Some(other) = taken {
                let message = format!(
                    "is empty: the site would answer for every host, as \"{}\" does already",
                    other.name
                );
                self.complain(&hosts, message);
            }
        }
        for (at, host) in site.hosts.iter().enumerate() {
            let below = host.strip_prefix("*.").unwrap_or(host);
            if !is_host(below) {
                let meant = host_meant(host);
                let message = format!("must hold names such as \"example.org\", not \"{host}\"");
                self.complain_meaning(&hosts, message, meant);
            }
            let same = |other: &String| other.eq_ignore_ascii_case(host);
            if site.hosts[..at].iter().any(same) {
                self.complain(&hosts, format!("names \"{host}\" twice"));
            } else if let Some(other) = earlier.iter().find(|e| e.hosts.iter().any(same)) {
                self.complain(&hosts, format!("\"{host}\" belongs to \"{}\" already", other.name));
            }
        }
        if let Some(canonical) = &site.canonical {
            self.canonical(&path.key("canonical"), site, canonical);
        }
    }

    /// Visitors are sent there: the site itself must answer for it.
    fn canonical(&mut self, path: &KeyPath, site: &Site, canonical: &str) {
        if !is_host(canonical) {
            let message =
                format!("must be a host name such as \"example.org\", not \"{canonical}\"");
            self.complain_meaning(path, message, host_meant(canonical));
            return;
        }
        match self.settings.site_of(canonical) {
            Some(found) if found.name == site.name => {}
            Some(other) => {
                self.complain(path, format!("\"{canonical}\" belongs to \"{}\"", other.name));
            }
            None => {
                let message =
                    format!("\"{canonical}\" is answered by no site: add it to \"hosts\"");
                self.complain(path, message);
            }
        }
    }

    fn site_content(&mut self, path: &KeyPath, site: &Site) {
        if site.dir.is_some() && !site.upstreams.is_empty() {
            self.complain(&path.key("upstreams"), "cannot be together with \"dir\"");
        }
        for (at, url) in site.upstreams.iter().enumerate() {
            let path = path.key("upstreams");
            if let Err(error) = Target::parse(url) {
                self.complain(&path, format!("\"{url}\": {error}"));
            } else if site.upstreams[..at].contains(url) {
                self.complain(&path, format!("names \"{url}\" twice"));
            }
        }
        if site.build_dir.is_some() && site.upstreams.is_empty() {
            self.complain(&path.key("build_dir"), "belongs to a site with \"upstreams\"");
        }
        if let Some(dir) = &site.build_dir {
            self.folder(&path.key("build_dir"), dir);
        }
        if let Some(dir) = &site.dir {
            self.site_dir(&path.key("dir"), dir);
        }
    }

    fn folder(&mut self, path: &KeyPath, dir: &std::path::Path) -> bool {
        match std::fs::metadata(dir) {
            Err(error) => self.complain(path, format!("\"{}\": {error}", dir.display())),
            Ok(found) if !found.is_dir() => {
                self.complain(path, format!("\"{}\" is not a folder", dir.display()));
            }
            Ok(_) => return true,
        }
        false
    }

    fn site_dir(&mut self, path: &KeyPath, dir: &std::path::Path) {
        if !self.folder(path, dir) {
            return;
        }
        // A data dir inside the site is left out when serving; a site inside the data dir cannot be served at all.
        let inside = match (dir.canonicalize(), self.settings.data_dir.canonicalize()) {
            (Ok(dir), Ok(data)) => dir.starts_with(data),
            _ => *dir == self.settings.data_dir,
        };
        if inside {
            let data = self.settings.data_dir.display();
            self.complain(path, format!("\"{}\" lies in data_dir \"{data}\"", dir.display()));
        }
    }
}

/// What people write for a host name where a URL is not wanted.
fn host_meant(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split('/').next()?;
    is_host(host).then(|| host.to_owned())
}
