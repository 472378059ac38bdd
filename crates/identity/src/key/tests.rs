//! Tests of `key`.

use std::time::Duration;

use mainstay_base::secret::{ExposeSecret as _, SecretString};
use mainstay_base::task::Group;
use mainstay_base::units::Span;
use mainstay_base::{Clock, Coded as _, Entropy, ErrorCode, Timestamp};
use mainstay_store::api_key::{self, Row};
use mainstay_store::{Place, Store};

use super::{Error, Keys, Known, LIFETIME_MAX, text};
use crate::{Scopes, Settings};

const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    keys: Keys,
    store: Store,
    clock: Clock,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// Where nobody reads the keys: a store that does not answer.
    async fn silent(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let clock = Clock::fixed(Timestamp::from_seconds(1_800_000_000));
        let of = mainstay_store::Settings::default();
        let place = Place::files(&of, dir.path(), clock.clone());
        let store = Store::open(place).await.expect("store");
        let keys = keys(settings, &store, &clock);
        Self { keys, store, clock, _dir: dir }
    }

    async fn with(settings: Settings) -> Self {
        let stage = Self::silent(settings).await;
        stage.keys.start(&Group::new());
        stage
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
        let keys = keys(Settings::default(), &self.store, &self.clock);
        keys.start(&Group::new());
        keys
    }

    async fn find(&self, id: &str) -> Row {
        let rows = api_key::list(self.store.core(), "", 100).await.expect("store");
        rows.into_iter().find(|row| row.id == id).expect("a key")
    }
}

/// Patient ones: a machine that is busy makes no key go on as it was known.
fn keys(settings: Settings, store: &Store, clock: &Clock) -> Keys {
    let patience = Duration::from_secs(60);
    Keys::waiting_for(patience, settings, store.clone(), (clock.clone(), Entropy::System))
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
    let kept = stage.find(&known.id).await;
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
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    // A list that is on its way while a key is revoked and another made.
    let (changes, now) = (stage.keys.cache().changes(), stage.clock.now());
    let rows = api_key::list_latest(stage.store.core(), now, 9).await.expect("store");
    assert!(stage.keys.revoke(&known.id).await.expect("store"));
    let (made, _) = stage.make("read", None).await;
    assert!(!stage.keys.cache().replace(rows, changes, now), "it was read before");
    assert!(matches!(stage.verify(&text).await, Err(Error::Revoked)));
    assert!(stage.verify(&made).await.is_ok());
}

#[tokio::test]
async fn invented_keys_fill_no_memory_and_hide_no_real_one() {
    let stage = Stage::new().await;
    let elsewhere = stage.elsewhere();
    let (text, known) = stage.make("read", None).await;
    assert!(elsewhere.verify(text.expose_secret()).await.is_ok());
    let reads = elsewhere.cache().reads();
    for _ in 0..500 {
        let refused = elsewhere.verify(invent().expose_secret()).await;
        assert!(matches!(refused, Err(Error::Unknown)));
    }
    assert_eq!(elsewhere.cache().len(), 1);
    assert_eq!(elsewhere.cache().reads(), reads, "the store is asked for none of them");
    // Made meanwhile at the other one: missed for a second at most.
    let (next, _) = stage.make("read", None).await;
    stage.clock.advance(Duration::from_secs(1));
    assert!(elsewhere.verify(next.expose_secret()).await.is_ok());
    assert_eq!(elsewhere.cache().reads(), reads + 1);
    // Gone from the store behind our back: who still knows it did not ask again.
    stage.store.close().await.expect("closed");
    assert_eq!(elsewhere.verify(text.expose_secret()).await.expect("remembered"), known);
}

#[tokio::test]
async fn the_list_is_bounded_and_holds_those_that_count() {
    let stage = Stage::with(Settings { keys_max: 2, ..Settings::default() }).await;
    let mut live = Vec::new();
    for n in 0..9 {
        let (text, known) = stage.make("read", None).await;
        if n < 7 {
            assert!(stage.keys.revoke(&known.id).await.expect("store"));
        } else {
            live.push(text);
        }
        stage.clock.advance(Duration::from_secs(10));
    }
    for text in &live {
        assert!(stage.verify(text).await.is_ok());
    }
    assert_eq!(stage.keys.cache().len(), 4);
}

#[tokio::test]
async fn who_lowers_the_bound_ends_no_key() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(stage.make("read", None).await.0);
        stage.clock.advance(Duration::from_secs(1));
    }
    let narrow = keys(Settings { keys_max: 1, ..Settings::default() }, &stage.store, &stage.clock);
    narrow.start(&Group::new());
    for text in &made {
        assert!(narrow.verify(text.expose_secret()).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_that_was_not_used_for_long_waits_for_a_store_that_wakes_up() {
    let stage = Stage::silent(Settings::default()).await;
    let (text, known) = stage.make("read", None).await;
    let of = (stage.clock.clone(), Entropy::System);
    let patience = Duration::from_millis(1);
    let keys = Keys::waiting_for(patience, Settings::default(), stage.store.clone(), of);
    keys.read().await;
    stage.clock.advance(Duration::from_secs(3_600));
    let slow = async {
        // The store's own slowness, longer than one waits who goes on in any case.
        tokio::time::sleep(patience * 50).await;
        keys.read().await;
    };
    let (verified, ()) = tokio::join!(keys.verify(text.expose_secret()), slow);
    assert_eq!(verified.expect("it was waited for"), known);
}

#[tokio::test]
async fn many_at_once_are_one_reading() {
    let stage = Stage::new().await;
    let (text, _) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    let reads = stage.keys.cache().reads();
    stage.clock.advance(Duration::from_secs(60));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (keys, text) = (stage.keys.clone(), text.clone());
        all.spawn(async move { keys.verify(text.expose_secret()).await.is_ok() });
    }
    assert!(all.join_all().await.into_iter().all(|is_ok| is_ok));
    assert_eq!(stage.keys.cache().reads(), reads + 1);
}

#[tokio::test]
async fn unknown_keys_wait_within_a_bound_and_known_ones_beside_them() {
    let stage = Stage::with(Settings { key_waiters_max: 1, ..Settings::default() }).await;
    let (text, _) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    let waiting = stage.keys.begin_waiting().expect("room for one");
    stage.clock.advance(Duration::from_secs(60));
    let crowded = stage.verify(&invent()).await.expect_err("crowded");
    assert!(matches!(crowded, Error::Crowded));
    assert_eq!(crowded.code(), ErrorCode::Unavailable);
    assert!(stage.verify(&text).await.is_ok(), "read again beside them");
    drop(waiting);
    stage.clock.advance(Duration::from_secs(60));
    assert!(matches!(stage.verify(&invent()).await, Err(Error::Unknown)), "there is room again");
}

#[tokio::test]
async fn known_keys_go_on_for_a_while_without_a_store() {
    let stage = Stage::new().await;
    let (text, known) = stage.make("read", None).await;
    let (unused, _) = stage.make("read", None).await;
    assert!(stage.verify(&text).await.is_ok());
    stage.store.close().await.expect("closed");
    for _ in 0..2 {
        stage.clock.advance(Duration::from_secs(299));
        assert_eq!(stage.verify(&text).await.expect("known"), known);
    }
    assert!(stage.verify(&unused).await.is_ok(), "they were read together");
    assert!(matches!(stage.verify(&invent()).await, Err(Error::Away)), "it may be a new one");
    stage.clock.advance(Duration::from_secs(2));
    assert!(matches!(stage.verify(&text).await, Err(Error::Away)), "ten minutes are over");
}

#[tokio::test]
async fn a_store_that_hangs_holds_nobody_up_for_long_and_excuses_no_longer_than_it_may() {
    let stage = Stage::silent(Settings::default()).await;
    let (text, known) = stage.make("read", None).await;
    stage.keys.read().await;
    let impatient = Duration::from_millis(1);
    let hanging = Keys::waiting_for(
        impatient,
        Settings::default(),
        stage.store.clone(),
        (stage.clock.clone(), Entropy::System),
    );
    hanging.read().await;
    // One reading is wanted, and none ends.
    for _ in 0..2 {
        stage.clock.advance(Duration::from_secs(299));
        assert_eq!(hanging.verify(text.expose_secret()).await.expect("known"), known);
    }
    // It failed at last: how long what was known counts is told by the end of the wait, not by its beginning.
    hanging.cache().fail(stage.clock.now());
    assert_eq!(hanging.verify(text.expose_secret()).await.expect("excused"), known);
    assert!(hanging.cache().want().1, "and nobody was asked again so soon");
    stage.clock.advance(Duration::from_secs(2));
    assert!(matches!(hanging.verify(text.expose_secret()).await, Err(Error::Away)));
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
    assert_eq!(stage.find(&known.id).await.last_used, None, "off the request's way");
    assert!(stage.keys.note_uses().await);
    assert!(!stage.keys.note_uses().await, "and nothing is left to write");
    let last = stage.clock.now().minus(Duration::from_secs(1));
    assert_eq!(stage.find(&known.id).await.last_used, Some(last));
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
    let late = stage.keys.create("worker", Scopes::all(), Some(LIFETIME_MAX + SECOND)).await;
    assert!(matches!(late, Err(Error::Lifetime)));
    let (_, known) = stage.make("read", Some(LIFETIME_MAX)).await;
    assert!(known.expires.expect("an end").to_rfc3339().starts_with("2127-01-16"));
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
    let (first, unwritten) = (stage.clock.now(), unwritten.id);
    let uses = stage.keys.cache().take_uses();
    stage.clock.advance(Duration::from_secs(1));
    assert!(stage.verify(&text).await.is_ok());
    stage.keys.cache().put_back(uses);
    let uses = stage.keys.cache().take_uses();
    assert_eq!(uses.get(&*known.id), Some(&stage.clock.now()));
    assert_eq!(uses.get(&unwritten), Some(&first));
}
