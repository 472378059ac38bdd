//! Every metric of the product, one row each: name, kind, labels, meaning. Values live in the registry, never here.

use Kind::{Counter, Gauge, Histogram};

/// What a metric's value means, with the upper bounds of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows; named `…_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations up to each bound, ascending; `+Inf` is implied.
    Histogram(&'static [f64]),
}

/// One metric as a row of the table.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// The name in the text format.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

impl Metric {
    /// The name of the family in OpenMetrics, where a counter's family has no `_total`.
    #[must_use]
    pub fn family_name(&self) -> &'static str {
        match self.kind {
            Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Gauge | Histogram(_) => self.name,
        }
    }

    /// The upper bounds of a histogram's buckets; none for other kinds.
    #[must_use]
    pub fn bounds(&self) -> &'static [f64] {
        match self.kind {
            Histogram(bounds) => bounds,
            Counter | Gauge => &[],
        }
    }

    /// The unit, told by the end of the family's name (OpenMetrics 1.0.0 demands that they agree).
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes"]
            .into_iter()
            .find(|unit| self.family_name().strip_suffix(unit).is_some_and(|n| n.ends_with('_')))
    }
}

const HTTP: Kind = Histogram(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
/// Of jobs: from a moment to hours.
const JOB: Kind = Histogram(&[0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3_600.0]);
const COMMIT: Kind = Histogram(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0]);
// The vitals' bounds hold the thresholds of web.dev ("good" and "poor"), so that both shares can be read off.
const LCP: Kind = Histogram(&[0.5, 1.0, 1.8, 2.5, 4.0, 6.0, 10.0]);
const INP: Kind = Histogram(&[0.05, 0.1, 0.2, 0.3, 0.5, 1.0]);
const FCP: Kind = Histogram(&[0.5, 1.0, 1.8, 2.4, 3.0, 6.0]);
const TTFB: Kind = Histogram(&[0.1, 0.2, 0.4, 0.8, 1.8, 3.0]);
const CLS: Kind = Histogram(&[0.05, 0.1, 0.15, 0.25, 0.5, 1.0]);
const PAGE: [&str; 2] = ["page", "device_type"];

macro_rules! table {
    ($($id:ident $kind:ident $name:literal $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric =
                Metric { name: $name, kind: $kind, labels: &$labels, help: $help };
        )*

        /// Every metric, in the order of the table.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

table! {
    HTTP_REQUESTS Counter "http_requests_total" ["method", "route", "status_code", "user_agent_type"], "Requests answered.";
    HTTP_DURATION HTTP "http_request_duration_seconds" ["method", "route", "status_code"], "Time from the request's head to the end of the answer.";
    ACTIVE_USERS Gauge "active_users" [], "Visitors seen in the last five minutes.";
    ERRORS Counter "errors_total" ["type", "severity", "component"], "Errors of the site's scripts (component browser), those the app recorded (component app), and those the server logged (component server).";
    PAGE_VIEWS Counter "page_views_total" ["page", "user_type", "referrer_type"], "Page views, bots left out.";
    USER_SIGNUPS Counter "user_signups_total" ["source", "plan_type"], "Sign-ups that the app recorded.";
    API_USAGE Counter "api_usage_total" ["endpoint", "api_key_type", "client_type"], "Calls of the app's own API that the app recorded.";
    REVENUE Gauge "revenue" ["currency"], "Revenue that the app recorded since the server started, refunds taken away.";
    WEB_VITAL_LCP LCP "web_vital_lcp_seconds" PAGE, "Largest Contentful Paint.";
    WEB_VITAL_INP INP "web_vital_inp_seconds" PAGE, "Interaction to Next Paint.";
    WEB_VITAL_FCP FCP "web_vital_fcp_seconds" PAGE, "First Contentful Paint.";
    WEB_VITAL_TTFB TTFB "web_vital_ttfb_seconds" PAGE, "Time to First Byte.";
    WEB_VITAL_CLS CLS "web_vital_cls" PAGE, "Cumulative Layout Shift, without a unit.";
    DATABASE_CONNECTIONS Gauge "database_connections_active" ["database", "type"], "Connections to the files of the data dir or to PostgreSQL, by whether they are in use (active) or open and idle.";
    DATABASE_UP Gauge "mainstay_database_up" ["server"], "1 while a database server answers, 0 while it is not asked.";
    DATABASE_LAG_BYTES Gauge "mainstay_database_replica_lag_bytes" ["server"], "What a replica has not replayed of what the primary had written.";
    DATABASE_LAG Gauge "mainstay_database_replica_lag_seconds" ["server"], "How long a replica has been behind; 0 when it lacks nothing.";
    DATABASE_STRAYS Gauge "mainstay_database_default_partition_rows" [], "Rows in default partitions, a million of each table at most: more than none means that partitions were not made ahead.";
    DATABASE_READS Counter "mainstay_database_reads_total" ["answered_by"], "Reads of PostgreSQL, by who answered: a replica, the primary alone (single), the primary because everything had to be seen (latest), because the replicas had not come far enough (token), or because none was fit (no_replica).";
    PROCESS_CPU Counter "process_cpu_seconds_total" [], "Processor time used by the process, user and system.";
    PROCESS_MEMORY Gauge "process_resident_memory_bytes" [], "Memory of the process that is in RAM.";
    PROCESS_OPEN_FDS Gauge "process_open_fds" [], "Open file descriptors.";
    PROCESS_MAX_FDS Gauge "process_max_fds" [], "Most file descriptors the process may open.";
    PROCESS_START Gauge "process_start_time_seconds" [], "When the process started, in seconds since the Unix epoch.";
    PROCESS_THREADS Gauge "process_threads" [], "Threads of the process.";
    BUILD_INFO Gauge "mainstay_build_info" ["version"], "Always 1; the label tells the version.";
    CONNECTIONS Gauge "mainstay_connections" [], "Connections open on the public listener.";
    CONNECTIONS_IDLE_CLOSED Counter "mainstay_connections_idle_closed_total" [], "Connections closed because nothing was asked on them in time.";
    CONNECTIONS_PARKED Gauge "mainstay_connections_parked" [], "Open connections that wait for their next request without holding buffers.";
    REQUESTS_REFUSED Counter "mainstay_requests_refused_total" ["reason"], "Requests and connections refused before they reached the site.";
    RESPONSE_BYTES Counter "mainstay_response_bytes_total" ["scope"], "Body bytes sent, by whether the site or our own paths answered.";
    TLS_HANDSHAKES Counter "mainstay_tls_handshakes_total" ["version", "kind"], "TLS handshakes completed; a resumed one is the cheap kind.";
    TLS_CERTIFICATE_EXPIRY Gauge "mainstay_tls_certificate_expiry_timestamp_seconds" ["site"], "When the certificate in use ends, in seconds since the Unix epoch; site is whose own it is, empty for that of [tls].";
    TLS_RELOADS Counter "mainstay_tls_reloads_total" ["outcome", "site"], "Times that a certificate was read again, because its files changed or by SIGHUP, by whether it was taken into use.";
    HTTPS_REDIRECTS Counter "mainstay_https_redirects_total" [], "Requests by plain http that were sent to https.";
    API_KEYS_REFUSED Counter "mainstay_api_keys_refused_total" ["reason"], "Requests refused for want of a good API key: none sent (missing), mistyped or cut off (malformed), unknown, expired, revoked, without the scope, or not to be looked up (unavailable).";
    EVENTS_ACCEPTED Counter "mainstay_events_accepted_total" ["type"], "Visitor events made durable.";
    EVENTS_DROPPED Counter "mainstay_events_dropped_total" ["reason"], "Visitor events not kept.";
    REPORTS_ACCEPTED Counter "mainstay_reports_accepted_total" ["type"], "Reports of browsers made durable.";
    REPORTS_DROPPED Counter "mainstay_reports_dropped_total" ["reason"], "Reports of browsers not kept, noise among them.";
    ROLLUP_FOLDS_FAILING Gauge "mainstay_rollup_folds_failing" [], "Days whose counted hours could not be folded when that was last tried: questions read their hours.";
    ROLLUP_COUNTS_FAILING Gauge "mainstay_rollup_counts_failing" [], "Hours that could not be counted when that was last tried, and sites whose hours could not be declared over.";
    JOB_QUEUE_SIZE Gauge "job_queue_size" ["queue_name", "status"], "Jobs of a queue that stand so; of finished ones those that are kept.";
    JOB_QUEUE_OLDEST Gauge "mainstay_job_queue_oldest_seconds" ["queue_name"], "How long the job that waits longest could have begun.";
    JOB_WAIT JOB "mainstay_job_wait_seconds" ["queue_name"], "From when an attempt at a job could have begun until it did.";
    JOB_DURATION JOB "mainstay_job_duration_seconds" ["queue_name", "outcome"], "How long attempts at jobs took, by how they ended.";
    RECORDER_QUEUE Gauge "mainstay_recorder_queue" [], "Batches waiting to be made durable.";
    RECORDER_SPOOLED Gauge "mainstay_recorder_spooled_bytes" [], "Events on this machine's disk that wait for the database.";
    RECORDER_DAMAGED Counter "mainstay_recorder_spool_damaged_total" [], "Places in the files of waiting events that could not be read: what lay there is left out.";
    RECORDER_SPOOL_ERRORS Counter "mainstay_recorder_spool_errors_total" [], "Reads, writes and removals of the files of waiting events that this machine's disk refused, and openings of their folders: all but a write is tried again, and what was to be written is refused.";
    RECORDER_UNCONFIRMED Gauge "mainstay_recorder_unconfirmed_bytes" [], "Events in the primary of which a copy is kept on this machine's disk until every standby has them.";
    RECORDER_UNPROTECTED Counter "mainstay_recorder_unprotected_total" [], "Batches that were acknowledged and of which no copy is kept, though no standby was known to have them: they would be lost with the primary.";
    RECORDER_COMMITTED Counter "mainstay_recorder_committed_total" [], "Batches made durable.";
    RECORDER_SHED Counter "mainstay_recorder_shed_total" [], "Batches refused because the queue was full or the store away.";
    RECORDER_COMMIT COMMIT "mainstay_recorder_commit_seconds" [], "Time one group commit took, with its fsync.";
    ACCESS_LOG_SHED Counter "mainstay_access_log_shed_total" [], "Access log lines dropped because the disk was full or too slow.";
    UPSTREAM_REQUESTS Counter "mainstay_upstream_requests_total" ["site", "upstream", "outcome"], "Requests to the app behind a site, by how they ended.";
    UPSTREAM_ANSWER HTTP "mainstay_upstream_answer_seconds" ["site", "upstream"], "Time from a request to the head of the upstream's answer, without the time in which its body had to be waited for.";
    UPSTREAM_RETRIES Counter "mainstay_upstream_retries_total" ["site", "upstream"], "Requests repeated because the upstream left before it answered.";
    UPSTREAM_BROKEN Counter "mainstay_upstream_broken_answers_total" ["site", "upstream"], "Answers that broke off or stalled after their head.";
    UPSTREAM_CONNECTIONS Counter "mainstay_upstream_connections_total" ["site", "upstream"], "Connections opened to an upstream, those of checks included.";
    UPSTREAM_IN_FLIGHT Gauge "mainstay_upstream_in_flight" ["site", "upstream"], "Exchanges with an upstream in hand.";
    UPSTREAM_HEALTHY Gauge "mainstay_upstream_healthy" ["site", "upstream"], "1 while an upstream is asked, 0 while it fails or drains.";
    OUTBOUND_REQUESTS Counter "mainstay_outbound_requests_total" ["purpose", "outcome"], "Requests to others, by what for and how they ended: what is refused is not asked, be it the first URL or one that an answer sends to.";
    OUTBOUND_SECONDS HTTP "mainstay_outbound_request_seconds" ["purpose"], "Time a request to others took, its redirects and its whole body included.";
    KV_OPERATIONS Counter "mainstay_kv_operations_total" ["operation", "answered_by"], "Questions to shared state, by who answered: the store, this process's memory, or nobody.";
    KV_CALL COMMIT "mainstay_kv_call_seconds" [], "Time a call to Redis took, those included that were given up.";
    KV_AWAY Gauge "mainstay_kv_away" [], "1 while Redis is away and memory answers, else 0.";
    KV_RECOVERIES Counter "mainstay_kv_recoveries_total" [], "Times Redis was there again after it had been away, the first time included.";
    KV_GENERATIONS Counter "mainstay_kv_generations_total" [], "Times this process made every stored value unreachable because changes had been missed.";
    KV_REPAIRS Counter "mainstay_kv_repairs_total" [], "Keys deleted in Redis because a write of theirs had failed.";
    KV_REPEATS Counter "mainstay_kv_repeats_total" [], "Times a question to Redis that met a failover was asked again.";
    KV_GAPS Counter "mainstay_kv_gaps_total" ["reason"], "Gaps told to subscribers of channels.";
    KV_MEMORY Gauge "mainstay_kv_memory_bytes" [], "Memory of the values that this process keeps for itself.";
    RECORDED Counter "mainstay_recorded_total" ["type"], "What the app recorded, by kind, repeats left out.";
    APP_METRICS_DROPPED Counter "mainstay_app_metrics_dropped_total" ["reason"], "Values of the app's metrics for which there was no room: left out (names, gauges and revenue of series), counted under other (series), or of another kind or other labels than a request beside it (shape).";
    RECORD_REFUSED Counter "mainstay_record_refused_total" ["reason"], "Requests of the app to record that had a good key and were not taken.";
    DROPPED_SERIES Counter "mainstay_metrics_dropped_series_total" ["family"], "Label combinations counted under other because the metric was full.";
}

/// Names first published, with the corrected metric they repeat: a gauge must not end in `_total`.
pub static FIRST_PUBLISHED: &[(&str, &Metric)] = &[("active_users_total", &ACTIVE_USERS)];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_told_by_their_kind() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted() && bounds.iter().all(|b| *b > 0.0), "{}", metric.name);
            }
        }
    }

    #[test]
    fn units_follow_the_family_name() {
        assert_eq!(PROCESS_CPU.family_name(), "process_cpu_seconds");
        assert_eq!(PROCESS_CPU.unit(), Some("seconds"));
        assert_eq!(RESPONSE_BYTES.unit(), Some("bytes"));
        assert_eq!(WEB_VITAL_CLS.unit(), None);
    }
}
