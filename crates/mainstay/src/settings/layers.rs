//! Assignments of all sources laid over the defaults; reads no source itself.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::place::{KeyPath, Source, Step};
use super::problem::Problem;

/// One setting given a value by somebody.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    pub(super) path: KeyPath,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Who set what; answers for every setting, also for those nobody set.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<(KeyPath, Source)>);

impl Sources {
    /// Who set the value at `path`; [`Source::Default`] when nobody did.
    #[must_use]
    pub fn find(&self, path: &KeyPath) -> Source {
        let set = self.0.iter().rev().find(|(p, _)| p == path);
        set.map_or(Source::Default, |(_, source)| source.clone())
    }

    /// Who set the value at `path`, or else whoever wrote the list item that lacks it.
    #[must_use]
    pub fn nearest(&self, path: &KeyPath) -> Source {
        let set = self.0.iter().rev().filter(|(p, _)| p.holds(path));
        set.max_by_key(|(p, _)| p.0.len()).map_or(Source::Default, |(_, source)| source.clone())
    }
}

/// The settings that result, later assignments winning. A value its owner cannot read is reported and left out,
/// so that one reading finds every problem; `None` only if the defaults themselves do not read.
pub(super) fn resolve<T>(
    mut assignments: Vec<Assignment>,
    problems: &mut Vec<Problem>,
) -> Option<(T, Sources)>
where
    T: Default + Serialize + DeserializeOwned,
{
    let defaults = serde_json::to_value(T::default()).ok()?;
    loop {
        let mut tree = defaults.clone();
        for assignment in &assignments {
            set(&mut tree, &assignment.path.0, assignment.value.clone());
        }
        match serde_path_to_error::deserialize::<_, T>(&tree) {
            Ok(settings) => {
                let set = assignments.into_iter().map(|a| (a.path, a.source)).collect();
                return Some((settings, Sources(set)));
            }
            Err(error) => {
                let path = KeyPath::from(error.path());
                let at = find_culprit(&assignments, &path)?;
                let culprit = assignments.remove(at);
                let message = format!("\"{path}\": {}", error.inner());
                problems.push(Problem::new(culprit.source, &path, message));
            }
        }
    }
}

/// The last assignment at or above the path that did not read, else the last one below it.
fn find_culprit(assignments: &[Assignment], path: &KeyPath) -> Option<usize> {
    let above = assignments.iter().rposition(|a| a.path.holds(path));
    above.or_else(|| assignments.iter().rposition(|a| path.holds(&a.path)))
}

fn set(tree: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *tree = value;
        return;
    };
    match step {
        Step::Key(key) => {
            if !tree.is_object() {
                *tree = Value::Object(Map::new());
            }
            if let Value::Object(table) = tree {
                set(table.entry(key.clone()).or_insert(Value::Null), rest, value);
            }
        }
        Step::Index(index) => {
            if !tree.is_array() {
                *tree = Value::Array(Vec::new());
            }
            if let Value::Array(items) = tree {
                // Items of a refused list item leave a gap; an empty table keeps later ones in their place.
                while items.len() <= *index {
                    items.push(Value::Object(Map::new()));
                }
                set(&mut items[*index], rest, value);
            }
        }
    }
}
