//! Read your writes: a token that says how far a reader must have come to see what was acknowledged. Signed with a secret
//! that all processes share, so that any of them may be asked next, and nobody makes one up to keep reads from the replicas.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use mainstay_base::Timestamp;
use sha2::Sha256;

use crate::open::copied;
use crate::postgres::position::Position;
use crate::postgres::{Db, Reads, standbys};
use crate::recorder::Written;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Store, Ts};

/// Where every reader sees everything, there is nothing to say.
const EVERYTHING: &str = "0";
/// After five minutes every replica that may be asked has come as far, or lags too much to be asked. Ten more are for
/// clocks: whoever judges a token may be five minutes ahead, and whoever gave it five behind.
const LASTS: Duration = Duration::from_secs(900);
/// Bytes of the digest that are kept.
const MAC: usize = 16;

/// Held by a server while it makes the first secret of a database, and by a copy while it writes there: until its
/// transaction ends, the other one does not begin.
pub(crate) const USE_LOCK: Sql =
    sql!("SELECT pg_advisory_xact_lock(hashtextextended('mainstay use', 0))");

/// The secret.
pub(crate) type Secret = [u8; 32];

impl Store {
    /// A token for whoever wants to see what was just acknowledged. None while it waits for the database.
    #[must_use]
    pub fn seal(&self, written: Written) -> Option<String> {
        if written.waits {
            return None;
        }
        match (self.insight(), written.position) {
            (Engine::Sqlite(_), _) => Some(EVERYTHING.into()),
            (Engine::Postgres(db), None) => (!db.has_replicas()).then(|| EVERYTHING.into()),
            (Engine::Postgres(_), Some(position)) => {
                let expires = self.clock.now().plus(LASTS).as_seconds();
                Some(seal(self.secret.get()?, position, expires))
            }
        }
    }

    /// A token for whoever changed something just now, by another way than the recorder's. None where the primary does not
    /// say where its log ends: the change is made all the same.
    pub async fn seal_latest(&self) -> Option<String> {
        let written = match self.core() {
            Engine::Postgres(db) if db.has_replicas() => {
                Written { position: Some(find_end(db).await?), waits: false }
            }
            Engine::Postgres(_) | Engine::Sqlite(_) => Written::default(),
        };
        self.seal(written)
    }

    /// The events' database as it is read by who shows these tokens: with everything that any of them speaks of. One that
    /// is not ours, or is out of date, says nothing.
    #[must_use]
    pub fn reading_since(&self, tokens: &[&str]) -> Engine {
        let engine = self.insight();
        let Engine::Postgres(db) = engine else { return engine.clone() };
        let (secret, now) = (self.secret.get(), self.clock.now());
        let positions = tokens.iter().filter_map(|token| open(secret?, token, now));
        match positions.reduce(Position::and) {
            Some(position) => Engine::Postgres(db.reading(Reads::Since(position))),
            None => engine.clone(),
        }
    }

    /// The secret that all processes share: the one kept already, else a fresh one. None where the database holds a copy
    /// that is not proven, or one of our own files that went on since: who makes the first secret uses the database from
    /// then on, and the copy could not be finished.
    pub(crate) async fn find_secret(&self, db: &Engine) -> Result<Option<Secret>, Error> {
        const OP: &str = "token.find_secret";
        const ADD: Sql = sql!(
            "INSERT INTO mainstay.shared_secret (name, secret) VALUES ('read token', $1)
             ON CONFLICT (name) DO NOTHING"
        );
        const IS_HALF_COPIED: Sql = sql!(
            "SELECT exists(SELECT 1 FROM mainstay.transfers WHERE proven_at IS NULL)
                AND NOT exists(SELECT 1 FROM mainstay.shared_secret)"
        );
        const OWN_PROOF: Sql = sql!(
            "SELECT proven_at FROM mainstay.transfers WHERE source::text = $1
                AND NOT exists(SELECT 1 FROM mainstay.shared_secret)"
        );
        const FIND: Sql =
            sql!("SELECT secret FROM mainstay.shared_secret WHERE name = 'read token'");
        let fresh: Secret =
            self.entropy.bytes().map_err(|e| Error::new(OP, sqlx::Error::Encode(Box::new(e))))?;
        let whole = copied::list(&self.data_dir).await;
        let mut tx = db.begin(OP).await?;
        crate::ask::run!(tx, USE_LOCK)?;
        if crate::ask::take!(tx, query_scalar(IS_HALF_COPIED).fetch_one)? {
            return Ok(None);
        }
        let proven: Option<Ts> =
            crate::ask::take!(tx, query_scalar(OWN_PROOF).fetch_optional, db.node())?;
        if proven.is_some_and(|at| !whole.contains(&at.0)) {
            return Ok(None);
        }
        crate::ask::run!(tx, ADD, &fresh[..])?;
        let kept: Vec<u8> = crate::ask::take!(tx, query_scalar(FIND).fetch_one)?;
        tx.commit().await?;
        kept.try_into().map(Some).map_err(|_| {
            Error::new(OP, sqlx::Error::Decode("a secret is not 32 bytes long".into()))
        })
    }
}

/// Where the primary's log ends.
async fn find_end(db: &Db) -> Option<Position> {
    const OP: &str = "token.find_end";
    let mut leased = db.writing(OP).await.ok()?;
    let answer = db.within(standbys::find_end(leased.conn())).await;
    db.settle_write(OP, leased, answer).ok().map(|(end, _)| end)
}

/// `timeline.lsn-expiry-digest`.
fn seal(secret: &Secret, position: Position, expires: i64) -> String {
    let said = format!("{position}-{expires:x}");
    let digest = digest(secret, &said);
    format!("{said}-{digest}")
}

fn open(secret: &Secret, token: &str, now: Timestamp) -> Option<Position> {
    let (said, theirs) = token.rsplit_once('-')?;
    let ours = digest(secret, said);
    // Constant time: a digest must not be found out byte by byte.
    if !bool::from(subtle::ConstantTimeEq::ct_eq(ours.as_bytes(), theirs.as_bytes())) {
        return None;
    }
    let (position, expires) = said.split_once('-')?;
    let expires = i64::from_str_radix(expires, 16).ok()?;
    (now.as_seconds() < expires).then(|| position.parse().ok()).flatten()
}

fn digest(secret: &Secret, said: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(said.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes[..MAC].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::position::Lsn;

    const SECRET: Secret = [7; 32];

    #[test]
    fn a_token_says_what_it_was_given() {
        let (at, now) =
            (Position { timeline: 2, lsn: Lsn(0x3_0000_0010) }, Timestamp::from_seconds(1_000));
        let token = seal(&SECRET, at, 1_300);
        assert_eq!(open(&SECRET, &token, now), Some(at));
        assert_eq!(open(&SECRET, &token, Timestamp::from_seconds(1_300)), None, "out of date");
        assert_eq!(open(&[8; 32], &token, now), None, "somebody else's");
        let forged = token.replacen("2.3/10", "2.9/10", 1);
        assert_ne!(forged, token);
        assert_eq!(open(&SECRET, &forged, now), None, "changed");
        for broken in ["", "-", "0", "2.3/10-514", &token[1..]] {
            assert_eq!(open(&SECRET, broken, now), None, "{broken}");
        }
    }
}
