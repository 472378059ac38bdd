//! Addresses inside text, found and truncated. What counts as truncated is decided in `base::net`.

use std::net::{IpAddr, SocketAddrV4};

use mainstay_base::net;

/// Appends `word` with every full address in it truncated.
pub(super) fn push_truncated(out: &mut String, word: &str) {
    let mut rest = word;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        // A run inside a longer word (`e::acce` in `edge::accept`) is no address.
        let joined = before.is_some_and(is_word);
        let end = rest.find(|c| !is_address(c)).unwrap_or(rest.len());
        if end == 0 || joined {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            before = Some(c);
            continue;
        }
        let (run, after) = rest.split_at(end);
        match after.chars().next() {
            Some(next) if is_word(next) => out.push_str(run),
            _ => push_run(out, run),
        }
        (before, rest) = (run.chars().next_back(), after);
    }
}

/// A run of characters that an address may be made of, perhaps with a port or a full stop behind it.
fn push_run(out: &mut String, run: &str) {
    let core = run.trim_end_matches(['.', ':']);
    let known = [run, core].into_iter().find_map(|text| Some((truncate(text)?, text.len())));
    match known {
        Some((truncated, len)) => {
            out.push_str(&truncated);
            out.push_str(&run[len..]);
        }
        None => out.push_str(run),
    }
}

fn truncate(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(if is_kept(address) {
            text.into()
        } else {
            net::truncate(address).to_string()
        });
    }
    let socket = text.parse::<SocketAddrV4>().ok()?;
    let address = IpAddr::V4(*socket.ip());
    let kept = if is_kept(address) { address } else { net::truncate(address) };
    Some(format!("{kept}:{}", socket.port()))
}

/// Addresses that can be nobody's: ours to listen on.
fn is_kept(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

fn is_address(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, '.' | ':')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
