//! What kind of client a user agent names, and why it is judged a bot; never looks at anything but the text and what the request says beside it.
//!
//! The tables are maintained elsewhere (crates `isbot` and `woothee`); what lives here is the order in which they are
//! asked and the few cases both get wrong. An iPad with the desktop site switched on (the default since iPadOS 13)
//! sends a Macintosh user agent and is counted as a desktop: no table can see it.

use std::sync::LazyLock;

use isbot::Bots;
use mainstay_base::agent::AgentClass;
use woothee::parser::{Parser, WootheeResult};

mod cache;

pub use cache::AgentCache;

/// Bytes of a user agent that are looked at; browsers stay below 400.
pub const USER_AGENT_BYTES_MAX: usize = 512;

/// Why a client is not counted as a person. A closed set, so that the owner can be told in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BotReason {
    /// A crawler, monitor, link preview or feed reader that names itself.
    Crawler,
    /// A browser without a screen.
    Headless,
    /// curl, wget, a language's HTTP client.
    HttpLibrary,
    /// The request carried no user agent.
    NoUserAgent,
    /// The page was fetched ahead of a visit that may never come (`Sec-Purpose: prefetch`).
    Prefetch,
}

impl BotReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Crawler, Self::Headless, Self::HttpLibrary, Self::NoUserAgent, Self::Prefetch];

    /// The words kept in the table and shown to the owner.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::Headless => "headless browser",
            Self::HttpLibrary => "http library",
            Self::NoUserAgent => "no user agent",
            Self::Prefetch => "prefetch",
        }
    }
}

/// What a user agent says about its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// Client kind.
    pub class: AgentClass,
    /// Browser family; none for bots and unknown clients.
    pub browser: Option<&'static str>,
    /// Major version of the browser.
    pub browser_major: Option<u16>,
    /// Operating system family.
    pub os: Option<&'static str>,
    /// Why this client is a bot; none = a person.
    pub bot_reason: Option<BotReason>,
    /// `Firefox 128 on Linux`: all that is ever stored of the user agent.
    pub label: Option<Box<str>>,
}

/// Reads a user agent. Costs some microseconds; ask [`AgentCache`] where it happens per request.
#[must_use]
pub fn classify(user_agent: &str) -> Agent {
    let text = user_agent.trim();
    let text = &text[..text.floor_char_boundary(USER_AGENT_BYTES_MAX)];
    if text.is_empty() || text == "-" {
        return Agent { bot_reason: Some(BotReason::NoUserAgent), ..Agent::default() };
    }
    let parsed = Parser::new().parse(text).unwrap_or_default();
    if let Some(reason) = bot_reason(text, &parsed) {
        return Agent { class: AgentClass::Bot, bot_reason: Some(reason), ..Agent::default() };
    }
    let browser = browser(text, parsed.name);
    let browser_major = browser.and_then(|name| major(name, text, parsed.version));
    let os = os(text, parsed.os);
    let label = browser.map(|name| label(name, browser_major, os));
    Agent { class: class(text, &parsed), browser, browser_major, os, bot_reason: None, label }
}

/// Reads the tables ahead of the first request, so that no visitor waits for them.
pub fn warm_up() {
    drop(classify("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/1.0 Safari/537.36"));
}

/// The crawler table is one regular expression; compiled once because that takes milliseconds.
static CRAWLERS: LazyLock<Bots> = LazyLock::new(Bots::default);

/// Programs and libraries that fetch pages, by how their user agents begin (lower case).
const LIBRARIES: [&str; 30] = [
    "apache-httpclient",
    "axios/",
    "bun/",
    "curl/",
    "dart/",
    "deno/",
    "faraday",
    "fasthttp",
    "go-http-client",
    "got (",
    "guzzlehttp",
    "httpie/",
    "insomnia/",
    "java/",
    "k6/",
    "libcurl",
    "libwww-perl",
    "lwp",
    "node",
    "okhttp/",
    "php",
    "postmanruntime",
    "python",
    "reqwest/",
    "ruby",
    "rest-client",
    "undici",
    "ureq/",
    "wget",
    "winhttp",
];

/// Marks of browsers without a screen (lower case).
const HEADLESS: [&str; 5] = ["headless", "phantomjs", "slimerjs", "splash/", "zombie.js"];

/// Real browsers and phones that the crawler table takes for crawlers (lower case).
const PEOPLE: [&str; 3] = ["cubot", "sogoumobilebrowser", "sogousearch"];

fn bot_reason(text: &str, parsed: &WootheeResult<'_>) -> Option<BotReason> {
    let lower = text.to_ascii_lowercase();
    if HEADLESS.iter().any(|mark| lower.contains(mark)) {
        return Some(BotReason::Headless);
    }
    let library = LIBRARIES.iter().any(|name| lower.starts_with(name))
        || lower.contains("aiohttp")
        || lower.contains("httpclient")
        || lower.contains("windowspowershell")
        || parsed.name == "HTTP Library";
    if library {
        return Some(BotReason::HttpLibrary);
    }
    let person = PEOPLE.iter().any(|mark| lower.contains(mark)) && !lower.contains("spider");
    (!person && (parsed.category == "crawler" || CRAWLERS.is_bot(text)))
        .then_some(BotReason::Crawler)
}

/// Tablets first: an Android tablet differs from a phone only by the missing word `Mobile`
/// (developer.chrome.com/docs/privacy-security/user-agent), and `woothee` calls both smartphones.
fn class(text: &str, parsed: &WootheeResult<'_>) -> AgentClass {
    let has = |mark: &str| text.contains(mark);
    if ["TV", "PlayStation", "Nintendo", "Xbox", "BRAVIA", "AFT"].iter().any(|m| has(m))
        && !has("Mobile")
    {
        return AgentClass::Unknown;
    }
    let tablet = has("iPad")
        || has("PlayBook")
        || has("Kindle")
        || has("(Tablet;")
        || has("; Tablet;")
        || (has("Android") && !has("Mobile") && !has("Mobi/"));
    if tablet {
        return AgentClass::Tablet;
    }
    let mobile = has("iPhone") || has("iPod") || has("Mobile") || has("Mobi/") || has("KAIOS");
    if mobile || matches!(parsed.category, "smartphone" | "mobilephone") {
        return AgentClass::Mobile;
    }
    match parsed.category {
        "pc" => AgentClass::Desktop,
        _ => AgentClass::Unknown,
    }
}

/// Browsers that `woothee` reports as the engine they are built on: mark in the user agent, family, version key.
const DERIVED: [(&str, &str, &str); 7] = [
    ("DuckDuckGo/", "DuckDuckGo", "DuckDuckGo/"),
    ("Ddg/", "DuckDuckGo", "Ddg/"),
    ("UCBrowser/", "UC Browser", "UCBrowser/"),
    ("MiuiBrowser/", "Miui Browser", "MiuiBrowser/"),
    ("HuaweiBrowser/", "Huawei Browser", "HuaweiBrowser/"),
    ("OPT/", "Opera", "OPT/"),
    ("Silk/", "Silk", "Silk/"),
];

fn browser(text: &str, name: &str) -> Option<&'static str> {
    if let Some((_, family, _)) = DERIVED.iter().find(|(mark, ..)| text.contains(mark)) {
        return Some(family);
    }
    Some(match name {
        "Chrome" => "Chrome",
        "Edge" => "Edge",
        "Firefox" => "Firefox",
        "Safari" => "Safari",
        "Opera" => "Opera",
        "SamsungBrowser" => "Samsung Internet",
        "Vivaldi" => "Vivaldi",
        "Yandex Browser" => "Yandex Browser",
        "Internet Explorer" => "Internet Explorer",
        "Google Search App" => "Google app",
        "Webview" => "WebView",
        "Sleipnir" => "Sleipnir",
        _ => return None,
    })
}

fn major(browser: &str, text: &str, version: &str) -> Option<u16> {
    let key = DERIVED.iter().find(|(mark, family, _)| *family == browser && text.contains(mark));
    // A WebView's own version is the engine's on Android and not told on iOS.
    let key = key.map(|(.., key)| *key).or((browser == "WebView").then_some("Chrome/"));
    let version =
        key.and_then(|key| text.find(key).map(|at| &text[at + key.len()..])).unwrap_or(version);
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    version[..digits].parse().ok()
}

fn os(text: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "iPad" => "iPadOS",
        "iPhone" | "iPod" | "iOS" => "iOS",
        "Mac OSX" | "Mac OS Classic" => "macOS",
        "Android" => "Android",
        "ChromeOS" => "ChromeOS",
        "BSD" => "BSD",
        "Windows Phone OS" => "Windows Phone",
        windows if windows.starts_with("Windows") => "Windows",
        "Linux" => "Linux",
        _ if text.contains("KAIOS") => "KaiOS",
        _ => return None,
    })
}

fn label(browser: &str, major: Option<u16>, os: Option<&str>) -> Box<str> {
    let mut label = browser.to_owned();
    if let Some(major) = major {
        label.push(' ');
        label.push_str(&major.to_string());
    }
    if let Some(os) = os {
        label.push_str(" on ");
        label.push_str(os);
    }
    label.into()
}

#[cfg(test)]
mod tests;
