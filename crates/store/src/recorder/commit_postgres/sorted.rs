//! The rows of a group, sorted by their tables, and which of them are new.

use std::collections::HashSet;

use mainstay_base::Timestamp;
use uuid::Uuid;

use crate::recorder::Record;
use crate::recorder::keys::{Of, key};
use crate::recorder::spool::Sealed;
use crate::rollup::HOUR;
use crate::tables::{custom_event, engagement, error_event, page_view, performance_metric, report};

/// The rows of a group by table, each with its key, in the order of its batches.
#[derive(Default)]
pub(super) struct Sorted<'a> {
    pub(super) page_views: Vec<(Uuid, &'a page_view::Row)>,
    pub(super) engagement: Vec<(Uuid, &'a engagement::Row)>,
    pub(super) vitals: Vec<(Uuid, &'a performance_metric::Row)>,
    pub(super) errors: Vec<(Uuid, &'a error_event::Row)>,
    pub(super) customs: Vec<(Uuid, &'a custom_event::Row)>,
    /// The key is the batch's.
    pub(super) reports: Vec<(Uuid, &'a report::Row)>,
    /// The hours events belong to: one that was counted already must be counted again.
    pub(super) hours: HashSet<(&'a str, Timestamp)>,
}

impl<'a> Sorted<'a> {
    pub(super) fn of(batches: &[&'a Sealed<'_>]) -> Self {
        let mut rows = Self::default();
        for sealed in batches {
            let batch = key(Of::Batch, "", &[&sealed.id]);
            for record in &sealed.batch.records {
                rows.add(batch, record);
            }
        }
        rows
    }

    fn add(&mut self, batch: Uuid, record: &'a Record) {
        let (site, at): (&str, _) = match record {
            Record::PageView(row) => {
                self.page_views.push((key(Of::PageView, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Custom(row) => {
                self.customs.push((key(Of::Custom, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Error(row) => {
                self.errors.push((key(Of::Error, &row.site, &[&row.id]), row));
                (&row.site, row.timestamp)
            }
            Record::Engagement(row) => {
                self.engagement.push((key(Of::Engagement, &row.site, &[&row.id]), row));
                (&row.site, row.recorded_at)
            }
            Record::Vital(row) => {
                self.vitals.push((key(Of::Vital, &row.site, &[&row.id]), row));
                (&row.site, row.timestamp)
            }
            // No roll-up is counted from reports.
            Record::Report(row) => {
                self.reports.push((batch, row));
                return;
            }
        };
        self.hours.insert((site, at.floor_to(HOUR)));
    }

    pub(super) fn list_keys(&self) -> impl Iterator<Item = (Uuid, Timestamp)> {
        let views = self.page_views.iter().map(|(key, row)| (*key, row.recorded_at));
        let customs = self.customs.iter().map(|(key, row)| (*key, row.recorded_at));
        let errors = self.errors.iter().map(|(key, row)| (*key, row.timestamp));
        let engagement = self.engagement.iter().map(|(key, row)| (*key, row.recorded_at));
        let vitals = self.vitals.iter().map(|(key, row)| (*key, row.timestamp));
        let reports = self.reports.iter().map(|(key, row)| (*key, row.last_seen));
        views.chain(customs).chain(errors).chain(engagement).chain(vitals).chain(reports)
    }
}

/// For each row whether it is new. A row that comes twice in one group is new once.
pub(super) fn take_new<R>(rows: &[(Uuid, R)], new: &mut HashSet<Uuid>) -> Vec<bool> {
    rows.iter().map(|(key, _)| new.remove(key)).collect()
}

pub(super) fn kept<'a, R>(rows: &[(Uuid, &'a R)], new: &[bool]) -> Vec<&'a R> {
    rows.iter().zip(new).filter(|(_, new)| **new).map(|((_, row), _)| *row).collect()
}
