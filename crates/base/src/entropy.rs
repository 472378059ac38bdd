//! Randomness as a parameter: the operating system's, or a seeded stream in a test. Ids and tokens are made here and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// The operating system's random source failed; nothing safe can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct Exhausted(#[source] rand::rngs::SysError);

/// Where random bytes come from.
#[derive(Clone, Debug, Default)]
pub enum Entropy {
    /// `getrandom(2)`.
    #[default]
    System,
    /// A repeatable stream for tests.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// A repeatable stream.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Fills an array with random bytes.
    ///
    /// # Errors
    /// [`Exhausted`] when the operating system refuses.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Exhausted> {
        let mut out = [0; N];
        match self {
            Self::System => SysRng.try_fill_bytes(&mut out).map_err(Exhausted)?,
            Self::Seeded(rng) => {
                rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut out);
            }
        }
        Ok(out)
    }

    /// A time-ordered id (UUID version 7, RFC 9562 §5.7).
    ///
    /// # Errors
    /// [`Exhausted`] when the operating system refuses.
    pub fn uuid_v7(&self, now: Timestamp) -> Result<Uuid, Exhausted> {
        let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        Ok(Builder::from_unix_timestamp_millis(millis, &self.bytes()?).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_streams_repeat_and_system_ones_do_not() -> Result<(), Exhausted> {
        assert_eq!(Entropy::seeded(7).bytes::<16>()?, Entropy::seeded(7).bytes::<16>()?);
        assert_ne!(Entropy::System.bytes::<16>()?, Entropy::System.bytes::<16>()?);
        Ok(())
    }

    #[test]
    fn uuids_sort_by_time() -> Result<(), Exhausted> {
        let early = Entropy::System.uuid_v7(Timestamp::from_seconds(1_000))?;
        let late = Entropy::System.uuid_v7(Timestamp::from_seconds(1_001))?;
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
        Ok(())
    }
}
