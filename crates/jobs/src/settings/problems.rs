//! What the schema lets pass and means nothing.

use std::collections::HashSet;
use std::time::Duration;

use super::Settings;

/// A value that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, below `jobs`: `lease`, `queue.1.name`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// The store's own bound.
const NAME_MAX: usize = 100;
/// A renewal that comes late by a moment must not cost a lease.
const LEASE_MIN: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const TIME_MAX: Duration = Duration::from_secs(3_650 * 86_400);
const CONCURRENCY_MAX: u32 = 10_000;
const TRANSACTIONS_MAX: u32 = 64;
const BATCH_MAX: u32 = 100_000;

pub(super) fn list(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut complain = |field: &str, what: String| {
        problems.push(Problem { field: field.to_owned(), what });
    };
    if !(LEASE_MIN..=DAY).contains(&settings.lease.0) {
        complain("lease", "is from \"1s\" to \"1d\"".into());
    }
    for (field, every) in [("sweep", settings.sweep.0), ("poll_every", settings.poll_every.0)] {
        if !(Duration::from_millis(10)..=DAY).contains(&every) {
            complain(field, "is from \"10ms\" to \"1d\"".into());
        }
    }
    if !(0.0..=1.0).contains(&settings.backoff_jitter) {
        complain("backoff_jitter", "is a number from 0 to 1".into());
    }
    let most = [
        ("concurrency", settings.concurrency, 0, CONCURRENCY_MAX),
        ("prefetch_max", settings.prefetch_max, 0, CONCURRENCY_MAX),
        ("threads", settings.threads, 1, 1_024),
        ("attempts", settings.attempts, 1, 1_000),
        ("batch_max", settings.batch_max, 1, BATCH_MAX),
        ("waiting_max", settings.waiting_max, 1, BATCH_MAX * 10),
        ("together_max", settings.together_max, 1, BATCH_MAX),
        ("transactions", settings.transactions, 1, TRANSACTIONS_MAX),
    ];
    for (field, value, least, most) in most {
        if !(least..=most).contains(&value) {
            complain(field, format!("is from {least} to {most}"));
        }
    }
    let times = [
        ("timeout", settings.timeout.0),
        ("backoff", settings.backoff.0),
        ("keep_for", settings.keep_for.0),
        ("idempotency_for", settings.idempotency_for.0),
    ];
    for (field, time) in times {
        if time > TIME_MAX {
            complain(field, "is at most \"3650d\"".into());
        }
    }
    let mut names = HashSet::new();
    for (at, queue) in settings.queue.iter().enumerate() {
        if !is_name(&queue.name) {
            let what = format!(
                "`{}` is no name of a queue: write 1 to {NAME_MAX} letters, digits, `-`, `_`, `.` or `:`",
                queue.name.escape_debug()
            );
            complain(&format!("queue.{at}.name"), what);
        } else if !names.insert(&*queue.name) {
            complain(&format!("queue.{at}.name"), format!("`{}` is named twice", queue.name));
        }
        if queue.concurrency.is_some_and(|value| value > CONCURRENCY_MAX) {
            complain(&format!("queue.{at}.concurrency"), format!("is at most {CONCURRENCY_MAX}"));
        }
    }
    problems
}

/// It is part of paths, labels and keys.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use mainstay_base::units::Span;

    use super::super::Queue;
    use super::*;

    #[test]
    fn what_means_nothing_is_told_field_by_field() {
        assert_eq!(Settings::default().list_problems(), []);
        let queue = |name: &str, concurrency| Queue { name: name.into(), concurrency };
        let settings = Settings {
            lease: Span(Duration::from_millis(10)),
            poll_every: Span(Duration::ZERO),
            backoff_jitter: f64::NAN,
            concurrency: CONCURRENCY_MAX + 1,
            attempts: 0,
            queue: vec![
                queue("mail", None),
                queue("mail", Some(CONCURRENCY_MAX + 1)),
                queue("a b", None),
                queue("", None),
                queue(&"x".repeat(NAME_MAX + 1), Some(0)),
                queue("a.b:c-d_E", None),
            ],
            ..Settings::default()
        };
        let problems = settings.list_problems();
        let fields: Vec<_> = problems.iter().map(|problem| &*problem.field).collect();
        let expected = [
            "lease",
            "poll_every",
            "backoff_jitter",
            "concurrency",
            "attempts",
            "queue.1.name",
            "queue.1.concurrency",
            "queue.2.name",
            "queue.3.name",
            "queue.4.name",
        ];
        assert_eq!(fields, expected);
        assert_eq!(problems[5].what, "`mail` is named twice");
    }
}
