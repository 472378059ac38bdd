//! The texts by which a group is written, on either engine.

use crate::bulk::Bulk;
use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, user_session,
};

/// One for each table that takes rows of a group.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) page_views: Bulk,
    pub(super) engagement: Bulk,
    pub(super) vitals: Bulk,
    pub(super) errors: Bulk,
    pub(super) customs: Bulk,
    pub(super) reports: Bulk,
    pub(super) sessions: Bulk,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self {
            page_views: Bulk::new(&page_view::INSERT),
            engagement: Bulk::new(&engagement::UPSERT),
            vitals: Bulk::new(&performance_metric::UPSERT),
            errors: Bulk::new(&error_event::INSERT),
            customs: Bulk::new(&custom_event::INSERT),
            reports: Bulk::new(&report::UPSERT),
            sessions: Bulk::new(&user_session::UPSERT),
        }
    }
}
