//! One fault: what is done, and to whom.

use std::fmt;

use super::REPLICAS;

/// What is done to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL for all its processes; started again later.
    Kill,
    /// SIGSTOP for all its processes; goes on later.
    Stop,
    /// Its network refuses; heals later.
    Cut,
    /// Its network swallows every byte; heals later.
    Silence,
    /// SIGKILL, and a replica takes its place.
    Promote,
    /// The replicas hear no more of it, SIGKILL a while later, and a replica takes its place that lacks the last events.
    PromoteBehind,
    /// SIGSTOP, and a replica takes its place; goes on later, and would still take changes.
    Return,
}

/// Whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// A server of the database; 0 is the primary.
    Database(usize),
    /// The master of Redis that has the key which every process looks at.
    RedisMaster,
    /// Every server of Redis.
    Redis,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is done.
    pub blow: Blow,
    /// To whom.
    pub struck: Struck,
}

impl Fault {
    pub(super) fn all() -> Vec<Self> {
        let database = |blow, servers: std::ops::RangeInclusive<usize>| {
            servers.map(move |server| Self { blow, struck: Struck::Database(server) })
        };
        let redis = |blow| {
            [Struck::RedisMaster, Struck::Redis]
                .into_iter()
                .map(move |struck| Self { blow, struck })
        };
        database(Blow::Kill, 0..=REPLICAS)
            .chain(database(Blow::Stop, 0..=REPLICAS))
            .chain(database(Blow::Cut, 0..=REPLICAS))
            .chain(database(Blow::Silence, 0..=REPLICAS))
            .chain(database(Blow::Promote, 0..=0))
            .chain(database(Blow::PromoteBehind, 0..=0))
            .chain(database(Blow::Return, 0..=0))
            .chain(redis(Blow::Kill))
            .chain(redis(Blow::Stop))
            .chain(redis(Blow::Cut))
            .chain(redis(Blow::Silence))
            .collect()
    }

    /// Whether another server takes the struck one's place for good.
    pub(super) fn is_promotion(self) -> bool {
        matches!(self.blow, Blow::Promote | Blow::PromoteBehind | Blow::Return)
    }

    /// Whether Redis is used at all.
    pub(super) fn is_of_redis(self) -> bool {
        !matches!(self.struck, Struck::Database(_))
    }

    /// Whether somebody else may answer every read.
    pub(super) fn is_beside_reads(self) -> bool {
        self.struck != Struck::Database(0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match self.struck {
            Struck::Database(0) => "primary".to_owned(),
            Struck::Database(n) => format!("replica {n}"),
            Struck::RedisMaster => "a Redis master".to_owned(),
            Struck::Redis => "every Redis server".to_owned(),
        };
        match self.blow {
            Blow::Kill => write!(f, "SIGKILL {server}"),
            Blow::Stop => write!(f, "SIGSTOP {server}"),
            Blow::Cut => write!(f, "network to {server} cut"),
            Blow::Silence => write!(f, "network to {server} silent"),
            Blow::Promote => write!(f, "SIGKILL {server}, promotion"),
            Blow::PromoteBehind => write!(f, "SIGKILL {server}, a late replica promoted"),
            Blow::Return => write!(f, "SIGSTOP {server}, promotion, return"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_strikes_every_server_in_every_way() {
        let all = Fault::all();
        for blow in [Blow::Kill, Blow::Stop, Blow::Cut, Blow::Silence] {
            for server in 0..=REPLICAS {
                let struck = Struck::Database(server);
                assert!(all.contains(&Fault { blow, struck }), "{blow:?} {server}");
            }
        }
        for blow in [Blow::Promote, Blow::PromoteBehind, Blow::Return] {
            assert!(all.contains(&Fault { blow, struck: Struck::Database(0) }), "{blow:?}");
        }
        for blow in [Blow::Kill, Blow::Stop, Blow::Cut, Blow::Silence] {
            for struck in [Struck::RedisMaster, Struck::Redis] {
                assert!(all.contains(&Fault { blow, struck }), "{blow:?} {struck:?}");
            }
        }
    }
}
