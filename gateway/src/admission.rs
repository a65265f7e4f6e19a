//! Fair shares: how many operations may be under way, those of one account and those of all. Keys cost nothing, so it is
//! the account that counts.

use std::sync::Arc;

use backbone::telemetry::{Counter, Gauge, Metrics};
use backbone::weak_map::WeakMap;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::auth::Principal;
use crate::error::{Code, Problem};
use crate::standing::Standing;

/// Account that callers without a key share.
const NOBODY: Uuid = Uuid::nil();

/// Numbers of operations that may be under way at a time.
#[derive(Clone, Copy, Debug)]
pub struct OperationLimits {
    /// Operations of one account, at least 1.
    pub per_account: usize,
    /// Operations of all accounts, at least 1.
    pub in_all: usize,
}

impl Default for OperationLimits {
    fn default() -> Self {
        Self {
            // As many as may wait for one deal, and enough for a job that imports many.
            per_account: 256,
            in_all: 10_000,
        }
    }
}

/// Operations under way at a gateway. Clones are the same.
#[derive(Clone)]
pub struct Admission {
    limits: OperationLimits,
    all: Arc<Semaphore>,
    // Its operations own the entry of an account. Held for a look-up only.
    accounts: Arc<Mutex<WeakMap<Uuid, Semaphore>>>,
    under_way: Gauge,
    refused: Counter,
}

/// Place of one operation among those under way, given back when dropped.
pub struct Permit {
    /// Standing of the caller within the rate limit that it was charged for.
    standing: Option<Standing>,
    _all: OwnedSemaphorePermit,
    _account: OwnedSemaphorePermit,
    _counted: Counted,
}

struct Counted(Gauge);

impl Admission {
    /// Registers the metrics; nothing is under way.
    pub fn new(limits: OperationLimits, metrics: &Metrics) -> Self {
        Self {
            limits,
            all: Arc::new(Semaphore::new(limits.in_all)),
            accounts: Arc::default(),
            under_way: metrics.gauge("operations", "Queries and mutations under way"),
            refused: metrics.counter(
                "operations_refused",
                "Queries and mutations refused because too many were under way",
            ),
        }
    }

    /// Counts an operation of a caller, who may be nobody.
    ///
    /// # Errors
    /// RATE_LIMITED when as many are under way as may be.
    pub fn enter(&self, caller: Option<&Principal>) -> Result<Permit, Problem> {
        let id = caller.map_or(NOBODY, Principal::id);
        let account = self
            .accounts
            .lock()
            .get_or_insert_with(id, || Semaphore::new(self.limits.per_account));

        // The account's own limit first: it says more to the caller.
        let permits = account
            .try_acquire_owned()
            .map_err(|_| ("This account", self.limits.per_account))
            .and_then(|account| {
                let all = Arc::clone(&self.all).try_acquire_owned();
                let all = all.map_err(|_| ("This gateway", self.limits.in_all))?;
                Ok((account, all))
            });

        let (account, all) = permits.map_err(|(who, limit)| {
            self.refused.inc();
            let message =
                format!("{who} can have at most {limit} operations under way; try again shortly");
            Problem::new(Code::RateLimited, message)
        })?;

        self.under_way.inc();
        Ok(Permit {
            standing: None,
            _all: all,
            _account: account,
            _counted: Counted(self.under_way.clone()),
        })
    }
}

impl Permit {
    /// Returns the permit with the standing of its caller within a rate limit.
    #[must_use]
    pub fn with_standing(self, standing: Option<Standing>) -> Self {
        Self { standing, ..self }
    }

    /// Standing of the caller within the rate limit that it was charged for, if there is one.
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
