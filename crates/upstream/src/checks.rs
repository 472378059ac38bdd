//! Active checks: asks one upstream at intervals whether it is there, apart from the site's traffic. Decides nothing about a request.

use std::sync::Weak;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, Uri};
use mainstay_base::task::Group;
use tokio::time::timeout;

use crate::dial::dial;
use crate::health::Failure;
use crate::place::Place;
use crate::upstreams::Shared;
use crate::{RequestBody, Settings};

const AGENT: HeaderValue = HeaderValue::from_static("mainstay-check");

/// Checks the upstream at `at` until the soft stop, or until nobody needs it any more.
pub(crate) async fn run(shared: Weak<Shared>, at: usize, group: Group) {
    let stop = group.stop().clone();
    loop {
        let interval = tokio::select! {
            () = stop.soft() => None,
            interval = check_once(&shared, at, &group) => interval,
        };
        match interval {
            Some(interval) if stop.rested(interval).await => {}
            _ => return,
        }
    }
}

/// One check; the time until the next, or none when the upstream is not ours any more.
async fn check_once(shared: &Weak<Shared>, at: usize, group: &Group) -> Option<Duration> {
    let shared = shared.upgrade().filter(|shared| !shared.is_retired())?;
    let (place, settings) = (shared.places.get(at)?, &shared.settings);
    let asked = timeout(settings.health_timeout.0, ask(place, settings, group)).await;
    match asked.unwrap_or(Err(Failure::Silent)) {
        Ok(()) => place.member.health.checked_good(settings),
        Err(failure) => {
            if place.member.health.checked_bad(failure, settings) {
                tracing::warn!(upstream = %place.member.authority, ?failure, "an upstream fails its checks");
            }
        }
    }
    Some(settings.health_interval.0)
}

async fn ask(place: &Place, settings: &Settings, group: &Group) -> Result<(), Failure> {
    let silent = |_| Failure::Silent;
    let mut connection = dial(place, settings, group).await.map_err(|_| Failure::Silent)?;
    let Some(path) = &settings.health_path else { return Ok(()) };
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Failure::Refusing)?;
    request.headers_mut().insert(header::HOST, place.check_host.clone());
    request.headers_mut().insert(header::USER_AGENT, AGENT);
    let answer = connection.sender.send_request(request).await.map_err(silent)?;
    let status = answer.status();
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(Failure::Refusing) }
}
