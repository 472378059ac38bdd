//! What is wrong with certificates before anything is served. Takes nothing into use, writes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_base::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;

use super::held::{Held, InUse, Opening, Source, Uncovered};
use super::{Files, Settings, Site};

/// A certificate that browsers would refuse, or the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The certificate's file.
    pub file: PathBuf,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Reads every pair that is named. A self-signed certificate is none of anybody's files.
#[must_use]
pub fn check(settings: &Settings, sites: Vec<Site>, now: Timestamp) -> Vec<Problem> {
    let provider = default_provider();
    let everybodys = settings.cert.clone().zip(settings.key.clone());
    let everybodys = everybodys.map(|(cert, key)| (Arc::default(), Files { cert, key }));
    let own = sites.iter().filter_map(|site| Some((Arc::clone(&site.name), site.files.clone()?)));
    let opening = Opening { sites: &sites, provider: &provider, now };
    let (mut held, mut problems, mut is_whole) = (Vec::<Held>::new(), Vec::new(), true);
    for (site, files) in everybodys.into_iter().chain(own) {
        let file = files.cert.clone();
        let what = match opening.open(site, Source::Files(files)) {
            Ok(opened) => {
                let fault = opened.pair.validity.and_then(|validity| validity.fault(now));
                held.push(opened);
                fault
            }
            Err(error) => {
                is_whole = false;
                Some(in_full(&error))
            }
        };
        problems.extend(what.map(|what| Problem { file, what }));
    }
    let in_use = InUse { held, sites, told: Vec::new() };
    // With one missing, which one a name would get is not known.
    let Some(selection) = in_use.select().filter(|_| is_whole) else { return problems };
    let uncovered = in_use.list_uncovered(&selection);
    let tell = |Uncovered { site, hosts, certificate }| Problem {
        file: certificate,
        what: format!("is not for {hosts} of site \"{site}\": browsers will refuse it"),
    };
    problems.extend(uncovered.into_iter().map(tell));
    problems
}

/// With its cause.
fn in_full(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", in_full(source)),
        None => error.to_string(),
    }
}
