//! What the product's own metrics say of the database's servers.

use anyhow::Context as _;

use super::servers::Servers;
use crate::soak::product::Product;

/// One look.
pub(super) struct Seen<'a> {
    metrics: String,
    servers: &'a Servers,
}

impl<'a> Seen<'a> {
    pub(super) fn of(product: &Product, servers: &'a Servers) -> anyhow::Result<Self> {
        Ok(Self { metrics: product.metrics()?, servers })
    }

    /// Whether the server at this place is asked.
    pub(super) fn is_asked(&self, place: usize) -> anyhow::Result<bool> {
        let server = self.servers.networks[place].address();
        Ok(self.value(&format!("mainstay_database_up{{server=\"{server}\"}}"))? > 0.5)
    }

    /// Bytes of events that wait for the database.
    pub(super) fn spooled(&self) -> anyhow::Result<f64> {
        self.value("mainstay_recorder_spooled_bytes ")
    }

    /// Bytes of events that no standby has confirmed yet.
    pub(super) fn unconfirmed(&self) -> anyhow::Result<f64> {
        self.value("mainstay_recorder_unconfirmed_bytes ")
    }

    /// Reads that database servers answered so far.
    pub(super) fn reads(&self) -> anyhow::Result<f64> {
        let name = "mainstay_database_reads_total{";
        let lines = self.metrics.lines().filter(|line| line.starts_with(name));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
    }

    fn value(&self, series: &str) -> anyhow::Result<f64> {
        let line = self.metrics.lines().find_map(|line| line.strip_prefix(series));
        Ok(line.with_context(|| format!("no {series}"))?.trim().parse()?)
    }
}
