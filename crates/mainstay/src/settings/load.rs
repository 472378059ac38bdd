//! All sources brought together: defaults < file < environment < flags; never judges a value beyond its type.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::layers::{self, Assignment, Sources};
use super::place::{KeyPath, Source};
use super::problem::{Problem, Problems};
use super::shape::Shape;
use super::{Settings, Site, check, file, value, variables};

/// The settings file that is read when none is named, if it is there.
pub const FILE_NAME: &str = "mainstay.toml";

/// What the settings are read from; a plain value, so that tests need no process of their own.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `--config`; without it `MAINSTAY_CONFIG`, then [`FILE_NAME`] in the working directory when it exists.
    pub config: Option<PathBuf>,
    /// The folder given as an argument: the one site, or the folder of the `[[site]]` that names none.
    pub site_dir: Option<PathBuf>,
    /// Flags that give settings, in the order of the command line.
    pub flags: Vec<Flag>,
    /// Environment variables, ours and others'.
    pub variables: Vec<(OsString, OsString)>,
}

/// A flag that gives a setting.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As typed, `--listen`.
    pub name: &'static str,
    /// The setting, `edge.listen`.
    pub setting: &'static str,
    /// The text given.
    pub text: String,
}

/// Settings in force and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub settings: Settings,
    /// Who set which.
    pub sources: Sources,
    /// The settings file that was read; it must never be served.
    pub file: Option<PathBuf>,
}

/// What could be read, and all that was wrong.
#[derive(Debug)]
pub struct Reading {
    /// Settings without the values that were wrong.
    pub loaded: Option<Loaded>,
    /// In the order of the file, then variables, then flags.
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// The site to serve and its folder; a problem when nobody named one.
    pub fn site(&self) -> Result<(&Site, &Path), Problem> {
        let found = self.settings.site.iter().find_map(|s| s.dir.as_deref().map(|dir| (s, dir)));
        found.ok_or_else(|| {
            let message = "no folder to serve: give one, as in `mainstay serve ./public`, or `dir` in [[site]]";
            Problem::new(Source::Default, &KeyPath::dotted("site"), message)
        })
    }
}

/// The settings, or everything that is wrong with them.
pub fn load(inputs: &Inputs) -> Result<Loaded, Problems> {
    let reading = survey(inputs);
    match reading.loaded {
        Some(loaded) if reading.problems.is_empty() => Ok(loaded),
        _ => Err(Problems(reading.problems)),
    }
}

/// The settings as far as they can be read, and everything that is wrong with them.
#[must_use]
pub fn survey(inputs: &Inputs) -> Reading {
    let shape = check::shape(&schemars::schema_for!(Settings));
    let path = find_file(inputs);
    let file::Reading { mut assignments, mut problems } =
        path.as_deref().map(|path| file::read(path, &shape)).unwrap_or_default();
    assignments.extend(variables::read(&inputs.variables, &shape, &mut problems));
    assignments.extend(read_flags(&inputs.flags, &shape, &mut problems));
    if let Some(dir) = &inputs.site_dir {
        place_site(dir, &mut assignments, &mut problems);
    }
    let resolved = layers::resolve::<Settings>(assignments, &mut problems);
    if resolved.is_none() && problems.is_empty() {
        let message = "the built-in settings cannot be read";
        problems.push(Problem::new(Source::Default, &KeyPath::default(), message));
    }
    let loaded = resolved.map(|(settings, sources)| {
        problems.extend(check::check(&settings, &sources, &shape));
        Loaded { settings, sources, file: path }
    });
    problems.sort_by_key(order);
    Reading { loaded, problems }
}

fn find_file(inputs: &Inputs) -> Option<PathBuf> {
    let named = inputs.config.clone().or_else(|| {
        let variable = inputs.variables.iter().find(|(name, _)| name == variables::CONFIG);
        variable.filter(|(_, path)| !path.is_empty()).map(|(_, path)| PathBuf::from(path))
    });
    named.or_else(|| Path::new(FILE_NAME).exists().then(|| PathBuf::from(FILE_NAME)))
}

fn read_flags(flags: &[Flag], shape: &Shape, problems: &mut Vec<Problem>) -> Vec<Assignment> {
    let leaves = value::list_leaves(shape);
    let mut found = Vec::new();
    for flag in flags {
        let path = KeyPath::dotted(flag.setting);
        let source = Source::Flag(flag.name);
        let Some((_, field)) = leaves.iter().find(|(leaf, _)| *leaf == path) else {
            let message = format!("unknown setting \"{path}\"");
            problems.push(Problem::new(source, &path, message));
            continue;
        };
        match value::read_text(&field.shape, &flag.text, &path) {
            Ok(value) => found.push(Assignment { path, value, source }),
            Err(m) => {
                problems.push(Problem::new(source, &path, m.message).suggest(m.suggestion));
            }
        }
    }
    found
}

/// Gives the folder of the command line to the site that has none; without any site it is the one named `default`.
fn place_site(dir: &Path, assignments: &mut Vec<Assignment>, problems: &mut Vec<Problem>) {
    let source = Source::Flag("SITE_DIR");
    let Some(text) = dir.to_str() else {
        problems.push(Problem::new(source, &KeyPath::default(), "is not UTF-8"));
        return;
    };
    let sites = KeyPath::dotted("site");
    let count = (0..).take_while(|n| assignments.iter().any(|a| a.path == sites.index(*n))).count();
    let homeless = (0..count).map(|n| sites.index(n)).find(|site| {
        let dir = site.key("dir");
        !assignments.iter().any(|a| a.path == dir)
    });
    let site = match homeless {
        Some(site) => site,
        None if count == 0 => {
            let site = sites.index(0);
            let value = Value::Object(Map::new());
            assignments.push(Assignment { path: site.clone(), value, source: source.clone() });
            site
        }
        None => {
            let message = "every [[site]] of the settings file names its own folder already";
            problems.push(Problem::new(source, &sites, message));
            return;
        }
    };
    let value = Value::String(text.to_owned());
    assignments.push(Assignment { path: site.key("dir"), value, source });
}

fn order(problem: &Problem) -> (u8, usize, usize) {
    match &problem.source {
        Source::File { line, column, .. } => (0, *line, *column),
        Source::Env(_) => (1, 0, 0),
        Source::Flag(_) => (2, 0, 0),
        Source::Default => (3, 0, 0),
    }
}
