//! Reading everything a question needs, page by page and up to a bound; adds up, asks nothing by itself.

use std::collections::BTreeMap;

use mainstay_store::performance_metric::Values;
use mainstay_store::rollup::{self, Counted};
use mainstay_store::{Cursor, Error, KeyCount};

use crate::vitals::{Distribution, Vital, day};

/// Most things one answer or one hour is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) keys_max: usize,
    pub(crate) vital_keys_max: usize,
}

/// Distributions by key and vital.
pub(crate) type Distributions = BTreeMap<(Option<String>, Vital), Distribution>;

/// Rows asked for at once.
const PAGE: u32 = 1_000;

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

/// The distributions of single measurements.
pub(crate) async fn tally_vitals(
    tally: Tally,
    values: &mut Values<'_>,
) -> Result<Distributions, Error> {
    let mut found = Distributions::new();
    loop {
        let page = values.next_page().await?;
        if page.is_empty() {
            return Ok(found);
        }
        for value in page {
            let Some(vital) = Vital::from_name(&value.metric_name) else { continue };
            if let Some(all) = place(&mut found, (value.key, vital), tally) {
                all.add(vital, value.value);
            }
        }
    }
}

/// The distributions of counted hours and days.
pub(crate) async fn tally_counted(
    tally: Tally,
    counted: &mut rollup::Vitals<'_>,
) -> Result<Distributions, Error> {
    let mut found = Distributions::new();
    add_counted(&mut found, tally, counted).await?;
    Ok(found)
}

/// Adds them. What cannot be read is left out; a key of nothing else has no percentile, and no row.
pub(crate) async fn add_counted(
    found: &mut Distributions,
    tally: Tally,
    counted: &mut rollup::Vitals<'_>,
) -> Result<(), Error> {
    let mut page = counted.next_page().await?;
    while !page.is_empty() {
        // The store is at the next page while this one is added.
        let added = async { page.into_iter().for_each(|row| add(found, tally, row)) };
        let (next, ()) = tokio::join!(counted.next_page(), added);
        page = next?;
    }
    Ok(())
}

fn add(found: &mut Distributions, tally: Tally, row: rollup::Vital) {
    let rollup::Vital { key, counted, .. } = row;
    let mut add = |vital, sketch: &[u8], counts| {
        if let Some(all) = place(found, (key.clone(), vital), tally) {
            let _left_out = all.merge_stored(sketch, counts);
        }
    };
    match counted {
        Counted::Hour { name, sketch, counts } => {
            if let Some(vital) = Vital::from_name(&name) {
                add(vital, &sketch, counts.map(i64::unsigned_abs));
            }
        }
        Counted::Day(vitals) => {
            day::parts(&vitals).for_each(|part| add(part.vital, part.sketch, part.counts));
        }
    }
}

/// Where to add samples of a key; none when there are too many keys already.
fn place(
    found: &mut Distributions,
    key: (Option<String>, Vital),
    tally: Tally,
) -> Option<&mut Distribution> {
    if found.len() >= tally.vital_keys_max.saturating_mul(Vital::ALL.len())
        && !found.contains_key(&key)
    {
        return None;
    }
    Some(found.entry(key).or_default())
}
