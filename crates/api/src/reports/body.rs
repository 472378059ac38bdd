//! A body with reports, read within its bounds of size, time and memory; what is refused is counted here, for nobody but us hears of it: browsers do not tell.

use std::fmt::Display;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use mainstay_base::ErrorCode;
use mainstay_insight::Insight;
use mainstay_insight::reports::{Pass, SMALL_BODY_BYTES};

use super::problem;
use crate::problem::Problem;

/// The whole body.
pub(super) async fn read(
    insight: &Insight,
    pass: &mut Pass,
    body: Incoming,
) -> Result<Bytes, Problem> {
    match tokio::time::timeout(insight.body_timeout(), collect(insight, pass, body)).await {
        Ok(read) => read,
        Err(_) => {
            insight.count_refused_report("timeout");
            Err(Problem::new(ErrorCode::Invalid, "The body took too long.")
                .with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

async fn collect(insight: &Insight, pass: &mut Pass, mut body: Incoming) -> Result<Bytes, Problem> {
    // A length that is announced is refused before anything of it is sent.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    check_size(insight, pass, announced)?;
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| incomplete(insight, &error))?;
        let Ok(data) = frame.into_data() else { continue };
        check_size(insight, pass, read.len().saturating_add(data.len()))?;
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn check_size(insight: &Insight, pass: &mut Pass, bytes: usize) -> Result<(), Problem> {
    let bytes_max = insight.report_bytes_max();
    if bytes > bytes_max {
        insight.count_refused_report("too_large");
        let text = format!("A body is at most {bytes_max} bytes.");
        return Err(Problem::new(ErrorCode::TooLarge, text));
    }
    if bytes > SMALL_BODY_BYTES {
        insight.admit_large_report(pass).map_err(|error| problem(&error))?;
    }
    Ok(())
}

fn incomplete(insight: &Insight, error: &impl Display) -> Problem {
    tracing::debug!(%error, "a body with reports broke off");
    insight.count_refused_report("incomplete");
    Problem::new(ErrorCode::Invalid, "The body ended before it was complete.")
}
