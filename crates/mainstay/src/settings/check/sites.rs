//! Sites: their names and folders. Looks at no file inside a folder.

use super::Check;
use crate::settings::Site;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn sites(&mut self) {
        let sites = &self.settings.site;
        for (n, site) in sites.iter().enumerate() {
            let path = KeyPath::dotted("site").index(n);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if site.name.is_empty() || site.name.len() > 64 || !site.name.chars().all(plain) {
                let message = "must be 1 to 64 letters, digits, \"-\" or \"_\"";
                self.complain(&path.key("name"), message);
            }
            if sites[..n].iter().any(|earlier| earlier.name == site.name) {
                self.complain(&path.key("name"), format!("\"{}\" is taken already", site.name));
            } else if n > 0 {
                self.complain(&path, "is a second site for the same hosts: it would never be seen");
            }
            self.site_dir(&path, site);
        }
    }

    fn site_dir(&mut self, path: &KeyPath, site: &Site) {
        let Some(dir) = &site.dir else { return };
        let path = path.key("dir");
        match std::fs::metadata(dir) {
            Err(error) => {
                return self.complain(&path, format!("\"{}\": {error}", dir.display()));
            }
            Ok(found) if !found.is_dir() => {
                return self.complain(&path, format!("\"{}\" is not a folder", dir.display()));
            }
            Ok(_) => {}
        }
        // A data dir inside the site is left out when serving; a site inside the data dir cannot be served at all.
        let inside = match (dir.canonicalize(), self.settings.data_dir.canonicalize()) {
            (Ok(dir), Ok(data)) => dir.starts_with(data),
            _ => *dir == self.settings.data_dir,
        };
        if inside {
            let data = self.settings.data_dir.display();
            self.complain(&path, format!("\"{}\" lies in data_dir \"{data}\"", dir.display()));
        }
    }
}
