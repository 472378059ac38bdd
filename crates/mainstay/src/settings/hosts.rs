//! Which site of the settings answers for a name of the host header, as the edge finds it. Looks at names only, asks no resolver.

use super::{Settings, Site};

impl Settings {
    /// The site that answers for a host with or without a port; none when every site has names and this is none of
    /// them.
    #[must_use]
    pub(crate) fn site_of(&self, host: &str) -> Option<&Site> {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        let named = |wanted: &str| {
            self.site.iter().find(|site| site.hosts.iter().any(|h| h.eq_ignore_ascii_case(wanted)))
        };
        named(&host)
            .or_else(|| named(name))
            .or_else(|| self.site_below(name))
            .or_else(|| self.site.iter().find(|site| site.hosts.is_empty()))
    }

    /// By wildcard, the longest first.
    fn site_below(&self, name: &str) -> Option<&Site> {
        let fits = |host: &str| {
            let suffix = host.strip_prefix('*')?.to_ascii_lowercase();
            (name.len() > suffix.len() && name.ends_with(&suffix)).then_some(suffix.len())
        };
        let longest = |site: &Site| site.hosts.iter().filter_map(|host| fits(host)).max();
        let found = self.site.iter().filter_map(|site| Some((longest(site)?, site)));
        found.max_by_key(|(length, _)| *length).map(|(_, site)| site)
    }
}

/// The name alone; brackets of IPv6 and what they hold stay.
fn without_port(host: &str) -> &str {
    let port = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|b| b.is_ascii_digit()));
    let name = &host[..port.unwrap_or(host.len())];
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(sites: &[(&str, &[&str])]) -> Settings {
        let site = |(name, hosts): &(&str, &[&str])| Site {
            name: (*name).into(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..Site::default()
        };
        Settings { site: sites.iter().map(site).collect(), ..Settings::default() }
    }

    #[test]
    fn a_name_belongs_to_the_site_that_says_it_most_closely() {
        let named = settings(&[
            ("main", &["Example.org", "example.org:8443"]),
            ("wild", &["*.example.org", "[::1]"]),
            ("deep", &["*.deep.example.org", "example.org:9000"]),
        ]);
        for (host, site) in [
            ("example.org", Some("main")),
            ("EXAMPLE.org.:80", Some("main")),
            ("example.org:9000", Some("deep")),
            ("a.example.org:1", Some("wild")),
            ("a.deep.example.org", Some("deep")),
            ("deep.example.org", Some("wild")),
            ("[::1]:80", Some("wild")),
            ("[::2]", None),
            ("evilexample.org", None),
            (".example.org", None),
        ] {
            assert_eq!(named.site_of(host).map(|site| &*site.name), site, "{host}");
        }
        let open = settings(&[("main", &["example.org"]), ("rest", &[])]);
        assert_eq!(open.site_of("example.org").map(|site| &*site.name), Some("main"));
        assert_eq!(open.site_of("else.example").map(|site| &*site.name), Some("rest"));
    }
}
