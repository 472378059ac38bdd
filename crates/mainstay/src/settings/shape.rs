//! What the settings may look like, read from the generated JSON schema; knows no setting by name.

use serde_json::Value;

/// The kind of value a setting takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A table with these keys and no others.
    Table(Vec<Field>),
    /// A list of one kind.
    List(Box<Shape>),
    /// One of these words, each with its meaning.
    Choice(Vec<(String, String)>),
    /// Any text; `kind` says what it is read as.
    Text(Kind),
    /// A whole number within these bounds, inclusive.
    Integer(i128, i128),
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Not narrowed by the schema; the owner's own reading decides.
    Any,
}

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Itself.
    Plain,
    /// A duration such as `"3s"`.
    Duration,
    /// A size such as `"64KiB"`.
    Size,
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// The key.
    pub(super) name: String,
    /// What it takes.
    pub(super) shape: Shape,
    /// Its manual: the doc comment.
    pub(super) about: String,
    /// A value to show where there is no default.
    pub(super) example: Option<Value>,
    /// Never printed (`writeOnly` in the schema), and readable from a file named by `…_FILE`.
    pub(super) secret: bool,
}

impl Shape {
    /// Reads a generated schema.
    #[must_use]
    pub(super) fn of(schema: &schemars::Schema) -> Self {
        let root = schema.as_value();
        read(root, root)
    }

    /// The keys when this is a table, nothing otherwise.
    #[must_use]
    pub(super) fn fields(&self) -> &[Field] {
        match self {
            Self::Table(fields) => fields,
            _ => &[],
        }
    }

    /// Whether the items are tables (`[[…]]` in TOML).
    #[must_use]
    pub(super) fn is_list_of_tables(&self) -> bool {
        matches!(self, Self::List(item) if matches!(**item, Self::Table(_)))
    }

    /// In words, for the reference and for problems: `a duration such as "3s"`.
    #[must_use]
    pub(super) fn words(&self) -> String {
        match self {
            Self::Table(_) => "a table".into(),
            Self::List(item) if matches!(**item, Self::Table(_)) => "a list of tables".into(),
            Self::List(item) if matches!(**item, Self::Text(Kind::Plain)) => {
                "a list of texts".into()
            }
            Self::List(item) => format!("a list, each {}", item.words()),
            Self::Choice(words) => match words.as_slice() {
                [(only, _)] => format!("\"{only}\""),
                _ => format!("one of {}", quoted(words)),
            },
            Self::Text(Kind::Plain) => "a text in quotes".into(),
            Self::Text(Kind::Duration) => "a duration such as \"3s\"".into(),
            Self::Text(Kind::Size) => "a size such as \"64KiB\"".into(),
            Self::Integer(least, most) => match (*least == i128::MIN, *most == i128::MAX) {
                (true, true) => "a whole number".into(),
                (false, true) => format!("a whole number from {least}"),
                (true, false) => format!("a whole number up to {most}"),
                (false, false) => format!("a whole number from {least} to {most}"),
            },
            Self::Number => "a number".into(),
            Self::Boolean => "true or false".into(),
            Self::Any => "a value".into(),
        }
    }
}

fn quoted(words: &[(String, String)]) -> String {
    words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn read(root: &Value, at: &Value) -> Shape {
    if let Some(name) = at["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        return match name {
            "Span" => Shape::Text(Kind::Duration),
            "Size" => Shape::Text(Kind::Size),
            _ => read(root, &root["$defs"][name]),
        };
    }
    if at["properties"].is_object() {
        return Shape::Table(read_fields(root, at));
    }
    if let Some(words) = read_choice(at) {
        return Shape::Choice(words);
    }
    if let Some(only) = without_null(at["anyOf"].as_array()) {
        return read(root, only);
    }
    match type_name(at) {
        Some("array") => Shape::List(Box::new(read(root, &at["items"]))),
        Some("string") => Shape::Text(Kind::Plain),
        Some("integer") => read_integer(at),
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        // A struct without fields: a table in which every key is unknown.
        Some("object") if at["additionalProperties"] == Value::Bool(false) => {
            Shape::Table(Vec::new())
        }
        _ => Shape::Any,
    }
}

/// Bounds come from the schema, else from the Rust type that schemars names as `format`.
fn read_integer(at: &Value) -> Shape {
    let most = match at["format"].as_str() {
        Some("uint32") => i128::from(u32::MAX),
        Some("int32") => i128::from(i32::MAX),
        _ => i128::MAX,
    };
    Shape::Integer(
        at["minimum"].as_i64().map_or(i128::MIN, i128::from),
        at["maximum"].as_i64().map_or(most, i128::from),
    )
}

fn read_fields(root: &Value, table: &Value) -> Vec<Field> {
    let properties = table["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, at)| {
            let target = at["$ref"]
                .as_str()
                .and_then(|r| r.strip_prefix("#/$defs/"))
                .map_or(at, |name| &root["$defs"][name]);
            let about = at["description"].as_str().or(target["description"].as_str());
            Field {
                name: name.clone(),
                shape: read(root, at),
                about: about.unwrap_or_default().to_owned(),
                example: at["examples"].get(0).cloned(),
                secret: at["writeOnly"].as_bool().unwrap_or(false),
            }
        })
        .collect()
}

/// The words of an enum; schemars writes `enum` for variants without and `oneOf` for variants with a doc comment.
fn read_choice(at: &Value) -> Option<Vec<(String, String)>> {
    let about = || at["description"].as_str().unwrap_or_default().to_owned();
    if let Some(word) = at["const"].as_str() {
        return Some(vec![(word.to_owned(), about())]);
    }
    if let Some(words) = at["enum"].as_array() {
        let texts = words.iter().filter(|w| !w.is_null());
        return texts.map(|w| Some((w.as_str()?.to_owned(), String::new()))).collect();
    }
    let variants = at["oneOf"].as_array()?;
    let nested: Option<Vec<_>> = variants.iter().map(read_choice).collect();
    nested.map(|lists| lists.into_iter().flatten().collect())
}

fn without_null(variants: Option<&Vec<Value>>) -> Option<&Value> {
    let mut rest = variants?.iter().filter(|v| v["type"] != "null");
    let only = rest.next()?;
    rest.next().is_none().then_some(only)
}

fn type_name(at: &Value) -> Option<&str> {
    match &at["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|n| *n != "null"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
