//! Templates by name, from one folder. Read for each letter, so that what is changed on disk holds for the next one.

use std::fs::File;
use std::io::{ErrorKind as Io, Read as _};
use std::path::{Path, PathBuf};

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error as Jinja, ErrorKind, UndefinedBehavior};

use crate::settings::Settings;
use crate::{Error, Letter};

/// Longest name of a template.
const NAME_MAX: usize = 64;
/// Longest subject, in bytes, as of a line of a letter (RFC 5322 section 2.1.1).
const SUBJECT_MAX: usize = 998;
/// Steps and 64-byte pieces of data that one part may take: 13 MB at most.
const FUEL: u64 = 200_000;
/// Includes, macros and loops within each other.
const DEPTH: usize = 50;
/// How the subject is called where it is wrong.
const SUBJECT: &str = "subject";

/// The folder and what of it may be read.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    dir: Option<PathBuf>,
    file_max: usize,
    letter_max: usize,
}

/// A letter as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: Option<String>,
}

impl Templates {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            dir: settings.templates.clone(),
            file_max: settings.template_max.bytes(),
            letter_max: settings.letter_max.bytes(),
        }
    }

    pub(crate) fn render(&self, letter: &Letter) -> Result<Rendered, Error> {
        let refuse = |what: String| Err(Error::Refused(what));
        let Some(dir) = &self.dir else {
            return refuse("no letter can be rendered: set mail.templates to a folder".into());
        };
        let name = &letter.template;
        if !is_name(name) {
            return refuse(format!(
                "a template's name has 1 to {NAME_MAX} letters, digits, - and _"
            ));
        }
        let environment = self.environment(dir, AutoEscape::None);
        let data = Value::from(Serde(&letter.data));
        let subject = environment.render_named_str(SUBJECT, &letter.subject, data.clone());
        let subject = subject.map_err(|error| tell(&error, &letter.subject))?;
        if subject.trim().is_empty() || subject.len() > SUBJECT_MAX {
            return refuse(format!("the subject must have 1 to {SUBJECT_MAX} bytes"));
        }
        if subject.contains(char::is_control) {
            return refuse("the subject holds a line break or another control character".into());
        }
        // Whatever the HTML part includes is a part of HTML.
        let html = self.environment(dir, AutoEscape::Html);
        let part = |kind: &str| {
            let environment = if kind == "html" { &html } else { &environment };
            self.part(environment, &format!("{name}.{kind}"), &data)
        };
        let (Some(text), html) = (part("txt")?, part("html")?) else {
            return refuse(format!(
                "there is no template {name}: write {name}.txt, and {name}.html beside it, into mail.templates"
            ));
        };
        Ok(Rendered { subject, text, html })
    }

    /// One file as it becomes; none where there is none.
    fn part(
        &self,
        environment: &Environment<'_>,
        file: &str,
        data: &Value,
    ) -> Result<Option<String>, Error> {
        let template = match environment.get_template(file) {
            Ok(template) => template,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(tell(&error, "")),
        };
        let rendered = template.render(data.clone()).map_err(|e| tell(&e, template.source()))?;
        if rendered.len() > self.letter_max {
            let max = self.letter_max;
            return Err(Error::Refused(format!(
                "{file} becomes longer than mail.letter_max ({max} bytes)"
            )));
        }
        Ok(Some(rendered))
    }

    fn environment(&self, dir: &Path, escape: AutoEscape) -> Environment<'static> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(move |_| escape.clone());
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        // Where an expression stands, so that what is missing can be named.
        environment.set_debug(true);
        let (dir, max) = (dir.to_owned(), self.file_max);
        environment.set_loader(move |file| read(&dir, file, max));
        environment
    }
}

/// A file of the folder, also where a template includes it: by a name that leads nowhere else.
fn read(dir: &Path, file: &str, max: usize) -> Result<Option<String>, Jinja> {
    let is_ours = matches!(file.rsplit_once('.'), Some((name, "txt" | "html")) if is_name(name));
    if !is_ours {
        return Ok(None);
    }
    let refuse = |what: String| Jinja::new(ErrorKind::BadSerialization, what);
    let opened = match File::open(dir.join(file)) {
        Err(error) if error.kind() == Io::NotFound => return Ok(None),
        opened => opened,
    };
    let mut text = String::new();
    let read = opened.and_then(|file| file.take(max as u64 + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(refuse(format!("cannot be read: {error}"))),
        Ok(bytes) if bytes > max => {
            Err(refuse(format!("is larger than mail.template_max ({max} bytes)")))
        }
        Ok(_) => Ok(Some(text)),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

fn is_absent(error: &Jinja) -> bool {
    error.kind() == ErrorKind::TemplateNotFound
}

/// What is wrong, and where: in words of the template, never of the data.
fn tell(error: &Jinja, source: &str) -> Error {
    let name = error.name().unwrap_or("a template");
    let place = error.line().map_or_else(|| name.to_owned(), |line| format!("{name}, line {line}"));
    let source = error.template_source().unwrap_or(source);
    let expression = error.range().and_then(|range| source.get(range)).unwrap_or_default();
    Error::Refused(match error.kind() {
        ErrorKind::UndefinedError => format!("{place}: a value is missing: {expression}"),
        ErrorKind::OutOfFuel => format!("{place}: takes too long or becomes too long"),
        // The loader's own words, the parser's, and names of templates.
        ErrorKind::BadSerialization | ErrorKind::SyntaxError | ErrorKind::TemplateNotFound => {
            format!("{place}: {}", error.detail().unwrap_or("cannot be read"))
        }
        kind => format!("{place}: {kind}: {expression}"),
    })
}

#[cfg(test)]
mod tests;
