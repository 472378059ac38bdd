//! Licence expressions as SPDX writes them (annex D of 2.3: OR, AND, WITH, parentheses), and the older `/` for OR. Knows no licence.

/// Whether an allowed set of licences meets the expression; one that cannot be read is never met.
pub(super) fn is_met(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, is_allowed };
    let met = reader.read_or();
    met == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    is_allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn read_or(&mut self) -> Option<bool> {
        let mut met = self.read_and()?;
        while self.take("OR") {
            met |= self.read_and()?;
        }
        Some(met)
    }

    fn read_and(&mut self) -> Option<bool> {
        let mut met = self.read_one()?;
        while self.take("AND") {
            met &= self.read_one()?;
        }
        Some(met)
    }

    fn read_one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.read_or()?;
            return self.take(")").then_some(met);
        }
        let licence = self.next()?;
        if self.take("WITH") {
            let exception = self.next()?;
            return Some((self.is_allowed)(&format!("{licence} WITH {exception}")));
        }
        Some((self.is_allowed)(licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_as_spdx_reads_them() {
        let is_allowed = |licence: &str| {
            ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].contains(&licence)
        };
        for (expression, met) in [
            ("MIT", true),
            ("GPL-2.0-only", false),
            ("MIT OR GPL-2.0-only", true),
            ("MIT/GPL-2.0-only", true),
            ("MIT AND GPL-2.0-only", false),
            // AND binds tighter.
            ("GPL-2.0-only AND MIT OR MIT", true),
            ("GPL-2.0-only AND (MIT OR MIT)", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0", true),
            ("Apache-2.0", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(is_met(expression, &is_allowed), met, "{expression}");
        }
    }
}
