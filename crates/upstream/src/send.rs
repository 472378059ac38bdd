//! A request on its way: choice, connection, answer, and the one repetition where that is safe. Knows no client.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cargo::{Cargo, load};
use crate::choose::Tried;
use crate::connections::{Lease, Pool};
use crate::dial::{Connection, dial};
use crate::head::{BadFraming, connection_headers};
use crate::member::{Member, Slot};
use crate::request::Upload;
use crate::{AnswerBody, Connections, Error, Exchange, Phase, RequestBody, Timing};

/// An attempt without an answer.
struct Lost {
    error: Error,
    /// The request, where it may be sent again.
    again: Option<Cargo>,
    /// On a connection that had served before: dead ones among those say nothing about the upstream.
    on_kept: bool,
}

/// Counts a request that its client gave up: the future that waits for its answer is dropped.
struct Waiting<'a> {
    member: &'a Member,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.member.given_up();
        }
    }
}

/// What came of a request that was handed to a connection.
type Answered = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Where a connection may come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Anywhere,
    /// After one kept connection was dead.
    New,
}

impl Connections {
    /// Sends a request and waits for the head of its answer. Drop the future to give up: its connection closes.
    ///
    /// The headers are sent as they are, but for framing and, where the settings say so, `Host`: make them with
    /// [`crate::head::request_headers`]. Of the URI, path and query count.
    ///
    /// # Errors
    /// [`Error`], after another upstream was tried where no byte of the request had been sent, and after one
    /// repetition where the method is idempotent and there was no body.
    pub async fn send(&self, request: Request<RequestBody>) -> Result<Exchange, Error> {
        let began = Instant::now();
        let pool = &self.0;
        let (mut cargo, mut tried, mut avoided) =
            (load(request)?, Tried::default(), Tried::default());
        let (mut from, mut last) = (From::Anywhere, None);
        loop {
            let (at, slot) = match pool.choose(avoided, tried) {
                Ok(chosen) => chosen,
                Err(refusal) => return Err(last.unwrap_or_else(|| pool.refuse(refusal))),
            };
            let opened = match pool.open(at, &slot, from).await {
                Ok(opened) => opened,
                Err(error) => {
                    tried.add(at);
                    avoided.add(at);
                    last = Some(error);
                    continue;
                }
            };
            match pool.attempt(at, slot, opened, cargo, from, began).await {
                Ok(exchange) => return Ok(exchange),
                Err(lost) => {
                    cargo = pool.again(at, lost, from)?;
                    // Somebody else first; the same one again when there is nobody else.
                    avoided.add(at);
                    from = From::New;
                }
            }
        }
    }
}

impl Pool {
    fn refuse(&self, refusal: Error) -> Error {
        self.shared.refusals.count(&refusal);
        refusal
    }

    /// A connection, and how long it took when it is new.
    async fn open(
        &self,
        at: usize,
        slot: &Slot,
        from: From,
    ) -> Result<(Connection, Option<Duration>), Error> {
        if from == From::Anywhere
            && let Some(connection) = self.take(at)
        {
            return Ok((connection, None));
        }
        let settings = &self.shared.settings;
        let began = Instant::now();
        let dialled = match self.shared.places.get(at) {
            Some(place) => {
                // Boxed: every request would carry room for what few need.
                let dialling = Box::pin(dial(place, settings, &self.group));
                timeout(settings.connect_timeout.0, dialling).await
            }
            None => Ok(Err(std::io::ErrorKind::NotFound.into())),
        };
        let error = match dialled {
            Ok(Ok(connection)) => return Ok((connection, Some(began.elapsed()))),
            Ok(Err(source)) => Error::Connect { upstream: at, source },
            Err(_) => Error::Timeout { upstream: at, phase: Phase::Connect },
        };
        slot.member.failed(&error, settings);
        Err(error)
    }

    async fn attempt(
        self: &Arc<Self>,
        at: usize,
        slot: Slot,
        (mut connection, connect): (Connection, Option<Duration>),
        mut cargo: Cargo,
        from: From,
        began: Instant,
    ) -> Result<Exchange, Box<Lost>> {
        let on_kept = connect.is_none();
        let copy = if from == From::Anywhere { cargo.copy() } else { None };
        let wants_upgrade = cargo.headers.contains_key(header::UPGRADE);
        let clients_host = self.shared.places.get(at).and_then(|place| cargo.address_to(place));
        let upload = cargo.body.upload();
        connection.noticed.begin();
        let answer = self.await_answer(&mut connection, cargo.into_request(), upload.as_deref());
        let lose = |error, again| Box::new(Lost { error, again, on_kept });
        let mut waiting = Waiting { member: &slot.member, is_over: false };
        let answered = answer.await;
        waiting.is_over = true;
        drop(waiting);
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message().map(|r| Cargo::from_request(r, clients_host));
                let heard = connection.noticed.heard();
                let again = unsent.or(copy.filter(|_| !heard));
                let error = read_failure(at, failed.into_error(), upload.as_deref(), heard);
                return Err(lose(error, again));
            }
            Err(phase) => return Err(lose(Error::Timeout { upstream: at, phase }, None)),
        };
        let (mut parts, body) = response.into_parts();
        let kept_seconds = match connection_headers(&mut parts) {
            Ok(_) if parts.status == StatusCode::SWITCHING_PROTOCOLS && !wants_upgrade => {
                let what = "it switches protocols, which nobody asked for";
                return Err(lose(Error::BadAnswer { upstream: at, what }, None));
            }
            Ok(kept_seconds) => kept_seconds,
            Err(BadFraming(what)) => {
                return Err(lose(Error::BadAnswer { upstream: at, what }, None));
            }
        };
        connection.kept_seconds = kept_seconds;
        parts.version = Version::HTTP_11;
        let settings = &self.shared.settings;
        let upload = upload.map_or(Duration::ZERO, |upload| upload.awaited());
        let first_byte = began.elapsed().saturating_sub(upload);
        let timing = Timing { connect, first_byte, upload };
        slot.member.answered(timing.first_byte, settings);
        let lease = Lease::new(Arc::clone(self), at, connection, slot);
        let body = match parts.status {
            StatusCode::SWITCHING_PROTOCOLS => AnswerBody::switched(body, lease),
            _ => AnswerBody::new(body, lease, settings.body_timeout.0),
        };
        Ok(Exchange { response: Response::from_parts(parts, body), timing, upstream: at })
    }

    /// Waits as long as something moves. An error is the wait that ended.
    async fn await_answer(
        &self,
        connection: &mut Connection,
        request: Request<RequestBody>,
        upload: Option<&Upload>,
    ) -> Result<Answered, Phase> {
        match upload {
            None => {
                let patience = self.shared.settings.answer_timeout.0;
                let answer = timeout(patience, connection.sender.try_send_request(request)).await;
                answer.map_err(|_| Phase::Answer)
            }
            // Boxed: requests without a body would carry room for it.
            Some(upload) => Box::pin(self.await_upload(connection, request, upload)).await,
        }
    }

    /// The same for a request with a body.
    async fn await_upload(
        &self,
        connection: &mut Connection,
        mut request: Request<RequestBody>,
        upload: &Upload,
    ) -> Result<Answered, Phase> {
        let settings = &self.shared.settings;
        let patience = settings.answer_timeout.0;
        if upload.waits() {
            ask_first(&mut request);
        }
        let mut answer = pin!(connection.sender.try_send_request(request));
        let mut deadline =
            Instant::now() + if upload.waits() { settings.continue_timeout.0 } else { patience };
        loop {
            if let Ok(answer) = timeout_at(deadline, &mut answer).await {
                return Ok(answer);
            }
            let now = Instant::now();
            if upload.waits() {
                // RFC 9110 §10.1.1: nobody waits for ever for a 100.
                upload.release();
            }
            // A client that pauses is judged on its own connection.
            let moved = if upload.awaits_sender() { now } else { upload.moved_at() };
            deadline = moved + patience;
            if deadline <= now {
                return Err(Phase::Answer);
            }
        }
    }

    /// What to do after an attempt without an answer: the request to send again, or the error to tell.
    fn again(&self, at: usize, lost: Box<Lost>, from: From) -> Result<Cargo, Error> {
        let Some(place) = self.shared.places.get(at) else { return Err(lost.error) };
        if lost.on_kept {
            self.forget(at);
        }
        match lost.again {
            Some(cargo) if from == From::Anywhere => {
                place.member.meters.retries.inc();
                if !lost.on_kept {
                    place.member.failed(&lost.error, &self.shared.settings);
                }
                Ok(cargo)
            }
            _ => {
                match &lost.error {
                    error @ Error::Closed { .. } if lost.on_kept => place.member.broke_off(error),
                    error => place.member.failed(error, &self.shared.settings),
                }
                Err(lost.error)
            }
        }
    }
}

/// Sends `Expect: 100-continue` and lets the body go once a 100 came.
fn ask_first(request: &mut Request<RequestBody>) {
    request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    let Some(upload) = request.body().upload() else { return };
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            upload.release();
        }
    });
}

fn read_failure(
    upstream: usize,
    error: hyper::Error,
    upload: Option<&Upload>,
    heard: bool,
) -> Error {
    if upload.is_some_and(Upload::is_broken) {
        return Error::Request;
    }
    if heard && error.is_parse() {
        let what =
            if error.is_parse_too_large() { "its head is too large" } else { "it does not parse" };
        return Error::BadAnswer { upstream, what };
    }
    Error::Closed { upstream, source: Some(error) }
}
