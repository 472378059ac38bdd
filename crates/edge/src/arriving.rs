//! A request body that notes while somebody waits for it, so that a client that drips is told from a handler that is slow.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Exchange;

/// A request body read under `edge.body_timeout` and `edge.body_rate_min`.
pub(crate) struct Arriving<B> {
    body: B,
    exchange: Option<Arc<Exchange>>,
}

impl<B> Arriving<B> {
    /// The request with its body watched by the connection that it came from.
    pub(crate) fn of(mut request: Request<B>) -> Request<Self> {
        let exchange = request.extensions_mut().remove::<Arc<Exchange>>();
        if let Some(exchange) = &exchange {
            exchange.watched();
        }
        request.map(|body| Self { body, exchange })
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(exchange) = &self.exchange {
            match &poll {
                Poll::Pending => exchange.awaits_body(),
                Poll::Ready(Some(Ok(frame))) => {
                    exchange.received(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(_) => exchange.received(0),
            }
        }
        poll.map_err(std::io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Arriving<B> {
    fn drop(&mut self) {
        // Nobody waits for what nobody reads.
        if let Some(exchange) = &self.exchange {
            exchange.received(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body_util::StreamBody;
    use mainstay_base::units::{Size, Span};
    use mainstay_telemetry::http::Refusal;
    use tokio::sync::mpsc;

    use super::*;
    use crate::Settings;
    use crate::activity::Coarse;
    use crate::exchange::Finding;

    fn settings() -> Settings {
        Settings {
            body_timeout: Span::seconds(30),
            body_rate_min: Size(512),
            request_timeout: Span::seconds(60),
            ..Settings::default()
        }
    }

    fn asked<B>(body: B) -> (Request<Arriving<B>>, Arc<Exchange>, Arc<Coarse>) {
        let clock = Arc::new(Coarse::default());
        let exchange = Arc::new(Exchange::among_many(Arc::clone(&clock)));
        exchange.has_body();
        let mut request = Request::new(body);
        request.extensions_mut().insert(Arc::clone(&exchange));
        (Arriving::of(request), exchange, clock)
    }

    /// Seconds until the exchange is given up when `bytes` of its body come every second, at most ten minutes.
    async fn lasts(bytes: usize) -> Option<u32> {
        let (send, mut receive) = mpsc::channel::<std::io::Result<Frame<Bytes>>>(8);
        let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx)));
        let (mut request, exchange, clock) = asked(body);
        for second in 1..600 {
            if bytes > 0 {
                send.send(Ok(Frame::data(Bytes::from(vec![1; bytes])))).await.expect("sent");
            }
            poll_fn(|cx| {
                while Pin::new(request.body_mut()).poll_frame(cx).is_ready() {}
                Poll::Ready(())
            })
            .await;
            clock.set(second * 1_000);
            match exchange.judge(&settings(), 1_000) {
                Finding::Fine => {}
                found => {
                    assert_eq!(found, Finding::Lags(Refusal::BodyTimeout));
                    return Some(second);
                }
            }
        }
        None
    }

    #[tokio::test]
    async fn a_body_that_stops_or_drips_is_given_up_and_a_slow_one_is_not() {
        assert_eq!(lasts(0).await, Some(31));
        assert!(lasts(100).await.is_some());
        assert_eq!(lasts(512).await, None);
    }

    #[tokio::test]
    async fn a_slow_handler_is_not_the_clients_fault_until_its_own_time_is_up() {
        let (request, exchange, clock) = asked(http_body_util::Full::new(Bytes::from("all")));
        let (_, mut body) = request.into_parts();
        assert!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_some());
        for second in 1..=60 {
            clock.set(second * 1_000);
            assert_eq!(exchange.judge(&settings(), 1_000), Finding::Fine, "{second}");
        }
        clock.set(61_000);
        assert_eq!(exchange.judge(&settings(), 1_000), Finding::Lags(Refusal::BodyTimeout));
    }
}
