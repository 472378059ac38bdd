//! Whether the mail server and workers over HTTP can be addresses. Connects to nobody.

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn kinds(&mut self) {
        for problem in self.settings.mail.list_problems() {
            self.complain(&KeyPath::dotted("mail").key(problem.field), problem.what);
        }
        for (field, what) in self.settings.webhook.list_problems() {
            self.complain(&KeyPath::dotted("webhook").key(field), what);
        }
    }
}
