//! The steps from a body to a durable batch, in order; each step lives in its own file.

use std::sync::PoisonError;

use mainstay_base::net;
use mainstay_store::{Written, record, user_session};
use uuid::Uuid;

use super::check::{self, Checked, Known};
use super::rows::{self, Context};
use super::{Cause, Error, Sender};
use crate::Insight;
use crate::agent::BotReason;
use crate::meters::Counted;
use crate::visit::Visit;
use crate::visitor::{Keys, day_of};
use crate::wire;

impl Insight {
    /// Takes the events of one request; when it returns `Ok` they are on disk, and a repeat changes nothing.
    ///
    /// # Errors
    /// [`Error`]; then none of the events is kept.
    pub async fn accept(&self, sender: &Sender<'_>, body: &[u8]) -> Result<Written, Error> {
        let outcome = self.take(sender, body).await;
        if let Err(error) = &outcome {
            self.0.meters.count_dropped(error.dropped_reason(), 1);
        }
        outcome
    }

    async fn take(&self, sender: &Sender<'_>, body: &[u8]) -> Result<Written, Error> {
        let limits = self.limits();
        check::check_length(body, &limits)?;
        let envelope = wire::parse(body).map_err(|error| check::not_json(&error))?;
        let checked = check::check(&envelope, &sender.site, &limits)?;
        if checked.unknown > 0 {
            self.0.meters.count_dropped("unknown_type", checked.unknown);
        }
        if checked.events.is_empty() {
            return Ok(Written::default());
        }
        let agent = self.find_agent(sender.user_agent);
        let prefetch = sender.prefetch.then_some(BotReason::Prefetch);
        let bot_reason = agent.bot_reason.or(prefetch);
        let (visitor_id, visit) = self.recognise(sender, &checked, bot_reason.is_some()).await?;
        let context = Context {
            site: &sender.site,
            received: sender.received,
            opted_out: sender.opted_out,
            client: net::truncate(sender.client).to_string(),
            agent: &agent,
            bot_reason,
            country: self.find_country(sender.client),
            release: self.0.settings.release.as_deref(),
            visitor_id,
            visit,
        };
        let batch = rows::batch(&checked, &context);
        let recorded = self.0.context.recorder.record(batch).await;
        let written = recorded.map_err(|error| self.not_recorded(error))?;
        let counted = Counted {
            site: &sender.site,
            device: agent.class,
            bot: bot_reason.is_some(),
            referrer: rows::external_host(&checked),
        };
        self.0.meters.count(&checked, counted);
        Ok(written)
    }

    /// The visitor's pseudonym and running visit, as far as they may be known.
    async fn recognise(
        &self,
        sender: &Sender<'_>,
        checked: &Checked<'_>,
        is_bot: bool,
    ) -> Result<(Option<Uuid>, Option<Visit>), Error> {
        if sender.opted_out {
            return Ok((None, None));
        }
        let keys = self.0.salts.find(day_of(sender.received)).await;
        let keys = keys.map_err(|error| self.not_now(Cause::Visitor(error)))?;
        let today = keys.today.id(&sender.site, sender.client, sender.user_agent);
        if is_bot {
            return Ok((Some(today), None));
        }
        self.take_up_elsewhere(sender, &keys, today).await;
        let visit = self.find_visit(sender, checked, &keys, today)?;
        Ok((Some(visit.as_ref().map_or(today, |visit| visit.visitor_id)), visit))
    }

    /// Where several processes share the database, a visit that this one does not know may have begun at another. One that
    /// cannot be looked up is begun here: counted as two, it is no reason to lose its events.
    async fn take_up_elsewhere(&self, sender: &Sender<'_>, keys: &Keys, today: Uuid) {
        let db = self.0.context.store.insight();
        if !db.is_shared() {
            return;
        }
        let at = sender.received;
        let yesterday = keys.yesterday.id(&sender.site, sender.client, sender.user_agent);
        let visits = || self.0.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if [today, yesterday].iter().any(|id| visits().find(*id, at).is_some()) {
            return;
        }
        let since = at.minus(self.0.settings.visit_idle.0);
        // Boxed: every event would carry room for it.
        let found =
            Box::pin(user_session::find_active(db, &sender.site, [today, yesterday], since)).await;
        if let Ok(Some(active)) = found {
            let (session_id, visitor_id) = (active.session_id, active.visitor_id);
            let visit = Visit { session_id, visitor_id, source: active.source };
            visits().take_up(&visit, active.last_activity);
        }
    }

    /// A visit that spans midnight goes on under the pseudonym it began with, so that it is neither split nor its
    /// visitor counted twice.
    fn find_visit(
        &self,
        sender: &Sender<'_>,
        checked: &Checked<'_>,
        keys: &Keys,
        today: Uuid,
    ) -> Result<Option<Visit>, Error> {
        let at = sender.received;
        let mut visits = self.0.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visit) = visits.find(today, at) {
            return Ok(Some(visit));
        }
        let yesterday = keys.yesterday.id(&sender.site, sender.client, sender.user_agent);
        if let Some(visit) = visits.find(yesterday, at) {
            return Ok(Some(visit));
        }
        if !checked.events.iter().any(Known::begins_visit) {
            return Ok(None);
        }
        let session_id =
            self.0.context.entropy.uuid_v7(at).map_err(|e| Error::Internal(e.into()))?;
        let visit = Visit { session_id, visitor_id: today, source: rows::source(checked) };
        visits.put(&visit, at);
        Ok(Some(visit))
    }

    pub(crate) fn not_recorded(&self, error: record::Error) -> Error {
        match error {
            record::Error::Full | record::Error::Unavailable => self.not_now(error.into()),
            record::Error::Refused => Error::Internal(error.into()),
        }
    }

    fn not_now(&self, source: Cause) -> Error {
        Error::Unavailable { retry_after: self.0.settings.retry_after_s(), source }
    }
}
