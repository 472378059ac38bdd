//! Sites made by chance from what headers and pages say in the wild, the same ones on every run.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const SEED: u64 = 20_261_130;

/// What a site answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Lines of the page's head, by https.
    pub(crate) headers: String,
    pub(crate) body: String,
    /// What http does.
    pub(crate) http: Http,
    /// Whether https is there at all.
    pub(crate) has_https: bool,
    /// Lines that a pre-flight question is answered.
    pub(crate) cors: String,
    /// A cookie of a redirect before the page.
    pub(crate) detour: Option<String>,
}

/// What http does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Http {
    #[default]
    ToHttps,
    ToHttpsElsewhere,
    ToHttpFirst,
    StaysPlain,
    Serves,
    Absent,
}

const SOURCES: [&str; 34] = [
    "'self'",
    "'none'",
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'strict-dynamic'",
    "data:",
    "blob:",
    "https:",
    "http:",
    "ftp:",
    "*",
    "https://*",
    "http://*",
    "*.example.org",
    "https://cdn.example",
    "https://cdn.example/a",
    "https://cdn.example/a/",
    "https://cdn.example/a/b.js",
    "http://cdn.example",
    "https://CDN.example/%61",
    "'nonce-abc123'",
    "'sha256-AbCd='",
    "'sha384-xyz='",
    "'report-sample'",
    "https://a_b.example",
    "https://a-b.example",
    "https://a.example:8443",
    "wss://live.example",
    "cdn.example",
    "'unsafe-hashes'",
    "'wasm-unsafe-eval'",
    "https://cdn.example/a%zz",
    "/",
    "'nonce-'",
];
const DIRECTIVES: [&str; 14] = [
    "default-src",
    "script-src",
    "style-src",
    "img-src",
    "media-src",
    "object-src",
    "base-uri",
    "form-action",
    "frame-ancestors",
    "connect-src",
    "font-src",
    "report-uri",
    "Script-Src",
    "upgrade-insecure-requests",
];
const STRICT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// So many sites.
pub(crate) fn make(count: usize) -> Vec<Case> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut cases: Vec<_> = (0..count).map(|_| case(&mut random)).collect();
    // Both ends of the scale.
    cases.push(Case { http: Http::Serves, ..Case::default() });
    cases.push(Case {
        headers: format!(
            "Content-Type: text/html\r\nContent-Security-Policy: {STRICT}\r\nStrict-Transport-Security: max-age=31536000\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\nSet-Cookie: session=1; Secure; HttpOnly; SameSite=Lax\r\n"
        ),
        body: "<script src=/a.js integrity=sha384-x></script>".into(),
        has_https: true,
        ..Case::default()
    });
    cases
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn case(random: &mut StdRng) -> Case {
    let has_https = random.random_ratio(9, 10);
    let mut http = [
        Http::ToHttps,
        Http::ToHttps,
        Http::ToHttps,
        Http::ToHttpsElsewhere,
        Http::ToHttpFirst,
        Http::StaysPlain,
        Http::Serves,
        Http::Absent,
    ]
    .choose(random)
    .copied()
    .unwrap_or_default();
    if !has_https {
        http = Http::Serves;
    }
    Case {
        headers: headers(random),
        body: body(random),
        http,
        has_https,
        cors: cors(random),
        detour: random.random_ratio(1, 8).then(|| cookie(random)),
    }
}

const KINDS: [&str; 7] = [
    "text/html",
    "text/html; charset=utf-8",
    "text/html",
    "text/html;charset=utf-8",
    "application/xhtml+xml",
    "application/json",
    "text/plain",
];
/// Headers that a good site sends like this, and what others make of them.
const SINGLE: [(&str, &str, &[&str]); 3] = [
    (
        "Strict-Transport-Security",
        "max-age=31536000",
        &[
            "max-age=31536000",
            "max-age=63072000; includeSubDomains; preload",
            "max-age=15552000",
            "max-age=15551999",
            "max-age=0",
            "MAX-AGE=31536000",
            "max-age=\"31536000\"",
            "max-age",
            "includeSubDomains",
            "max-age=31536000, max-age=1",
            "max-age=-1",
            "max-age= 31536000",
            "max-age=1;max-age=31536000",
            "max-age=31536000s",
            "",
        ],
    ),
    (
        "X-Frame-Options",
        "DENY",
        &[
            "DENY",
            "SAMEORIGIN",
            "sameorigin ",
            "ALLOW-FROM https://a.example",
            "ALLOWALL",
            "deny, deny",
            "",
        ],
    ),
    ("X-Content-Type-Options", "nosniff", &["nosniff", "NoSniff", "sniff", "nosniff, nosniff", ""]),
];
const REFERRERS: [&str; 14] = [
    "no-referrer",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "origin",
    "origin-when-cross-origin",
    "unsafe-url",
    "no-referrer-when-downgrade",
    "never",
    "no-referrer, unsafe-url",
    "unsafe-url, no-referrer",
    "no-referrer, what",
    "",
    "No-Referrer",
];
const RESOURCES: [&str; 6] =
    ["same-origin", "same-site", "cross-origin", "Same-Origin", "none", ""];

fn headers(random: &mut StdRng) -> String {
    let mut lines = Vec::new();
    lines.push(("Content-Type", pick(random, &KINDS).to_owned()));
    // Half of all sites are good at most things, or no grade would be one of the better ones.
    let is_good = random.random_ratio(1, 2);
    if is_good && random.random_ratio(3, 4) {
        lines.push(("Content-Security-Policy", STRICT.to_owned()));
    } else {
        for _ in 0..random.random_range(0..3_u32) {
            lines.push(("Content-Security-Policy", policy(random)));
        }
    }
    if random.random_ratio(1, 8) {
        lines.push(("Content-Security-Policy-Report-Only", policy(random)));
    }
    for (name, good, values) in SINGLE {
        match (is_good, random.random_ratio(1, 3)) {
            (true, false) => lines.push((name, good.to_owned())),
            (_, true) => lines.push((name, pick(random, values).to_owned())),
            (false, false) => {}
        }
    }
    for _ in 0..random.random_range(0..3_u32) {
        lines.push(("Referrer-Policy", pick(random, &REFERRERS).to_owned()));
    }
    if random.random_ratio(1, 2) {
        lines.push(("Cross-Origin-Resource-Policy", pick(random, &RESOURCES).to_owned()));
    }
    if random.random_ratio(2, 3) {
        for _ in 0..random.random_range(0..3_u32) {
            lines.push(("Set-Cookie", cookie(random)));
        }
    }
    lines.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

fn policy(random: &mut StdRng) -> String {
    if random.random_ratio(1, 12) {
        return pick(random, &["", "img", "img-src", ";;;;;;;;", "default-src"]).to_owned();
    }
    let mut directives = Vec::new();
    for _ in 0..random.random_range(1..6_u32) {
        let name = pick(random, &DIRECTIVES);
        let sources: Vec<_> =
            (0..random.random_range(0..4_u32)).map(|_| pick(random, &SOURCES)).collect();
        directives.push(format!("{name} {}", sources.join(" ")));
    }
    // Most sites begin like this.
    if random.random_ratio(2, 3) {
        directives.retain(|directive| !directive.starts_with("default-src"));
        let first = [
            "default-src 'self'",
            "default-src 'none'",
            "default-src https:",
            "default-src 'self' 'nonce-x' 'strict-dynamic' 'unsafe-inline' http:",
        ];
        directives.insert(0, pick(random, &first).to_owned());
    }
    directives.join(pick(random, &["; ", ";", " ;  "]))
}

fn cookie(random: &mut StdRng) -> String {
    let name = pick(
        random,
        &[
            "session",
            "SESSID",
            "login_token",
            "theme",
            "csrf_token",
            "__Host-id",
            "__Secure-id",
            "heroku-session-affinity",
            "_ga",
            "",
        ],
    );
    let mut text = format!("{name}={}", random.random_range(0..9_u32));
    let flags = [
        "Secure",
        "secure",
        "HttpOnly",
        "SameSite=Lax",
        "SameSite=Strict",
        "SameSite=None",
        "samesite=lax",
        "SameSite",
        "SameSite=Whatever",
        "Path=/",
        "Path=/deep",
        "Domain=site.example",
        "Domain=.site.example",
        "Domain=other.example",
        "Domain=example",
        "Max-Age=0",
        "Max-Age=60",
    ];
    for _ in 0..random.random_range(0..5_u32) {
        text = format!("{text}; {}", pick(random, &flags));
    }
    text
}

fn cors(random: &mut StdRng) -> String {
    let origins = [
        "*",
        " * ",
        "https://a.example",
        "https://http-observatory.security.mozilla.org",
        "null",
        "",
    ];
    let mut lines = String::new();
    if random.random_ratio(1, 3) {
        lines.push_str(&format!("Access-Control-Allow-Origin: {}\r\n", pick(random, &origins)));
        if random.random_ratio(1, 2) {
            lines.push_str("Access-Control-Allow-Credentials: true\r\n");
        }
    }
    lines
}

fn body(random: &mut StdRng) -> String {
    let parts = [
        "<script src=\"/a.js\"></script>",
        "<script src=\"a.js\" integrity=\"sha384-x\"></script>",
        "<script>go()</script>",
        "<script src=\"\"></script>",
        "<script src=\"https://cdn.example/a.js\"></script>",
        "<script src=\"https://cdn.example/a.js\" integrity=\"sha384-x\" crossorigin></script>",
        "<script src=\"http://cdn.example/a.js\"></script>",
        "<script src=\"http://cdn.example/a.js\" integrity=\"sha384-x\"></script>",
        "<script src=\"//cdn.example/a.js\"></script>",
        "<script src=\"//cdn.example/a.js\" integrity=\"sha384-x\"></script>",
        "<script src=\"https://static.site.example/a.js\"></script>",
        "<script src=\"http://site.example/a.js\" integrity=\"sha384-x\"></script>",
        "<script src=\"https://STATIC.site.example/a.js\" integrity=\"sha384-x\"></script>",
        "<script src=\"data:text/javascript,1\"></script>",
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self'; frame-ancestors 'none'\">",
        "<meta http-equiv=\"content-security-policy\" content=\"script-src 'none'; object-src 'none'\">",
        "<meta http-equiv=Content-Security-Policy content=\"sandbox; frame-ancestors 'none'\">",
        "<meta name=\"referrer\" content=\"no-referrer\">",
        "<meta name=Referrer content=\"unsafe-url\">",
        "<meta name=\"description\" content=\"x\">",
        "<!-- <script src=\"http://cdn.example/a.js\"></script> -->",
    ];
    let mut page = String::from("<!doctype html><html><head><title>x</title>");
    for _ in 0..random.random_range(0..4_u32) {
        page.push_str(pick(random, &parts));
    }
    page + "</head><body><p>hello</p></body></html>"
}
