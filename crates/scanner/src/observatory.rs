//! MDN's HTTP Observatory: its ten tests of what a site's front page says, its points and its grades. Pure: asks nobody.
//!
//! The rules are those of npm `@mdn/mdn-http-observatory` 1.4.8 (algorithm 4), oddities included: a grade that is not
//! the one its owner gets elsewhere is worth nothing. A test compares both over hundreds of generated sites.

mod collate;
mod cookies;
mod csp;
mod headers;
mod outcome;
mod policy;
mod redirection;
mod scripts;

use http::HeaderMap;
use url::Url;

pub use cookies::Jar;
pub use headers::joined;
pub use outcome::{Outcome, Test};

use crate::page::Page;

/// What a site without a fault starts with.
const START: i32 = 100;
/// Extra points count for a site that would have an A without them.
const EXTRA_FROM: i32 = 90;

/// What was seen of a site.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The name that was asked for.
    pub host: String,
    /// The page: over https where that answers, else over http.
    pub page: Answered,
    /// Whether it came by https.
    pub is_https: bool,
    /// The page's markup.
    pub markup: Page,
    /// Cookies that were set on the way to the page.
    pub jar: Jar,
    /// What https answered last.
    pub https: Option<Answered>,
    /// What http answered last; none when nobody listens there.
    pub http: Option<Answered>,
    /// Everybody that was asked on the way from http to the page, the last one included.
    pub route: Vec<Url>,
    /// What a pre-flight question of another origin was answered.
    pub cors: Option<HeaderMap>,
}

/// The last answer of a chain.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
}

/// What the tests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How each test ended.
    pub outcomes: Vec<(Test, Outcome)>,
    /// Points, from 0.
    pub score: i32,
    /// `A+` to `F`.
    pub grade: &'static str,
}

/// Judges a site.
#[must_use]
pub fn judge(seen: &Seen) -> Verdict {
    let hsts = headers::hsts(seen);
    let csp = csp::judge(seen);
    let outcomes = vec![
        (Test::Csp, csp.outcome),
        (Test::Cookies, cookies::judge(seen, hsts)),
        (Test::Cors, headers::cors(seen)),
        (Test::Redirection, redirection::judge(seen)),
        (Test::Referrer, headers::referrer(seen)),
        (Test::Hsts, hsts),
        (Test::Integrity, scripts::judge(seen)),
        (Test::ContentType, headers::content_type(seen)),
        (Test::Frame, headers::frame(seen, csp.names_ancestors)),
        (Test::Resource, headers::resource(seen)),
    ];
    let points = || outcomes.iter().map(|(_, outcome)| outcome.points());
    let without_extra = START + points().filter(|points| *points < 0).sum::<i32>();
    let with_extra = START + points().sum::<i32>();
    let score = if without_extra >= EXTRA_FROM { with_extra } else { without_extra }.max(0);
    Verdict { outcomes, score, grade: grade(score) }
}

fn grade(score: i32) -> &'static str {
    match score {
        100.. => "A+",
        90..100 => "A",
        85..90 => "A-",
        80..85 => "B+",
        70..80 => "B",
        65..70 => "B-",
        60..65 => "C+",
        50..60 => "C",
        45..50 => "C-",
        40..45 => "D+",
        30..40 => "D",
        25..30 => "D-",
        _ => "F",
    }
}
