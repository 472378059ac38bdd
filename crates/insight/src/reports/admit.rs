//! How much one address may send: a bucket of reports that fills up again, and a share of the places to wait in; remembers a bounded number of addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::Timestamp;
use rustc_hash::FxBuildHasher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::settings;

/// The accounts of all addresses.
#[derive(Debug)]
pub(super) struct Senders {
    per_second: f64,
    burst: f64,
    waiting_max: usize,
    /// Large bodies that may still be read.
    large: Arc<Semaphore>,
    /// The share of one address in them.
    large_max: usize,
    accounts: Mutex<Accounts>,
}

/// Two generations: who is asked for moves to the young one; when that is full the old one is forgotten, and with it
/// those not heard of for the longest time. Nothing is walked through, however many addresses come.
#[derive(Debug)]
struct Accounts {
    young: HashMap<u128, Account, FxBuildHasher>,
    old: HashMap<u128, Account, FxBuildHasher>,
    generation_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    /// Reports it may send now.
    credit: f64,
    at: Timestamp,
    /// Places it holds.
    waiting: usize,
    /// Large bodies it is sending.
    large: usize,
}

/// The right of one request to send reports; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Pass {
    senders: Arc<Senders>,
    key: u128,
    places: usize,
    large: Option<OwnedSemaphorePermit>,
}

/// Why a large body is not read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The address sends as many as one may.
    Share,
    /// All addresses together do.
    All,
}

impl Senders {
    pub(super) fn new(settings: &settings::Reports) -> Self {
        Self {
            per_second: f64::from(settings.per_second),
            burst: f64::from(settings.burst.max(1)),
            waiting_max: settings.waiting_per_address_max.max(1),
            large: Arc::new(Semaphore::new(settings.large_bodies_max.max(1))),
            large_max: (settings.large_bodies_max / 4).max(1),
            accounts: Mutex::new(Accounts {
                young: HashMap::default(),
                old: HashMap::default(),
                generation_max: (settings.addresses_max / 2).max(1),
            }),
        }
    }

    /// A pass for one request with at least one report, or none when the address has sent enough.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr, now: Timestamp) -> Option<Pass> {
        let key = key_of(client);
        self.with(key, |account| {
            self.refill(account, now);
            let may = account.credit >= 1.0 && account.waiting < self.waiting_max;
            if may {
                account.credit -= 1.0;
                account.waiting += 1;
            }
            may
        })
        .then(|| Pass { senders: Arc::clone(self), key, places: 1, large: None })
    }

    fn refill(&self, account: &mut Account, now: Timestamp) {
        let gained = now.since(account.at).as_secs_f64() * self.per_second;
        account.credit = (account.credit + gained).min(self.burst);
        account.at = now;
    }

    fn with<T>(&self, key: u128, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Account { credit: self.burst, at: Timestamp::EPOCH, waiting: 0, large: 0 };
        change(accounts.find(key, fresh))
    }
}

impl Accounts {
    fn find(&mut self, key: u128, fresh: Account) -> &mut Account {
        if !self.young.contains_key(&key) && self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or(fresh))
    }
}

impl Pass {
    /// What stands for the sender: its address or network.
    pub(super) fn key(&self) -> u128 {
        self.key
    }

    /// Pays for the reports of the request, one of which is paid for already; answers how many may be read.
    pub(super) fn charge(&self, reports: usize, now: Timestamp) -> usize {
        let further = reports.saturating_sub(1);
        let paid = self.senders.with(self.key, |account| {
            self.senders.refill(account, now);
            let paid = (account.credit.max(0.0) as usize).min(further);
            account.credit -= paid as f64;
            paid
        });
        reports.min(1) + paid
    }

    /// Takes a place per row; answers for how many of them the address still has a share, at least one.
    pub(super) fn hold(&mut self, rows: usize) -> usize {
        let further = rows.saturating_sub(self.places);
        let granted = self.senders.with(self.key, |account| {
            let granted = further.min(self.senders.waiting_max.saturating_sub(account.waiting));
            account.waiting += granted;
            granted
        });
        self.places += granted;
        self.places.min(rows)
    }

    /// Lets the body grow large, until it was read.
    pub(super) fn make_room(&mut self) -> Result<(), NoRoom> {
        if self.large.is_some() {
            return Ok(());
        }
        let senders = Arc::clone(&self.senders);
        let permit = senders.with(self.key, |account| {
            if account.large >= senders.large_max {
                return Err(NoRoom::Share);
            }
            let permit = Arc::clone(&senders.large).try_acquire_owned().map_err(|_| NoRoom::All)?;
            account.large += 1;
            Ok(permit)
        })?;
        self.large = Some(permit);
        Ok(())
    }

    /// The body was read, and its memory is free again.
    pub(super) fn leave_room(&mut self) {
        if self.large.take().is_some() {
            self.senders.with(self.key, |account| account.large = account.large.saturating_sub(1));
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.leave_room();
        // An account that was forgotten meanwhile begins anew with no places taken.
        self.senders.with(self.key, |account| {
            account.waiting = account.waiting.saturating_sub(self.places);
        });
    }
}

/// One IPv4 address, or one IPv6 network of 64 bits: whoever has one of its addresses has them all (RFC 6177).
fn key_of(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders(change: impl FnOnce(&mut settings::Reports)) -> Arc<Senders> {
        let mut settings = settings::Reports {
            per_second: 10,
            burst: 20,
            waiting_per_address_max: 5,
            addresses_max: 100,
            large_bodies_max: 8,
            ..settings::Reports::default()
        };
        change(&mut settings);
        Arc::new(Senders::new(&settings))
    }

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + ms * 1_000)
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let senders = senders(|_| {});
        let sent = |ms, n| (0..n).filter(|_| senders.admit(address(1), at(ms)).is_some()).count();
        assert_eq!(sent(0, 100), 20);
        assert_eq!(sent(500, 100), 5);
        assert_eq!(sent(60_000, 100), 20);
        // A clock set back gives nothing away and takes nothing for ever.
        assert_eq!(sent(0, 100), 0);
        assert_eq!(sent(1_000, 100), 10);
        assert!(senders.admit(address(2), at(0)).is_some());
    }

    #[test]
    fn lists_pay_per_report() {
        let senders = senders(|_| {});
        let pass = senders.admit(address(1), at(0)).expect("a pass");
        assert_eq!(
            (pass.charge(0, at(0)), pass.charge(15, at(0)), pass.charge(15, at(0))),
            (0, 15, 6)
        );
        assert!(senders.admit(address(1), at(0)).is_none());
    }

    #[test]
    fn one_address_has_a_share_of_the_places() {
        let senders = senders(|_| {});
        let mut held: Vec<_> = (0..9).filter_map(|_| senders.admit(address(1), at(0))).collect();
        assert_eq!(held.len(), 5);
        assert_eq!(held[0].hold(2), 1);
        held.truncate(3);
        assert_eq!((held[0].hold(3), held[0].hold(4)), (3, 3));
        held.clear();
        let mut pass = senders.admit(address(1), at(0)).expect("a pass");
        assert_eq!((pass.hold(5), pass.hold(9)), (5, 5));
    }

    #[test]
    fn large_bodies_are_few_and_one_address_has_a_share_of_them() {
        let senders = senders(|_| {});
        let pass = |n| senders.admit(address(n), at(0)).expect("a pass");
        let mut held: Vec<_> = (0..3).map(|_| pass(1)).collect();
        assert_eq!(held[0].make_room().and(held[0].make_room()), Ok(()), "asked twice, taken once");
        assert_eq!((held[1].make_room(), held[2].make_room()), (Ok(()), Err(NoRoom::Share)));
        held[0].leave_room();
        assert_eq!(held[2].make_room(), Ok(()));
        let mut others: Vec<_> = (2..8).map(pass).collect();
        assert!(others.iter_mut().all(|pass| pass.make_room().is_ok()));
        let mut late = pass(9);
        assert_eq!(late.make_room(), Err(NoRoom::All));
        drop(held);
        assert_eq!(late.make_room(), Ok(()));
    }

    #[test]
    fn addresses_are_bounded_and_the_busy_one_is_not_forgotten() {
        let senders = senders(|_| {});
        for n in 0..10_000 {
            drop(senders.admit(address(n + 2), at(0)));
            if n < 20 || n % 10 == 0 {
                drop(senders.admit(address(1), at(0)));
            }
        }
        let accounts = senders.accounts.lock().expect("unharmed");
        assert!(accounts.young.len() + accounts.old.len() <= 100);
        drop(accounts);
        assert!(senders.admit(address(1), at(0)).is_none());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let key = |text: &str| key_of(text.parse().expect("an address"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
