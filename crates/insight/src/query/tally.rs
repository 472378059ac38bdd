//! Reading everything a question needs, page by page and up to a bound; adds up, asks nothing by itself.

use std::collections::BTreeMap;

use mainstay_store::performance_metric::Values;
use mainstay_store::rollup::{self, Counted, Page};
use mainstay_store::{Cursor, Error, KeyCount};

use super::most::Most;
use crate::vitals::{ByVital, Vital, day};

/// Most things one answer or one hour is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) keys_max: usize,
    pub(crate) vital_keys_max: usize,
}

/// Distributions by key.
pub(crate) type Distributions = BTreeMap<Option<String>, ByVital>;

/// Keys that are counted for each that is kept. With more keys than these, one that has less than its share of the
/// measurements may be taken for one that has more.
const COUNTED_PER_KEPT: usize = 8;
/// Rows asked for at once.
const PAGE: u32 = 1_000;
/// Most keys of a window that goes on: there may be more by those of its last page.
const WINDOW_KEYS_MAX: usize = 16_000;

/// Every key of an ordered, paged count, up to the bound.
pub(crate) async fn tally_keys<F: Future<Output = Result<Vec<KeyCount>, Error>>>(
    tally: Tally,
    count: impl Fn(Option<Cursor>, u32) -> F,
) -> Result<Vec<KeyCount>, Error> {
    let mut keys: Vec<KeyCount> = Vec::new();
    while keys.len() < tally.keys_max {
        let after = keys.last().map(KeyCount::cursor);
        let page = count(after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        keys.extend(page);
        if is_last {
            break;
        }
    }
    keys.truncate(tally.keys_max);
    Ok(keys)
}

/// The distributions of single measurements, of the keys measured most. Where there are more keys than that, everything is
/// read twice: counted first, because a distribution of each of them would take too much room.
pub(crate) async fn tally_vitals(
    tally: Tally,
    values: &mut Values<'_>,
) -> Result<Distributions, Error> {
    let keys_max = tally.vital_keys_max;
    let mut found = Distributions::new();
    let mut most: Option<Most> = None;
    each_vital(values, |key, vital, value| match &mut most {
        Some(most) => most.add(key),
        None if found.len() < keys_max || found.contains_key(&key) => {
            found.entry(key).or_default().of(vital).add(vital, value);
        }
        None => {
            let counts = std::mem::take(&mut found).into_iter();
            let counts = counts.map(|(key, all)| (key, all.samples()));
            let counted_max = keys_max.saturating_mul(COUNTED_PER_KEPT);
            most.insert(Most::from_counts(counted_max, counts)).add(key);
        }
    })
    .await?;
    let Some(most) = most else { return Ok(found) };
    let kept = most.into_first(keys_max);
    values.rewind();
    each_vital(values, |key, vital, value| {
        if kept.contains(&key) {
            found.entry(key).or_default().of(vital).add(vital, value);
        }
    })
    .await?;
    Ok(found)
}

async fn each_vital(
    values: &mut Values<'_>,
    mut with: impl FnMut(Option<String>, Vital, f64),
) -> Result<(), Error> {
    loop {
        let page = values.next_page().await?;
        if page.is_empty() {
            return Ok(());
        }
        for value in page {
            if let Some(vital) = Vital::from_name(&value.metric_name) {
                with(value.key, vital, value.value);
            }
        }
    }
}

/// The distributions of counted hours and days, some keys at a time.
#[derive(Debug)]
pub(crate) struct Windows<'a> {
    counted: rollup::Vitals<'a>,
    /// Read already: the first page of the next window.
    ahead: Option<Page>,
    /// Most keys of a window that goes on.
    pub(crate) keys_max: usize,
}

impl<'a> Windows<'a> {
    pub(crate) fn of(counted: rollup::Vitals<'a>) -> Self {
        Self { counted, ahead: None, keys_max: WINDOW_KEYS_MAX }
    }

    /// The next keys, each with everything there is of it; none at the end.
    pub(crate) async fn next_window(&mut self) -> Result<Option<Distributions>, Error> {
        let mut found = Distributions::new();
        let mut page = match self.ahead.take() {
            Some(page) => Some(page),
            None => self.counted.next_page().await?,
        };
        while let Some(Page { vitals, before, is_last }) = page {
            // The store is at the next page while this one is added.
            let added = async { vitals.into_iter().for_each(|row| add_counted(&mut found, row)) };
            let (next, ()) = tokio::join!(self.counted.next_page(), added);
            if before.is_some() {
                drop(found.split_off(&before));
            }
            page = next?;
            if is_last {
                self.ahead = page;
                return Ok(Some(found));
            }
            if let Some(before) = cut_at_middle(&mut found, self.keys_max) {
                self.counted.narrow(before.clone());
                if let Some(ahead) = &mut page {
                    ahead.narrow(before);
                }
            }
        }
        Ok(None)
    }
}

/// Where there are too many keys, leaves out those from the middle one on, or more of them if that is still too many, and
/// answers the first of them.
fn cut_at_middle(found: &mut Distributions, keys_max: usize) -> Option<String> {
    let keys_max = keys_max.max(1);
    if found.len() <= keys_max {
        return None;
    }
    let middle = found.keys().nth(keys_max.min(found.len() / 2))?.clone();
    drop(found.split_off(&middle));
    middle
}

/// Adds what was counted. What cannot be read is left out.
pub(crate) fn add_counted(found: &mut Distributions, row: rollup::Vital) {
    let all = found.entry(row.key).or_default();
    match row.counted {
        Counted::Hour { name, sketch, counts } => {
            if let Some(vital) = Vital::from_name(&name) {
                let counts = counts.map(i64::unsigned_abs);
                let _left_out = all.of(vital).merge_stored(&sketch, counts);
            }
        }
        Counted::Day(vitals) => {
            for part in day::parts(&vitals) {
                let _left_out = all.of(part.vital).merge_stored(part.sketch, part.counts);
            }
        }
    }
}
