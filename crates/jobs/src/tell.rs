//! Telling the store how attempts ended.

use std::time::Duration;

use mainstay_store::job::{Ack, Outcome, Settled};
use mainstay_store::queue;

use crate::jobs::Jobs;

/// Between two tries to say how jobs ended, while the store is away.
const TELL_AGAIN: Duration = Duration::from_millis(500);

/// Answers those that could not be told, after a pause, and whether the store took them.
pub(crate) async fn tell(jobs: Jobs, acks: Vec<Ack>) -> (Vec<Ack>, bool) {
    let untold = match jobs.0.queue.finish(acks.clone()).await {
        Ok(settled) => {
            note_settled(&jobs, &acks, &settled);
            Vec::new()
        }
        Err(queue::Error::Refused) => tell_each(&jobs, acks).await,
        Err(queue::Error::Full | queue::Error::Unavailable) => acks,
    };
    if untold.is_empty() {
        return (untold, true);
    }
    tokio::time::sleep(TELL_AGAIN).await;
    (untold, false)
}

/// Where one of many is not taken, the others are; that one is dead, because the same would be answered again.
async fn tell_each(jobs: &Jobs, acks: Vec<Ack>) -> Vec<Ack> {
    let mut untold = Vec::new();
    for ack in acks {
        let mut told = jobs.0.queue.finish(vec![ack.clone()]).await;
        if told == Err(queue::Error::Refused) {
            tracing::error!(job = ack.seq, "what a job answered cannot be stored; it is dead");
            let outcome = Outcome::Dead { reason: "its answer cannot be stored".into() };
            told = jobs.0.queue.finish(vec![Ack { outcome, ..ack }]).await;
        }
        match told {
            Ok(settled) => note_settled(jobs, &[ack], &settled),
            Err(_) => untold.push(ack),
        }
    }
    untold
}

fn note_settled(jobs: &Jobs, acks: &[Ack], settled: &[Settled]) {
    let lost = settled.iter().filter(|status| status.is_none()).count();
    if lost > 0 {
        tracing::warn!(
            lost,
            "jobs were somebody else's when they ended here; what was said of them was refused"
        );
    }
    jobs.0.leases.release(acks.iter().map(|ack| (ack.seq, ack.token)));
}
