//! A scrape in the text format, read just far enough to count and compare.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// From the body of `/metrics`.
    #[must_use]
    pub fn parse(text: String) -> Self {
        Self(text)
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// How many series there are: every line that is a sample.
    #[must_use]
    pub fn series(&self) -> usize {
        self.samples().count()
    }

    /// Sum of all samples of this name that carry all these labels; 0 when there is none.
    ///
    /// # Panics
    /// When a value is no number.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let matching = self.samples().filter(|line| {
            let (series, _) = split(line);
            let (found, set) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|label| set.contains(label.as_str()))
        });
        matching.map(|line| split(line).1.parse::<f64>().expect("a number")).sum()
    }

    /// What was added to each series of this name since `before`; those that stayed as they were are left out.
    ///
    /// # Panics
    /// When a value is no number.
    #[must_use]
    pub fn added(&self, before: &Self, name: &str) -> BTreeMap<String, f64> {
        let read = |metrics: &Self| -> BTreeMap<String, f64> {
            let samples = metrics.samples().map(split);
            let named = samples.filter(|(series, _)| series.split('{').next() == Some(name));
            named.map(|(series, value)| (series.into(), value.parse().expect("a number"))).collect()
        };
        let before = read(before);
        let added = read(self).into_iter().map(|(series, value)| {
            let added = value - before.get(&series).unwrap_or(&0.0);
            (series, added)
        });
        added.filter(|(_, added)| added.abs() > 1e-9).collect()
    }

    /// Whether any sample has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.samples().any(|line| split(line).0.split('{').next() == Some(name))
    }

    fn samples(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// Series and value of a sample line (no timestamps are written).
fn split(line: &str) -> (&str, &str) {
    line.rsplit_once(' ').unwrap_or((line, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_and_summed_by_label() {
        let text = "# HELP a_total x\na_total{m=\"GET\",s=\"200\"} 2\na_total{m=\"GET\",s=\"404\"} 3\nb 1.5\n";
        let metrics = Metrics::parse(text.to_owned());
        assert_eq!(metrics.series(), 3);
        assert!((metrics.value("a_total", &[("m", "GET")]) - 5.0).abs() < 1e-9);
        assert!((metrics.value("a_total", &[("s", "404")]) - 3.0).abs() < 1e-9);
        assert!(metrics.value("a_total", &[("s", "500")]).abs() < 1e-9);
        assert!(metrics.has("b") && !metrics.has("a"));
        let before = Metrics::parse("a_total{m=\"GET\",s=\"200\"} 2\n".to_owned());
        let added = metrics.added(&before, "a_total");
        assert_eq!(
            added.into_iter().collect::<Vec<_>>(),
            [(r#"a_total{m="GET",s="404"}"#.to_owned(), 3.0)]
        );
    }
}
