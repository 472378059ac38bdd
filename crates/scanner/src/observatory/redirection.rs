//! Whether who asks by http is brought to https, and by which way.

use super::Seen;
use super::outcome::Outcome;

pub(super) fn judge(seen: &Seen) -> Outcome {
    if seen.http.is_none() {
        return Outcome::RedirectionNotNeeded;
    }
    let is_https = |at: usize| seen.route.get(at).is_some_and(|url| url.scheme() == "https");
    let host = |at: usize| seen.route.get(at).and_then(|url| url.host_str());
    match seen.route.len() {
        0 | 1 => Outcome::RedirectionMissing,
        all if !is_https(all - 1) => Outcome::RedirectionNotToHttps,
        _ if !is_https(1) => Outcome::RedirectionLate,
        _ if !is_https(0) && host(0) != host(1) => Outcome::RedirectionOffHost,
        _ => Outcome::RedirectionToHttps,
    }
}
