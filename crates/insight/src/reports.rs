//! What browsers report about the pages (policy violations, deprecations, crashes, failed requests): bounded, scrubbed, counted; knows no HTTP and no SQL.
//!
//! Anybody can post a report. What is kept of one is a claim: it is never proof of an attack, and nothing is decided
//! by it. Alike reports are one row and a count, however many come.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::{Coded, ErrorCode, Timestamp, net};
use mainstay_store::report::{After, Group, Row};
use mainstay_store::{Span, Written, record};
use mainstay_telemetry::metrics::{CounterFamily, Registry};
use mainstay_telemetry::names;
use tokio::sync::{Semaphore, mpsc};

use crate::{Insight, settings};

mod address;
mod admit;
mod fields;
mod gather;
mod noise;
mod read;
mod rows;
mod types;

pub use admit::Pass;
pub(crate) use gather::run;

use admit::{NoRoom, Senders};
use gather::Entry;

/// A body with reports that is longer takes one of few places while it is read, in bytes.
pub const SMALL_BODY_BYTES: usize = 64 << 10;

/// Who sent a request with reports. All of it is ours to tell; nothing is taken from the body.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The whole client address. Never kept.
    pub client: IpAddr,
    /// The `User-Agent` header, empty when there was none.
    pub user_agent: &'a str,
    /// The `Host` the request named: addresses of this host are kept as paths.
    pub host: Option<&'a str>,
    /// When the request arrived.
    pub received: Timestamp,
    /// Which site it was sent to.
    pub site: Arc<str>,
}

/// Why no report of a request was kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is no report and no list of reports.
    #[error("body {0}")]
    Invalid(&'static str),
    /// The address has sent as many as one address may.
    #[error("too many reports from one address")]
    Limited {
        /// Seconds to wait before sending more.
        retry_after: u64,
    },
    /// The reports cannot be made durable for now; nothing of them is kept.
    #[error("reports cannot be kept now")]
    Unavailable {
        /// Seconds to wait before sending them again.
        retry_after: u64,
        /// What is away.
        source: record::Error,
    },
    /// Our own fault.
    #[error("reports cannot be kept")]
    Internal(#[source] record::Error),
}

impl Error {
    /// Seconds to wait before sending again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Limited { retry_after } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Invalid(_) | Self::Internal(_) => None,
        }
    }

    /// The reason in `mainstay_reports_dropped_total`.
    fn dropped_reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Limited { .. } => "limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::Invalid,
            Self::Limited { .. } => ErrorCode::Limited,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Invalid(reason) => format!("body {reason}"),
            Self::Limited { .. } => "There were too many reports from this address.".into(),
            Self::Unavailable { .. } | Self::Internal(_) => {
                "Reports cannot be kept now; send them again later.".into()
            }
        }
    }
}

/// What the room keeps for reports between requests.
#[derive(Debug)]
pub(crate) struct Reports {
    senders: Arc<Senders>,
    queue: mpsc::Sender<Entry>,
    /// Rows that may still join the queue.
    room: Arc<Semaphore>,
    /// Taken by the one task that makes reports durable.
    entries: Mutex<Option<mpsc::Receiver<Entry>>>,
    accepted: CounterFamily,
    dropped: CounterFamily,
}

impl Reports {
    pub(crate) fn new(settings: &settings::Reports, registry: &Registry) -> Self {
        let rows_max = settings.waiting_max.max(1);
        let (queue, entries) = mpsc::channel(rows_max);
        Self {
            senders: Arc::new(Senders::new(settings)),
            queue,
            room: Arc::new(Semaphore::new(rows_max)),
            entries: Mutex::new(Some(entries)),
            accepted: registry.counter_family(&names::REPORTS_ACCEPTED),
            dropped: registry.counter_family(&names::REPORTS_DROPPED),
        }
    }

    fn take_entries(&self) -> Option<mpsc::Receiver<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn count_dropped(&self, reason: &str, reports: usize) {
        if reports > 0 {
            self.dropped.with(&[reason]).add(reports as u64);
        }
    }

    fn count_accepted(&self, counts: &[(Cow<'static, str>, i64)]) {
        for (report_type, count) in counts {
            self.accepted.with(&[report_type]).add(count.unsigned_abs());
        }
    }
}

impl Insight {
    /// Longest body with reports that is read, in bytes.
    #[must_use]
    pub fn report_bytes_max(&self) -> usize {
        self.0.settings.reports.body_max.bytes()
    }

    /// Asks, before anything of the body is read, whether this address may send reports now.
    ///
    /// # Errors
    /// [`Error::Limited`] when it has sent too many lately, or has too many under way.
    pub fn admit_reports(&self, client: IpAddr, now: Timestamp) -> Result<Pass, Error> {
        let reports = &self.0.reports;
        reports.senders.admit(client, now).ok_or_else(|| {
            reports.count_dropped("limited", 1);
            self.limited()
        })
    }

    /// Asks whether a body may grow beyond [`SMALL_BODY_BYTES`] now.
    ///
    /// # Errors
    /// [`Error::Limited`] when this address is sending too many such bodies, [`Error::Unavailable`] when all together do.
    pub fn admit_large_report(&self, pass: &mut Pass) -> Result<(), Error> {
        pass.make_room().map_err(|no_room| {
            let error = match no_room {
                NoRoom::Share => self.limited(),
                NoRoom::All => self.not_kept(record::Error::Full),
            };
            self.count_refused_report(error.dropped_reason());
            error
        })
    }

    /// Counts a request with reports that was refused before its body could be read, under a reason of few words.
    pub fn count_refused_report(&self, reason: &'static str) {
        self.0.reports.count_dropped(reason, 1);
    }

    /// Takes the reports of one request; when it returns `Ok`, what was kept of them is on disk.
    ///
    /// # Errors
    /// [`Error`]; then none of the reports is kept.
    pub async fn accept_reports(
        &self,
        sender: &Sender<'_>,
        mut pass: Pass,
        body: &[u8],
    ) -> Result<Written, Error> {
        let reports = &self.0.reports;
        let read = self.read_reports(sender, &pass, body);
        pass.leave_room();
        let outcome = match read {
            Ok(rows) if rows.is_empty() => return Ok(Written::default()),
            Ok(rows) => self.keep(rows, pass).await,
            Err(error) => Err((error, 1)),
        };
        outcome.map_err(|(error, count)| {
            reports.count_dropped(error.dropped_reason(), count);
            error
        })
    }

    /// The rows a body makes, alike reports as one.
    fn read_reports(
        &self,
        sender: &Sender<'_>,
        pass: &Pass,
        body: &[u8],
    ) -> Result<Vec<Row>, Error> {
        let (settings, reports) = (&self.0.settings.reports, &self.0.reports);
        let sent = read::parse(body, settings.reports_max).map_err(Error::Invalid)?;
        let found = read::list_reports(&sent);
        reports.count_dropped("invalid", found.malformed);
        reports.count_dropped("too_many", found.beyond);
        let total = found.reports.len();
        let taken = pass.charge(total, sender.received);
        reports.count_dropped("limited", total - taken);
        let agent = self.find_agent(sender.user_agent);
        let origin = rows::Origin {
            site: &sender.site,
            host: sender.host,
            received: sender.received,
            ip_address: net::truncate(sender.client).to_string(),
            user_agent: agent.label.clone(),
        };
        let kept: Vec<_> = found.reports[..taken]
            .iter()
            .map(fields::read)
            .filter(|fields| settings.noise == settings::Noise::Keep || !noise::is_noise(fields))
            .collect();
        reports.count_dropped("noise", taken - kept.len());
        Ok(rows::merge(kept.iter().map(|fields| rows::row(fields, &origin))))
    }

    /// Waits until the rows are on disk. Tells how many reports were lost when they are not.
    async fn keep(&self, mut rows: Vec<Row>, mut pass: Pass) -> Result<Written, (Error, usize)> {
        let reports = &self.0.reports;
        // Part of a batch is better than none of it.
        let without_place = rows.split_off(pass.hold(rows.len()));
        reports.count_dropped("limited", count(&without_place));
        let lost = count(&rows);
        let counts: Vec<_> = rows.iter().map(|row| (row.report_type.clone(), row.count)).collect();
        let outcome = gather::enqueue(reports, rows, pass).await;
        let written = outcome.map_err(|error| (self.not_kept(error), lost))?;
        reports.count_accepted(&counts);
        Ok(written)
    }

    /// Reports of a span, alike ones as one row, the latest seen first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_reports(
        &self,
        span: &Span<'_>,
        after: Option<After>,
        limit: u32,
    ) -> Result<Vec<Group>, mainstay_store::Error> {
        let db = self.db();
        mainstay_store::report::list_groups(db, span, limit, after).await
    }

    fn limited(&self) -> Error {
        Error::Limited { retry_after: self.0.settings.retry_after_s() }
    }

    fn not_kept(&self, source: record::Error) -> Error {
        match source {
            record::Error::Full | record::Error::Unavailable => {
                let retry_after = self.0.settings.retry_after_s();
                Error::Unavailable { retry_after, source }
            }
            record::Error::Refused => Error::Internal(source),
        }
    }
}

/// How many reports these rows stand for.
fn count(rows: &[Row]) -> usize {
    rows.iter().map(|row| usize::try_from(row.count).unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests;
