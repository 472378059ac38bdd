//! Bytes of the caller's to whoever a URL names, and the first of what comes back: for questions below HTTP. Speaks no protocol itself.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::check::{self, Target};
use super::dial;
use super::error::{Error, Phase};
use super::{Client, Request, trace};

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 1 << 10;

impl Client {
    /// Connects to the URL of a request, checked as ever, sends the request's body as it is, and reads what comes first;
    /// nothing when the other side closes.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn probe(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let began = Instant::now();
        let probed = timeout_at(began + request.limits.total, self.exchange(request)).await;
        let answer = probed.unwrap_or(Err(Error::Timeout(Phase::Answer)));
        let took = began.elapsed();
        self.0.meters.count(request.purpose, answer.as_ref().err(), took);
        trace::tell_probe(request.purpose, &request.url, answer.as_ref().err(), took);
        answer
    }

    async fn exchange(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let target = Target::of(&request.policy, check::parse(&request.url)?)?;
        let addresses = self.0.names.resolve(&target).await?;
        let addresses = check::addresses(&request.policy, &target, addresses)?;
        let deadline = Instant::now() + request.limits.connect;
        let mut stream = dial::connect(&addresses, deadline).await?.stream;
        let mut answer = vec![0; ANSWER_MAX];
        let asked = async {
            stream.write_all(&request.body).await?;
            stream.read(&mut answer).await
        };
        let length = asked.await.map_err(Error::Connect)?;
        answer.truncate(length);
        Ok(answer)
    }
}
