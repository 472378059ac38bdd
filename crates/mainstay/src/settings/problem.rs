//! One thing that is wrong with the settings, and how it is said; finding problems lives beside.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::place::{KeyPath, Source};

/// A setting that cannot be used as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Who wrote it, with line and column when that was the file.
    pub source: Source,
    /// The setting, dotted; empty when the file as a whole is meant.
    pub path: String,
    /// What is wrong, in words that follow the place.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem without a suggestion.
    #[must_use]
    pub fn new(source: Source, path: &KeyPath, message: impl Into<String>) -> Self {
        Self { source, path: path.to_string(), message: message.into(), suggestion: None }
    }

    /// The same with a suggestion, when there is one.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// File, line and column; `None` for what does not come from a file.
    #[must_use]
    pub fn position(&self) -> Option<(String, usize, usize)> {
        match &self.source {
            Source::File { path, line, column } => {
                Some((path.display().to_string(), *line, *column))
            }
            Source::Default | Source::Env(_) | Source::Flag(_) => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File { path, line, column } => {
                write!(f, "{}:{line}:{column}: ", path.display())?;
            }
            Source::Default => f.write_str("settings: ")?,
            other => write!(f, "{other}: ")?,
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean \"{suggestion}\"?"),
            None => Ok(()),
        }
    }
}

/// `{file, line, column, source, setting, message, suggestion}`; file, line and column are null elsewhere.
impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let position = self.position();
        json!({
            "file": position.as_ref().map(|p| &p.0),
            "line": position.as_ref().map(|p| p.1),
            "column": position.as_ref().map(|p| p.2),
            "source": self.source.to_string(),
            "setting": self.path,
            "message": self.message,
            "suggestion": self.suggestion,
        })
        .serialize(serializer)
    }
}

/// Everything that is wrong, never only the first thing; shown one problem a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
