//! The visits of one commit, added up in memory so that each is written once. Nothing here touches the database.

use std::collections::HashMap;

use mainstay_base::Timestamp;
use uuid::Uuid;

use crate::tables::user_session::{Change, Touch};

/// Distinct event names one commit may add to a visit.
const NAMES_MAX: usize = 50;

/// What is known of each visit so far.
#[derive(Debug, Default)]
pub(super) struct Visits<'a> {
    places: HashMap<Uuid, usize>,
    sums: Vec<Sum<'a>>,
}

#[derive(Debug)]
struct Sum<'a> {
    first: &'a Touch,
    last_activity: Timestamp,
    page_views: i64,
    custom_events: i64,
    names: Vec<&'a str>,
}

impl<'a> Visits<'a> {
    /// The visit goes on (or begins), without counting anything yet.
    pub(super) fn touch(&mut self, touch: &'a Touch, page_views: i64, names: &[&'a str]) {
        let place = *self.places.entry(touch.session_id).or_insert_with(|| {
            self.sums.push(Sum {
                first: touch,
                last_activity: touch.at,
                page_views: 0,
                custom_events: 0,
                names: Vec::new(),
            });
            self.sums.len() - 1
        });
        let sum = &mut self.sums[place];
        if touch.at < sum.first.at {
            sum.first = touch;
        }
        sum.last_activity = sum.last_activity.max(touch.at);
        sum.page_views += page_views;
        sum.custom_events += i64::try_from(names.len()).unwrap_or(i64::MAX);
        for name in names {
            if sum.names.len() < NAMES_MAX && !sum.names.contains(name) {
                sum.names.push(name);
            }
        }
    }

    /// One change per visit.
    pub(super) fn into_changes(self) -> Vec<Change<'a>> {
        self.sums
            .into_iter()
            .map(|sum| Change {
                touch: sum.first,
                last_activity: sum.last_activity,
                page_views: sum.page_views,
                custom_events: sum.custom_events,
                conversion_events: json_array(&sum.names),
            })
            .collect()
    }
}

fn json_array(names: &[&str]) -> String {
    if names.is_empty() {
        return "[]".into();
    }
    serde_json::Value::from(names.to_vec()).to_string()
}
