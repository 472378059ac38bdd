//! Bodies that arrive in odd pieces, and what a client has at each moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};

use mainstay_base::coding::Coding;

use super::super::encode::tests::decode;
use super::*;

/// What an app does next.
enum Step {
    Data(Bytes),
    /// Nothing, until the test says so.
    Pause(Arc<AtomicBool>),
    /// Its next piece is there once others had their turn.
    Turn,
    Fail,
    Trailers(HeaderMap),
}

struct Script(VecDeque<Step>);

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(Step::Pause(over)) = self.0.front() {
            if !over.load(Relaxed) {
                return Poll::Pending;
            }
            self.0.pop_front();
        }
        match self.0.pop_front() {
            Some(Step::Turn) => Poll::Pending,
            None | Some(Step::Pause(_)) => Poll::Ready(None),
            Some(Step::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Step::Fail) => Poll::Ready(Some(Err(io::Error::other("cut")))),
            Some(Step::Trailers(map)) => Poll::Ready(Some(Ok(Frame::trailers(map)))),
        }
    }
}

/// What a client has when the app pauses, ends or fails.
#[derive(Default)]
struct Got {
    bytes: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    failed: bool,
}

/// Whether the body asked to be polled again.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

fn poll(relay: &mut Relay, got: &mut Got) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut *relay).poll_frame(&mut cx) {
            Poll::Pending if woken.0.swap(false, Relaxed) => {}
            Poll::Pending => return,
            Poll::Ready(None) => return got.ended = true,
            Poll::Ready(Some(Err(_))) => return got.failed = true,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => got.bytes.extend_from_slice(&bytes),
                Err(frame) => got.trailers = frame.into_trailers().ok(),
            },
        }
    }
}

fn relay(steps: Vec<Step>, tag: Option<&str>, coding: Option<Coding>) -> Relay {
    let insertion = tag.map(|tag| Insertion::new(tag.to_owned()));
    let encoder = coding.map(|coding| Encoder::new(coding).expect("encoder"));
    Relay::new(Box::pin(Script(steps.into())), insertion, encoder)
}

fn data(text: &str) -> Step {
    Step::Data(Bytes::copy_from_slice(text.as_bytes()))
}

/// The whole body of `html` that arrives in pieces of `piece` bytes.
fn through(html: &[u8], piece: usize, coding: Option<Coding>) -> Vec<u8> {
    let steps = html.chunks(piece).map(|bytes| Step::Data(Bytes::copy_from_slice(bytes)));
    let mut got = Got::default();
    poll(&mut relay(steps.collect(), Some("<T>"), coding), &mut got);
    assert!(got.ended);
    coding.map_or(got.bytes.clone(), |coding| decode(coding, &got.bytes))
}

#[test]
fn the_tag_goes_to_its_place_however_the_page_arrives() {
    for (html, expected) in [
        ("<!doctype html><head><p>x", "<!doctype html><head><T><p>x"),
        ("<html><body>no head", "<html><T><body>no head"),
        ("<li>a fragment", "<li>a fragment"),
        ("", ""),
    ] {
        for piece in [1, 3, 1_000] {
            for coding in [None, Some(Coding::Gzip), Some(Coding::Brotli), Some(Coding::Zstd)] {
                let out = through(html.as_bytes(), piece, coding);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{piece} {coding:?}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_utf_8_pass_as_they_are() {
    let html = b"<html><head><title>\xe9\xff\x80</title>\x00\xfe";
    let expected = b"<html><head><T><title>\xe9\xff\x80</title>\x00\xfe";
    for piece in [1, 5, 100] {
        assert_eq!(through(html, piece, None), expected);
    }
}

#[test]
fn behind_64_kib_no_place_is_looked_for() {
    let late = |padding: usize| format!("<!--{}--><head>x", "-".repeat(padding));
    let near = late(HEAD_BYTES_MAX - 100);
    assert!(through(near.as_bytes(), 1_000, None).ends_with(b"<head><T>x"));
    let far = late(HEAD_BYTES_MAX);
    for piece in [1_000, 1 << 20] {
        assert_eq!(through(far.as_bytes(), piece, None), far.as_bytes());
    }
}

#[test]
fn what_the_app_wrote_before_a_pause_reaches_the_client() {
    for coding in [None, Some(Coding::Gzip), Some(Coding::Brotli), Some(Coding::Zstd)] {
        let over = Arc::new(AtomicBool::new(false));
        let pause = Step::Pause(Arc::clone(&over));
        let steps = vec![data("<html><head>"), data("<p>shell"), pause, data("late")];
        let mut relay = relay(steps, Some("<T>"), coding);
        let mut got = Got::default();
        poll(&mut relay, &mut got);
        let text = |got: &Got| match coding {
            Some(coding) => decode(coding, &got.bytes),
            None => got.bytes.clone(),
        };
        assert_eq!(text(&got), b"<html><head><T><p>shell", "{coding:?}");
        assert!(!got.ended);
        over.store(true, Relaxed);
        poll(&mut relay, &mut got);
        assert_eq!(text(&got), b"<html><head><T><p>shelllate", "{coding:?}");
        assert!(got.ended && relay.is_end_stream());
    }
}

#[test]
fn pieces_that_follow_each_other_are_packed_as_one() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let turns = (0..500).flat_map(|_| [data("<li>another line of the ledger"), Step::Turn]);
        let (mut whole, mut got) = (relay(turns.collect(), None, Some(coding)), Got::default());
        poll(&mut whole, &mut got);
        assert!(got.ended, "{coding:?}");
        assert_eq!(decode(coding, &got.bytes).len(), 500 * "<li>another line of the ledger".len());
        assert!(got.bytes.len() < 600, "{coding:?}: flushed on the way: {}", got.bytes.len());
    }
}

#[test]
fn a_broken_answer_stays_broken() {
    let whole = vec![data("<p>half a page that compresses")];
    let mut complete = Got::default();
    poll(&mut relay(whole, None, Some(Coding::Gzip)), &mut complete);
    let broken = vec![data("<p>half a page that compresses"), Step::Fail];
    let mut got = Got::default();
    poll(&mut relay(broken, None, Some(Coding::Gzip)), &mut got);
    assert!(got.failed && !got.ended);
    assert!(got.bytes.len() < complete.bytes.len(), "no end of stream was written");
}

#[test]
fn trailers_come_after_the_last_byte() {
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-checksum"),
        http::HeaderValue::from_static("1"),
    )]);
    let steps = vec![data("<html>"), Step::Trailers(trailers.clone())];
    let mut got = Got::default();
    poll(&mut relay(steps, Some("<T>"), None), &mut got);
    assert_eq!(got.bytes, b"<html><T>");
    assert_eq!((got.trailers, got.ended), (Some(trailers), true));
}

#[test]
fn a_long_answer_is_never_gathered() {
    let piece = Bytes::from(vec![b'a'; 16 << 10]);
    let mut relay =
        relay((0..4_096).map(|_| Step::Data(piece.clone())).collect(), Some("<T>"), None);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..4_096 {
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut relay).poll_frame(&mut cx) else {
            panic!("each piece comes out when it came in");
        };
        assert_eq!(frame.into_data().expect("data").len(), piece.len());
    }
}

#[tokio::test]
async fn a_page_longer_than_it_said_is_read_no_further() {
    let steps = |count: usize| (0..count).map(|_| data("0123456789")).collect::<VecDeque<_>>();
    let whole = read_whole(Box::pin(Script(steps(10))), 100).await.expect("read");
    assert_eq!(whole.map_or(0, |bytes| bytes.len()), 100);
    let overlong = read_whole(Box::pin(Script(steps(1_000))), 100).await.expect("read");
    let overlong = overlong.expect_err("does not fit");
    assert_eq!(overlong.begin.len(), 110);
    let mut got = Got::default();
    poll(&mut Relay::new(Box::pin(Rejoined::new(overlong)), None, None), &mut got);
    assert_eq!(got.bytes.len(), 10_000);
    let mut broken = steps(3);
    broken.push_back(Step::Fail);
    assert!(read_whole(Box::pin(Script(broken)), 100).await.is_err());
}
