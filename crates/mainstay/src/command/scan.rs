//! `mainstay scan`: looks at one's own site over the network, says its grade, what is wrong and what to do. Only sites that the settings name; changes nothing.

use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use mainstay_base::{Clock, Entropy};
use mainstay_scanner::{Finding, Missing, Scan, Severity, Site};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::outbound::{Client, Resolver, Trust};
use url::Url;

use crate::cli::Exit;
use crate::command::Readable;
use crate::command::check::Format;
use crate::settings::{Inputs, Settings};

/// Scans the site at `url`, else the one of `public_url`. [`Exit::Unwell`] with findings, [`Exit::Done`] without,
/// [`Exit::Usage`] when the settings name no such site, or it is not reached.
///
/// # Errors
/// When standard output is closed, or there is nobody whose certificates are believed.
pub fn scan(
    inputs: &Inputs,
    url: Option<&str>,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let settings = Readable::read(inputs)?.settings;
    let refuse = |why: String| -> anyhow::Result<Exit> {
        writeln!(std::io::stderr(), "mainstay: {why}")?;
        Ok(Exit::Usage)
    };
    let site = match find_site(&settings, url) {
        Ok(site) => site,
        Err(why) => return refuse(why),
    };
    let registry = Registry::new(&settings.metrics, Clock::System);
    let client = Client::new(&registry, Resolver::System, &Trust::System)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::System;
    let scanning = mainstay_scanner::scan(&client, &site, &settings.scan, &clock, &Entropy::System);
    let scanned = runtime.block_on(scanning);
    // A name server that hangs is not waited for.
    runtime.shutdown_background();
    match scanned {
        Ok(scan) => {
            write_scan(&site, &scan, format, out)?;
            Ok(if scan.findings.is_empty() { Exit::Done } else { Exit::Unwell })
        }
        Err(away @ Missing::Elsewhere(_)) => {
            refuse(format!("{} is not scanned: {away}", site.host))
        }
        Err(error) => refuse(format!("{} is not reached: {}", site.host, chain(&error))),
    }
}

/// The site of the URL, when it is one of ours.
pub(crate) fn find_site(settings: &Settings, url: Option<&str>) -> Result<Site, String> {
    let Some(text) = url.or(settings.public_url.as_deref()) else {
        return Err("which site? Name its address, or set public_url".into());
    };
    // As people write it.
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let parsed = Url::parse(&whole).ok().filter(|url| url.username().is_empty());
    let site = parsed.as_ref().and_then(|url| Site::of(url, names(settings, url)));
    let (Some(url), Some(site)) = (parsed, site) else {
        return Err(format!("\"{text}\" is no address of a site: write https://example.org"));
    };
    if is_ours(settings, &url) {
        return Ok(site);
    }
    Err(format!(
        "{} is none of the sites in the settings, and others are not scanned. Is it yours? Name it: [[site]] hosts = [\"{}\"], or public_url = \"{whole}\"",
        site.host, site.host
    ))
}

/// The site of the URL, when whoever asks may be a program: one that the settings name as it stands, at a port that is
/// served or written there. A name that only a `*` covers, or another port of ours, may be anything.
pub(crate) fn find_named_site(settings: &Settings, url: Option<&str>) -> Result<Site, String> {
    let site = find_site(settings, url)?;
    let Some(text) = url else { return Ok(site) };
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let is_named = Url::parse(&whole).is_ok_and(|url| is_named(settings, &url));
    let host = &site.host;
    let refused = || {
        format!(
            "{host} is not scanned at that port, or only a pattern names it. Name it as it is: [[site]] hosts = [\"{host}:PORT\"], or public_url"
        )
    };
    if is_named { Ok(site) } else { Err(refused()) }
}

fn is_named(settings: &Settings, url: &Url) -> bool {
    let (Some(host), Some(whole)) = (url.host_str(), authority(url)) else { return false };
    let public = settings.public_url.as_deref().and_then(|url| Url::parse(url).ok());
    if public.as_ref().and_then(authority).as_ref() == Some(&whole) || is_listener(settings, url) {
        return true;
    }
    let port = url.port_or_known_default();
    let listener = settings.edge.listen.parse::<SocketAddr>().ok().map(|address| address.port());
    let is_served = matches!(port, Some(80 | 443)) || port == listener;
    let mut hosts = settings.site.iter().flat_map(|site| &site.hosts);
    hosts.any(|named| *named == whole || (named == host && is_served))
}

/// Whether the settings name it: as a host of a site, as the public URL, or as our own listener.
fn is_ours(settings: &Settings, url: &Url) -> bool {
    let Some(authority) = authority(url) else { return false };
    let by_host = settings.site_of(&authority).is_some_and(|site| !site.hosts.is_empty());
    let public = settings.public_url.as_deref().and_then(|url| Url::parse(url).ok());
    let is_public = public.as_ref().and_then(self::authority) == Some(authority);
    by_host || is_public || is_listener(settings, url)
}

fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Whether it is where the public listener is: on its address, or on this machine when it is on every address.
fn is_listener(settings: &Settings, url: &Url) -> bool {
    let Ok(listener) = settings.edge.listen.parse::<SocketAddr>() else { return false };
    let address: Option<IpAddr> = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(address.into()),
        Some(url::Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    let is_local = url.host_str() == Some("localhost") || address.is_some_and(|a| a.is_loopback());
    let takes_local = listener.ip().is_unspecified() || listener.ip().is_loopback();
    url.port_or_known_default() == Some(listener.port())
        && (address == Some(listener.ip()) || is_local && takes_local)
}

/// Names of the same site, which it may send to.
fn names(settings: &Settings, url: &Url) -> Vec<String> {
    let site = authority(url).and_then(|authority| settings.site_of(&authority));
    let Some(site) = site else { return Vec::new() };
    let named = site.hosts.iter().chain(&site.canonical).filter(|host| !host.starts_with('*'));
    let name =
        |host: &String| Url::parse(&format!("http://{host}/")).ok()?.host_str().map(Into::into);
    named.filter_map(name).collect()
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn write_scan(site: &Site, scan: &Scan, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    if format == Format::Json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(scan)?)?);
    }
    writeln!(out, "{}: {} ({} of the Observatory's points)", site.host, scan.grade, scan.score)?;
    for Finding { severity, url, title, evidence, fix, id } in &scan.findings {
        writeln!(out, "\n{}: {title} ({id})", severity.as_str())?;
        writeln!(out, "  at:   {url}")?;
        writeln!(out, "  seen: {evidence}")?;
        writeln!(out, "  do:   {fix}")?;
    }
    writeln!(out, "\n{}", summarise(scan))?;
    if !scan.complete {
        writeln!(
            out,
            "not everything was looked at: the scan reached a bound of [scan] in the settings, or the site did not answer in time, or not to the end"
        )?;
    }
    Ok(())
}

fn summarise(Scan { findings, complete, .. }: &Scan) -> String {
    if findings.is_empty() {
        return if *complete { "no findings" } else { "no findings in what was looked at" }.into();
    }
    let all = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];
    let counts = all.iter().filter_map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == *severity).count();
        (count > 0).then(|| format!("{count} {}", severity.as_str()))
    });
    let word = if findings.len() == 1 { "finding" } else { "findings" };
    format!("{} {word}: {}", findings.len(), counts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_that_did_not_get_to_its_end_says_no_more_than_it_saw() {
        let site = Site::of(&Url::parse("https://a.example/").unwrap(), vec![]).unwrap();
        let told = |complete| {
            let scan = Scan { grade: "A+", score: 100, complete, findings: vec![] };
            let mut out = Vec::new();
            write_scan(&site, &scan, Format::Text, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(told(true).ends_with("\nno findings\n"), "{}", told(true));
        let partly = told(false);
        assert!(!partly.contains("no findings\n"), "{partly}");
        assert!(partly.contains("no findings in what was looked at\nnot everything"), "{partly}");
    }

    #[test]
    fn only_sites_of_the_settings_are_scanned() {
        let mut settings = Settings::of_sites(&[
            ("main", &["example.org", "example.org:8443"]),
            ("wild", &["*.wild.example"]),
            ("rest", &[]),
        ]);
        settings.public_url = Some("https://shop.example:444/".into());
        settings.edge.listen = "0.0.0.0:8080".into();
        for (url, host) in [
            ("https://example.org", Some("example.org")),
            ("http://EXAMPLE.org/deep?x", Some("example.org")),
            ("https://example.org.:8443/", Some("example.org")),
            ("example.org", Some("example.org")),
            ("https://a.wild.example/", Some("a.wild.example")),
            ("https://shop.example:444/", Some("shop.example")),
            ("https://shop.example/", None),
            ("http://127.0.0.1:8080/", Some("127.0.0.1")),
            ("http://localhost:8080/", Some("localhost")),
            ("http://127.0.0.1:8081/", None),
            ("http://10.0.0.1:8080/", None),
            ("https://example.com/", None),
            ("https://wild.example/", None),
            ("https://example.org@example.com/", None),
            ("ftp://example.org/", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            let found = find_site(&settings, Some(url)).ok().map(|site| site.host);
            assert_eq!(found.as_deref(), host, "{url}");
        }
        let site = find_site(&settings, None).expect("the public URL");
        assert_eq!((&*site.host, site.https_port), ("shop.example", 444));
        let why = find_site(&settings, Some("https://example.com/")).expect_err("not ours");
        assert!(why.contains("[[site]] hosts = [\"example.com\"]"), "{why}");
        let why = find_site(&Settings::default(), None).expect_err("which one");
        assert!(why.contains("public_url"), "{why}");
    }
}
