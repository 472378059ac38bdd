//! `security-scan`: looks at one of our own sites as an attacker would. Answers the grade and what was found.

use mainstay_jobs::{ANY, Failure, Job, Running, Work};
use mainstay_scanner::{Missing, Scan};
use serde_json::{Value, json};

use super::Context;
use super::payload::{Payload, dead};
use crate::command::scan::{chain, find_named_site};

/// Room in an answer for what is not a finding.
const FRAME: usize = 2_048;
/// Longest `scanType`, in bytes.
const TYPE_MAX: usize = 64;

/// Scans sites.
#[derive(Debug)]
pub(super) struct SecurityScan {
    context: Context,
    result_max: usize,
}

impl SecurityScan {
    pub(super) fn new(context: Context, result_max: usize) -> Self {
        Self { context, result_max }
    }

    async fn scan(&self, work: &Work) -> Result<Option<String>, Failure> {
        let payload = Payload::read(&work.job.payload, &["target", "scanType"])?;
        let target: Option<String> = payload.find("target", "the address of a site")?;
        let kind: String = payload.find("scanType", "text")?.unwrap_or_else(|| "full".into());
        if kind.len() > TYPE_MAX {
            return Err(dead(format!("scanType must be text of at most {TYPE_MAX} bytes")));
        }
        let Context { client, settings, clock, entropy, .. } = &self.context;
        let settings = settings.borrow().clone();
        let site = find_named_site(&settings, target.as_deref()).map_err(Failure::Dead)?;
        let scanning = mainstay_scanner::scan(client, &site, &settings.scan, clock, entropy);
        match scanning.await {
            Ok(scan) => Ok(Some(self.tell(&site.host, &kind, &scan))),
            Err(away @ Missing::Elsewhere(_)) => {
                Err(dead(format!("{} is not scanned: {away}", site.host)))
            }
            Err(error) => {
                Err(Failure::Again(format!("{} is not reached: {}", site.host, chain(&error))))
            }
        }
    }

    /// The worst findings first, as many as there is room for.
    fn tell(&self, host: &str, kind: &str, scan: &Scan) -> String {
        let mut room = self.result_max.saturating_sub(FRAME);
        let findings: Vec<Value> = scan.findings.iter().map(|finding| json!(finding)).collect();
        let all = findings.len();
        let fits = findings.into_iter().take_while(|finding| {
            let size = finding.to_string().len() + 1;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        });
        let findings: Vec<Value> = fits.collect();
        json!({
            "target": host,
            "scanType": kind,
            "grade": scan.grade,
            "score": scan.score,
            "complete": scan.complete,
            "leftOut": all - findings.len(),
            "findings": findings,
        })
        .to_string()
    }
}

impl Job for SecurityScan {
    fn kind(&self) -> &str {
        ANY
    }

    fn queue(&self) -> &str {
        "security-scan"
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move { self.scan(&work).await })
    }
}
