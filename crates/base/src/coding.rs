//! HTTP content codings and which one a client takes (RFC 9110 §12.5.3). Pure; compressing is done where the bytes are.

/// A coding we can serve, best first at equal weight: sizes of text fall in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Every coding, best first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The token of `Content-Encoding`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// The best coding for this `Accept-Encoding`; `None` = identity.
///
/// Identity is chosen where it is given more weight than every coding we have; where nothing is said of it, any coding
/// that is taken at all is better. It is answered even when the client refuses it (`identity;q=0`) and takes nothing
/// else: RFC 9110 allows a server to disregard the field, and a page beats a 406.
#[must_use]
pub fn best(accept_encoding: Option<&str>) -> Option<Coding> {
    let accepted = accept_encoding?;
    match accepted {
        "gzip" => return Some(Coding::Gzip),
        "gzip, deflate, br, zstd" | "gzip, deflate, br" | "gzip, br" | "br" => {
            return Some(Coding::Brotli);
        }
        _ => {}
    }
    let mut named = [None; 3];
    let (mut identity, mut star) = (None, None);
    for (name, weight) in weighed(accepted) {
        // What nobody can read is no wish for a coding.
        let weight = weight.unwrap_or(0);
        match name {
            "*" => star = Some(weight),
            _ if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
            _ => {
                let slot = Coding::ALL.iter().position(|coding| {
                    name.eq_ignore_ascii_case(coding.as_str())
                        || (*coding == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
                });
                if let Some(slot) = slot.and_then(|at| named.get_mut(at)) {
                    *slot = Some(weight);
                }
            }
        }
    }
    let mut best = None;
    for (coding, weight) in Coding::ALL.into_iter().zip(named) {
        let weight = weight.or(star).unwrap_or(0);
        if weight > best.map_or(0, |(_, w)| w) {
            best = Some((coding, weight));
        }
    }
    let identity = identity.or(star).unwrap_or(0);
    best.filter(|(_, weight)| *weight >= identity).map(|(coding, _)| coding)
}

/// The elements of an `Accept` or `Accept-Encoding` without their parameters, each with its weight in thousandths
/// (RFC 9110 §12.4.2); none where that is malformed.
pub fn weighed(field: &str) -> impl Iterator<Item = (&str, Option<u16>)> {
    field.split(',').map(|item| {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or("").trim();
        let of_weight = |part: &str| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| weight(value))
        };
        (name, parts.find_map(of_weight).unwrap_or(Some(1_000)))
    })
}

/// A qvalue in thousandths.
fn weight(text: &str) -> Option<u16> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let places = fraction.bytes().zip([100, 10, 1]);
    match (whole, places.map(|(digit, place)| u16::from(digit - b'0') * place).sum()) {
        ("1", 0) => Some(1_000),
        ("0", thousandths) => Some(thousandths),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_wildcards_are_honoured() {
        let check = |accept: &str, coding: Option<Coding>| {
            assert_eq!(best(Some(accept)), coding, "{accept}");
        };
        check("gzip", Some(Coding::Gzip));
        check("gzip, deflate, br, zstd", Some(Coding::Brotli));
        check("zstd, gzip", Some(Coding::Zstd));
        check("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip));
        check("br;q=0, gzip;q=0.001", Some(Coding::Gzip));
        check("GZIP", Some(Coding::Gzip));
        check("x-gzip", Some(Coding::Gzip));
        check("*", Some(Coding::Brotli));
        check("*;q=0.5, br;q=0", Some(Coding::Zstd));
        check("identity", None);
        check("identity;q=1, gzip;q=0.5", None);
        check("gzip;q=0.5, Identity; Q=0.6, br;q=0.1", None);
        check("*;q=0.5, identity", None);
        check("*, br;q=0.5, zstd;q=0.5, gzip;q=0.5", None);
        check("identity, gzip", Some(Coding::Gzip));
        check("gzip;q=1.0, identity;q=0.5, *;q=0", Some(Coding::Gzip));
        check("identity;q=0, gzip;q=0.1", Some(Coding::Gzip));
        check("deflate", None);
        check("", None);
        check("gzip;q=0", None);
        check("gzip;q=abc", None);
        check("gzip;q=1.5", None);
        check("gzip;q=.5, br;q=0.25", Some(Coding::Brotli));
        check("gzip;q=0.05, br;q=0.045", Some(Coding::Gzip));
        check("gzip; q=0.8 , br ; q=0.9", Some(Coding::Brotli));
        assert_eq!(best(None), None);
    }
}
