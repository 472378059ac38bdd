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
    /// `--upstream`, each time it was given: like `site_dir`, an app in the folder's place.
    pub upstreams: Vec<String>,
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
    /// The sites to serve, at least one; a problem when one of them has nothing to serve.
    pub fn sites(&self) -> Result<&[Site], Problem> {
        let sites = &self.settings.site;
        let message = "nothing to serve: give a folder, as in `mainstay serve ./public`, an app, as in \
            `mainstay serve --upstream http://127.0.0.1:3000`, or `dir` or `upstreams` in [[site]]";
        let path = KeyPath::dotted("site");
        let bare = sites.iter().position(|site| site.dir.is_none() && site.upstreams.is_empty());
        match bare {
            Some(at) => {
                let path = path.index(at);
                Err(Problem::new(self.sources.nearest(&path), &path, message))
            }
            None if sites.is_empty() => Err(Problem::new(Source::Default, &path, message)),
            None => Ok(sites),
        }
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
    if let Some(content) = Content::of(inputs, &mut problems) {
        place_site(content, &mut assignments, &mut problems);
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

/// What the command line serves.
struct Content {
    source: Source,
    key: &'static str,
    value: Value,
}

impl Content {
    fn of(inputs: &Inputs, problems: &mut Vec<Problem>) -> Option<Self> {
        let (dir, upstream) = (Source::Flag("SITE_DIR"), Source::Flag("--upstream"));
        if let Some(path) = &inputs.site_dir {
            let Some(text) = path.to_str() else {
                problems.push(Problem::new(dir, &KeyPath::default(), "is not UTF-8"));
                return None;
            };
            let value = Value::String(text.to_owned());
            return Some(Self { source: dir, key: "dir", value });
        }
        let urls = inputs.upstreams.iter().cloned().map(Value::String).collect::<Vec<_>>();
        (!urls.is_empty()).then(|| Self {
            source: upstream,
            key: "upstreams",
            value: Value::Array(urls),
        })
    }
}

/// Gives what the command line serves to the site that has nothing to serve; without any site it is the one named
/// `default`.
fn place_site(content: Content, assignments: &mut Vec<Assignment>, problems: &mut Vec<Problem>) {
    let Content { source, key, value } = content;
    let sites = KeyPath::dotted("site");
    let count = (0..).take_while(|n| assignments.iter().any(|a| a.path == sites.index(*n))).count();
    let homeless = (0..count).map(|n| sites.index(n)).find(|site| {
        let served = [site.key("dir"), site.key("upstreams")];
        !assignments.iter().any(|a| served.contains(&a.path))
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
            let message =
                "every [[site]] of the settings file names its own folder or upstreams already";
            problems.push(Problem::new(source, &sites, message));
            return;
        }
    };
    assignments.push(Assignment { path: site.key(key), value, source });
}

fn order(problem: &Problem) -> (u8, usize, usize) {
    match &problem.source {
        Source::File { line, column, .. } => (0, *line, *column),
        Source::Env(_) => (1, 0, 0),
        Source::Flag(_) => (2, 0, 0),
        Source::Default => (3, 0, 0),
    }
}
