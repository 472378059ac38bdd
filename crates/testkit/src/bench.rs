//! What a bench and whoever runs it say to each other: what is asked, as a word of the command line, and a line of JSON per row. Measures nothing.

use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Events that questions about a month are judged over.
pub const EVENTS: u64 = 5_000_000;

/// What is asked of a bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Rows, by their whole name.
    pub rows: Vec<String>,
    /// Rounds of each side.
    pub rounds: usize,
    /// Seconds of each side in a round.
    pub seconds: u32,
    /// Where databases are put meanwhile.
    pub dir: PathBuf,
    /// Events that are counted before anything is asked about them.
    pub events: u64,
}

/// A row as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub row: String,
    /// None when it cannot be judged.
    pub value: Option<f64>,
    /// The figures behind the value.
    pub detail: String,
}

impl Ask {
    /// From the command line, to which cargo adds words of its own.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn of_command_line() -> Self {
        let asked = std::env::args().find(|word| word.starts_with('{')).unwrap_or_default();
        serde_json::from_str(&asked)
            .unwrap_or_else(|error| panic!("`cargo xtask bench` runs this bench: {error}"))
    }

    /// Whether a row is asked for.
    #[must_use]
    pub fn wants(&self, row: &str) -> bool {
        self.rows.iter().any(|wanted| wanted == row)
    }
}

/// Tells a row; one without a value meets no bar.
///
/// # Panics
/// When nobody listens.
pub fn tell(row: &str, value: Option<f64>, detail: String) {
    let told = Told { row: row.into(), value, detail };
    let line = serde_json::to_string(&told).expect("a row");
    writeln!(std::io::stdout(), "{line}").expect("somebody listens");
}

/// The 95th percentile by the nearest rank; NaN of none.
#[must_use]
pub fn p95(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * 95).div_ceil(100).saturating_sub(1);
    values.get(rank).copied().unwrap_or(f64::NAN)
}

/// The middle value, or the middle between two; NaN of none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn one_of_twenty_is_beyond_the_p95() {
        assert!((p95((1..=20).map(f64::from).collect()) - 19.0).abs() < f64::EPSILON);
        assert!((p95(vec![4.0]) - 4.0).abs() < f64::EPSILON);
        assert!(p95(Vec::new()).is_nan());
    }
}
