//! A queue for the contract of `job`: one worker, and time that passes by hand.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::task::Group;

use super::fixture::Fixture;
use crate::Engine;
use crate::ask::change;
use crate::queue::{Bounds, Durability, Queue};
use crate::sql::{Sql, sql};
use crate::tables::job::{self, Ack, Added, Claimed, Keep, New, Outcome, Row, Status};
use crate::tables::job_queue;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A queue, and who works on it.
pub(crate) struct Line<'a> {
    f: &'a Fixture,
    pub(crate) queue: Queue,
    pub(crate) number: i32,
    group: Group,
    keep: Keep,
}

impl<'a> Line<'a> {
    pub(crate) async fn open(f: &'a Fixture) -> Self {
        let keep =
            Keep { completed: 3, completed_for: HOUR, failed: 2, failed_for: HOUR, max_stalled: 1 };
        let bounds = Bounds {
            waiting: 64,
            together: 16,
            transactions: 4,
            durability: Durability::Full,
            keep,
        };
        let group = Group::new();
        let queue = f.store.start_queue(bounds, &group);
        let queues = job_queue::find_or_create(f.core(), &["one"], f.clock.now()).await.unwrap();
        Self { f, queue, number: queues[0].id, group, keep }
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.group.finish(HOUR, HOUR).await, 0);
        assert_eq!(self.group.crashes(), []);
    }

    pub(crate) fn job(&self, payload: &str) -> New {
        New::of(self.number, "kind", payload)
    }

    pub(crate) async fn add(&self, row: New) -> Added {
        self.queue.add(vec![row]).await.unwrap().remove(0)
    }

    pub(crate) async fn claim_many(&self, limit: usize) -> Vec<Claimed> {
        let worker: Arc<str> = "worker".into();
        self.queue.claim(self.number, (limit, limit), &worker, LEASE).await.unwrap().jobs
    }

    pub(crate) async fn claim(&self) -> Claimed {
        let mut jobs = self.claim_many(1).await;
        assert_eq!(jobs.len(), 1, "nothing to claim");
        jobs.remove(0)
    }

    pub(crate) async fn say(&self, job: &Claimed, outcome: Outcome) -> Option<Status> {
        let ack = Ack { seq: job.seq, token: job.token, outcome };
        self.queue.finish(vec![ack]).await.unwrap()[0]
    }

    pub(crate) async fn complete(&self, job: &Claimed) -> Option<Status> {
        self.say(job, Outcome::Completed { result: Some("1".into()) }).await
    }

    pub(crate) async fn fail(&self, job: &Claimed) -> Option<Status> {
        self.say(job, Outcome::Failed { error: "no".into(), spread: 1.0 }).await
    }

    pub(crate) async fn find(&self, seq: i64) -> Row {
        job::find(self.f.core(), self.number, &seq.to_string()).await.unwrap().expect("a job")
    }

    /// What somebody finds who looks, also for what is to be tended.
    pub(crate) async fn look(&self) -> job::Look {
        job::look(self.f.core(), self.f.clock.now(), (true, &self.keep)).await.unwrap()
    }

    pub(crate) async fn statuses(&self) -> [u64; 6] {
        let counts = job::count(self.f.core(), self.number).await.unwrap();
        Status::ALL.map(|status| counts.of(status))
    }

    /// So much time passes: the clock of a file's process is moved, a server's rows are.
    pub(crate) async fn pass(&self, time: Duration) {
        const JOBS: Sql = sql!(
            sqlite: "SELECT $1",
            postgres: "UPDATE mainstay.job SET run_at = run_at - $1 * interval '1 microsecond',
                lease_until = lease_until - $1 * interval '1 microsecond',
                finished_at = finished_at - $1 * interval '1 microsecond'"
        );
        const KEYS: Sql = sql!(
            sqlite: "SELECT $1",
            postgres: "UPDATE mainstay.job_key SET expires_at = expires_at - $1 * interval '1 microsecond'"
        );
        let micros = time.as_micros() as i64;
        if let db @ Engine::Postgres(_) = self.f.core() {
            change!(db, "test", JOBS, micros).unwrap();
            change!(db, "test", KEYS, micros).unwrap();
        }
        self.f.clock.advance(time);
    }
}
