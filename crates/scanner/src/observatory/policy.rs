//! Content-Security-Policies read as the Observatory reads them: several made one, sources that add nothing taken away.

use std::collections::{HashMap, HashSet};

use super::collate::compare;

/// The shortest policy there may be.
const LENGTH_MIN: usize = "img-src".len() - 1;
/// What may be written twice, with a word about it.
const REPEATABLE: [&str; 2] = ["report-uri", "report-to"];
/// What a page's markup cannot say.
const NOT_IN_MARKUP: [&str; 3] = ["frame-ancestors", "report-uri", "sandbox"];

/// No browser would follow it, or the Observatory does not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Directives in the order in which they came first, each with its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    directives: Vec<(String, Vec<String>)>,
    /// A directive that may be written twice was.
    pub(super) has_repeated: bool,
}

#[derive(Clone, Debug)]
struct Source {
    text: String,
    /// Which policy it was written in.
    policy: usize,
    keep: bool,
}

impl Policy {
    /// What several policies say together.
    pub(super) fn parse(policies: &[String]) -> Result<Self, Invalid> {
        let policies: Vec<_> =
            policies.iter().map(|text| text.replace(['\r', '\n'], "").trim().to_owned()).collect();
        if policies.iter().any(|text| text.encode_utf16().count() < LENGTH_MIN) {
            return Err(Invalid);
        }
        let mut read: Vec<(String, Vec<Source>)> = Vec::new();
        let mut places = HashMap::<String, usize>::new();
        let mut has_repeated = false;
        for (number, policy) in policies.iter().enumerate() {
            let mut seen = HashSet::new();
            for entry in policy.split(';') {
                let mut words = entry.split_whitespace();
                let Some(name) = words.next().map(str::to_lowercase) else { continue };
                if !seen.insert(name.clone()) {
                    if !REPEATABLE.contains(&name.as_str()) {
                        return Err(Invalid);
                    }
                    has_repeated = true;
                }
                let at = places.get(&name).copied();
                let before = at.and_then(|at| read.get(at)).map(|(_, sources)| sources.clone());
                let before = before.filter(|_| number > 0).unwrap_or_default();
                let sources = combine(before, values(&name, words, number))?;
                let sources = settle(sources, number == 0 && policies.len() > 1);
                match at.and_then(|at| read.get_mut(at)) {
                    Some(row) => row.1 = sources,
                    None => {
                        places.insert(name.clone(), read.len());
                        read.push((name, sources));
                    }
                }
            }
        }
        let directives = read.into_iter().map(|(name, sources)| (name, texts(&sources))).collect();
        Ok(Self { directives, has_repeated })
    }

    /// The same of what markup may say.
    pub(super) fn parse_markup(policies: &[String]) -> Result<Self, Invalid> {
        let mut policy = Self::parse(policies)?;
        policy.directives.retain(|(name, _)| !NOT_IN_MARKUP.contains(&name.as_str()));
        Ok(policy)
    }

    /// A directive's sources.
    pub(super) fn get(&self, name: &str) -> Option<&[String]> {
        let found = self.directives.iter().find(|(known, _)| known == name);
        found.map(|(_, sources)| sources.as_slice())
    }

    /// The list that counts for a directive: its own, or that of `default-src`.
    pub(super) fn effective_mut(&mut self, name: &str) -> Option<&mut Vec<String>> {
        let is_own = self.directives.iter().any(|(known, _)| known == name);
        let name = if is_own { name } else { "default-src" };
        let found = self.directives.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, sources)| sources)
    }

    pub(super) fn directives(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.directives.iter().map(|(name, sources)| (name.as_str(), sources.as_slice()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.directives.is_empty() && !self.has_repeated
    }
}

fn values<'a>(name: &str, words: impl Iterator<Item = &'a str>, policy: usize) -> Vec<Source> {
    let keep = policy == 0;
    let source = |text: String| Source { text, policy, keep };
    let values: Vec<_> = words.map(|word| source(word.to_lowercase())).collect();
    if values.is_empty() && name.ends_with("-src") { vec![source("'none'".into())] } else { values }
}

/// What is left when a policy is added: of one policy the shortest of those that begin alike, of two what both say.
fn combine(before: Vec<Source>, new: Vec<Source>) -> Result<Vec<Source>, Invalid> {
    let mut all = before;
    all.extend(new);
    all.sort_by(|one, other| compare(&one.text, &other.text));
    for at in 1..all.len() {
        let (Some(previous), Some(source)) = (all.get(at - 1), all.get(at)) else { continue };
        let keep = if source.policy == previous.policy {
            if source.text.starts_with(&previous.text) { Some(false) } else { None }
        } else if is_path_within(&previous.text, &source.text)? {
            Some(true)
        } else {
            None
        };
        if let (Some(keep), Some(source)) = (keep, all.get_mut(at)) {
            source.keep = keep;
        }
    }
    Ok(all)
}

/// Of the first of several policies nothing counts until another one says it, too.
fn settle(mut sources: Vec<Source>, awaits_others: bool) -> Vec<Source> {
    sources.retain(|source| source.keep);
    if awaits_others {
        for source in &mut sources {
            source.keep = false;
        }
    }
    sources
}

fn texts(sources: &[Source]) -> Vec<String> {
    let mut seen = HashSet::new();
    let new = sources.iter().filter(|source| seen.insert(&source.text));
    let texts: Vec<_> = new.map(|source| source.text.clone()).collect();
    if texts.is_empty() { vec!["'none'".into()] } else { texts }
}

fn is_path_within(one: &str, other: &str) -> Result<bool, Invalid> {
    if one.is_empty() || one == "/" && other.is_empty() {
        return Ok(true);
    }
    let is_exact = !one.ends_with('/');
    let mut ones: Vec<_> = one.split('/').collect();
    let others: Vec<_> = other.split('/').collect();
    if ones.len() > others.len() || is_exact && ones.len() != others.len() {
        return Ok(false);
    }
    if !is_exact {
        ones.pop();
    }
    for (one, other) in ones.iter().zip(&others) {
        if decode(one)? != decode(other)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// JavaScript's `decodeURIComponent`, which refuses what is no UTF-8.
fn decode(text: &str) -> Result<Vec<u8>, Invalid> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Invalid) };
        decoded.push((high * 16 + low) as u8);
    }
    if std::str::from_utf8(&decoded).is_ok() { Ok(decoded) } else { Err(Invalid) }
}
