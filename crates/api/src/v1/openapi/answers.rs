//! What a read may answer: JSON of the handler's own type, or a problem. Knows no path.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::ErrorCode;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// A handler that looks who is calling and answers JSON of one type, or a problem.
pub(crate) trait Read<Takes> {
    /// The body of a 200.
    type Answer: JsonSchema;
}

impl<H, F, A> Read<()> for H
where
    H: Fn(State<Arc<Admin>>, Caller) -> F,
    F: Future<Output = Result<Json<A>, Problem>>,
    A: JsonSchema,
{
    type Answer = A;
}

impl<H, F, A, Takes> Read<(Takes,)> for H
where
    H: Fn(State<Arc<Admin>>, Caller, Takes) -> F,
    F: Future<Output = Result<Json<A>, Problem>>,
    A: JsonSchema,
{
    type Answer = A;
}

/// Problems of every read.
const ALWAYS: [(ErrorCode, &str); 4] = [
    (ErrorCode::Unauthenticated, "Neither a session nor the token nor an API key."),
    (
        ErrorCode::Forbidden,
        "A host name that is not served here, a page of another origin, or a key without the scope.",
    ),
    (ErrorCode::Internal, "A fault of the server; the log says more."),
    (ErrorCode::Unavailable, "The store is away, or a bound is reached; try again later."),
];
/// Problems of a read that takes parameters.
const ASKED: [(ErrorCode, &str); 2] =
    [(ErrorCode::Invalid, "A parameter is wrong; `field` names it."), NAMED];
/// The problem of a path that names something.
const NAMED: (ErrorCode, &str) = (ErrorCode::NotFound, "Nothing has this name.");
/// The problem of a change.
const CHANGED: (ErrorCode, &str) = (
    ErrorCode::Conflict,
    "It does not stand so that this could be done; `detail` says how it does.",
);

/// The answers of one read whose success has this content.
pub(super) fn of(content: &Value, takes: bool, names: bool) -> Value {
    let asked = ASKED.iter().filter(|_| takes);
    let named = Some(&NAMED).into_iter().filter(|_| names);
    list(Some(content), ALWAYS.iter().chain(asked).chain(named))
}

/// The answers of a change; without a content it is an empty 204.
pub(super) fn of_change(content: Option<&Value>) -> Value {
    list(content, ALWAYS.iter().chain([&NAMED, &CHANGED]))
}

fn list<'a>(
    content: Option<&Value>,
    problems: impl Iterator<Item = &'a (ErrorCode, &'static str)>,
) -> Value {
    let problem = |(code, _): &(ErrorCode, &str)| {
        let answer = json!({ "$ref": format!("#/components/responses/{}", code.slug()) });
        (code.status(), answer)
    };
    let mut answers: BTreeMap<u16, Value> = problems.map(problem).collect();
    match content {
        Some(content) => answers.insert(200, json!({ "description": "OK", "content": content })),
        None => answers.insert(204, json!({ "description": "Done." })),
    };
    Value::Object(
        answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect(),
    )
}

/// The problems that [`of`] refers to, by slug.
pub(super) fn problems(schemas: &mut SchemaGenerator) -> Value {
    let schema = Problem::describe(schemas);
    let content = json!({ "application/problem+json": { "schema": schema } });
    let answer = |(code, about): &(ErrorCode, &str)| {
        let mut answer = json!({ "description": about, "content": content });
        if *code == ErrorCode::Unavailable {
            let seconds = json!({ "type": "integer", "minimum": 0 });
            let header =
                json!({ "description": "Seconds, where they are known.", "schema": seconds });
            answer["headers"] = json!({ "Retry-After": header });
        }
        (code.slug().to_owned(), answer)
    };
    Value::Object(ALWAYS.iter().chain(&ASKED).chain([&CHANGED]).map(answer).collect())
}
