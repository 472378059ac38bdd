//! Tests of `agent`.

use super::*;
use AgentClass::{Bot, Desktop, Mobile, Tablet, Unknown};

const CASES: &[(&str, AgentClass, &str)] = &[
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        Desktop,
        "Chrome 126 on Windows",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        Desktop,
        "Chrome 126 on macOS",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
        Desktop,
        "Chrome 125 on Linux",
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
        Desktop,
        "Chrome 124 on ChromeOS",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.61",
        Desktop,
        "Edge 126 on Windows",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; HD1913) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.165 Mobile Safari/537.36 EdgA/124.0.2478.104",
        Mobile,
        "Edge 124 on Android",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        Desktop,
        "Firefox 128 on Linux",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5; rv:127.0) Gecko/20100101 Firefox/127.0",
        Desktop,
        "Firefox 127 on macOS",
    ),
    (
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
        Mobile,
        "Firefox 127 on Android",
    ),
    (
        "Mozilla/5.0 (Android 13; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0",
        Tablet,
        "Firefox 127 on Android",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
        Desktop,
        "Safari 17 on macOS",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1",
        Mobile,
        "Safari 17 on iOS",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
        Mobile,
        "Chrome 126 on iOS",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 14_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15",
        Mobile,
        "Firefox 127 on iOS",
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
        Tablet,
        "Safari 12 on iPadOS",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
        Mobile,
        "Chrome 126 on Android",
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-X900) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        Tablet,
        "Chrome 126 on Android",
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
        Mobile,
        "Samsung Internet 25 on Android",
    ),
    (
        "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36",
        Tablet,
        "Silk 120 on Android",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0",
        Desktop,
        "Opera 111 on Windows",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        Desktop,
        "Internet Explorer 11 on Windows",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Vivaldi/6.7",
        Desktop,
        "Vivaldi 6 on Windows",
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/125.0.6422.147 Mobile Safari/537.36",
        Mobile,
        "WebView 125 on Android",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/466.0]",
        Mobile,
        "WebView on iOS",
    ),
    (
        "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
        Mobile,
        "Chrome 120 on Android",
    ),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Bot, "crawler"),
    (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.175 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        Bot,
        "crawler",
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        Bot,
        "crawler",
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        Bot,
        "crawler",
    ),
    (
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
        Bot,
        "crawler",
    ),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Bot, "crawler"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", Bot, "crawler"),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
        Bot,
        "headless browser",
    ),
    ("curl/8.5.0", Bot, "http library"),
    ("Wget/1.21.4", Bot, "http library"),
    ("python-requests/2.31.0", Bot, "http library"),
    ("Python-urllib/3.12", Bot, "http library"),
    ("Python/3.12 aiohttp/3.9.5", Bot, "http library"),
    ("Go-http-client/2.0", Bot, "http library"),
    (
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506",
        Bot,
        "http library",
    ),
    ("", Unknown, "no user agent"),
    ("-", Unknown, "no user agent"),
    (
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/4.0 Chrome/76.0.3809.146 TV Safari/537.36",
        Unknown,
        "Samsung Internet 4 on Linux",
    ),
    ("acme-check/1.0", Unknown, ""),
];

#[test]
fn real_user_agents_are_told_apart() {
    for (user_agent, class, said) in CASES {
        let agent = classify(user_agent);
        let words = agent.bot_reason.map(BotReason::as_str).or(agent.label.as_deref());
        assert_eq!((agent.class, words.unwrap_or("")), (*class, *said), "{user_agent}");
        assert!(agent.bot_reason.is_none() || agent.browser.is_none());
    }
}

#[test]
fn the_memo_answers_like_the_table_and_never_grows() {
    let mut cache = AgentCache::new(8);
    for round in 0..3 {
        for (user_agent, ..) in CASES {
            assert_eq!(**cache.find(user_agent), classify(user_agent), "round {round}");
        }
    }
    let first = cache.find("Mozilla/5.0 kept").clone();
    assert!(std::sync::Arc::ptr_eq(&first, cache.find("Mozilla/5.0 kept")));
    for n in 0..5_000 {
        cache.find(&format!("invented/{n}"));
    }
    assert_eq!(cache.len(), 8);
}

#[test]
fn an_endless_user_agent_is_cut_at_a_character() {
    let long = format!("Mozilla/5.0 {}é", "x".repeat(USER_AGENT_BYTES_MAX - 13));
    assert_eq!(classify(&long).class, AgentClass::Unknown);
    assert_eq!(AgentCache::new(2).find(&long).class, AgentClass::Unknown);
}
