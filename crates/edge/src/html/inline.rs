//! Inline scripts and import maps: their hashes, and what they mean to the imports of the page. Follows no import.

use std::ops::Range;

use mainstay_guard::csp::{Hash, Target};

use super::import_map::ImportMap;
use super::modules::Root;
use super::scan::{Place, Scan};
use super::specifiers::read_specifiers;

const IN_SRCDOC: &str =
    "<script>: what a script inside srcdoc imports stays blocked: give the frame a page of its own";
const LATE: &str = "<script>: some browsers ignore an import map behind a module: move it before the first module script or modulepreload";
const UNREADABLE: &str = "<script>: browsers cannot read this import map: it must be a JSON object whose imports, scopes and integrity are objects";

impl Scan<'_, '_> {
    /// The own script that `src` leads to may import files.
    pub(super) fn add_root(&mut self, src: &str) {
        let (Target::Own(path), Place::Document) = (self.base.target(src), self.piece.place) else {
            return;
        };
        let script = self.world.find(&path).and_then(|own| own.script.as_ref());
        if let Some(specifiers) = script.map(|script| script.specifiers.clone()) {
            self.found.roots.push(Root { specifiers, base: self.base.joined(src) });
        }
    }

    /// The text of an inline script that begins at `start`. In `srcdoc`, which has import maps of its own, nothing can
    /// be inserted.
    pub(super) fn note_inline_script(&mut self, text: &str, start: usize) {
        self.found.facts.inline_scripts.insert(Hash::of_text(text));
        let specifiers = read_specifiers(text);
        if self.piece.place == Place::Document {
            let base = self.base.clone();
            self.found.roots.push(Root { specifiers, base });
        } else if specifiers.list.iter().any(|specifier| specifier.imported) {
            self.found.report(self.offset(start), IN_SRCDOC);
        }
    }

    /// The text of an import map of the document, with the bytes it is made of.
    pub(super) fn note_import_map(&mut self, text: &str, range: &Range<usize>) {
        let source = &self.piece.html[range.clone()];
        let map = ImportMap::read(text, source, self.offset(range.end), &self.base);
        // Below the base of another site no address in the map can mean a file of this one.
        let own_base = matches!(self.base.target("/"), Target::Own(_));
        let fault = match &map {
            None => Some(UNREADABLE),
            Some(_) if self.found.has_module => Some(LATE),
            Some(_) => None,
        };
        match map.filter(|_| own_base && fault.is_none()) {
            Some(map) => self.found.maps.push(map),
            None => {
                self.found.facts.inline_scripts.insert(Hash::of_text(text));
                self.found.facts.open_imports = true;
            }
        }
        if let Some(fault) = fault {
            self.found.report(self.offset(range.start), fault);
        }
    }
}
