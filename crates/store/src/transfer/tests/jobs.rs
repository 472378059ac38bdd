//! Tests of jobs that are moved: what waits is done there, what is dead can be tried again, a key gives its job, and no
//! number is given twice.

use super::*;
use crate::contract::Line;
use crate::tables::job::{self, Filter, New, Outcome, Status, Unique};
use crate::tables::job_queue;

#[tokio::test]
async fn jobs_go_on_where_they_were_moved_to() {
    let it = Move::new().await;
    let line = Line::open(&it.from).await;
    let (hour, number) = (Duration::from_secs(3_600), line.number);
    let named = |id: &str| New { custom_id: Some(id.into()), ..line.job("1") };
    let keyed = || New { idempotency: Some(("k".into(), hour)), ..named("done") };
    let unique = || New {
        unique: Some(Unique::Keep("u".into())),
        delay: hour,
        ..New::of(number, "kind", "2")
    };
    let added =
        line.queue.add(vec![keyed(), named("dead"), named("mine"), unique()]).await.unwrap();
    let done = line.claim().await;
    line.complete(&done).await;
    let dead = line.claim().await;
    line.say(&dead, Outcome::Dead { reason: "never".into() }).await;
    // Its number is the last one, and its row is gone.
    let gone = line.add(line.job("3")).await;
    line.queue.remove(number, gone.seq).await.unwrap();
    job_queue::pause(it.from.core(), number).await.unwrap();
    line.close().await;
    assert!(it.copy().await.unwrap().is_equal());
    let there = it.arrive().await;
    let line = Line::open(&there).await;
    assert_eq!(line.number, number);
    let [waiting, delayed, active, completed, failed, buried] = line.statuses().await;
    assert_eq!([waiting, delayed, active, completed, failed, buried], [1, 1, 0, 1, 0, 1]);
    assert_eq!(line.claim_many(9).await, [], "it is paused there, too");
    job_queue::resume(there.core(), number).await.unwrap();
    assert_eq!(line.claim().await.custom_id.as_deref(), Some("mine"));
    let again = line.add(unique()).await;
    assert_eq!((again.seq, again.is_new), (added[3].seq, false));
    let dead = Filter { queue: number, status: Status::Dead };
    let dead = job::list(there.core(), dead, None, 9).await.unwrap();
    assert_eq!(dead[0].error.as_deref(), Some("never"));
    assert_eq!(line.queue.retry(number, dead[0].seq).await.unwrap(), Some(Status::Waiting));
    let new = line.add(line.job("4")).await;
    assert!(new.seq > gone.seq, "{new:?} after {gone:?}");
    let two = job_queue::find_or_create(there.core(), &["two"], NOON).await.unwrap();
    assert!(two.iter().any(|row| row.name == "two" && row.id > number));
    let kept: (i64, Option<String>) = {
        let mut conn = PgConnection::connect(&it.server.primary_url(&it.name)).await.unwrap();
        let text = "SELECT seq, result FROM mainstay.job_key WHERE key = 'k'";
        sqlx::query_as(text).fetch_one(&mut conn).await.unwrap()
    };
    assert_eq!(kept, (added[0].seq, Some("1".into())));
    line.close().await;
    there.finish().await;
    it.from.finish().await;
}
