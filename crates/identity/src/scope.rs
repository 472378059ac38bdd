//! What a key may do: a closed set of words. What each word opens is decided where it is asked for.

use std::fmt;
use std::str::FromStr;

/// One thing a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read the admin API.
    Read,
    /// Read and change whatever the admin API offers.
    Admin,
    /// Add jobs and look at them.
    Jobs,
    /// Record metrics, events, sign-ups, revenue and errors of the app.
    Record,
    /// Ask the limiter.
    Limits,
    /// Use the cache.
    Cache,
}

impl Scope {
    /// Every scope, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Admin, Self::Jobs, Self::Record, Self::Limits, Self::Cache];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
            Self::Jobs => "jobs",
            Self::Record => "record",
            Self::Limits => "limits",
            Self::Cache => "cache",
        }
    }
}

/// A word that is no scope, or none where one is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: scopes are {}", self.told(), Scopes::all())]
pub struct Unknown(String);

impl Unknown {
    fn told(&self) -> String {
        if self.0.is_empty() {
            "no scope".into()
        } else {
            format!("no scope is called {:?}", self.0)
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Each of them, in the order of [`Scope::ALL`].
    pub fn list(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// As kept in the store. A word that only a newer version knows opens nothing here.
    pub(crate) fn kept(text: &str) -> Self {
        text.split(',').filter_map(find).collect()
    }
}

impl FromStr for Scopes {
    type Err = Unknown;

    /// Words between commas, at least one.
    fn from_str(text: &str) -> Result<Self, Unknown> {
        let word = |word: &str| find(word.trim()).ok_or_else(|| Unknown(word.trim().into()));
        text.split(',').map(word).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.list().map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

fn find(word: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == word)
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_told_in_one_order() {
        let scopes: Scopes = "record, jobs,record".parse().expect("scopes");
        assert_eq!(scopes.to_string(), "jobs,record");
        assert_eq!(Scopes::kept("jobs,record,of-tomorrow"), scopes);
        for scope in Scope::ALL {
            assert_eq!(scopes.has(scope), matches!(scope, Scope::Jobs | Scope::Record));
        }
    }

    #[test]
    fn what_is_no_scope_is_told_with_all_that_are() {
        for (text, told) in [
            ("", "no scope: scopes are read,admin,jobs,record,limits,cache"),
            ("jobs,", "no scope: scopes are read,admin,jobs,record,limits,cache"),
            (
                "jobs,Read",
                "no scope is called \"Read\": scopes are read,admin,jobs,record,limits,cache",
            ),
            ("all", "no scope is called \"all\": scopes are read,admin,jobs,record,limits,cache"),
        ] {
            assert_eq!(text.parse::<Scopes>().map_err(|e| e.to_string()), Err(told.into()));
        }
    }
}
