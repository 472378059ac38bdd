//! The document says what the router does, and nothing else. Asks no server.

use std::collections::BTreeSet;

use super::*;
use crate::admin;

fn document() -> Value {
    admin::reads().finish("1.2.3").1
}

fn described(document: &Value) -> BTreeSet<String> {
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

/// Every path below `/api/` that a router answers; its debug text is where it names them.
fn routed(router: &Router<Arc<Admin>>) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter(|path| path.starts_with("/api/")).map(str::to_owned).collect()
}

/// Every place that a document refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(to) if name == "$ref" => drop(found.insert(to.clone())),
                    _ => references(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let (described, routed) = (described(&document()), routed(&admin::routes("1.2.3")));
    assert!(routed.len() > 10, "the router's debug text names its paths: {routed:?}");
    assert_eq!(described, routed);
}

#[test]
fn a_route_beside_the_table_is_seen() {
    let router = admin::routes("1.2.3").route("/api/v1/hidden", get(|| async {}));
    assert!(routed(&router).contains("/api/v1/hidden"));
}

#[test]
fn every_reference_leads_somewhere_and_everything_is_referred_to() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let mut kept = BTreeSet::new();
    for kind in ["schemas", "parameters", "responses"] {
        let named = document["components"][kind].as_object().expect(kind);
        kept.extend(named.keys().map(|name| format!("#/components/{kind}/{name}")));
    }
    assert_eq!(found, kept);
}

#[test]
fn no_two_reads_share_a_name() {
    let document = document();
    let operations = document["paths"].as_object().expect("paths");
    let all: Vec<&Value> =
        operations.values().flat_map(|path| path.as_object().expect("methods").values()).collect();
    let names: BTreeSet<_> =
        all.iter().map(|operation| operation["operationId"].as_str().expect("a name")).collect();
    assert!(names.len() == all.len() && names.contains("delete_jobs_queue_id"), "{names:?}");
    // A second struct of one name is numbered: its users would see "Row2".
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let numbered = schemas.keys().find(|name| name.ends_with(|c: char| c.is_ascii_digit()));
    assert_eq!(numbered, None);
}

#[test]
fn rows_are_those_of_the_wire() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let page = &schemas["TrafficPage"];
    assert_eq!(page["required"], json!(["data", "next", "as_of"]));
    assert_eq!(page["properties"]["data"]["items"]["$ref"], "#/components/schemas/Traffic");
    assert_eq!(page["properties"]["next"]["type"], json!(["string", "null"]));
    let row = &schemas["Traffic"];
    assert_eq!(row["properties"]["t"]["format"], "date-time");
    assert_eq!(row["properties"]["p99_ms"]["type"], json!(["number", "null"]));
    assert!(row["required"].as_array().is_some_and(|names| names.contains(&json!("p99_ms"))));
    let fields = schemas["Vital"]["properties"].as_object().expect("fields");
    assert!(["key", "p75", "needs_improvement"].iter().all(|name| fields.contains_key(*name)));
}

#[test]
fn parameters_say_what_is_taken() {
    let document = document();
    let parameters = &document["components"]["parameters"];
    let limit = json!({
        "name": "limit",
        "in": "query",
        "description": "Rows of the answer at most.",
        "schema": { "type": "integer", "format": "uint32", "minimum": 1, "maximum": 1000, "default": 100 },
    });
    assert_eq!(parameters["limit"], limit);
    assert_eq!(parameters["bots"]["schema"]["enum"], json!(["exclude", "include", "only"]));
    assert_eq!(parameters["from"]["schema"], json!({ "type": "string", "format": "date-time" }));
    let responses = &document["paths"]["/api/v1/pages"]["get"]["responses"];
    let statuses: Vec<_> = responses.as_object().expect("responses").keys().collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "404", "500", "503"]);
}
