//! The way in: adding jobs, asking after them, and what a person does with one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_store::job::{self, Added, Counts, Cursor, Filter, New, Row, Status, add};
use mainstay_store::queue::{self, Queue as Line};
use mainstay_store::{Engine, Store, Transaction, job_queue};
use mainstay_telemetry::metrics::Registry;

use crate::attempt::Handlers;
use crate::job::ANY;
use crate::leases::{self, Leases};
use crate::meter::{self, Meters};
use crate::runner::Runner;
use crate::sweep::look_now_and_then;
use crate::{Add, Error, Job, Settings};

/// What the room needs of the house.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where jobs are kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Chance, for backoff and the worker's name.
    pub entropy: Entropy,
}

/// A queue as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Nothing of it begins.
    pub paused: bool,
    /// How many of its jobs stand how.
    pub counts: Counts,
    /// Since when the one that waits longest could have begun.
    pub oldest: Option<Timestamp>,
}

/// The jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) context: Context,
    pub(crate) settings: Arc<Settings>,
    pub(crate) queue: Line,
    pub(crate) leases: Leases,
    /// By their queue and name.
    kinds: HashMap<(String, String), Arc<dyn Job>>,
    /// The queues there are.
    names: BTreeSet<String>,
    /// Their numbers, once the store has told them.
    numbers: RwLock<BTreeMap<String, i32>>,
    pub(crate) meters: OnceLock<Meters>,
}

impl Jobs {
    /// Opens the way to the store's jobs. `writers` must be stopped after everybody who adds jobs, and after the workers.
    #[must_use]
    pub fn open(
        context: Context,
        settings: Settings,
        kinds: Vec<Arc<dyn Job>>,
        writers: &Group,
    ) -> Self {
        let queue = context.store.start_queue(settings.bounds(), writers);
        let of_kinds = kinds.iter().map(|kind| kind.queue().to_owned());
        let names = settings.queue.iter().map(|of| of.name.clone()).chain(of_kinds).collect();
        let kinds = by_name(kinds);
        let (leases, numbers, settings) =
            (Leases::default(), RwLock::default(), Arc::new(settings));
        let meters = OnceLock::new();
        Self(Arc::new(Inner { context, settings, queue, leases, kinds, names, numbers, meters }))
    }

    /// Counts from [`Jobs::start`] on what becomes of them.
    pub fn register(&self, registry: &Registry) {
        let _first = self.0.meters.set(Meters::new(registry));
    }

    /// Starts to work on them, each queue on its own. At a soft stop nothing more is begun; what runs at the hard one is
    /// given back.
    ///
    /// # Errors
    /// The operating system's, when it gives no threads.
    pub fn start(&self, workers: &Group) -> std::io::Result<()> {
        let handlers = Arc::new(Handlers::start(self.0.settings.threads)?);
        for name in &self.0.names {
            if self.0.settings.concurrency_of(name) > 0 {
                let runner =
                    Runner::new(self.clone(), name.clone(), Arc::clone(&handlers), workers);
                workers.spawn("jobs", |stop| runner.run(stop));
            }
        }
        if let Some(meters) = self.0.meters.get().cloned() {
            let jobs = self.clone();
            workers.spawn("job counts", |stop| meter::count(jobs, meters, stop));
        }
        let jobs = self.clone();
        workers.spawn("job leases", |stop| leases::run(jobs, stop));
        let jobs = self.clone();
        workers.spawn("job looks", |stop| look_now_and_then(jobs, stop));
        Ok(())
    }

    /// Adds a job; one whose name is taken becomes the one that has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn add(&self, queue: &str, job: Add) -> Result<Added, Error> {
        let added = self.add_many(queue, vec![job]).await?;
        added.into_iter().next().ok_or(Error::Queue(queue::Error::Unavailable))
    }

    /// Adds jobs, all or none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn add_many(&self, queue: &str, jobs: Vec<Add>) -> Result<Vec<Added>, Error> {
        let max = self.0.settings.batch_max as usize;
        if jobs.len() > max {
            return Err(Error::Invalid(format!(
                "{} at once are more than jobs.batch_max ({max})",
                jobs.len()
            )));
        }
        // A database that sleeps is woken by this, and looked at for a while.
        self.0.context.store.note_use();
        let rows = self.check(queue, jobs).await?;
        Ok(self.0.queue.add(rows).await?)
    }

    /// Adds jobs in the transaction of somebody who changes something else: there are none of them unless he commits it.
    /// [`Jobs::wake`] afterwards saves them the wait for the next look.
    ///
    /// # Errors
    /// See [`Error`]; then the transaction does not commit any more.
    pub async fn add_in(
        &self,
        tx: &mut Transaction<'_>,
        queue: &str,
        jobs: Vec<Add>,
    ) -> Result<Vec<Added>, Error> {
        let number = match self.known(queue)? {
            Some(number) => number,
            // Kept for later only where the transaction does not make it: it may be undone.
            None => job_queue::find_in(tx, queue, self.0.context.clock.now()).await?,
        };
        let rows = self.checked(number, jobs)?;
        Ok(add::add_in(tx, &self.0.context.clock, &rows).await?)
    }

    /// There may be something to do in that queue.
    pub fn wake(&self, queue: &str) {
        if let Ok(Some(number)) = self.known(queue) {
            self.0.queue.wake(number);
        }
    }

    /// Asks for the numbers of all queues, making those that are not there.
    pub(crate) async fn know(&self) -> Result<(), Error> {
        let names: Vec<&str> = self.0.names.iter().map(String::as_str).collect();
        let now = self.0.context.clock.now();
        let rows = job_queue::find_or_create(self.db(), &names, now).await?;
        let mut numbers = self.0.numbers.write().unwrap_or_else(PoisonError::into_inner);
        numbers.extend(rows.into_iter().map(|row| (row.name, row.id)));
        Ok(())
    }

    /// The queues that are configured, by name.
    #[must_use]
    pub fn queues(&self) -> &BTreeSet<String> {
        &self.0.names
    }

    /// The queues as they stand, by name: how many of their jobs stand how, since when the first could have begun, and
    /// whether they are paused.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_queues(&self) -> Result<Vec<Queue>, Error> {
        let rows = job_queue::list(self.db()).await?;
        let mut queues = Vec::new();
        for name in &self.0.names {
            let (counts, oldest) = (self.counts(name).await?, self.oldest_waiting(name).await?);
            let paused = rows.iter().any(|row| row.name == *name && row.paused);
            queues.push(Queue { name: name.clone(), paused, counts, oldest });
        }
        Ok(queues)
    }

    /// Size of a request that adds jobs at most.
    #[must_use]
    pub fn request_max(&self) -> usize {
        self.0.settings.request_max.bytes()
    }

    /// Jobs that are added at once at most.
    #[must_use]
    pub fn batch_max(&self) -> usize {
        self.0.settings.batch_max as usize
    }

    /// The job of that id: its number as text, or its own name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, queue: &str, id: &str) -> Result<Row, Error> {
        let number = self.number(queue).await?;
        job::find(self.db(), number, id).await?.ok_or_else(|| Error::NoJob(id.into()))
    }

    /// A page of jobs that stand so, in the order in which they begin; of finished ones the newest.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(
        &self,
        queue: &str,
        status: Status,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<Row>, Error> {
        let filter = Filter { queue: self.number(queue).await?, status };
        Ok(job::list(self.db(), filter, after, limit).await?)
    }

    /// How many jobs stand how.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn counts(&self, queue: &str) -> Result<Counts, Error> {
        Ok(job::count(self.db(), self.number(queue).await?).await?)
    }

    /// Since when the one that waits longest could have begun.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn oldest_waiting(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        Ok(job::oldest_waiting(self.db(), self.number(queue).await?).await?)
    }

    /// Lets a failed or dead job wait again, with all its attempts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn retry(&self, queue: &str, id: &str) -> Result<Status, Error> {
        self.0.context.store.note_use();
        let row = self.get(queue, id).await?;
        let status = self.0.queue.retry(row.queue, row.seq).await?;
        status.ok_or_else(|| Error::NoJob(id.into()))
    }

    /// Forgets a job that nobody works on; answers how it stood.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove(&self, queue: &str, id: &str) -> Result<Status, Error> {
        self.0.context.store.note_use();
        let row = self.get(queue, id).await?;
        let status = self.0.queue.remove(row.queue, row.seq).await?;
        status.ok_or_else(|| Error::NoJob(id.into()))
    }

    /// Ends a job that is not finished: at once, or, where somebody works on it, as soon as he hears of it: within a second.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, queue: &str, id: &str) -> Result<Status, Error> {
        self.0.context.store.note_use();
        let row = self.get(queue, id).await?;
        let status = self.0.queue.cancel(row.queue, row.seq).await?;
        if status == Some(Status::Active) {
            self.0.leases.cancel_job(row.seq);
            self.0.queue.wake(row.queue);
        }
        status.ok_or_else(|| Error::NoJob(id.into()))
    }

    /// Lets nothing more of the queue begin, here from now on and in other processes within a second; what runs goes on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pause(&self, queue: &str) -> Result<(), Error> {
        self.0.context.store.note_use();
        let number = self.number(queue).await?;
        job_queue::pause(self.db(), number).await?;
        // Other processes hear of it with their next renewal.
        self.0.leases.pause(number);
        self.0.queue.wake(number);
        Ok(())
    }

    /// Lets its jobs begin again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resume(&self, queue: &str) -> Result<(), Error> {
        self.0.context.store.note_use();
        let number = self.number(queue).await?;
        job_queue::resume(self.db(), number).await?;
        self.0.queue.wake(number);
        Ok(())
    }

    /// Who does a job of that kind in that queue: the one that is named for it, else the one for any.
    pub(crate) fn find_kind(&self, queue: &str, kind: &str) -> Option<&Arc<dyn Job>> {
        self.0.kind(queue, kind).or_else(|| self.0.kind(queue, ANY))
    }

    pub(crate) fn db(&self) -> &Engine {
        self.0.context.store.core()
    }

    pub(crate) async fn number(&self, queue: &str) -> Result<i32, Error> {
        if let Some(number) = self.known(queue)? {
            return Ok(number);
        }
        self.know().await?;
        self.known(queue)?.ok_or_else(|| Error::NoQueue(queue.into()))
    }

    /// None while the store has not told it.
    fn known(&self, queue: &str) -> Result<Option<i32>, Error> {
        if !self.0.names.contains(queue) {
            return Err(Error::NoQueue(queue.into()));
        }
        let numbers = self.0.numbers.read().unwrap_or_else(PoisonError::into_inner);
        Ok(numbers.get(queue).copied())
    }

    async fn check(&self, queue: &str, jobs: Vec<Add>) -> Result<Vec<New>, Error> {
        let number = self.number(queue).await?;
        self.checked(number, jobs)
    }

    fn checked(&self, number: i32, jobs: Vec<Add>) -> Result<Vec<New>, Error> {
        jobs.into_iter().map(|job| job.check(number, &self.0.settings)).collect()
    }
}

impl Inner {
    /// Who does that kind of work in that queue.
    pub(crate) fn kind(&self, queue: &str, kind: &str) -> Option<&Arc<dyn Job>> {
        self.kinds.get(&(queue.to_owned(), kind.to_owned()))
    }
}

/// In one queue a name means one kind: of two the first stays.
pub(crate) fn by_name(kinds: Vec<Arc<dyn Job>>) -> HashMap<(String, String), Arc<dyn Job>> {
    let mut by_name = HashMap::new();
    for kind in kinds {
        match by_name.entry((kind.queue().to_owned(), kind.kind().to_owned())) {
            Entry::Vacant(place) => {
                place.insert(kind);
            }
            Entry::Occupied(place) => {
                let (queue, kind) = place.key();
                tracing::error!(
                    queue,
                    kind,
                    "two kinds of work have one name; the second is not used"
                );
            }
        }
    }
    by_name
}
