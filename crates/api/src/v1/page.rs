//! What every read shares: the span asked for, the cursor, and the envelope of the answer.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use mainstay_base::{ErrorCode, Timestamp};
use mainstay_insight::Insight;
use mainstay_store::{Bots, Span};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scope::Scope;
use crate::admin::Admin;
use crate::problem::Problem;
use crate::token;

/// Rows of one page at most.
const LIMIT_MAX: u32 = 1_000;
const LIMIT_DEFAULT: u32 = 100;
/// Span when none is asked for.
const SPAN_DEFAULT: Duration = Duration::from_secs(86_400);
/// Seconds of a step when none are asked for.
const STEP_DEFAULT_S: u64 = 60;
/// Longest cursor that is read, in characters.
const CURSOR_CHARS_MAX: usize = 4_096;

/// What may stand in a query, as the document of the reads describes it.
#[derive(Deserialize, JsonSchema)]
struct Wire {
    /// Name of a site. Default: the first of the settings; of traffic, upstreams and the live stream, all of them together.
    #[schemars(with = "String")]
    site: Option<String>,
    /// First moment. Default: a day before `to`.
    #[schemars(with = "Timestamp")]
    from: Option<String>,
    /// Moment behind the last. Default: now.
    #[schemars(with = "Timestamp")]
    to: Option<String>,
    /// Whose visits count.
    #[schemars(with = "String", extend("enum" = ["exclude", "include", "only"], "default" = "exclude"))]
    bots: Option<String>,
    /// Rows of the answer at most.
    #[schemars(with = "u32", range(min = 1, max = LIMIT_MAX), extend("default" = LIMIT_DEFAULT))]
    limit: Option<String>,
    /// `next` of the answer before this one.
    #[schemars(with = "String", length(max = CURSOR_CHARS_MAX))]
    cursor: Option<String>,
    /// Seconds from row to row.
    #[schemars(with = "u64", range(min = 1), extend("default" = STEP_DEFAULT_S))]
    step: Option<String>,
    /// What a row stands for.
    #[schemars(with = "String", extend("enum" = ["page", "device", "release", "site"], "default" = "page"))]
    by: Option<String>,
    /// Name of a queue of jobs. Default: the first by name.
    #[schemars(with = "String")]
    #[expect(dead_code, reason = "described here, read by `jobs`")]
    queue: Option<String>,
    /// How the jobs stand.
    #[schemars(with = "String", extend("enum" = ["waiting", "delayed", "active", "completed", "failed", "dead"], "default" = "waiting"))]
    #[expect(dead_code, reason = "described here, read by `jobs`")]
    status: Option<String>,
}

/// The parameters of the reads by name, as OpenAPI describes them.
pub(crate) fn describe_parameters() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Wire>();
    let properties = schema.remove("properties");
    let Some(Value::Object(properties)) = properties else { return Value::Null };
    let described = properties.into_iter().map(|(name, mut schema)| {
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let parameter =
            json!({ "name": name, "in": "query", "description": about, "schema": schema });
        (name, parameter)
    });
    Value::Object(described.collect::<Map<_, _>>())
}

/// The common query of the reads, checked.
pub(crate) struct Asked {
    /// Who answers: with everything that the caller's tokens speak of.
    pub(crate) insight: Insight,
    site: Arc<str>,
    /// The site that was named; none where none was, for reads that can speak of all together.
    pub(crate) scope: Scope,
    from: Timestamp,
    to: Timestamp,
    bots: Bots,
    /// Rows wanted, 1 to 1000.
    pub(crate) limit: u32,
    /// Width of a step in a series.
    pub(crate) step: Duration,
    /// What rows are grouped by, where a read offers a choice.
    pub(crate) by: Option<String>,
    cursor: Option<String>,
    /// The moment the answer speaks of.
    pub(crate) as_of: Timestamp,
}

impl Asked {
    pub(crate) fn span(&self) -> Span<'_> {
        Span { site: &self.site, from: self.from, to: self.to, bots: self.bots }
    }

    /// The decoded cursor, when there is one.
    pub(crate) fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.map(Some).ok_or_else(|| invalid("cursor", "is not one that this server gave out"))
    }
}

/// None when it is not one.
fn number<T: FromStr>(text: Option<&str>, default: T) -> Option<T> {
    text.map_or(Some(default), |text| text.parse().ok())
}

impl FromRequestParts<Arc<Admin>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Query(wire) = Query::<Wire>::from_request_parts(parts, admin)
            .await
            .map_err(|_| invalid("query", "names a parameter twice"))?;
        let now = admin.clock.now();
        let scope = Scope::find(admin, wire.site.as_deref())?;
        let site = scope.one(admin);
        let to = time(wire.to.as_deref(), "to")?.unwrap_or(now);
        let from = time(wire.from.as_deref(), "from")?.unwrap_or(to.minus(SPAN_DEFAULT));
        if from >= to {
            return Err(invalid("from", "is not before to"));
        }
        let bots = match wire.bots.as_deref() {
            None | Some("exclude") => Bots::Exclude,
            Some("include") => Bots::Include,
            Some("only") => Bots::Only,
            Some(_) => return Err(invalid("bots", "is exclude, include or only")),
        };
        let limit = number(wire.limit.as_deref(), LIMIT_DEFAULT);
        let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = limit.ok_or_else(|| invalid("limit", "is 1 to 1000"))?;
        if wire.cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_CHARS_MAX) {
            return Err(invalid("cursor", "is not one that this server gave out"));
        }
        let step = number(wire.step.as_deref(), STEP_DEFAULT_S).filter(|step| *step > 0);
        let step = step.ok_or_else(|| invalid("step", "is at least 1 second"))?;
        admin.insight.note_use();
        Ok(Self {
            insight: admin.insight.reading_since(&token::list(&parts.headers)),
            site,
            scope,
            from,
            to,
            bots,
            limit,
            step: Duration::from_secs(step),
            by: wire.by,
            cursor: wire.cursor,
            as_of: now,
        })
    }
}

fn time(text: Option<&str>, field: &str) -> Result<Option<Timestamp>, Problem> {
    // A plus sign in a query is a space by the rules of forms; a time has no other use for one.
    text.map(|text| {
        Timestamp::parse_rfc3339(&text.replace(' ', "+"))
            .ok_or_else(|| invalid(field, "is not an RFC 3339 time"))
    })
    .transpose()
}

/// A 400 that names the parameter.
pub(crate) fn invalid(field: &str, reason: &str) -> Problem {
    Problem::new(ErrorCode::Invalid, format!("{field} {reason}")).with_field(field)
}

/// The envelope of every list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    data: Vec<T>,
    /// `cursor` of the page behind this one; null when this is the last.
    next: Option<String>,
    /// The moment the answer speaks of.
    as_of: Timestamp,
}

impl<T> Page<T> {
    /// A list that is complete.
    pub(crate) fn whole(data: Vec<T>, as_of: Timestamp) -> Self {
        Self { data, next: None, as_of }
    }

    /// A page of rows; `next` is where the following one begins, when this one is full.
    pub(crate) fn part(data: Vec<T>, next: Option<impl Serialize>, as_of: Timestamp) -> Self {
        let next = next
            .and_then(|next| serde_json::to_vec(&next).ok())
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Self { data, next, as_of }
    }
}
