//! The command line of `mainstay key`. Nothing is done here.

use clap::{Args, Subcommand};
use mainstay_base::units::Span;
use mainstay_identity::Scopes;
use mainstay_identity::key::LIFETIME_MAX;

use super::Place;

/// `mainstay key …`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key and print it, once.
    Create(KeyCreate),
    /// Show the keys there are, without their texts.
    List(KeyList),
    /// End a key.
    Revoke(KeyRevoke),
}

/// `mainstay key create`.
#[derive(Debug, Args)]
pub struct KeyCreate {
    /// What to call it.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it may do.
    #[arg(long, value_name = "SCOPES", required = true, help = scopes_help())]
    pub scope: Vec<Scopes>,
    /// How long it counts, as in 90d [default: for ever].
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    pub expires: Option<Span>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay key list`.
#[derive(Debug, Args)]
pub struct KeyList {
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay key revoke`.
#[derive(Debug, Args)]
pub struct KeyRevoke {
    /// Its id: the eight characters between `ms_` and the next `_`.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

impl KeyCreate {
    /// All that it may do.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.scope.iter().flat_map(|scopes| scopes.list()).collect()
    }
}

fn scopes_help() -> String {
    format!("What it may do, several between commas: {}", Scopes::all())
}

/// A span that is over at once is a mistake, and so is one that is over in no time that can be told.
fn lifetime(text: &str) -> Result<Span, String> {
    match text.parse::<Span>() {
        Ok(span) if span.0.is_zero() => Err("must be longer than nothing".into()),
        Ok(span) if span.0 > LIFETIME_MAX => {
            let days = LIFETIME_MAX.as_secs() / 86_400;
            Err(format!("must be at most {days}d; without --expires a key counts for ever"))
        }
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}
