//! Tests of jobs beside a copy: they are not copied, and none is left behind in silence.

use super::*;
use crate::tables::job::{New, add};
use crate::tables::job_queue;

#[tokio::test]
async fn jobs_that_are_not_finished_keep_an_installation_where_it_is() {
    let it = Move::new().await;
    let core = it.from.core();
    let queues = job_queue::find_or_create(core, &["one"], NOON).await.unwrap();
    let delayed = New { delay: Duration::from_secs(60), ..New::of(queues[0].id, "kind", "1") };
    let rows = [New::of(queues[0].id, "kind", "1"), delayed];
    let mut tx = core.transaction("test").await.unwrap();
    add::add_in(&mut tx, &it.from.clock, &rows).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(it.copy().await, Err(Error::Jobs(2))));
    let compared = compare(&it.transfer(), &mut |_| {}).await;
    assert!(matches!(compared, Err(Error::Jobs(2))));
    let mut core = it.files(File::Core).await;
    sqlx::query("UPDATE job SET status = 3, finished_at = 1").execute(&mut core).await.unwrap();
    core.close().await.unwrap();
    assert!(it.copy().await.unwrap().is_equal());
}
