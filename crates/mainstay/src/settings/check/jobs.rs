//! Queues of jobs and the bounds of work.

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn jobs(&mut self) {
        for problem in self.settings.jobs.list_problems() {
            let path = problem.field.split('.').fold(KeyPath::dotted("jobs"), |path, step| {
                step.parse().map_or_else(|_| path.key(step), |at| path.index(at))
            });
            self.complain(&path, problem.what);
        }
    }
}
