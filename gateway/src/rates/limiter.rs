//! One rate limit, for any number of callers within a bounded memory.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;

use super::Payer;
use crate::standing::{Standing, WINDOW};

/// Callers that a limit keeps the state of, about 10 MB. Beyond them, the state of those that were not seen for the longest
/// time is dropped, and they begin with a full quota.
const MAX_CALLERS: usize = 50_000;

/// One limit.
pub(super) struct Limiter {
    name: &'static str,
    units: &'static str,
    /// Quota a minute, and the state of each caller; `None` if the limit is switched off.
    limit: Option<(NonZeroU32, Callers)>,
}

type Callers = RateLimiter<Payer, Bounded, MonotonicClock, StateInformationMiddleware>;

/// Refusal of a charge.
pub(super) struct Refused {
    pub(super) standing: Standing,
    /// Name of what is limited, in the plural.
    pub(super) units: &'static str,
}

/// State of the callers.
struct Bounded(Cache<Payer, Arc<InMemoryState>>);

impl StateStore for Bounded {
    type Key = Payer;

    fn measure_and_replace<T, F, E>(&self, payer: &Payer, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let state = self
            .0
            .get_or_insert_with(payer, || Ok::<_, E>(Arc::default()))?;

        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

impl Limiter {
    /// Builds a limit of `quota` units a minute for each caller, or none if that is 0.
    pub(super) fn new(name: &'static str, units: &'static str, quota: u32) -> Self {
        let limit = NonZeroU32::new(quota).map(|quota| {
            let states = Bounded(Cache::new(MAX_CALLERS));

            (
                quota,
                Callers::new(Quota::per_minute(quota), states, MonotonicClock),
            )
        });

        Self { name, units, limit }
    }

    /// Charges a caller, and returns its standing afterwards; `None` if there is no limit or no charge.
    pub(super) fn take(&self, payer: Payer, units: u64) -> Result<Option<Standing>, Refused> {
        let Some((quota, callers)) = &self.limit else {
            return Ok(None);
        };
        // More than the quota would never be accepted, however long its caller waits.
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(quota.get());
        let Some(units) = NonZeroU32::new(units) else {
            return Ok(None);
        };

        let standing = |remaining, reset| Standing {
            policy: self.name,
            quota: quota.get(),
            remaining,
            reset,
        };
        let decided = callers
            .check_key_n(&payer, units)
            .expect("no charge is larger than the quota");

        match decided {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = f64::from(quota.get() - remaining.min(quota.get()));
                let reset = WINDOW.mul_f64(used / f64::from(quota.get()));
                Ok(Some(standing(remaining, reset)))
            }
            Err(until) => Err(Refused {
                standing: standing(0, until.wait_time_from(callers.clock().now())),
                units: self.units,
            }),
        }
    }
}
