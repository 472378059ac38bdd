//! Requests on which two readers may disagree where one ends and the next begins, and what may become of each. Pure data and judgement; opens no socket.
//!
//! Whoever makes a proxy and the app behind it disagree (request smuggling, "desync") puts bytes of his own before
//! another visitor's request. Every case says what the app may see of it, which is the requests that were meant, whole
//! and in order, or none, and what the client may see. Where RFC 9112 lets a recipient choose, both choices are sound.

mod answers;
mod chunks;
mod codings;
mod hops;
mod judge;
mod lengths;
mod lines;
mod pipelines;
mod switches;
mod targets;

pub use answers::{Answer, Reading, read_answers};
pub use judge::{
    After, Client, Seen, is_refusal, judge_app, judge_client, may_be_proxys, speaks_http,
};

/// Where the cases go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What `Host` says: a name of the site.
    pub host: String,
    /// Path that nothing else asks for, without a slash at its end. Every request of a case lies below it.
    pub canary: String,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is closed: nobody can say where the next request begins (RFC 9112 §6.3).
    Closed,
    /// It serves the next request.
    Open,
    /// Either.
    Any,
    /// The request is unfinished: no answer, or one that did not wait for the rest, and nothing behind that.
    Waits,
    /// Any, or it leaves HTTP/1.1 where the app agrees to (101): what is said on it then is the app's and no answer.
    MayLeave,
    /// It left HTTP/1.1; what is said on it is no answer of HTTP/1.1.
    Left,
}

/// A request that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intended {
    /// `GET`.
    pub method: &'static str,
    /// In origin form (RFC 9112 §3.2.1).
    pub target: String,
    /// What `Host` must say; nothing where no host was meant.
    pub host: Option<String>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is odd about it; unique.
    pub name: &'static str,
    /// The section that decides it.
    pub rfc: &'static str,
    /// What somebody wins where it is read in two ways.
    pub risk: &'static str,
    /// Bytes to send; what follows the first waits for something to be heard.
    pub sends: Vec<Vec<u8>>,
    /// Requests that the app may see, in order.
    pub requests: Vec<Intended>,
    /// How many of them it must see: these are sound.
    pub least: usize,
    /// Answers that may come besides: the head of a request is sound, and its body is not, or not all there. The app need
    /// not read a body before it answers (RFC 9112 §9.3, §9.6), and never sees that request whole.
    pub early: usize,
    /// What becomes of the connection.
    pub end: End,
}

impl Case {
    /// The method of each answer in turn: an answer to HEAD has no body. What may be answered early is POST.
    #[must_use]
    pub fn methods(&self) -> Vec<&'static str> {
        self.requests.iter().map(|request| request.method).collect()
    }

    /// The same in front of an app that reads a body before it answers: an answer to half of one says that somebody took
    /// it for whole. Where it is asked first whether it wants the body it may do without (RFC 9110 §10.1.1).
    #[must_use]
    pub fn before_patient_app(self) -> Self {
        const ASKED: &[u8] = b"\r\nExpect: 100-continue\r\n";
        let is_asked = self.sends.concat().windows(ASKED.len()).any(|bytes| bytes == ASKED);
        Self { early: if is_asked { self.early } else { 0 }, ..self }
    }

    /// Whether an answer came that only an app explains that answers early.
    #[must_use]
    pub fn was_answered_early(&self, said: &Reading) -> bool {
        let early = said.answers.iter().skip(self.requests.len()).take(self.early);
        early.into_iter().any(|answer| !may_be_proxys(answer.status))
    }
}

impl Target {
    /// A request that may follow the bytes of a case on its connection, to learn whether it still serves.
    #[must_use]
    pub fn last(&self) -> Vec<u8> {
        let Self { host, canary } = self;
        format!("GET {canary}/last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into()
    }

    /// A request to the canary, as far as its `Host`; `rest` is further header lines, the empty one, the body.
    fn ask(&self, method: &str, rest: &str) -> String {
        let Self { host, canary } = self;
        format!("{method} {canary}/a HTTP/1.1\r\nHost: {host}\r\n{rest}")
    }

    /// The second request of a pipeline.
    fn next(&self) -> String {
        let Self { host, canary } = self;
        format!("GET {canary}/b HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    /// The request that must never be one.
    fn smuggled(&self) -> String {
        let Self { host, canary } = self;
        format!("GET {canary}/smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    fn intends(&self, method: &'static str, name: &str, body: &str) -> Intended {
        Intended {
            method,
            target: format!("{}/{name}", self.canary),
            host: Some(self.host.clone()),
            body: body.into(),
        }
    }
}

/// Every case.
#[must_use]
pub fn cases(target: &Target) -> Vec<Case> {
    groups(target).into_iter().flat_map(|(_, cases)| cases).collect()
}

/// The same by what they have in common, in the words of [`Case::name`].
#[must_use]
pub fn groups(target: &Target) -> [(&'static str, Vec<Case>); 8] {
    [
        ("lengths", lengths::cases(target)),
        ("transfer codings", codings::cases(target)),
        ("chunks and trailers", chunks::cases(target)),
        ("lines of a head", lines::cases(target)),
        ("targets and hosts", targets::cases(target)),
        ("headers of one connection", hops::cases(target)),
        ("upgrades and expectations", switches::cases(target)),
        ("pipelines", pipelines::cases(target)),
    ]
}

/// What every case of a file has in common.
#[derive(Clone, Copy)]
struct Kind {
    rfc: &'static str,
    risk: &'static str,
}

impl Kind {
    fn case(self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
        Case {
            name,
            rfc: self.rfc,
            risk: self.risk,
            sends: vec![bytes.into()],
            requests: Vec::new(),
            least: 0,
            early: 0,
            end: End::Any,
        }
    }

    /// No reader can know its end, or it is no HTTP: refused, and the connection with it.
    fn refused(self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
        Case { end: End::Closed, ..self.case(name, bytes) }
    }

    /// Its end is known and it is not to be served; the connection may go on.
    fn declined(self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
        self.case(name, bytes)
    }

    /// The same of a body alone, behind a head that is sound.
    fn broken(self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
        Case { early: 1, ..self.refused(name, bytes) }
    }

    /// Unfinished, in its body. What is missing is more than [`Target::last`], or `last` cannot stand for it: who waits for
    /// the rest answers no request in it.
    fn waits(self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
        Case { early: 1, end: End::Waits, ..self.case(name, bytes) }
    }

    /// Sound: all of it is served, and the connection goes on.
    fn passes(
        self,
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        requests: Vec<Intended>,
    ) -> Case {
        Case { least: requests.len(), end: End::Open, requests, ..self.case(name, bytes) }
    }

    /// Its requests may be served, and nothing behind them.
    fn closing(
        self,
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        requests: Vec<Intended>,
    ) -> Case {
        Case { end: End::Closed, ..self.either(name, bytes, requests) }
    }

    /// The standard lets a reader refuse it, from one of its requests on.
    fn either(
        self,
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        requests: Vec<Intended>,
    ) -> Case {
        Case { requests, ..self.case(name, bytes) }
    }
}

#[cfg(test)]
mod tests;
