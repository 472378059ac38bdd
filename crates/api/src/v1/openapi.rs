//! `GET /api/v1/openapi.json`: the reads as an OpenAPI 3.1 document, made of the same table as their routes. Never answers a read itself.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, get, on};
use bytes::Bytes;
use http::{Method, header};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::page;
use crate::access::{COOKIE, Caller};
use crate::admin::Admin;
use crate::live;

mod answers;

pub(crate) use answers::Read;

/// Where the document is.
const PATH: &str = "/api/v1/openapi.json";
/// What the document says of itself.
const SUMMARY: &str = "This document.";
/// Where schemas stand in a document.
const SCHEMAS: &str = "/components/schemas";

/// Names of the parameters that a read takes; [`page`] says what they mean.
pub(crate) type Parameters = &'static [&'static str];
/// Takes nothing.
pub(crate) const NONE: Parameters = &[];
/// What is true of a site now.
pub(crate) const SITE: Parameters = &["site"];
/// One row a step.
pub(crate) const SERIES: Parameters = &["site", "from", "to", "bots", "step"];
/// Rows in pages.
pub(crate) const LIST: Parameters = &["site", "from", "to", "bots", "limit", "cursor"];
/// The first rows.
pub(crate) const FIRST: Parameters = &["site", "from", "to", "bots", "limit"];
/// The first rows by what the caller chooses.
pub(crate) const GROUPS: Parameters = &["site", "from", "to", "bots", "limit", "by"];

/// Jobs of one queue that stand alike, in pages.
pub(crate) const JOBS: Parameters = &["queue", "status", "limit", "cursor"];

/// The table of the reads: each row is a route and its description, so neither is without the other.
pub(crate) struct Reads {
    router: Router<Arc<Admin>>,
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

impl Reads {
    /// No read yet.
    pub(crate) fn new() -> Self {
        // OpenAPI 3.1 takes schemas of JSON Schema 2020-12 as they are (OpenAPI 3.1, section 4.8.24).
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        });
        Self { router: Router::new(), paths: Map::new(), schemas: settings.into_generator() }
    }

    /// A read that answers JSON; the described rows are those of the handler's type.
    pub(crate) fn read<H, T, A>(
        mut self,
        path: &'static str,
        takes: Parameters,
        summary: &str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Admin>> + Read<A>,
        T: 'static,
    {
        let schema = self.schemas.subschema_for::<H::Answer>();
        let content = json!({ "application/json": { "schema": schema } });
        self.describe(path, takes, summary, &content);
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    /// The live stream. A media type of OpenAPI 3.1 has no word for single events, so an extension names their schemas.
    pub(crate) fn stream<H, T>(
        mut self,
        path: &'static str,
        takes: Parameters,
        summary: &str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Admin>>,
        T: 'static,
    {
        let events = live::describe_events(&mut self.schemas);
        let about = "Server-sent events; the data of each is JSON, see x-events.";
        let schema = json!({ "type": "string", "description": about });
        let content = json!({ "text/event-stream": { "schema": schema, "x-events": events } });
        self.describe(path, takes, summary, &content);
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    /// What changes something; `content` is that of a 200, none where the answer is an empty 204.
    pub(crate) fn change<H, T>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        summary: &str,
        content: Option<&Value>,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Admin>>,
        T: 'static,
    {
        let method = method.as_str().to_ascii_lowercase();
        let responses = answers::of_change(content);
        self.add(path, &method, NONE, summary, &responses);
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }

    /// The schema of an answer.
    pub(crate) fn schema<A: JsonSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.schemas.subschema_for::<A>() } })
    }

    /// The routes, the document's own among them.
    pub(crate) fn into_router(self, version: &str) -> Router<Arc<Admin>> {
        let (router, document) = self.finish(version);
        let document = Bytes::from(document.to_string());
        let show = move |_: Caller| {
            let answer = ([(header::CONTENT_TYPE, "application/json")], document.clone());
            async move { answer.into_response() }
        };
        router.route(PATH, get(show))
    }

    fn describe(&mut self, path: &str, takes: Parameters, summary: &str, content: &Value) {
        let responses = answers::of(content, !takes.is_empty(), path.contains('{'));
        self.add(path, "get", takes, summary, &responses);
    }

    fn add(
        &mut self,
        path: &str,
        method: &str,
        takes: Parameters,
        summary: &str,
        responses: &Value,
    ) {
        let taken = takes.iter();
        let taken = taken.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let named = named.map(|name| {
            let about = format!("The {name}, percent-encoded.");
            let schema = json!({ "type": "string" });
            json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
        });
        let parameters: Vec<_> = named.chain(taken).collect();
        let name = path.trim_start_matches("/api/v1/").replace(['{', '}'], "");
        let name = name.replace(['/', '.'], "_");
        let name = if method == "get" { name } else { format!("{method}_{name}") };
        let operation = json!({
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        });
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            methods.insert(method.into(), operation);
        }
    }

    fn finish(mut self, version: &str) -> (Router<Arc<Admin>>, Value) {
        let content = json!({ "application/json": { "schema": { "type": "object" } } });
        self.describe(PATH, NONE, SUMMARY, &content);
        let responses = answers::problems(&mut self.schemas);
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Mainstay",
                "version": version,
                "description": "What happened on the sites that Mainstay serves, for their owner. The private listener answers.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "security": [{ "session": [] }, { "token": [] }, { "key": [] }],
            "paths": self.paths,
            "components": {
                "schemas": self.schemas.take_definitions(true),
                "parameters": page::describe_parameters(),
                "responses": responses,
                "securitySchemes": {
                    "session": {
                        "type": "apiKey",
                        "in": "cookie",
                        "name": COOKIE,
                        "description": "The owner's session, begun by a link from `mainstay admin link`.",
                    },
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "The text of the file named by `admin.token_file`.",
                    },
                    "key": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "An API key of scope `read` or `admin`, from `mainstay key create`.",
                    },
                },
            },
        });
        (self.router, document)
    }
}

#[cfg(test)]
mod tests;
