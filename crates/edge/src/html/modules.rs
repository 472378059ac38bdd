//! The own files that a page's scripts may import, and the import map that lets them run: under `'strict-dynamic'` an import needs the integrity of its file, which only an import map can give (HTML section 8.1.5.4).

use std::collections::{BTreeMap, BTreeSet};

use mainstay_guard::csp::{Base, Hash, Source, Target};

use super::found::{Found, World};
use super::import_map::{ImportMap, is_url_like, new_map};
use super::specifiers::{Specifier, Specifiers};
use super::{Own, is_script};

/// Files whose hashes go into one page's policy. A header with more would be refused by proxies on its way.
const FILES_MAX: usize = 64;

/// Paths that are looked up for one page, most of them strings that name no file.
const LOOKUPS_MAX: usize = 512;

/// A script of the page, from which imports start.
pub(super) struct Root {
    pub(super) specifiers: Specifiers,
    /// What its specifiers are relative to: its own URL, or the document's base when it is inline.
    pub(super) base: Base,
}

/// What the scripts of a page lead to.
struct Walk<'a, 'w> {
    maps: &'a [ImportMap],
    world: &'a mut World<'w>,
    open: Vec<Root>,
    /// Address and path of each file found.
    listed: BTreeMap<String, String>,
    files: BTreeSet<String>,
    looked_up: BTreeSet<String>,
    unpinned: BTreeSet<Source>,
    pinned: BTreeSet<Hash>,
    /// A script imports what its text does not name.
    unnamed: bool,
    /// A bound was reached.
    full: bool,
}

/// Finds what the page's scripts import, and allows it: file by file, or by `'self'` where there are too many.
pub(super) fn allow_imports(found: &mut Found, world: &mut World<'_>, length: usize) {
    let maps = std::mem::take(&mut found.maps);
    let mut walk = Walk {
        maps: &maps,
        world,
        open: std::mem::take(&mut found.roots),
        listed: BTreeMap::new(),
        files: BTreeSet::new(),
        looked_up: BTreeSet::new(),
        unpinned: BTreeSet::new(),
        pinned: BTreeSet::new(),
        unnamed: false,
        full: false,
    };
    walk.run();
    found.facts.open_imports |= walk.unnamed || walk.full;
    found.facts.unpinned_scripts.append(&mut walk.unpinned);
    found.facts.external_scripts.append(&mut walk.pinned);
    found.depends_on.extend(walk.files);
    let (listed, world) = (walk.listed, walk.world);
    // A policy without 'strict-dynamic' allows the site's own files anyway.
    let strict = found.facts.unpinned_scripts.is_empty() && !found.facts.open_imports;
    let hashes = if strict { list_hashes(listed, found, world) } else { BTreeMap::new() };
    write_map(&maps, &hashes, found, length);
}

/// The hash of each address: the one that an element of the page names already, else the short one.
fn list_hashes(
    listed: BTreeMap<String, String>,
    found: &Found,
    world: &mut World<'_>,
) -> BTreeMap<String, Hash> {
    let named = &found.facts.external_scripts;
    let hash = |own: &Own| {
        let short = own.script.as_ref().map(|script| script.integrity.clone());
        if named.contains(&own.integrity) { Some(own.integrity.clone()) } else { short }
    };
    let with_hash = |(address, path): (String, String)| {
        let hash = world.find(&path).and_then(hash)?;
        Some((address, hash))
    };
    listed.into_iter().filter_map(with_hash).collect()
}

fn write_map(
    maps: &[ImportMap],
    hashes: &BTreeMap<String, Hash>,
    found: &mut Found,
    length: usize,
) {
    for map in maps {
        found.facts.external_scripts.extend(map.list_integrity().into_values().flatten());
        found.facts.inline_scripts.insert(map.hash());
    }
    if hashes.is_empty() {
        return;
    }
    found.facts.external_scripts.extend(hashes.values().cloned());
    let Some(first) = maps.first() else {
        let text = new_map(hashes);
        found.facts.inline_scripts.insert(Hash::of_text(&text));
        let offset = found.spot.offset(length);
        return found.insert(offset, format!("<script type=\"importmap\">{text}</script>"));
    };
    let Some(enlarged) = first.enlarged(hashes) else { return };
    found.facts.inline_scripts.remove(&first.hash());
    found.facts.inline_scripts.insert(enlarged.hash);
    found.insert(enlarged.offset, enlarged.insertion);
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        while let Some(root) = self.open.pop() {
            self.unnamed |= root.specifiers.open;
            for specifier in &root.specifiers.list {
                if self.full {
                    return;
                }
                self.follow(specifier, &root.base);
            }
        }
    }

    fn follow(&mut self, specifier: &Specifier, from: &Base) {
        let text = specifier.text.as_str();
        if is_url_like(text) {
            self.reach(text, from, specifier.imported);
        } else if !specifier.imported {
            // As bundlers list them: relative to the list, or to the site.
            self.reach(text, from, false);
            self.reach(&format!("/{text}"), from, false);
        }
        let maps = self.maps;
        for map in maps {
            for target in map.targets(text, from) {
                self.reach_mapped(&target, map, specifier.imported);
            }
        }
    }

    /// A target of the page's own map may be foreign and have its integrity there.
    fn reach_mapped(&mut self, target: &str, map: &ImportMap, imported: bool) {
        let hashes = map.integrity_of(target);
        match map.base.target(target) {
            Target::Other(_) if !hashes.is_empty() => self.pinned.extend(hashes),
            _ => self.reach(target, &map.base, imported),
        }
    }

    fn reach(&mut self, reference: &str, base: &Base, imported: bool) {
        match base.target(reference) {
            Target::Own(path) if is_script(&path) => self.reach_file(reference, path, base),
            Target::Other(origin) if imported => _ = self.unpinned.insert(Source::Other(origin)),
            _ => {}
        }
    }

    fn reach_file(&mut self, reference: &str, path: String, base: &Base) {
        let Some(address) = base.address(reference) else { return };
        if self.listed.contains_key(&address) {
            return;
        }
        self.looked_up.insert(path.clone());
        if self.looked_up.len() > LOOKUPS_MAX {
            self.full = true;
            return;
        }
        let script = self.world.find(&path).and_then(|own| own.script.as_ref());
        let Some(specifiers) = script.map(|script| script.specifiers.clone()) else { return };
        self.open.push(Root { specifiers, base: base.joined(reference) });
        self.files.insert(path.clone());
        self.listed.insert(address, path);
        self.full |= self.listed.len() > FILES_MAX;
    }
}
