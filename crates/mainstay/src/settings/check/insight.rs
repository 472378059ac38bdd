//! What the analytics' own bounds allow. Opens no file.

use mainstay_insight::settings::{EVENTS_MAX, RELEASE_BYTES_MAX};

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn insight(&mut self) {
        let insight = &self.settings.insight;
        if insight.events_max > EVENTS_MAX {
            let message = format!("must not exceed {EVENTS_MAX}, not {}", insight.events_max);
            self.complain(&KeyPath::dotted("insight.events_max"), message);
        }
        let release = insight.release.as_deref().unwrap_or_default();
        if release.len() > RELEASE_BYTES_MAX {
            let message =
                format!("must have at most {RELEASE_BYTES_MAX} bytes, not {}", release.len());
            self.complain(&KeyPath::dotted("insight.release"), message);
        }
    }
}
