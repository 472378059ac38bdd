//! Contract of claims: whose a day is while it is folded.

use std::time::Duration;

use mainstay_base::{Clock, Entropy};

use super::fixture::{Fixture, NOON, day};
use super::rollup::{fill_hour, hourly};
use super::rollup_day::{claim, fill_day, fold, folded, list_unfolded, look, midnight, pages};
use crate::ask::{ask, change};
use crate::sql::{Sql, sql};
use crate::tables::retain::{self, Table};
use crate::tables::rollup::{self, DAY, Fold, HOUR, HourRollup, Unfolded};
use crate::{Dimension, Group, Ts};

pub(super) async fn claim_at<'f>(
    f: &'f Fixture,
    clock: &'f Clock,
    unfolded: &Unfolded,
) -> Option<Fold<'f>> {
    rollup::claim_day(f.insight(), clock, &Entropy::System, "default", unfolded).await.unwrap()
}

pub(super) async fn a_claimed_day_is_left_to_who_claimed_it(f: &Fixture) {
    fill_hour(f, NOON).await;
    let list = async || list_unfolded(f, NOON.plus(DAY)).await[0];
    let mut first = claim(f, &list().await).await.unwrap();
    f.clock.advance(Duration::from_secs(29));
    assert!(claim(f, &list().await).await.is_none(), "its lease is not over");
    a_lease_passes(f).await;
    assert!(first.add_keys(Dimension::Path).await.unwrap());
    f.clock.advance(Duration::from_secs(29));
    assert!(claim(f, &list().await).await.is_none(), "a step is a sign of life");
    a_lease_passes(f).await;
    assert!(fold(f, &list().await).await, "nobody waits for ever");
    assert!(!first.finish().await.unwrap(), "what it wrote is gone");
    assert_eq!(look(f, &day()).await, (pages(1), vec![folded()]));
}

/// The process's clock shows it where there is a file; where there is a server, the server's.
pub(super) async fn a_lease_passes(f: &Fixture) {
    const PASSED: Sql = sql!(
        sqlite: "UPDATE rollup_day SET leased_until = leased_until",
        postgres: "UPDATE mainstay.rollup_day SET leased_until = leased_until - INTERVAL '30 seconds'",
    );
    f.clock.advance(Duration::from_secs(30));
    change!(f.insight(), "test", PASSED).unwrap();
}

/// The clocks of two machines are never quite alike, and one is put back now and then.
pub(super) async fn clocks_that_differ_keep_nobody_from_a_day(f: &Fixture) {
    const WAS_AHEAD: Sql = sql!(
        sqlite: "UPDATE rollup_day SET leased_until = leased_until",
        postgres: "UPDATE mainstay.rollup_day SET leased_until = leased_until + INTERVAL '1 day'",
    );
    let list = async || list_unfolded(f, NOON.plus(DAY)).await[0];
    let behind = Clock::fixed(NOON.minus(Duration::from_secs(5)));
    fill_hour(f, NOON).await;
    assert!(fold(f, &list().await).await);
    fill_hour(f, NOON).await;
    let next = claim_at(f, &behind, &list().await).await;
    assert!(next.is_some(), "what is finished is nobody's");
    fill_hour(f, NOON).await;
    let ahead = Clock::fixed(NOON.plus(DAY));
    a_lease_passes(f).await;
    let first = claim_at(f, &ahead, &list().await).await.unwrap();
    change!(f.insight(), "test", WAS_AHEAD).unwrap();
    assert!(fold(f, &list().await).await, "nobody has a lease for so long");
    assert!(!first.finish().await.unwrap());
    assert_eq!(look(f, &day()).await, (pages(1), vec![folded()]));
}

/// A day that was removed and begins anew, and a server that takes over without the last changes, have numbers again that
/// others hold.
pub(super) async fn no_two_claims_are_the_same(f: &Fixture) {
    const CHANGES: Sql = sql!("SELECT changes FROM mainstay.rollup_day");
    const TAKEN_BACK: Sql = sql!("UPDATE mainstay.rollup_day SET claim = 0, leased_until = $1");
    let claim_next = async || {
        let fold = claim(f, &list_unfolded(f, NOON.plus(DAY)).await[0]).await.unwrap();
        let changes: i64 = ask!(f.insight(), "test", query_scalar(CHANGES).fetch_one).unwrap();
        (fold, changes)
    };
    fill_hour(f, NOON).await;
    let removed = claim_next().await;
    let gone = retain::delete_before(f.insight(), Table::RollupDay, NOON.plus(DAY), 9).await;
    assert_eq!(gone.unwrap(), 1);
    fill_hour(f, NOON).await;
    let lost = claim_next().await;
    change!(f.insight(), "test", TAKEN_BACK, Ts(midnight())).unwrap();
    let mut last = claim_next().await;
    assert_eq!((removed.1, lost.1), (last.1, last.1));
    assert!(fill_day(&mut last.0).await);
    for (mut other, _) in [removed, lost] {
        assert!(!fill_day(&mut other).await);
        assert_eq!(other.list_vitals(Group::Site, false, "").await.unwrap(), None);
        assert!(!other.finish().await.unwrap());
    }
    assert!(last.0.finish().await.unwrap());
    assert_eq!(look(f, &day()).await, (pages(1), vec![folded()]));
}

/// The same number of changes, and other hours folded or by another claim.
pub(super) async fn a_day_is_claimed_as_it_was_listed(f: &Fixture) {
    const OTHERWISE: Sql =
        sql!("UPDATE mainstay.rollup_day SET hours = hours + $1, claim = claim + $2");
    fill_hour(f, NOON).await;
    assert!(fold(f, &list_unfolded(f, NOON.plus(HOUR)).await[0]).await);
    for (hours, number) in [(-1_i64, 0_i64), (0, -1), (-12, 0)] {
        let listed = list_unfolded(f, NOON.plus(2 * HOUR)).await[0];
        change!(f.insight(), "test", OTHERWISE, hours, number).unwrap();
        assert!(claim(f, &listed).await.is_none());
    }
    assert!(claim(f, &list_unfolded(f, NOON.plus(2 * HOUR)).await[0]).await.is_some());
}

/// And does not disturb it: a day that is busy would be counted by nobody.
pub(super) async fn a_fold_gives_way_to_a_count(f: &Fixture) {
    fill_hour(f, NOON).await;
    rollup::mark_dirty(f.insight(), "default", NOON).await.unwrap();
    let dirty = rollup::list_dirty(f.insight(), None, 1).await.unwrap().remove(0);
    let count = rollup::begin_count(f.insight(), &dirty).await.unwrap().unwrap();
    let mut fold = claim(f, &list_unfolded(f, NOON.plus(DAY)).await[0]).await.unwrap();
    assert!(fold.add_keys(Dimension::Path).await.unwrap());
    assert!(count.finish(&HourRollup::default()).await.unwrap());
    assert!(!fold.add_keys(Dimension::Path).await.unwrap());
    assert!(!fold.finish().await.unwrap());
    assert_eq!(rollup::list_dirty(f.insight(), None, 1).await.unwrap(), []);
}

/// A server that takes over has the claim, and lacks the last of the steps that were made under it.
pub(super) async fn a_server_that_lacks_a_step_is_noticed(f: &Fixture) {
    const CLAIM: Sql = sql!("SELECT claim FROM mainstay.rollup_day");
    const STEP_LOST: Sql = sql!("UPDATE mainstay.rollup_day SET claim = $1");
    fill_hour(f, NOON).await;
    let mut fold = claim(f, &list_unfolded(f, NOON.plus(DAY)).await[0]).await.unwrap();
    assert!(fill_day(&mut fold).await);
    let before: i64 = ask!(f.insight(), "test", query_scalar(CLAIM).fetch_one).unwrap();
    assert!(fold.remove_vitals(Group::Site).await.unwrap());
    change!(f.insight(), "test", STEP_LOST, before).unwrap();
    assert!(!fold.add_keys(Dimension::Path).await.unwrap());
    assert_eq!(fold.list_vitals(Group::Site, false, "").await.unwrap(), None);
    assert!(!fold.remove_vitals(Group::Site).await.unwrap());
    assert!(!fold.insert_vitals(&[]).await.unwrap());
    assert!(!fold.finish().await.unwrap());
    assert_eq!(look(f, &day()).await, (pages(1), vec![hourly(NOON)]));
}
