//! The settings in force, each with its source, as TOML or JSON; secrets are never printed.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::load::Loaded;
use super::place::{KeyPath, Source};
use super::shape::{Field, Shape};
use super::{Settings, check};

const REDACTED: &str = "[redacted]";

/// TOML that means the same when read again (secrets aside), one setting a line with its source as a comment.
#[must_use]
pub fn to_toml(loaded: &Loaded) -> String {
    let mut page = String::new();
    let (tree, shape) = effective(loaded);
    write_table(&mut page, &tree, shape.fields(), &KeyPath::default(), &|path| {
        source_words(loaded, path)
    });
    page
}

/// `{"edge.listen": {"value": …, "source": "default"}, …}`.
#[must_use]
pub fn to_json(loaded: &Loaded) -> Value {
    let (tree, shape) = effective(loaded);
    let mut found = Map::new();
    flatten(&tree, &shape, &KeyPath::default(), false, &mut |path, value| {
        let entry = json!({ "value": value, "source": source_words(loaded, path) });
        found.insert(path.to_string(), entry);
    });
    Value::Object(found)
}

fn effective(loaded: &Loaded) -> (Value, Shape) {
    let shape = check::shape(&schemars::schema_for!(Settings));
    let mut tree = serde_json::to_value(&loaded.settings).unwrap_or_default();
    tree["environment"] = json!(loaded.settings.environment());
    (tree, shape)
}

fn source_words(loaded: &Loaded, path: &KeyPath) -> String {
    let source = loaded.sources.find(path);
    if source == Source::Default && *path == KeyPath::dotted("environment") {
        return "default, from edge.listen".into();
    }
    source.to_string()
}

fn flatten(
    value: &Value,
    shape: &Shape,
    path: &KeyPath,
    secret: bool,
    found: &mut dyn FnMut(&KeyPath, &Value),
) {
    match (shape, value) {
        (Shape::Table(fields), _) => {
            for field in fields {
                let path = path.key(&field.name);
                flatten(&value[&field.name], &field.shape, &path, field.secret, found);
            }
        }
        (Shape::List(item), Value::Array(items)) if shape.is_list_of_tables() => {
            for (n, value) in items.iter().enumerate() {
                flatten(value, item, &path.index(n), secret, found);
            }
        }
        _ if secret && !value.is_null() => found(path, &redacted(value)),
        _ => found(path, value),
    }
}

/// How many secrets there are is none.
fn redacted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|_| REDACTED).collect(),
        _ => json!(REDACTED),
    }
}

fn write_table(
    page: &mut String,
    table: &Value,
    fields: &[Field],
    at: &KeyPath,
    source: &dyn Fn(&KeyPath) -> String,
) {
    let leaf = |f: &&Field| !matches!(f.shape, Shape::Table(_)) && !f.shape.is_list_of_tables();
    for field in fields.iter().filter(leaf) {
        let path = at.key(&field.name);
        let line = match &table[&field.name] {
            Value::Null => format!("# {} is not set", field.name),
            value if field.secret => format!("{} = {}", field.name, toml_text(&redacted(value))),
            value => format!("{} = {}", field.name, toml_text(value)),
        };
        // Comments in one column read well; longer values push theirs out.
        let _ = writeln!(page, "{line:<40} # {}", source(&path));
    }
    for field in fields.iter().filter(|f| !leaf(f)) {
        let path = at.key(&field.name);
        let value = &table[&field.name];
        match (&field.shape, value) {
            (Shape::List(item), Value::Array(items)) => {
                for (n, value) in items.iter().enumerate() {
                    let _ = writeln!(page, "\n[[{}]]", path.table());
                    write_table(page, value, item.fields(), &path.index(n), source);
                }
            }
            _ => {
                let _ = writeln!(page, "\n[{}]", path.table());
                write_table(page, value, field.shape.fields(), &path, source);
            }
        }
    }
}

/// A value as it is written behind `=`.
pub(super) fn toml_text(value: &Value) -> String {
    toml::Value::try_from(value).map(|v| v.to_string()).unwrap_or_default()
}
