//! `GET /api/v1/vitals?by=page|device|release|site`: 75th percentiles of web vitals with their rating.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_insight::query::VitalRow;
use mainstay_store::Group;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Asked, Page, invalid};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One vital of one key. Milliseconds; CLS has no unit.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Vital")]
pub(crate) struct Row {
    /// Null for the whole site, and for views whose release has no name.
    key: Option<String>,
    #[serde(flatten)]
    overall: Overall,
}

/// One vital without its key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SiteVital")]
pub(crate) struct Overall {
    name: &'static str,
    p75: f64,
    rating: &'static str,
    good: u64,
    needs_improvement: u64,
    poor: u64,
    samples: u64,
}

impl Overall {
    pub(crate) fn of(row: &VitalRow) -> Self {
        Self {
            name: row.vital.as_str(),
            p75: row.p75,
            rating: row.rating.as_str(),
            good: row.good,
            needs_improvement: row.needs_improvement,
            poor: row.poor,
            samples: row.samples,
        }
    }
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let by = match asked.by.as_deref() {
        None | Some("page") => Group::Page,
        Some("device") => Group::Device,
        Some("release") => Group::Release,
        Some("site") => Group::Site,
        Some(_) => return Err(invalid("by", "is page, device, release or site")),
    };
    let rows =
        asked.insight.list_vitals(&asked.span(), by).await.map_err(|error| Problem::of(&error))?;
    let rows = rows.iter().take(asked.limit as usize);
    let data = rows.map(|row| Row { key: row.key.clone(), overall: Overall::of(row) });
    Ok(Json(Page::whole(data.collect(), asked.as_of)))
}
