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
/// Identity is answered even when the client refuses it (`identity;q=0`) and takes nothing else: RFC 9110
/// allows a server to disregard the field, and a page beats a 406.
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
    let mut star = None;
    for item in accepted.split(',') {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or("").trim();
        let weight = parts.find_map(|p| p.trim().strip_prefix("q=").map(weight)).unwrap_or(1_000);
        match name {
            "*" => star = Some(weight),
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
    best.map(|(coding, _)| coding)
}

/// A qvalue in thousandths; malformed ones count as refused.
fn weight(text: &str) -> u16 {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
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
        check("deflate", None);
        check("", None);
        check("gzip;q=0", None);
        check("gzip;q=abc", None);
        check("gzip; q=0.8 , br ; q=0.9", Some(Coding::Brotli));
        assert_eq!(best(None), None);
    }
}
