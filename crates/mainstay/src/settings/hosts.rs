//! Which site of the settings answers for a name of the host header, as the edge finds it. Looks at names only, asks no resolver.

use std::sync::Arc;

use mainstay_edge::sites::ByHost;

use super::{Settings, Site};

impl Settings {
    /// The site that answers for a host with or without a port; none when every site has names and this is none of
    /// them.
    #[must_use]
    pub(crate) fn site_of(&self, host: &str) -> Option<&Site> {
        let mut sites = ByHost::default();
        for site in &self.site {
            sites.add(&site.hosts, Arc::new(site));
        }
        sites.find(Some(host)).map(|site| **site)
    }

    /// Sites by their names and hosts, everything else as by default.
    #[cfg(test)]
    pub(crate) fn of_sites(sites: &[(&str, &[&str])]) -> Self {
        let site = |(name, hosts): &(&str, &[&str])| Site {
            name: (*name).into(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..Site::default()
        };
        Self { site: sites.iter().map(site).collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_the_site_that_the_edge_gives_it_to() {
        let named = Settings::of_sites(&[
            ("main", &["Example.org", "example.org:8443"]),
            ("wild", &["*.example.org", "[::1]"]),
        ]);
        for (host, site) in [
            ("EXAMPLE.org.:80", Some("main")),
            ("a.example.org:1", Some("wild")),
            ("[::1]:80", Some("wild")),
            ("[::2]", None),
            ("evilexample.org", None),
        ] {
            assert_eq!(named.site_of(host).map(|site| &*site.name), site, "{host}");
        }
        let open = Settings::of_sites(&[("main", &["example.org"]), ("rest", &[])]);
        assert_eq!(open.site_of("else.example").map(|site| &*site.name), Some("rest"));
    }
}
