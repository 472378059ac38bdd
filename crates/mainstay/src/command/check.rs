//! `mainstay check`: everything wrong with the settings and the site, at once. Changes and starts nothing.

use std::io::Write;
use std::path::Path;

use mainstay_base::Clock;
use mainstay_edge::check::{self, check_site};
use mainstay_edge::tls;
use serde::Serialize;
use serde_json::json;

use crate::cli::Exit;
use crate::plan;
use crate::settings::{Inputs, Loaded, Problem, Site, survey};

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One problem a line, for people and editors.
    Text,
    /// `{"ok", "settings": […], "site": […]}`.
    Json,
}

/// Something wrong in a file of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Line, from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// Looks through the folder of one site.
pub type Look<'a> = &'a dyn Fn(&Loaded, &Site) -> Vec<Finding>;

/// Writes every problem to `out`; [`Exit::Unwell`] when there is any.
pub fn check(
    inputs: &Inputs,
    format: Format,
    look: Look<'_>,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let reading = survey(inputs);
    let settings = reading.problems;
    // A folder that the settings' own check refused is not looked through.
    let broken = settings.iter().any(|p| p.path.starts_with("site") && p.path.ends_with(".dir"));
    let mut site = match &reading.loaded {
        Some(loaded) if !broken => list_findings(loaded, look),
        _ => Vec::new(),
    };
    site.extend(reading.loaded.iter().flat_map(list_certificates));
    match format {
        Format::Text => write_text(&settings, &site, out)?,
        Format::Json => {
            let ok = settings.is_empty() && site.is_empty();
            let answer = json!({ "ok": ok, "settings": settings, "site": site });
            writeln!(out, "{answer:#}")?;
        }
    }
    Ok(if settings.is_empty() && site.is_empty() { Exit::Done } else { Exit::Unwell })
}

/// What the edge finds in a site's pages: code the policy blocks, policies that are weaker than they could be,
/// references that lead nowhere.
#[must_use]
pub fn look_through(loaded: &Loaded, site: &Site) -> Vec<Finding> {
    let Some(dir) = site.dir.as_deref() else { return Vec::new() };
    let settings = &loaded.settings;
    let served = check::Site {
        dir,
        hosts: &plan::known_hosts(settings, site),
        headers: &settings.headers_of(site).resolved(settings.environment().into()),
        hidden: &plan::hidden(loaded),
        prefix: &settings.edge.prefix,
    };
    let shown =
        |file: &Path| if file.as_os_str().is_empty() { dir.to_owned() } else { dir.join(file) };
    match check_site(&served) {
        Ok(problems) => problems
            .into_iter()
            .map(|p| Finding {
                file: shown(&p.file).display().to_string(),
                line: p.line,
                message: p.what,
            })
            .collect(),
        Err(error) => {
            let message = format!("cannot be looked through: {error}");
            vec![Finding { file: dir.display().to_string(), line: None, message }]
        }
    }
}

fn list_findings(loaded: &Loaded, look: Look<'_>) -> Vec<Finding> {
    let sites = loaded.settings.site.iter();
    sites.flat_map(|site| look(loaded, site)).collect()
}

/// What browsers or the server would refuse of the certificates.
fn list_certificates(loaded: &Loaded) -> Vec<Finding> {
    let settings = &loaded.settings;
    let site = |site: &Site| {
        let known = plan::known_hosts(settings, site);
        tls::Site::new(&site.name, &site.hosts, &known, site.tls.files())
    };
    let sites = settings.site.iter().map(site).collect();
    let found = tls::check(&settings.tls, sites, Clock::System.now());
    let finding = |tls::Problem { file, what }| Finding {
        file: file.display().to_string(),
        line: None,
        message: what,
    };
    found.into_iter().map(finding).collect()
}

fn write_text(settings: &[Problem], site: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    for problem in settings {
        writeln!(out, "{problem}")?;
    }
    for finding in site {
        match finding.line {
            Some(line) => writeln!(out, "{}:{line}: {}", finding.file, finding.message)?,
            None => writeln!(out, "{}: {}", finding.file, finding.message)?,
        }
    }
    match settings.len() + site.len() {
        0 => writeln!(out, "no problems"),
        1 => writeln!(out, "1 problem"),
        n => writeln!(out, "{n} problems"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flag;

    const PAGE: &str = "<!doctype html>\n<html lang=en><head><title>x</title></head>\n\
        <body><p onclick=\"go()\">x</p></body></html>\n";

    fn run(inputs: &Inputs, format: Format) -> (Exit, String) {
        let mut out = Vec::new();
        let exit = check(inputs, format, &look_through, &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    /// A site of one page, and a wrong flag beside it where `workers` is no number.
    fn inputs(dir: &Path, workers: &str) -> Inputs {
        let flag = Flag { name: "--workers", setting: "edge.workers", text: workers.into() };
        Inputs { site_dir: Some(dir.to_owned()), flags: vec![flag], ..Inputs::default() }
    }

    #[test]
    fn a_site_without_fault_is_well() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.html"), PAGE.replace(" onclick=\"go()\"", ""))
            .unwrap();
        let inputs = inputs(dir.path(), "2");
        assert_eq!(run(&inputs, Format::Text), (Exit::Done, "no problems\n".into()));
        let (exit, text) = run(&inputs, Format::Json);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(exit, Exit::Done);
        assert_eq!(json, serde_json::json!({"ok": true, "settings": [], "site": []}));
    }

    #[test]
    fn settings_and_site_are_reported_together() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.html"), PAGE).unwrap();
        let page = dir.path().join("index.html").display().to_string();
        let inputs = inputs(dir.path(), "x");

        let (exit, text) = run(&inputs, Format::Text);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(exit, Exit::Unwell);
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[0],
            "flag --workers: \"edge.workers\" must be a whole number from 0, not \"x\""
        );
        assert!(lines[1].starts_with(&format!("{page}:3: ")), "{text}");
        assert!(lines[1].contains("onclick"), "{text}");
        assert_eq!(lines[2], "2 problems");

        let (exit, text) = run(&inputs, Format::Json);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(exit, Exit::Unwell);
        assert_eq!(json["ok"], false);
        assert_eq!(json["settings"][0]["setting"], "edge.workers");
        assert_eq!(json["site"][0]["file"], page);
        assert_eq!(json["site"][0]["line"], 3);
    }

    #[test]
    fn hosts_data_dir_and_sources_are_taken_from_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let page = "<script src=https://example.com/a.js></script><script src=https://cdn.example/x.js></script>";
        std::fs::write(dir.path().join("index.html"), page).unwrap();
        std::fs::write(dir.path().join("a.js"), "1").unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/x.html"), PAGE).unwrap();
        let flags = [
            ("public_url", "https://example.com/".to_owned()),
            ("data_dir", dir.path().join("data").display().to_string()),
            ("headers.allow.img", "cdn.example".to_owned()),
        ];
        let flag = |(setting, text): (&'static str, String)| Flag { name: "--x", setting, text };
        let inputs = Inputs {
            site_dir: Some(dir.path().to_owned()),
            flags: flags.into_iter().map(flag).collect(),
            ..Inputs::default()
        };
        let (exit, text) = run(&inputs, Format::Text);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((exit, lines.len()), (Exit::Unwell, 3), "{text}");
        assert!(
            lines[0].contains("headers.allow.img") && lines[0].contains("cdn.example"),
            "{text}"
        );
        let page = dir.path().join("index.html").display().to_string();
        assert!(lines[1].starts_with(&format!("{page}: ")), "{text}");
        assert!(lines[1].contains("https://cdn.example has no integrity"), "{text}");
    }

    #[test]
    fn certificates_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let flags = [("tls.cert", "none.pem"), ("tls.key", "none.key")];
        let flag = |(setting, name): (&'static str, &str)| {
            let text = dir.path().join(name).display().to_string();
            Flag { name: "--x", setting, text }
        };
        let inputs = Inputs {
            site_dir: Some(dir.path().to_owned()),
            flags: flags.into_iter().map(flag).collect(),
            ..Inputs::default()
        };
        let (exit, text) = run(&inputs, Format::Text);
        let file = dir.path().join("none.pem").display().to_string();
        assert_eq!(exit, Exit::Unwell);
        assert!(text.starts_with(&format!("{file}: {file} cannot be read: ")), "{text}");
        assert!(text.ends_with("1 problem\n"), "{text}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_reported_once() {
        let (exit, text) = run(&inputs(Path::new("/nowhere/at/all"), "2"), Format::Text);
        assert_eq!(exit, Exit::Unwell);
        assert!(text.ends_with("1 problem\n") && text.contains("/nowhere/at/all"), "{text}");
    }
}
