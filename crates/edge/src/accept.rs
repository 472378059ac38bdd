//! Which form of an answer a client would rather read, by its `Accept` (RFC 9110 §12.5.1). Never sees the answer.

use http::{HeaderMap, header};
use mainstay_base::coding::weighed;

/// What a client would rather read where we have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A page: `text/html` is named, and no data is liked better; or data is refused. Who refuses both gets it as well:
    /// something has to be said (RFC 9110 §12.5.1).
    Page,
    /// Data: JSON is named and liked better, or pages are refused; and what we send as such is not refused.
    Data,
    /// It does not say: no `Accept`, `*/*`, or types of neither kind.
    Neither,
}

const PAGE: [&str; 1] = ["text/html"];
const DATA: [&str; 2] = ["application/json", SENT];
/// What is sent as data.
const SENT: &str = "application/problem+json";
/// How the names of what is written as JSON end (RFC 6839 §3.1): nearly as good as its name.
const AS_JSON: &str = "+json";

/// How well something is liked, 0 where it is refused, and by how exact a range: 0 `*/*`, 1 its family, 2 its name.
type Liking = (u16, u8);

/// What these headers say.
pub(crate) fn wish(headers: &HeaderMap) -> Wish {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    wish_of(fields)
}

/// What these values of `Accept` say.
pub(crate) fn wish_of<'a>(fields: impl Iterator<Item = &'a str>) -> Wish {
    let (mut page, mut data, mut sent) = ([None; 3], [None; 3], [None; 3]);
    for (range, weight) in fields.flat_map(weighed) {
        // Who writes a weight that nobody can read wants what he names.
        let weight = weight.unwrap_or(1_000);
        note(&mut page, &PAGE, range, weight);
        note(&mut data, &DATA, range, weight);
        note(&mut sent, &[SENT], range, weight);
        let is_data = || DATA.iter().any(|data| data.eq_ignore_ascii_case(range));
        if is_as_json(range) && !is_data() {
            note(&mut data, &DATA, "application/*", weight);
        }
    }
    // One name of data may be liked while the one that is sent is refused.
    let data = match liking(sent) {
        refused @ Some((0, 1..)) => refused,
        _ => liking(data),
    };
    match (liking(page), data) {
        (_, Some((0, _))) => Wish::Page,
        (Some((0, _)), _) => Wish::Data,
        (None | Some((_, 0)), None | Some((_, 0))) => Wish::Neither,
        // Liked alike, what was named is meant: `application/json, */*` is a program's.
        (page, data @ Some((_, 1..))) if data > page => Wish::Data,
        _ => Wish::Page,
    }
}

/// Media types are the same in each case (RFC 9110 §8.3.1).
fn is_as_json(range: &str) -> bool {
    let end = range.len().checked_sub(AS_JSON.len()).and_then(|at| range.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(AS_JSON))
}

/// Notes what a range says of these types, by how exact it is.
fn note(likes: &mut [Option<u16>; 3], types: &[&str], range: &str, weight: u16) {
    let is_family = |of: &&str| {
        let family = range.strip_suffix("/*");
        family.is_some_and(|f| of.split('/').next().is_some_and(|o| o.eq_ignore_ascii_case(f)))
    };
    let exact = match range {
        "*/*" => 0,
        _ if types.iter().any(|of| of.eq_ignore_ascii_case(range)) => 2,
        _ if types.iter().any(is_family) => 1,
        _ => return,
    };
    let [any, family, name] = likes;
    let place = match exact {
        0 => any,
        1 => family,
        _ => name,
    };
    *place = Some(place.map_or(weight, |before| before.max(weight)));
}

/// The most exact range decides; none where none was named.
fn liking([any, family, name]: [Option<u16>; 3]) -> Option<Liking> {
    let of = |weight: Option<u16>, exact| weight.map(|weight| (weight, exact));
    of(name, 2).or(of(family, 1)).or(of(any, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_the_most_exact_range_decide() {
        for (accept, expected) in [
            ("text/html", Wish::Page),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Wish::Page),
            ("text/html, application/json", Wish::Page),
            ("application/json;q=0.9, Text/HTML", Wish::Page),
            ("text/*", Wish::Page),
            ("application/json;q=0.5, */*", Wish::Page),
            ("application/json, text/html;q=0.5", Wish::Data),
            ("text/html;q=0.5, application/problem+json;q=0.6", Wish::Data),
            ("application/json", Wish::Data),
            ("application/json, text/plain, */*", Wish::Data),
            ("application/*", Wish::Data),
            ("text/html;q=0", Wish::Data),
            ("text/html; Q=0.000, */*", Wish::Data),
            ("text/html;q=0.2, */*", Wish::Page),
            ("text/html;q=.9,*/*;q=.8", Wish::Page),
            ("text/html;q=1.0000, application/json;q=0.1", Wish::Page),
            ("application/vnd.api+json", Wish::Data),
            ("application/ld+json, text/html", Wish::Page),
            ("application/json;q=0", Wish::Page),
            ("application/vnd.api+JSON", Wish::Data),
            ("Application/Problem+Json;q=0.1, text/html;q=0.2", Wish::Page),
            ("application/problem+json;q=0, application/json", Wish::Page),
            ("application/*;q=0, application/json", Wish::Page),
            ("application/json;q=0, application/problem+json", Wish::Data),
            ("application/json, */*;q=0", Wish::Data),
            ("text/html;q=0, application/problem+json;q=0, */*", Wish::Page),
            ("text/html;q=0, application/problem+json;q=0", Wish::Page),
            ("text/html;q=0, */*;q=0", Wish::Page),
            ("image/png, */*;q=0", Wish::Page),
            ("text/html, */*;q=0", Wish::Page),
            ("text/html;q=0, application/json;q=0.1, */*;q=0", Wish::Data),
            ("*/*", Wish::Neither),
            ("image/avif,image/webp,*/*;q=0.8", Wish::Neither),
            ("text/x-component", Wish::Neither),
            ("", Wish::Neither),
        ] {
            assert_eq!(wish_of([accept].into_iter()), expected, "{accept}");
        }
        assert_eq!(wish(&HeaderMap::new()), Wish::Neither);
        assert_eq!(wish_of(["text/html;q=0.1", "application/json"].into_iter()), Wish::Data);
    }
}
