//! Policies of answers that are not analysed pages: other files of the site, our endpoints, our error pages.

use std::borrow::Cow;

use super::Hash;
use super::page::{frame_ancestors, untouched_policy};
use super::policy::{Builder, Policy};
use crate::settings::Headers;

/// The policy of our own endpoints' answers, and of everything that is data only.
#[must_use]
pub fn api_policy() -> Policy {
    Builder::default().fixed("default-src", "'none'").fixed("frame-ancestors", "'none'").build()
}

/// The policy of a page of ours whose only inline code is one `<style>` with the text `style`. Browsers ask for
/// `/favicon.ico` with it, which would be blocked, and reported, where it may show no image of the site.
#[must_use]
pub fn error_page_policy(style: &str) -> Policy {
    Builder::default()
        .fixed("default-src", "'none'")
        .add("style-src", &[Hash::of_text(style).to_string()])
        .fixed("img-src", "'self'")
        .fixed("base-uri", "'none'")
        .fixed("form-action", "'none'")
        .fixed("frame-ancestors", "'none'")
        .build()
}

/// The policies of files that were not analysed, made once for a site.
///
/// For most files a policy matters only when somebody opens the file itself in a browser: the browser then builds a
/// document around it, which must work and must run nothing.
#[derive(Clone, Debug)]
pub struct Resources {
    markup: Policy,
    viewed: Policy,
    plugin: Policy,
    script: Policy,
    data: Policy,
    html: Policy,
}

impl Resources {
    /// Those of a site with these resolved settings.
    #[must_use]
    pub fn new(settings: &Headers) -> Self {
        let of = |shape| shape_policy(shape, settings);
        Self {
            markup: of(Shape::Markup),
            viewed: of(Shape::Viewed),
            plugin: of(Shape::Plugin),
            script: of(Shape::Script),
            data: of(Shape::Data),
            html: untouched_policy(settings, false),
        }
    }

    /// The policy of a media type, which may carry parameters.
    #[must_use]
    pub fn find(&self, content_type: &str) -> &Policy {
        match Kind::of(content_type) {
            Kind::Html => &self.html,
            Kind::Other(Shape::Markup) => &self.markup,
            Kind::Other(Shape::Viewed) => &self.viewed,
            Kind::Other(Shape::Plugin) => &self.plugin,
            Kind::Other(Shape::Script) => &self.script,
            Kind::Other(Shape::Data) => &self.data,
        }
    }
}

/// The policy of one such file; see [`Resources`].
#[must_use]
pub fn resource_policy(content_type: &str, settings: &Headers) -> Policy {
    match Kind::of(content_type) {
        Kind::Html => untouched_policy(settings, false),
        Kind::Other(shape) => shape_policy(shape, settings),
    }
}

fn shape_policy(shape: Shape, settings: &Headers) -> Policy {
    let policy = Builder::default();
    let policy = match shape {
        Shape::Markup => policy
            .fixed("default-src", "'none'")
            .fixed("style-src", "'self' 'unsafe-inline'")
            .fixed("img-src", "'self' data:")
            .fixed("font-src", "'self' data:")
            .add("sandbox", &[]),
        Shape::Viewed => policy
            .fixed("default-src", "'none'")
            .fixed("style-src", "'unsafe-inline'")
            .fixed("img-src", "'self' data:")
            .fixed("media-src", "'self'"),
        Shape::Plugin => policy.fixed("base-uri", "'none'").fixed("form-action", "'none'"),
        Shape::Script => policy
            .fixed("default-src", "'none'")
            .fixed("script-src", "'self'")
            .fixed("connect-src", "'self' https: wss: data: blob:")
            .fixed("worker-src", "'self'"),
        Shape::Data => policy.fixed("default-src", "'none'"),
    };
    policy.fixed("frame-ancestors", frame_ancestors(settings.frame)).build()
}

/// What a media type is to a policy.
enum Kind {
    Html,
    Other(Shape),
}

impl Kind {
    fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let lower = if essence.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(essence.to_ascii_lowercase())
        } else {
            Cow::Borrowed(essence)
        };
        if lower == "text/html" { Self::Html } else { Self::Other(Shape::of(&lower)) }
    }
}

/// What a browser makes of a file that is opened by itself.
#[derive(Clone, Copy)]
enum Shape {
    /// A document that may carry scripts (SVG, XML, XHTML): it gets its styles and images, in a sandbox without scripts.
    Markup,
    /// Text, image, sound, film: browsers wrap it in a document with an inline style and one `<img>` or `<video>`.
    Viewed,
    /// PDF: browsers load their own viewer, which a restrictive default or a sandbox keeps out.
    Plugin,
    /// A script may be run as a worker, which lives under its own answer's policy, not its page's: it may import own
    /// scripts and, being perhaps a service worker that passes the page's requests on, fetch from any https origin.
    Script,
    /// Everything that is never a document.
    Data,
}

impl Shape {
    fn of(essence: &str) -> Self {
        match essence {
            "application/pdf" => Self::Plugin,
            "text/xml" | "application/xml" => Self::Markup,
            "text/javascript" | "application/javascript" => Self::Script,
            "text/plain" | "text/markdown" | "text/csv" => Self::Viewed,
            _ if essence.ends_with("+xml") => Self::Markup,
            _ if ["image/", "audio/", "video/"].iter().any(|kind| essence.starts_with(kind)) => {
                Self::Viewed
            }
            _ => Self::Data,
        }
    }
}

#[cfg(test)]
mod tests;
