//! Tests of `key`.

use std::time::Duration;

use mainstay_base::secret::{ExposeSecret as _, SecretString};
use mainstay_base::units::Span;
use mainstay_base::{Clock, Coded as _, Entropy, ErrorCode, Timestamp};
use mainstay_store::{Place, Store, api_key};

use super::{Error, Keys, Known, text};
use crate::{Scopes, Settings};

struct Stage {
    keys: Keys,
    store: Store,
    clock: Clock,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let clock = Clock::fixed(Timestamp::from_seconds(1_800_000_000));
        let of = mainstay_store::Settings::default();
        let place = Place::files(&of, dir.path(), clock.clone());
        let store = Store::open(place).await.expect("store");
        let keys = Keys::new(settings, store.clone(), clock.clone(), Entropy::System);
        Self { keys, store, clock, _dir: dir }
    }

    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn make(&self, scopes: &str, lifetime: Option<Duration>) -> (SecretString, Known) {
        let scopes: Scopes = scopes.parse().expect("scopes");
        self.keys.create("worker", scopes, lifetime).await.expect("a key")
    }

    async fn verify(&self, text: &SecretString) -> Result<Known, Error> {
        self.keys.verify(text.expose_secret()).await
    }

    /// Another process on the same store.
    fn elsewhere(&self) -> Keys {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Keys::new(Settings::default(), store, clock, Entropy::System)
    }

    async fn last_used(&self, id: &str) -> Option<Timestamp> {
        let row = api_key::find(self.store.core(), id).await.expect("store").expect("a key");
        row.last_used
    }
}

/// A key that nobody made.
fn invent() -> SecretString {
    text::generate(&Entropy::System).expect("random bytes").1
}

#[tokio::test]
async fn a_key_is_its_holder_and_nothing_like_it_is() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("record,jobs", None).await;
    assert_eq!(known.to_string(), format!("{} (worker)", known.id));
    assert_eq!(stage.verify(&text).await.expect("known"), known);
    // Whole, with the id of another: what was invented for the id, and the other way round.
    let (other, _) = stage.make("admin", None).await;
    let body = format!("{}{}", &text.expose_secret()[..12], &other.expose_secret()[12..55]);
    let forged = format!("{body}{}", text::check_of(&body));
    assert!(matches!(stage.keys.verify(&forged).await, Err(Error::Unknown)));
    assert!(matches!(stage.verify(&invent()).await, Err(Error::Unknown)));
    let cut = &text.expose_secret()[..60];
    assert!(matches!(stage.keys.verify(cut).await, Err(Error::Malformed)));
    let kept = api_key::find(stage.store.core(), &known.id).await.expect("store").expect("a row");
    assert_eq!(kept.scopes, "jobs,record");
    assert!(!format!("{kept:?} {:?}", stage.keys).contains(&text.expose_secret()[12..]));
}

#[tokio::test]
async fn a_key_ends_on_its_day_even_when_it_was_just_read() {
    let stage = Stage::new().await;
    let (text, _) = stage.make("read", Some(Duration::from_secs(10))).await;
    stage.clock.advance(Duration::from_secs(9));
    assert!(stage.verify(&text).await.is_ok());
    stage.clock.advance(Duration::from_secs(1));
    assert!(matches!(stage.verify(&text).await, Err(Error::Expired)));
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_here_and_within_the_time_elsewhere() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    let elsewhere = stage.elsewhere();
    assert!(stage.verify(&text).await.is_ok());
    assert!(elsewhere.verify(text.expose_secret()).await.is_ok());
    assert!(stage.keys.revoke(&known.id).await.expect("store"));
    assert!(!stage.keys.revoke(&known.id).await.expect("store"), "once");
    assert!(matches!(stage.verify(&text).await, Err(Error::Revoked)));
    stage.clock.advance(Duration::from_millis(4_999));
    assert!(elsewhere.verify(text.expose_secret()).await.is_ok(), "read five seconds ago");
    stage.clock.advance(Duration::from_millis(1));
    assert!(matches!(elsewhere.verify(text.expose_secret()).await, Err(Error::Revoked)));
}

#[tokio::test]
async fn what_was_read_before_a_revocation_is_not_kept_after_it() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    // A look-up whose answer is on its way while the key is revoked.
    let (revocations, now) = (stage.keys.cache().revocations(), stage.clock.now());
    let row = api_key::find(stage.store.core(), &known.id).await.expect("store");
    assert!(stage.keys.revoke(&known.id).await.expect("store"));
    let read = stage.keys.remember(&known.id, row, revocations, now).expect("a key");
    assert!(!read.revoked, "it was read before");
    assert!(matches!(stage.verify(&text).await, Err(Error::Revoked)));
}

#[tokio::test]
async fn invented_keys_fill_no_memory_and_push_no_real_one_out() {
    let stage = Stage::with(Settings { keys_cached_max: 4, ..Settings::default() }).await;
    let (text, known) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    for _ in 0..50 {
        assert!(matches!(stage.verify(&invent()).await, Err(Error::Unknown)));
        let [kept, invented, order] = stage.keys.cache().sizes();
        assert_eq!(kept, 1);
        assert!(invented <= 4 && order <= 4, "{invented} {order}");
    }
    // Gone from the store behind our back: who still knows it did not ask again.
    stage.store.close().await.expect("closed");
    assert_eq!(stage.verify(&text).await.expect("remembered"), known);
}

#[tokio::test]
async fn real_keys_are_remembered_within_a_bound_too() {
    let stage = Stage::with(Settings { keys_cached_max: 2, ..Settings::default() }).await;
    for _ in 0..5 {
        let (text, _) = stage.make("read", None).await;
        assert!(stage.verify(&text).await.is_ok());
        stage.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(stage.keys.cache().sizes()[0], 2);
    assert_eq!(stage.keys.cache().take_uses().len(), 2);
}

#[tokio::test]
async fn an_unknown_key_waits_in_no_crowd_and_a_known_one_passes_it() {
    let stage = Stage::with(Settings { key_lookups_max: 1, ..Settings::default() }).await;
    let (text, _) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    let looking = stage.keys.begin_looking().expect("room for one");
    let crowded = stage.verify(&invent()).await.expect_err("crowded");
    assert!(matches!(crowded, Error::Crowded));
    assert_eq!(crowded.code(), ErrorCode::Unavailable);
    stage.clock.advance(Duration::from_secs(60));
    assert!(stage.verify(&text).await.is_ok(), "looked up again beside them");
    drop(looking);
    assert!(matches!(stage.verify(&invent()).await, Err(Error::Unknown)), "there is room again");
}

#[tokio::test]
async fn known_keys_go_on_for_a_while_without_a_store() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    let (unread, _) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    stage.store.close().await.expect("closed");
    for _ in 0..2 {
        stage.clock.advance(Duration::from_secs(299));
        assert_eq!(stage.verify(&text).await.expect("known"), known);
    }
    assert!(matches!(stage.verify(&unread).await, Err(Error::Store(_))));
    stage.clock.advance(Duration::from_secs(2));
    assert!(matches!(stage.verify(&text).await, Err(Error::Store(_))), "ten minutes are over");
}

#[tokio::test]
async fn uses_are_written_later_and_once_for_many() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    let refused = invent();
    for _ in 0..3 {
        assert!(stage.verify(&text).await.is_ok());
        assert!(stage.verify(&refused).await.is_err());
        stage.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(stage.last_used(&known.id).await, None, "off the request's way");
    assert!(stage.keys.note_uses().await);
    assert!(!stage.keys.note_uses().await, "and nothing is left to write");
    let last = stage.clock.now().minus(Duration::from_secs(1));
    assert_eq!(stage.last_used(&known.id).await, Some(last));
    assert!(stage.keys.cache().take_uses().is_empty());
    let listed = stage.keys.list("", 10).await.expect("store");
    assert_eq!((listed.len(), listed[0].last_used), (1, Some(last)));
}

#[tokio::test]
async fn names_and_their_number_are_bounded() {
    let settings = Settings { keys_max: 1, ended_keys_kept: Span::days(1), ..Settings::default() };
    let stage = Stage::with(settings).await;
    let long = "x".repeat(101);
    for name in ["", "  ", "a\nb", &*long] {
        let made = stage.keys.create(name, Scopes::all(), None).await;
        assert!(matches!(made, Err(Error::Name)), "{name:?}");
    }
    let (_, known) = stage.make("read", None).await;
    let full = stage.keys.create("worker", Scopes::all(), None).await.expect_err("full");
    assert!(matches!(full, Error::Full(1)) && full.public().contains("identity.keys_max"));
    assert!(stage.keys.revoke(&known.id).await.expect("store"));
    let ids = async || {
        let listed = stage.keys.list("", 10).await.expect("store");
        listed.into_iter().map(|key| key.known.id).collect::<Vec<_>>()
    };
    let (_, next) = stage.make("read", Some(Duration::from_secs(60))).await;
    assert_eq!(ids().await.len(), 2, "the one that ended is listed for a while");
    stage.clock.advance(Duration::from_secs(2 * 86_400));
    let (_, last) = stage.make("read", None).await;
    assert!(!ids().await.contains(&known.id) && !ids().await.contains(&next.id));
    assert_eq!(ids().await, [last.id]);
}

#[tokio::test]
async fn a_use_that_could_not_be_written_is_kept_and_takes_no_later_one_back() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    let (other, unwritten) = stage.make("read", None).await;
    for text in [&text, &other] {
        assert!(stage.verify(text).await.is_ok());
    }
    let (first, unwritten) = (stage.clock.now(), unwritten.id.to_string());
    let uses = stage.keys.cache().take_uses();
    stage.clock.advance(Duration::from_secs(1));
    assert!(stage.verify(&text).await.is_ok());
    stage.keys.cache().put_back(uses.into_iter());
    let uses = stage.keys.cache().take_uses();
    assert_eq!(uses.get(&*known.id), Some(&stage.clock.now()));
    assert_eq!(uses.get(&unwritten), Some(&first));
}
