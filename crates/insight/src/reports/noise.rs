//! Reports that say nothing about the site: what a browser's extensions, its own pages and the shells of apps put into visitors' pages.
//!
//! Browsers shorten the address of what they will not name to its scheme, so `chrome-extension` comes as a bare word
//! as often as `chrome-extension://id/x.js` does.

use super::fields::Fields;

/// Schemes that no site can serve from: of browsers, of their extensions end in `-extension`, and of apps with a
/// browser inside. Collected from the lists that other collectors of reports publish.
const FOREIGN: [&str; 34] = [
    "about",
    "android-webview",
    "bdvideo",
    "chrome",
    "chrome-devtools",
    "chrome-search",
    "chrome-untrusted",
    "chromeinvoke",
    "chromeinvokeimmediate",
    "chromenull",
    "crwebinvoke",
    "crwebnull",
    "devtools",
    "file",
    "gsa",
    "httpe",
    "jar",
    "mbinit",
    "ms-appx",
    "ms-appx-web",
    "mx",
    "mxaddon-pkg",
    "mxjscall",
    "nativebaiduhd",
    "none",
    "opera",
    "res",
    "resource",
    "safari-resource",
    "symres",
    "tmtbff",
    "webkit-masked-url",
    "webviewprogressproxy",
    "wvjbscheme",
];

/// What stands for a script that was put into the page from outside: a user script, the developer tools. What is
/// blocked as a blob or as data, or runs in a blob, may be the site's own: workers are often made from one.
const INJECTED: [&str; 4] = ["user-script", "sandbox eval code", "debugger eval code", "injected"];

/// Whether a report is noise: blocked, loaded or running from where no site is.
pub(super) fn is_noise(fields: &Fields<'_>) -> bool {
    // A frame without an address of its own (`about:srcdoc`) is still a part of the site's page.
    let of_page = scheme(fields.document) != "about" && is_foreign(fields.document);
    let injected = INJECTED.iter().any(|word| scheme(fields.source).eq_ignore_ascii_case(word));
    of_page || is_foreign(fields.blocked) || is_foreign(fields.source) || injected
}

fn is_foreign(address: &str) -> bool {
    let scheme = scheme(without_wrapper(address));
    let ends = |suffix: &str| {
        let at = scheme.len().checked_sub(suffix.len());
        at.and_then(|at| scheme.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    ends("-extension") || FOREIGN.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The scheme, or the whole of a bare word.
fn scheme(address: &str) -> &str {
    let address = address.trim();
    address.split_once(':').map_or(address, |(scheme, _)| scheme)
}

/// `blob:moz-extension://…` belongs to the extension.
fn without_wrapper(address: &str) -> &str {
    let address = address.trim();
    ["blob:", "filesystem:", "view-source:"]
        .into_iter()
        .find_map(|wrapper| address.strip_prefix(wrapper))
        .unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(document: &'a str, blocked: &'a str, source: &'a str) -> Fields<'a> {
        Fields { document, blocked, source, ..Fields::default() }
    }

    #[test]
    fn foreign_schemes_and_bare_words_are_noise_wherever_they_stand() {
        for word in [
            "chrome-extension",
            "chrome-extension://abcdef/inject.js",
            "moz-extension",
            "moz-extension://0000-1111/x.js",
            "safari-extension",
            "safari-web-extension",
            "safari-web-extension://ABC/x.js",
            "ms-browser-extension",
            "Chrome-Extension://abc/",
            "webkit-masked-url://hidden/",
            "resource://gre/x.js",
            "chromenull://",
            "blob:moz-extension://0000/1",
        ] {
            assert!(is_noise(&fields("https://h/", word, "")), "blocked {word}");
            assert!(is_noise(&fields("https://h/", "inline", word)), "source {word}");
            assert!(is_noise(&fields(word, "inline", "")), "document {word}");
        }
        assert!(is_noise(&fields("https://h/", "about", "")));
        assert!(is_noise(&fields("https://h/", "about:blank", "")));
        assert!(is_noise(&fields("https://h/", "eval", "blob:chrome-extension://abc/1")));
        assert!(is_noise(&fields("https://h/", "eval", "sandbox eval code")));
    }

    #[test]
    fn what_the_site_does_itself_is_kept() {
        for (document, blocked, source) in [
            ("https://h/", "inline", "https://h/"),
            ("https://h/", "eval", "https://h/app.js"),
            ("https://h/", "blob", "https://h/app.js"),
            ("https://h/", "https://cdn.example/x.js", "blob"),
            ("https://h/", "eval", "blob:https://h/1"),
            ("https://h/", "data", ""),
            ("https://h/", "javascript:alert(1)", ""),
            ("https://h/", "https://chrome-extension.example/x.js", ""),
            ("https://h/", "https://about.example/", ""),
            ("about:srcdoc", "inline", ""),
            ("about", "inline", "https://h/"),
            ("", "", ""),
            ("https://h/é", "é", "é"),
        ] {
            assert!(!is_noise(&fields(document, blocked, source)), "{document} {blocked} {source}");
        }
    }
}
