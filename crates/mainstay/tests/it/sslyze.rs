//! SSLyze on the public listener: nothing to say against Mozilla's intermediate profile but that nobody knows the test's own authority.

use std::time::Duration;

use mainstay_testkit::{Process, Site};

use crate::example::Certificate;
use crate::launch;

/// A scan makes some hundred handshakes.
const SCAN: Duration = Duration::from_secs(90);
/// How the tool's verdict begins.
const VERDICT: &str = "COMPLIANCE AGAINST TLS CONFIGURATION";

#[test]
fn mozillas_intermediate_profile_is_kept() {
    let certificate = Certificate::make();
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let server = certificate.give(launch().site(site)).start();
    let mut command = Process::command("sslyze");
    command.args(["--mozilla_config", "intermediate", &server.site_address().to_string()]);
    let ended = Process::run(&mut command, SCAN);
    let (scans, verdict) = ended.stdout.split_once(VERDICT).unwrap_or_else(|| {
        panic!("no verdict: {}{}", ended.stdout, ended.stderr);
    });
    let findings: Vec<_> =
        verdict.lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
    assert!(
        matches!(findings[..], [one] if one.starts_with("certificate_path_validation: ")),
        "{findings:?}"
    );
    // What no profile is about: known weaknesses, each by its own check.
    for sound in [
        "OK - Compression disabled",
        "OK - Not vulnerable to OpenSSL CCS injection",
        "OK - Not vulnerable to Heartbleed",
        "OK - Not vulnerable, RSA cipher suites not supported.",
        "OK - Not vulnerable\n       Secure Renegotiation:              OK - Supported",
    ] {
        assert!(scans.contains(sound), "{sound:?} is not in {scans}");
    }
}
