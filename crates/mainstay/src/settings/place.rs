//! Where a setting is in the tree and where its value came from; nothing here reads anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One step from a table or list to what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

/// The way from the root to a setting; shown as `site[0].dir`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    /// From a dotted text without lists, such as `edge.listen`.
    #[must_use]
    pub fn dotted(text: &str) -> Self {
        Self(text.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// This path and one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.and(Step::Key(key.to_owned()))
    }

    /// This path and one more list position.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.and(Step::Index(index))
    }

    /// Its keys alone, as TOML names a table: the last item of a list is meant.
    #[must_use]
    pub fn table(&self) -> String {
        let keys = self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    /// Whether `self` is `other` or lies above it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    fn and(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let steps = path.iter().map_while(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Who set a value. Later variants win over earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody: the built-in value.
    Default,
    /// The settings file; line and column count from 1.
    File {
        /// As given on the command line.
        path: Arc<Path>,
        /// Line of the value.
        line: usize,
        /// Column of the value, in characters.
        column: usize,
    },
    /// An environment variable.
    Env(String),
    /// A flag (`--listen`) or an argument (`SITE_DIR`) of the command line.
    Flag(&'static str),
}

impl Source {
    /// A whole file, for what has no line.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::File { path: path.into(), line: 1, column: 1 }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, .. } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) if name.starts_with("--") => write!(f, "flag {name}"),
            Self::Flag(name) => write!(f, "argument {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_people_say_them() {
        let path = KeyPath::dotted("site").index(2).key("dir");
        assert_eq!(path.to_string(), "site[2].dir");
        assert_eq!(path.table(), "site.dir");
        assert!(KeyPath::dotted("site").holds(&path));
        assert!(!KeyPath::dotted("edge").holds(&path));
        assert!(!path.holds(&KeyPath::dotted("site")));
    }
}
