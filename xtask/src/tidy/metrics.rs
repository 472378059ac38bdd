//! `docs/metrics.md`, written from the table of metrics so that no metric goes undocumented. Values and meaning live in telemetry.

use std::fmt::Write as _;

use mainstay_telemetry::names::{ALL, FIRST_PUBLISHED, Kind, Metric};

use super::Finding;

/// Where the document is.
pub(super) const PATH: &str = "docs/metrics.md";

/// The document as it has to be.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Written by `cargo xtask codegen` from `crates/telemetry/src/names.rs`; change it there.\n\n\
         `GET /metrics` on the private listener answers all of them, as Prometheus text 0.0.4 or as OpenMetrics with\n\
         exemplars, whichever the `Accept` header asks for. Labels are bounded: what does not fit is counted under\n\
         `other` and in `mainstay_metrics_dropped_series_total`.\n\n\
         | name | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in ALL {
        row(&mut text, metric);
    }
    text.push_str("\n## Buckets\n\n| histogram | upper bounds |\n|---|---|\n");
    for metric in ALL.iter().filter(|metric| !metric.bounds().is_empty()) {
        let bounds: Vec<_> = metric.bounds().iter().map(f64::to_string).collect();
        line(&mut text, &format!("| `{}` | {} |", metric.name, bounds.join(", ")));
    }
    text.push_str("\n## Names first published\n\n");
    text.push_str("With `metrics.roadmap_names = true` these are exported as well:\n\n");
    for (name, metric) in FIRST_PUBLISHED {
        line(&mut text, &format!("- `{name}` repeats `{}`", metric.name));
    }
    text
}

/// Metrics that the document does not name, or says something old about.
pub(super) fn check(found: Option<&str>) -> Vec<Finding> {
    let found = found.unwrap_or_default();
    let missing: Vec<_> =
        ALL.iter().filter(|metric| !found.contains(&format!("| `{}` |", metric.name))).collect();
    let mut findings: Vec<_> = missing
        .iter()
        .map(|metric| {
            Finding::new(PATH, format!("does not name {}: run `cargo xtask codegen`", metric.name))
        })
        .collect();
    if missing.is_empty() && found != document() {
        findings.push(Finding::new(PATH, "is stale: run `cargo xtask codegen`"));
    }
    findings
}

fn row(text: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    line(
        text,
        &format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help),
    );
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undocumented_metric_is_found() {
        let whole = document();
        assert_eq!(check(Some(&whole)), []);
        assert_eq!(check(None).len(), ALL.len());
        let name = ALL[0].name;
        let without: String = whole
            .lines()
            .filter(|line| !line.contains(name))
            .map(|line| format!("{line}\n"))
            .collect();
        let findings = check(Some(&without));
        assert!(findings.iter().any(|finding| finding.what.contains(name)), "{findings:?}");
    }

    #[test]
    fn a_changed_meaning_is_found() {
        assert_eq!(check(Some(&document().replace(ALL[0].help, "Something else."))).len(), 1);
    }
}
