//! How a test of the Observatory may end: its own names and points. Judges nothing.

/// A test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// Content-Security-Policy.
    Csp,
    /// Flags of cookies.
    Cookies,
    /// Cross-origin resource sharing.
    Cors,
    /// From http to https.
    Redirection,
    /// Referrer-Policy.
    Referrer,
    /// Strict-Transport-Security.
    Hsts,
    /// Integrity of scripts.
    Integrity,
    /// X-Content-Type-Options.
    ContentType,
    /// X-Frame-Options.
    Frame,
    /// Cross-Origin-Resource-Policy.
    Resource,
}

impl Test {
    /// Its name in the Observatory's answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csp => "content-security-policy",
            Self::Cookies => "cookies",
            Self::Cors => "cross-origin-resource-sharing",
            Self::Redirection => "redirection",
            Self::Referrer => "referrer-policy",
            Self::Hsts => "strict-transport-security",
            Self::Integrity => "subresource-integrity",
            Self::ContentType => "x-content-type-options",
            Self::Frame => "x-frame-options",
            Self::Resource => "cross-origin-resource-policy",
        }
    }
}

macro_rules! outcomes {
    ($($name:ident $code:literal $points:literal;)*) => {
        /// How a test ended, by the Observatory's own name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is its code")]
        pub enum Outcome { $($name),* }

        impl Outcome {
            /// The Observatory's name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// What it gives or costs.
            #[must_use]
            pub fn points(self) -> i32 {
                match self { $(Self::$name => $points),* }
            }
        }
    };
}

outcomes! {
    CspNoneByDefault "csp-implemented-with-no-unsafe-default-src-none" 10;
    CspNoUnsafe "csp-implemented-with-no-unsafe" 5;
    CspUnsafeStyle "csp-implemented-with-unsafe-inline-in-style-src-only" 0;
    CspInsecurePassive "csp-implemented-with-insecure-scheme-in-passive-content-only" -10;
    CspUnsafeEval "csp-implemented-with-unsafe-eval" -10;
    CspUnsafeInline "csp-implemented-with-unsafe-inline" -20;
    CspInsecureScheme "csp-implemented-with-insecure-scheme" -20;
    CspInvalid "csp-header-invalid" -25;
    CspMissing "csp-not-implemented" -25;
    CspReportOnly "csp-not-implemented-but-reporting-enabled" -25;
    CspRepeated "csp-implemented-but-duplicate-directives" 0;
    CookiesSameSite "cookies-secure-with-httponly-sessions-and-samesite" 5;
    CookiesSecure "cookies-secure-with-httponly-sessions" 0;
    CookiesNone "cookies-not-found" 0;
    CookiesInsecureButHsts "cookies-without-secure-flag-but-protected-by-hsts" -5;
    CookiesSessionInsecureButHsts "cookies-session-without-secure-flag-but-protected-by-hsts" -10;
    CookiesInsecure "cookies-without-secure-flag" -20;
    CookiesSameSiteInvalid "cookies-samesite-flag-invalid" -20;
    CookiesCsrfWithoutSameSite "cookies-anticsrf-without-samesite-flag" -20;
    CookiesSessionReadable "cookies-session-without-httponly-flag" -30;
    CookiesSessionInsecure "cookies-session-without-secure-flag" -40;
    CorsNone "cross-origin-resource-sharing-not-implemented" 0;
    CorsPublic "cross-origin-resource-sharing-implemented-with-public-access" 0;
    CorsRestricted "cross-origin-resource-sharing-implemented-with-restricted-access" 0;
    RedirectionToHttps "redirection-to-https" 0;
    RedirectionNotNeeded "redirection-not-needed-no-http" 0;
    RedirectionOffHost "redirection-off-host-from-http" -5;
    RedirectionLate "redirection-not-to-https-on-initial-redirection" -10;
    RedirectionNotToHttps "redirection-not-to-https" -20;
    RedirectionMissing "redirection-missing" -20;
    ReferrerPrivate "referrer-policy-private" 5;
    ReferrerMissing "referrer-policy-not-implemented" 0;
    ReferrerUnsafe "referrer-policy-unsafe" -5;
    ReferrerInvalid "referrer-policy-header-invalid" -5;
    HstsLong "hsts-implemented-max-age-at-least-six-months" 0;
    HstsShort "hsts-implemented-max-age-less-than-six-months" -10;
    HstsMissing "hsts-not-implemented" -20;
    HstsInvalid "hsts-header-invalid" -20;
    HstsNoHttps "hsts-not-implemented-no-https" -20;
    IntegrityAll "sri-implemented-and-all-scripts-loaded-securely" 5;
    IntegrityExternal "sri-implemented-and-external-scripts-loaded-securely" 5;
    IntegrityNotHtml "sri-not-implemented-response-not-html" 0;
    IntegrityNoScripts "sri-not-implemented-but-no-scripts-loaded" 0;
    IntegrityOwnScripts "sri-not-implemented-but-all-scripts-loaded-from-secure-origin" 0;
    IntegrityMissing "sri-not-implemented-but-external-scripts-loaded-securely" -5;
    IntegrityInsecure "sri-implemented-but-external-scripts-not-loaded-securely" -20;
    IntegrityMissingInsecure "sri-not-implemented-and-external-scripts-not-loaded-securely" -50;
    ContentTypeNosniff "x-content-type-options-nosniff" 0;
    ContentTypeMissing "x-content-type-options-not-implemented" -5;
    ContentTypeInvalid "x-content-type-options-header-invalid" -5;
    FrameByCsp "x-frame-options-implemented-via-csp" 5;
    FrameRefused "x-frame-options-sameorigin-or-deny" 0;
    FrameAllowed "x-frame-options-allow-from-origin" 0;
    FrameMissing "x-frame-options-not-implemented" -20;
    FrameInvalid "x-frame-options-header-invalid" -20;
    ResourceMissing "corp-not-implemented" 0;
    ResourceSameOrigin "corp-implemented-with-same-origin" 10;
    ResourceSameSite "corp-implemented-with-same-site" 10;
    ResourceCrossOrigin "corp-implemented-with-cross-origin" 0;
    ResourceInvalid "corp-header-invalid" -5;
}
