//! `GET /api/v1/pages`, `/sources`, `/devices`, `/countries`: visitors and page views by key, most viewed first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_store::{Cursor, Error, KeyCount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// What a visit without a source is called.
const DIRECT: &str = "Direct / none";
/// What an unknown country, or any other missing key, is called.
const UNKNOWN: &str = "unknown";

/// One key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyCount")]
pub(crate) struct Row {
    key: String,
    visitors: i64,
    pageviews: i64,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    n: i64,
    k: Option<String>,
}

impl Row {
    pub(crate) fn page(count: &KeyCount) -> Self {
        Self::named(count, UNKNOWN)
    }

    pub(crate) fn source(count: &KeyCount) -> Self {
        Self::named(count, DIRECT)
    }

    fn named(count: &KeyCount, missing: &str) -> Self {
        let key = count.key.clone().unwrap_or_else(|| missing.to_owned());
        Self { key, visitors: count.visitors, pageviews: count.pageviews }
    }
}

type Answer = Result<Json<Page<Row>>, Problem>;

pub(crate) async fn list_pages(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Answer {
    let counted = asked.insight.list_pages(&asked.span(), after(&asked)?, asked.limit).await;
    answer(counted, &asked, Row::page)
}

pub(crate) async fn list_sources(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Answer {
    let counted = asked.insight.list_sources(&asked.span(), after(&asked)?, asked.limit).await;
    answer(counted, &asked, Row::source)
}

pub(crate) async fn list_devices(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Answer {
    let counted = asked.insight.list_devices(&asked.span(), after(&asked)?, asked.limit).await;
    answer(counted, &asked, Row::page)
}

pub(crate) async fn list_countries(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Answer {
    let counted = asked.insight.list_countries(&asked.span(), after(&asked)?, asked.limit).await;
    answer(counted, &asked, Row::page)
}

fn after(asked: &Asked) -> Result<Option<Cursor>, Problem> {
    let mark = asked.cursor::<Mark>()?;
    Ok(mark.map(|mark| Cursor { pageviews: mark.n, key: mark.k }))
}

fn answer(
    counted: Result<Vec<KeyCount>, Error>,
    asked: &Asked,
    row: fn(&KeyCount) -> Row,
) -> Answer {
    let counted = counted.map_err(|error| Problem::of(&error))?;
    let full = counted.len() == asked.limit as usize;
    let next =
        counted.last().filter(|_| full).map(|last| Mark { n: last.pageviews, k: last.key.clone() });
    Ok(Json(Page::part(counted.iter().map(row).collect(), next, asked.as_of)))
}
