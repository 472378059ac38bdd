//! Outcomes on their way back to those who wait, one wake per thread that waits: to wake a worker from another thread is a
//! system call, so one of its askers gets the outcome for all of them and hands it on at home.
//!
//! Invariant: every [`Asker`] is answered, or dropped with the process's last recorder, whoever no longer waits.

use std::collections::HashMap;
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;

use super::Written;
use crate::record;

/// What became of a batch.
pub(crate) type Outcome = Result<Written, record::Error>;

/// Somebody who waits for an outcome, and where.
#[derive(Debug)]
pub(crate) struct Asker {
    home: ThreadId,
    to: oneshot::Sender<Share>,
}

/// The other end of an [`Asker`].
#[derive(Debug)]
pub(super) struct Answer(oneshot::Receiver<Share>);

/// An outcome and those who have not heard of it yet. They do when it is dropped, wherever that is: by the one it was sent
/// to, or because he no longer waits.
#[derive(Debug)]
struct Share {
    outcome: Outcome,
    others: Vec<oneshot::Sender<Share>>,
}

/// Two ends of one question, asked by this thread.
pub(super) fn ask() -> (Asker, Answer) {
    let (to, answer) = oneshot::channel();
    (Asker { home: thread::current().id(), to }, Answer(answer))
}

/// Tells all askers the same.
pub(super) fn answer(askers: impl Iterator<Item = Asker>, outcome: Outcome) {
    let mut homes: HashMap<ThreadId, Vec<_>> = HashMap::new();
    for Asker { home, to } in askers {
        homes.entry(home).or_default().push(to);
    }
    for mut others in homes.into_values() {
        others.reverse();
        let mut share = Share { outcome, others };
        while let Some(first) = share.others.pop() {
            match first.send(share) {
                Ok(()) => break,
                // Nobody there: the batch is durable all the same, and the next one carries the news.
                Err(back) => share = back,
            }
        }
    }
}

/// Tells each asker what became of his batch: that it waits, or where it is, which is the same of all that do not.
pub(super) fn answer_each(askers: impl Iterator<Item = Asker>, each: Vec<Written>) {
    let told: (Vec<_>, Vec<_>) = askers.zip(each).partition(|(_, written)| written.waits);
    for told in [told.0, told.1] {
        if let Some((_, written)) = told.first() {
            let outcome = Ok(*written);
            answer(told.into_iter().map(|(asker, _)| asker), outcome);
        }
    }
}

impl Answer {
    pub(super) async fn outcome(self) -> Outcome {
        self.0.await.map_or(Err(record::Error::Unavailable), |share| share.outcome)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        while let Some(next) = self.others.pop() {
            let _unheard = next.send(Self { outcome: self.outcome, others: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOME: Outcome = Err(record::Error::Full);

    #[tokio::test]
    async fn everyone_is_told_whoever_no_longer_waits() {
        let (askers, answers): (Vec<_>, Vec<_>) = (0..8).map(|_| ask()).unzip();
        let mut answers: Vec<_> = answers.into_iter().map(Some).collect();
        // The first never waits, the second leaves with the news in hand.
        answers[0] = None;
        answer(askers.into_iter(), OUTCOME);
        answers[1] = None;
        for answer in answers.into_iter().flatten() {
            assert!(matches!(answer.outcome().await, Err(record::Error::Full)));
        }
    }

    #[tokio::test]
    async fn one_of_a_thread_is_woken_from_outside_and_hands_the_news_on() {
        let (askers, mut answers): (Vec<_>, Vec<_>) = (0..3).map(|_| ask()).unzip();
        let (far, mut far_answer) =
            thread::scope(|threads| threads.spawn(ask).join()).expect("a thread that asks");
        answer(askers.into_iter().chain([far]), OUTCOME);
        assert!(far_answer.0.try_recv().is_ok(), "another thread has a wake of its own");
        assert!(answers[1].0.try_recv().is_err(), "told from outside");
        assert!(answers[2].0.try_recv().is_err(), "told from outside");
        drop(answers[0].0.try_recv());
        assert!(answers[1].0.try_recv().is_ok(), "not told by the first");
        assert!(answers[2].0.try_recv().is_ok(), "not told by the first");
    }

    #[tokio::test]
    async fn who_waits_and_who_does_not_are_told_what_became_of_theirs() {
        let waits = Written { position: None, waits: true };
        let position = Some(crate::postgres::position::Position::default());
        let there = Written { position, waits: false };
        for each in [vec![there, waits, waits, there], vec![waits, there], vec![there, there]] {
            let (askers, answers): (Vec<_>, Vec<_>) = each.iter().map(|_| ask()).unzip();
            answer_each(askers.into_iter(), each.clone());
            for (answer, written) in answers.into_iter().zip(each) {
                assert_eq!(answer.outcome().await.ok(), Some(written));
            }
        }
    }

    #[tokio::test]
    async fn a_recorder_that_is_gone_is_no_answer() {
        let (asker, answer) = ask();
        drop(asker);
        assert!(matches!(answer.outcome().await, Err(record::Error::Unavailable)));
    }
}
