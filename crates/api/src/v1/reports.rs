//! `GET /api/v1/reports`: what browsers reported about the pages, alike reports as one row, the latest seen first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use mainstay_store::report::{After, Group};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// Alike reports. Texts are claims of browsers, scrubbed; empty where a type does not say.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Report")]
pub(crate) struct Row {
    fingerprint: String,
    r#type: String,
    /// The directive, feature or kind of fault.
    name: String,
    /// Page of the latest; a path when it is of the site.
    document: String,
    /// What was blocked or failed: an address, a scheme, or a keyword such as `inline`.
    blocked: String,
    source: String,
    line: Option<i32>,
    column: Option<i32>,
    /// `enforce`, `report` or empty.
    disposition: String,
    message: String,
    /// Browser of the latest.
    browser: Option<String>,
    count: i64,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    t: Timestamp,
    f: String,
}

impl From<Group> for Row {
    fn from(group: Group) -> Self {
        Self {
            fingerprint: group.fingerprint.simple().to_string(),
            r#type: group.report_type,
            name: group.name,
            document: group.document,
            blocked: group.blocked,
            source: group.source,
            line: group.line_number,
            column: group.column_number,
            disposition: group.disposition,
            message: group.message,
            browser: group.user_agent,
            count: group.count,
            first_seen: group.first_seen,
            last_seen: group.last_seen,
        }
    }
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let after = match asked.cursor::<Mark>()? {
        None => None,
        Some(mark) => {
            let fingerprint = Uuid::try_parse(&mark.f).map_err(|_| {
                super::page::invalid("cursor", "is not one that this server gave out")
            })?;
            Some(After { last_seen: mark.t, fingerprint })
        }
    };
    let groups = asked
        .insight
        .list_reports(&asked.span(), after, asked.limit)
        .await
        .map_err(|error| Problem::of(&error))?;
    let full = groups.len() == asked.limit as usize;
    let next = groups
        .last()
        .filter(|_| full)
        .map(|g| Mark { t: g.last_seen, f: g.fingerprint.simple().to_string() });
    let rows = groups.into_iter().map(Row::from).collect();
    Ok(Json(Page::part(rows, next, asked.as_of)))
}
