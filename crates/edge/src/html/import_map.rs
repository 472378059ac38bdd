//! The document's own import map: what its specifiers stand for, and the `integrity` member that is added to it (HTML section 8.1.5.4). Changes nothing else of it.

use std::collections::BTreeMap;

use mainstay_guard::csp::{Base, Hash};
use serde_json::{Map, Value};

/// An import map of the document.
pub(super) struct ImportMap {
    /// What browsers resolve its addresses against.
    pub(super) base: Base,
    /// Its text, as it is hashed.
    text: String,
    /// Where its last brace is in the document.
    last_brace: usize,
    members: Map<String, Value>,
}

/// The members to insert and what the map's text becomes by them.
pub(super) struct Enlarged {
    /// Offset in the document.
    pub(super) offset: usize,
    pub(super) insertion: String,
    pub(super) hash: Hash,
}

impl ImportMap {
    /// From the text of the element, which ends at `end` in the document after the bytes `source`. `None` for what
    /// browsers refuse: no JSON, no object, or members that are none.
    pub(super) fn read(text: &str, source: &[u8], end: usize, base: &Base) -> Option<Self> {
        let Value::Object(members) = serde_json::from_str(text).ok()? else { return None };
        let sound = ["imports", "scopes", "integrity"]
            .iter()
            .all(|name| members.get(*name).is_none_or(Value::is_object));
        let trimmed = source.trim_ascii_end();
        let brace = trimmed.last() == Some(&b'}');
        (sound && brace).then(|| Self {
            base: base.clone(),
            text: text.to_owned(),
            last_brace: end - (source.len() - trimmed.len()) - 1,
            members,
        })
    }

    /// The addresses that `specifier` may stand for in a module at `from`: those of every scope and every prefix, since
    /// too many do no harm. They are relative to the map's base.
    pub(super) fn targets(&self, specifier: &str, from: &Base) -> Vec<String> {
        let specifier = known_as(specifier, from);
        let scopes = self.object("scopes").into_iter().flat_map(Map::values);
        let tables = self.object("imports").into_iter().chain(scopes.filter_map(Value::as_object));
        let target = |(key, target): (&String, &Value)| {
            let (key, target) = (known_as(key, &self.base), target.as_str()?);
            let rest = specifier.strip_prefix(key.as_str())?;
            (rest.is_empty() || key.ends_with('/')).then(|| format!("{target}{rest}"))
        };
        tables.flatten().filter_map(target).collect()
    }

    /// The integrity the map itself gives to `reference`.
    pub(super) fn integrity_of(&self, reference: &str) -> Vec<Hash> {
        let listed = self.object("integrity").and_then(|table| table.get(reference));
        listed.and_then(Value::as_str).map(Hash::parse_integrity).unwrap_or_default()
    }

    /// Every integrity the map itself gives, by own address.
    pub(super) fn list_integrity(&self) -> BTreeMap<String, Vec<Hash>> {
        let table = self.object("integrity").into_iter().flatten();
        let known = table.filter_map(|(key, value)| {
            Some((self.base.address(key)?, Hash::parse_integrity(value.as_str()?)))
        });
        known.collect()
    }

    /// The hash of the map as it is.
    pub(super) fn hash(&self) -> Hash {
        Hash::of_text(&self.text)
    }

    /// The map with the integrity of these own addresses; `None` when it has all of them. What it says itself stays.
    ///
    /// The member is added at the end. When there was one, the map has two, of which JSON readers take the last
    /// (ECMA-262 section 25.5.1): it repeats the first.
    pub(super) fn enlarged(&self, listed: &BTreeMap<String, Hash>) -> Option<Enlarged> {
        let known = self.list_integrity();
        let mut missing =
            listed.iter().filter(|(address, _)| !known.contains_key(*address)).peekable();
        missing.peek()?;
        let mut table = self.object("integrity").cloned().unwrap_or_default();
        table.extend(missing.map(|(address, hash)| (address.clone(), hash.as_str().into())));
        let comma = if self.members.is_empty() { "" } else { "," };
        let insertion = format!("{comma}\"integrity\":{}", written(table));
        let brace = self.text.trim_end().len().saturating_sub(1);
        let (before, after) = self.text.split_at(brace);
        let hash = Hash::of_text(&format!("{before}{insertion}{after}"));
        Some(Enlarged { offset: self.last_brace, insertion, hash })
    }

    fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.members.get(name).and_then(Value::as_object)
    }
}

/// The text of a new import map that gives these own addresses their integrity.
pub(super) fn new_map(listed: &BTreeMap<String, Hash>) -> String {
    let table = listed.iter().map(|(address, hash)| (address.clone(), hash.as_str().into()));
    format!("{{\"integrity\":{}}}", written(table.collect()))
}

/// `<` could end the script element or begin a comment in it. Everything is ASCII, so that it is the same in every
/// encoding.
fn written(table: Map<String, Value>) -> String {
    let mut text = String::new();
    for c in Value::Object(table).to_string().chars() {
        if c == '<' || !c.is_ascii() {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// A specifier as import maps compare them: own URLs by their address, bare names and other URLs as they are.
fn known_as(specifier: &str, base: &Base) -> String {
    let address = is_url_like(specifier).then(|| base.address(specifier)).flatten();
    address.unwrap_or_else(|| specifier.to_owned())
}

/// Whether browsers read a specifier as a URL instead of a bare name.
pub(super) fn is_url_like(specifier: &str) -> bool {
    let relative = ["/", "./", "../"].iter().any(|start| specifier.starts_with(start));
    let scheme = specifier
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    relative || scheme
}

#[cfg(test)]
mod tests;
