//! The admin side's own settings: host names and the token file. The token itself stays unread here.

use std::path::Path;

use super::Check;
use crate::settings::bounded;
use crate::settings::place::KeyPath;

/// A token file is refused above this size.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

impl Check<'_> {
    pub(super) fn admin(&mut self) {
        let admin = &self.settings.admin;
        for (n, host) in admin.hosts.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
            if host.is_empty() || !host.chars().all(plain) {
                let message = format!("must be a host name, not \"{host}\"");
                self.complain(&KeyPath::dotted("admin.hosts").index(n), message);
            }
        }
        if let Some(file) = &admin.token_file
            && let Err(message) = check_token(file)
        {
            self.complain(&KeyPath::dotted("admin.token_file"), message);
        }
    }
}

fn check_token(file: &Path) -> Result<(), String> {
    match bounded::read_text(file, TOKEN_BYTES_MAX) {
        Ok(token) if token.trim().is_empty() => Err(format!("\"{}\" is empty", file.display())),
        Ok(_) => Ok(()),
        Err(why) => Err(format!("\"{}\" {why}", file.display())),
    }
}
