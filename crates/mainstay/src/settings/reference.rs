//! The manual of the settings, written from their own doc comments: reference page, sample file and JSON schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::place::KeyPath;
use super::print::toml_text;
use super::shape::{Field, Shape};
use super::{Settings, check};

/// A generated document: its name under `docs/` and its text.
pub struct Document {
    /// File name.
    pub name: &'static str,
    /// Whole content.
    pub text: String,
}

/// Every generated document of the settings.
#[must_use]
pub fn documents() -> Vec<Document> {
    let schema = schemars::schema_for!(Settings);
    let shape = check::shape(&schema);
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let json = serde_json::to_string_pretty(&schema).unwrap_or_default();
    vec![
        Document { name: "settings.md", text: write_markdown(&shape, &defaults) },
        Document { name: "mainstay.example.toml", text: write_example(&shape, &defaults) },
        Document { name: "mainstay.schema.json", text: format!("{json}\n") },
    ]
}

const MARKDOWN_HEAD: &str = "# Settings

Written by `cargo xtask codegen` from the doc comments of the settings; do not edit.

Mainstay needs no settings file. Where there is one, it is `mainstay.toml` in the working directory, or the file named by
`--config` (or `MAINSTAY_CONFIG`). Later sources win: built-in value, file, environment, flag.
`mainstay serve --print-config` shows every value in force and where it came from; `mainstay check` lists everything that is
wrong, with line, column and a suggestion. Unknown settings are refused.

In the environment a setting is `MAINSTAY_<SECTION>__<KEY>`, as in `MAINSTAY_EDGE__CONNECTIONS_MAX=5000`; those without a
section are `MAINSTAY_<KEY>`, and `environment` is `MAINSTAY_ENV`. Lists are separated by commas; an empty variable counts as
not set. Sites are set in the file or on the command line only. Relative paths start from the working directory.
Durations are written like `\"250ms\"`, `\"3s\"`, `\"5m\"`, `\"8h\"`, `\"90d\"`, sizes like `\"64KiB\"`, `\"8MiB\"`.
";

fn write_markdown(shape: &Shape, defaults: &Value) -> String {
    let mut page = MARKDOWN_HEAD.to_owned();
    write_section(&mut page, "Top level", "", shape.fields(), defaults, &KeyPath::default());
    page
}

fn write_section(
    page: &mut String,
    title: &str,
    about: &str,
    fields: &[Field],
    defaults: &Value,
    at: &KeyPath,
) {
    let _ = write!(page, "\n## {title}\n");
    if !about.is_empty() {
        let _ = write!(page, "\n{}\n", one_line(about));
    }
    if fields.iter().any(is_leaf) {
        page.push_str("\n| key | takes | default | meaning |\n|---|---|---|---|\n");
    }
    for field in fields.iter().filter(|f| is_leaf(f)) {
        let default = match &defaults[&field.name] {
            Value::Null => "not set".to_owned(),
            value => format!("`{}`", toml_text(value)),
        };
        let takes = field.shape.words().replace('|', "\\|");
        let meaning = manual(field).replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {takes} | {default} | {meaning} |", field.name);
    }
    for field in fields.iter().filter(|f| !is_leaf(f)) {
        let path = at.key(&field.name);
        let about = &field.about;
        match &field.shape {
            Shape::List(item) => {
                let item_defaults = item_defaults(&path);
                let title = format!("`[[{path}]]`");
                write_section(page, &title, about, item.fields(), &item_defaults, &path);
            }
            shape => {
                let title = format!("`[{path}]`");
                let defaults = &defaults[&field.name];
                write_section(page, &title, about, shape.fields(), defaults, &path);
            }
        }
    }
}

const EXAMPLE_HEAD: &str = "# Every setting with its built-in value. Written by `cargo xtask codegen`; copy to mainstay.toml and edit the copy.
# Take the `#` away from a section's name and from the lines to change.
#:schema ./mainstay.schema.json
";

fn write_example(shape: &Shape, defaults: &Value) -> String {
    let mut page = EXAMPLE_HEAD.to_owned();
    write_example_table(&mut page, shape.fields(), defaults, &KeyPath::default());
    page
}

fn write_example_table(page: &mut String, fields: &[Field], defaults: &Value, at: &KeyPath) {
    for field in fields.iter().filter(|f| is_leaf(f)) {
        let _ = write!(page, "\n{}", comment(&manual(field)));
        match (&defaults[&field.name], &field.example) {
            (Value::Null, Some(example)) => {
                let _ = writeln!(page, "# Not set unless given, for example:");
                let _ = writeln!(page, "#{} = {}", field.name, toml_text(example));
            }
            (Value::Null, None) => {
                let _ = writeln!(page, "# {} is not set unless given.", field.name);
            }
            (value, _) => {
                let _ = writeln!(page, "#{} = {}", field.name, toml_text(value));
            }
        }
    }
    for field in fields.iter().filter(|f| !is_leaf(f)) {
        let path = at.key(&field.name);
        let _ = write!(page, "\n\n{}", comment(&one_line(&field.about)));
        match &field.shape {
            Shape::List(item) => {
                let _ = writeln!(page, "#[[{path}]]");
                write_example_table(page, item.fields(), &item_defaults(&path), &path);
            }
            shape => {
                let _ = writeln!(page, "#[{path}]");
                write_example_table(page, shape.fields(), &defaults[&field.name], &path);
            }
        }
    }
}

/// What a list item holds when its table is empty.
fn item_defaults(list: &KeyPath) -> Value {
    match list.to_string().as_str() {
        "site" => serde_json::to_value(super::Site::default()).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn is_leaf(field: &Field) -> bool {
    !matches!(field.shape, Shape::Table(_)) && !field.shape.is_list_of_tables()
}

/// The doc comment, and behind it the meaning of each word a choice offers.
fn manual(field: &Field) -> String {
    let mut text = one_line(&field.about);
    if let Shape::Choice(words) = &field.shape {
        for (word, about) in words.iter().filter(|(_, about)| !about.is_empty()) {
            let _ = write!(text, " `{word}`: {}", one_line(about));
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Comment lines of at most 118 characters.
fn comment(text: &str) -> String {
    const WIDTH: usize = 116;
    let mut page = String::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(page, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(page, "# {line}");
    }
    page
}
