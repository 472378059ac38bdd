//! The security headers every answer carries, apart from CSP and CORS, which have files of their own.

use http::header::{self, HeaderName, HeaderValue};

use crate::settings::{Frame, Headers, Hsts, Opener, Preset, Referrer, Resource};

/// Settings of a site's headers; see [`Headers`].
pub type Settings = Headers;

/// What an answer is, as far as headers care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An HTML page, an error page or a redirect of the site.
    Document,
    /// Any other file of the site.
    Asset,
    /// An answer of our own endpoints.
    Api,
}

/// The headers of one answer, each name once, without CSP (see [`crate::csp`]) and CORS (see [`crate::cors`]).
///
/// `settings` are resolved ([`Headers::resolved`]). `https` is [`crate::Facts::https`]: HSTS is sent only then
/// (RFC 6797 section 7.2).
#[must_use]
pub fn security_headers(
    settings: &Settings,
    kind: Kind,
    https: bool,
) -> Vec<(HeaderName, HeaderValue)> {
    let roadmap = settings.headers == Preset::Roadmap;
    let mut set = vec![
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, frame(settings.frame)),
        (header::REFERRER_POLICY, referrer(settings.referrer)),
        (HeaderName::from_static("permissions-policy"), permissions(settings.headers)),
        (HeaderName::from_static("cross-origin-opener-policy"), opener(settings.opener)),
        (HeaderName::from_static("cross-origin-resource-policy"), resource(settings, kind)),
        // The old XSS auditors could be turned against a page; 0 keeps them off where they still exist.
        (header::X_XSS_PROTECTION, HeaderValue::from_static("0")),
    ];
    if roadmap {
        set.push((
            HeaderName::from_static("cross-origin-embedder-policy"),
            HeaderValue::from_static("require-corp"),
        ));
    } else {
        set.push((HeaderName::from_static("origin-agent-cluster"), HeaderValue::from_static("?1")));
    }
    if https && let Some(value) = hsts(settings) {
        set.push((header::STRICT_TRANSPORT_SECURITY, value));
    }
    set
}

fn frame(frame: Frame) -> HeaderValue {
    HeaderValue::from_static(match frame {
        Frame::Deny => "DENY",
        Frame::SameOrigin => "SAMEORIGIN",
    })
}

fn referrer(referrer: Referrer) -> HeaderValue {
    HeaderValue::from_static(match referrer {
        Referrer::NoReferrer => "no-referrer",
        Referrer::SameOrigin => "same-origin",
        Referrer::StrictOrigin => "strict-origin",
        Referrer::StrictOriginWhenCrossOrigin => "strict-origin-when-cross-origin",
    })
}

fn opener(opener: Opener) -> HeaderValue {
    HeaderValue::from_static(match opener {
        Opener::SameOrigin => "same-origin",
        Opener::SameOriginAllowPopups => "same-origin-allow-popups",
        Opener::UnsafeNone => "unsafe-none",
    })
}

fn permissions(preset: Preset) -> HeaderValue {
    HeaderValue::from_static(match preset {
        Preset::Default => {
            "camera=(), microphone=(), geolocation=(), payment=(), browsing-topics=()"
        }
        Preset::Roadmap => "camera=(), microphone=(), geolocation=(), payment=()",
    })
}

/// Answers of our own endpoints are never meant for another origin's `<img>` or `<script>`, whatever the site's files are.
fn resource(settings: &Settings, kind: Kind) -> HeaderValue {
    HeaderValue::from_static(match (settings.headers, kind, settings.resource) {
        (Preset::Roadmap, _, _) => "cross-origin",
        (Preset::Default, Kind::Api, _) | (_, _, Resource::SameOrigin) => "same-origin",
        (_, _, Resource::SameSite) => "same-site",
        (_, _, Resource::CrossOrigin) => "cross-origin",
    })
}

fn hsts(settings: &Settings) -> Option<HeaderValue> {
    let value = match (settings.hsts, settings.headers) {
        (Hsts::Off, _) | (Hsts::Auto, Preset::Default) => return None,
        (Hsts::Day, _) => "max-age=86400",
        (Hsts::Preload, _) | (Hsts::Auto, Preset::Roadmap) => {
            "max-age=63072000; includeSubDomains; preload"
        }
        (Hsts::Year, _) => "max-age=31536000",
    };
    Some(HeaderValue::from_static(value))
}

#[cfg(test)]
mod tests;
