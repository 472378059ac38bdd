//! The one site a read is about, or all of them. Reads that speak of visitors are always about one: see `page`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use mainstay_base::ErrorCode;
use serde::Deserialize;

use super::page::invalid;
use crate::admin::Admin;
use crate::problem::Problem;

/// A configured site by its name; none = all together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope(pub(crate) Option<Arc<str>>);

#[derive(Deserialize)]
struct Wire {
    site: Option<String>,
}

impl Scope {
    /// Of a query's `site`.
    pub(crate) fn find(admin: &Admin, site: Option<&str>) -> Result<Self, Problem> {
        let Some(name) = site else { return Ok(Self(None)) };
        let known = admin.insight.list_sites().iter().find(|one| ***one == *name).cloned();
        let unknown = || {
            Problem::new(ErrorCode::NotFound, "There is no site of this name.").with_field("site")
        };
        known.map(|name| Self(Some(name))).ok_or_else(unknown)
    }

    /// The site that a read about visitors speaks of: the first of the settings, where none was named.
    pub(crate) fn one(&self, admin: &Admin) -> Arc<str> {
        let first = || admin.insight.list_sites().first().cloned();
        self.0.clone().or_else(first).unwrap_or_default()
    }

    /// Whether this site is meant, or all are.
    pub(crate) fn holds(&self, site: &str) -> bool {
        self.0.as_deref().is_none_or(|name| name == site)
    }
}

impl FromRequestParts<Arc<Admin>> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Query(Wire { site }) = Query::<Wire>::from_request_parts(parts, admin)
            .await
            .map_err(|_| invalid("query", "names a parameter twice"))?;
        Self::find(admin, site.as_deref())
    }
}
