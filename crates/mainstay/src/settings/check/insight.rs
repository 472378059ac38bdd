//! What the analytics' own bounds allow. Opens no file.

use mainstay_insight::settings::{COARSE_STEP_S, EVENTS_MAX, RELEASE_BYTES_MAX};

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn insight(&mut self) {
        let insight = &self.settings.insight;
        if insight.events_max > EVENTS_MAX {
            let message = format!("must not exceed {EVENTS_MAX}, not {}", insight.events_max);
            self.complain(&KeyPath::dotted("insight.events_max"), message);
        }
        let every = insight.sample_every.0;
        let steps = u64::from(COARSE_STEP_S);
        // Finer than what old samples are merged into, and a whole part of it.
        if every.subsec_nanos() != 0
            || every.as_secs() >= steps
            || steps.checked_rem(every.as_secs()) != Some(0)
        {
            let message = "must be whole seconds that divide 5m, and less: \"10s\", \"1m\"";
            self.complain(&KeyPath::dotted("insight.sample_every"), message);
        }
        let release = insight.release.as_deref().unwrap_or_default();
        if release.len() > RELEASE_BYTES_MAX {
            let message =
                format!("must have at most {RELEASE_BYTES_MAX} bytes, not {}", release.len());
            self.complain(&KeyPath::dotted("insight.release"), message);
        }
    }
}
