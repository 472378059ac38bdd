//! The settings file: TOML text to assignments with line and column; never decides what wins.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::layers::Assignment;
use super::place::{KeyPath, Source};
use super::problem::Problem;
use super::shape::{Field, Shape};
use super::{bounded, value};

/// A settings file is refused above this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says, and what of it cannot be used.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) assignments: Vec<Assignment>,
    pub(super) problems: Vec<Problem>,
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path, root: &Shape) -> Reading {
    match bounded::read_text(path, FILE_BYTES_MAX) {
        Ok(text) => parse(&text, path, root),
        Err(message) => {
            let source = Source::file(path.to_owned());
            let problem = Problem::new(source, &KeyPath::default(), message);
            Reading { problems: vec![problem], ..Reading::default() }
        }
    }
}

/// Reads TOML text as if it stood in the file `path`.
pub(super) fn parse(text: &str, path: &Path, root: &Shape) -> Reading {
    let mut walk = Walk { text, path: path.into(), root, reading: Reading::default() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let source = walk.source(&error.span().unwrap_or(0..0));
        let problem = Problem::new(source, &KeyPath::default(), error.message());
        walk.reading.problems.push(problem);
    }
    walk.table(table.get_ref(), root.fields(), &KeyPath::default());
    walk.reading
}

struct Walk<'a> {
    text: &'a str,
    path: Arc<Path>,
    root: &'a Shape,
    reading: Reading,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, fields: &[Field], at: &KeyPath) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = at.key(name);
            match fields.iter().find(|f| f.name == name) {
                Some(field) => self.value(value.get_ref(), &value.span(), &field.shape, &path),
                None => {
                    let meant = value::suggest_key(self.root, at, fields, name);
                    let message = format!("unknown setting \"{path}\"");
                    let problem = Problem::new(self.source(&key.span()), &path, message);
                    self.reading.problems.push(problem.suggest(meant));
                }
            }
        }
    }

    fn value(&mut self, value: &DeValue<'_>, span: &Range<usize>, shape: &Shape, path: &KeyPath) {
        match (shape, value) {
            (Shape::Table(fields), DeValue::Table(table)) => self.table(table, fields, path),
            (Shape::List(item), DeValue::Array(items)) if shape.is_list_of_tables() => {
                for (n, value) in items.iter().enumerate() {
                    let path = path.index(n);
                    let empty = Value::Object(serde_json::Map::new());
                    self.assign(path.clone(), empty, &value.span());
                    self.value(value.get_ref(), &value.span(), item, &path);
                }
            }
            (_, DeValue::Table(_)) if shape.is_list_of_tables() => {
                self.complain(span, path, format!("\"{path}\" is a list: write [[{path}]]"), None);
            }
            _ => self.leaf(value, span, shape, path),
        }
    }

    fn leaf(&mut self, value: &DeValue<'_>, span: &Range<usize>, shape: &Shape, path: &KeyPath) {
        let Some(value) = to_json(value) else {
            let message = format!("\"{path}\" must be {}", shape.words());
            return self.complain(span, path, message, None);
        };
        match value::check(shape, &value, path) {
            Ok(()) => self.assign(path.clone(), value, span),
            Err(misfit) => self.complain(span, path, misfit.message, misfit.suggestion),
        }
    }

    fn assign(&mut self, path: KeyPath, value: Value, span: &Range<usize>) {
        let source = self.source(span);
        self.reading.assignments.push(Assignment { path, value, source });
    }

    fn complain(
        &mut self,
        span: &Range<usize>,
        path: &KeyPath,
        message: String,
        meant: Option<String>,
    ) {
        let problem = Problem::new(self.source(span), path, message).suggest(meant);
        self.reading.problems.push(problem);
    }

    fn source(&self, span: &Range<usize>) -> Source {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Source::File {
            path: Arc::clone(&self.path),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// `None` for what no setting takes: dates, and numbers beyond 64 bits.
fn to_json(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(n) => {
            let parse = i64::from_str_radix(n.as_str(), n.radix()).map(Value::from);
            parse.or_else(|_| u64::from_str_radix(n.as_str(), n.radix()).map(Value::from)).ok()
        }
        DeValue::Float(n) => n.as_str().parse::<f64>().ok().map(Value::from),
        DeValue::Boolean(b) => Some(Value::Bool(*b)),
        DeValue::Datetime(_) => None,
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Some((key.get_ref().to_string(), to_json(value.get_ref())?)))
            .collect::<Option<serde_json::Map<_, _>>>()
            .map(Value::Object),
    }
}
