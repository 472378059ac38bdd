//! `job_queue`: the queues by name, and which of them stand still.

use crate::ask::{ask, change, run, take};
use crate::sql::{Sql, sql};
use crate::tx::{Transaction, Tx};
use crate::{Engine, Error, Ts};

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What its jobs name it by.
    pub id: i32,
    /// What people name it by.
    pub name: String,
    /// Nothing of it is claimed.
    pub paused: bool,
}

const ADD: Sql = sql!(
    "INSERT INTO mainstay.job_queue (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
);
/// Asked first: a number is not used up for one that is there.
const FIND: Sql = sql!("SELECT id FROM mainstay.job_queue WHERE name = $1");

/// Makes the queues that are not there yet; answers all that are.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_or_create(
    db: &Engine,
    names: &[&str],
    now: mainstay_base::Timestamp,
) -> Result<Vec<Row>, Error> {
    const OP: &str = "job_queue.find_or_create";
    let mut tx = db.begin(OP).await?;
    for name in names {
        find_or_add(&mut tx, name, now).await?;
    }
    tx.commit().await?;
    list(db).await
}

/// The number of a queue, which is made where it is not there yet, in somebody's transaction.
///
/// # Errors
/// [`Error`] when the store cannot answer; then the transaction does not commit.
pub async fn find_in(
    tx: &mut Transaction<'_>,
    name: &str,
    now: mainstay_base::Timestamp,
) -> Result<i32, Error> {
    let found = find_or_add(&mut tx.0, name, now).await;
    tx.keep(found)
}

async fn find_or_add(
    tx: &mut Tx<'_>,
    name: &str,
    now: mainstay_base::Timestamp,
) -> Result<i32, Error> {
    let there: Option<i32> = take!(*tx, query_scalar(FIND).fetch_optional, name)?;
    if let Some(id) = there {
        return Ok(id);
    }
    run!(*tx, ADD, name, Ts(now))?;
    take!(*tx, query_scalar(FIND).fetch_one, name)
}

/// All queues, by name.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(db: &Engine) -> Result<Vec<Row>, Error> {
    const LIST: Sql = sql!("SELECT id, name, paused FROM mainstay.job_queue ORDER BY name");
    let db = &db.latest();
    let rows: Vec<(i32, String, bool)> = ask!(db, "job_queue.list", query_as(LIST).fetch_all)?;
    Ok(rows.into_iter().map(|(id, name, paused)| Row { id, name, paused }).collect())
}

/// Lets nothing more of the queue be claimed; what is claimed goes on. False when there is no such queue.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn pause(db: &Engine, id: i32) -> Result<bool, Error> {
    const PAUSE: Sql = sql!("UPDATE mainstay.job_queue SET paused = true WHERE id = $1");
    change!(db, "job_queue.pause", PAUSE, id).map(|changed| changed == 1)
}

/// Lets its jobs be claimed again. False when there is no such queue.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn resume(db: &Engine, id: i32) -> Result<bool, Error> {
    const RESUME: Sql = sql!("UPDATE mainstay.job_queue SET paused = false WHERE id = $1");
    change!(db, "job_queue.resume", RESUME, id).map(|changed| changed == 1)
}
