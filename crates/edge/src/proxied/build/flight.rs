//! The data scripts of a Next.js page that was made again at run time: which of its inline scripts carry nothing but the page's own payload. Pure.
//!
//! Such a page is written from the same data that an attacker may have got into the app, so a script does not count
//! for standing in it. Next.js keeps the payload a second time in a file of its own; a script planted in the markup
//! is not in there.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_guard::csp::{Hash, inline_text};
use memchr::memmem;
use serde_json::Value;

const PUSH: &str = "self.__next_f.push(";
const FIRST_PUSH: &str = "(self.__next_f=self.__next_f||[]).push(";

/// The hashes of the data scripts in `html`: those whose text is one push of a JSON array, when all of them together
/// say exactly what `payload` says. Empty when they do not.
pub(super) fn list_data_scripts(html: &str, payload: &[u8]) -> BTreeSet<Hash> {
    let mut said = Vec::with_capacity(payload.len());
    let mut hashes = BTreeSet::new();
    for text in list_texts(html) {
        let Some(part) = read_push(text) else { continue };
        said.extend(part);
        hashes.insert(Hash::of_text(&inline_text(text)));
    }
    if said == payload { hashes } else { BTreeSet::new() }
}

/// The texts of script elements. Next.js escapes `<` in what it pushes, so a text holds no tag.
fn list_texts(html: &str) -> impl Iterator<Item = &str> {
    let bytes = html.as_bytes();
    memmem::find_iter(bytes, "</script>").filter_map(move |end| {
        let tag = memmem::rfind(&bytes[..end], b"<script")?;
        let start = tag + memchr::memchr(b'>', &bytes[tag..end])? + 1;
        html.get(start..end)
    })
}

/// What one push adds to the payload; `None` when it is anything but a push of data.
fn read_push(text: &str) -> Option<Vec<u8>> {
    let array = text.strip_prefix(PUSH).or_else(|| text.strip_prefix(FIRST_PUSH))?;
    let parts: Vec<Value> = serde_json::from_str(array.strip_suffix(')')?).ok()?;
    match (parts.first()?.as_u64()?, parts.get(1), parts.len()) {
        // The begin, and the state of a form.
        (0, None, 1) | (2, Some(_), 2) => Some(Vec::new()),
        (1, Some(Value::String(piece)), 2) => Some(piece.clone().into_bytes()),
        (3, Some(Value::String(piece)), 2) => STANDARD.decode(piece).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "(self.__next_f=self.__next_f||[]).push([0])";
    const ONE: &str = "self.__next_f.push([1,\"0:[\\\"\\u003cp>a\\\"]\\n\"])";
    const TWO: &str = "self.__next_f.push([1,\"1:null\"])";
    const BINARY: &str = "self.__next_f.push([3,\"AAH/\"])";

    fn page(scripts: &[&str]) -> String {
        let tags: String =
            scripts.iter().map(|text| format!("<script nonce=\"old\">{text}</script>")).collect();
        format!(
            "<html><head><script src=\"/a.js\" async=\"\"></script></head><p>x</p>{tags}</html>"
        )
    }

    fn hashes(scripts: &[&str]) -> BTreeSet<Hash> {
        scripts.iter().map(|text| Hash::of_text(text)).collect()
    }

    #[test]
    fn scripts_that_say_the_payload_count() {
        let scripts = [BEGIN, ONE, TWO];
        let payload = b"0:[\"<p>a\"]\n1:null";
        assert_eq!(list_data_scripts(&page(&scripts), payload), hashes(&scripts));
        let binary = [ONE, BINARY];
        let payload = b"0:[\"<p>a\"]\n\x00\x01\xff";
        assert_eq!(list_data_scripts(&page(&binary), payload), hashes(&binary));
    }

    #[test]
    fn a_planted_push_undoes_all_of_them() {
        let payload = b"0:[\"<p>a\"]\n1:null";
        let planted = "self.__next_f.push([1,\"2:I[1,[],\\\"\\\"]\"])";
        for scripts in [[BEGIN, ONE, TWO, planted], [planted, BEGIN, ONE, TWO]] {
            assert!(list_data_scripts(&page(&scripts), payload).is_empty());
        }
        assert!(list_data_scripts(&page(&[BEGIN, TWO, ONE]), payload).is_empty(), "order");
    }

    #[test]
    fn what_is_more_than_data_does_not_count() {
        let payload = b"0:[\"<p>a\"]\n1:null";
        for code in [
            "self.__next_f.push([1,\"\"]);alert(1)",
            "self.__next_f.push([1,alert(1)])",
            "self.__next_f.push([1,\"\"],alert(1))",
            "self.__next_f.push([1,`${alert(1)}`])",
            "self.__next_f.push([9,\"\"])",
            "alert(1)",
            "",
        ] {
            let found = list_data_scripts(&page(&[BEGIN, ONE, code, TWO]), payload);
            assert_eq!(found, hashes(&[BEGIN, ONE, TWO]), "{code}");
        }
    }

    #[test]
    fn prose_about_pushes_is_no_script() {
        let html = format!("<code>{TWO}</code>{}", page(&[BEGIN, ONE, TWO]));
        let found = list_data_scripts(&html, b"0:[\"<p>a\"]\n1:null");
        assert_eq!(found, hashes(&[BEGIN, ONE, TWO]));
    }
}
