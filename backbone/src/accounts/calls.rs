//! Calls of administrators that carry an idempotency key: what each makes is decided once, kept for 24 hours, and made
//! afterwards, by the call or by its repeat. Only the seller database has the table, for both sides.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::Accounts;
use crate::time::Timestamp;
use crate::{Error, on_db};

const KEEP_CALL: &str = include_str!("keep_call.sql");
const KEPT_CALL: &str = include_str!("kept_call.sql");
const DROP_CALLS: &str = include_str!("drop_calls.sql");

/// Time for which a call is kept.
const KEPT: Duration = Duration::from_hours(24);

/// Most calls that one statement drops.
const DROPPED_AT_A_TIME: u64 = 1_000;

/// Attempts to keep a call or read the kept one. The second one is needed if a kept call gets old in between.
const ATTEMPTS: u32 = 3;

/// Name of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallName<'a> {
    /// Account that makes the call.
    pub caller: Uuid,
    /// Mutation that is called.
    pub mutation: &'static str,
    /// Idempotency key, 1 to 200 characters.
    pub key: &'a str,
}

/// A call that is kept.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct KeptCall {
    /// SHA-256 of its arguments.
    pub request: Vec<u8>,
    /// Account or API key that it makes.
    pub result_id: Uuid,
    /// Random part of the API key, encrypted.
    pub sealed: Option<Vec<u8>>,
}

impl Accounts {
    /// Reads the call that is kept under a name, `None` if there is none.
    pub async fn kept_call(&self, name: CallName<'_>) -> Result<Option<KeptCall>, Error> {
        // From where calls are written: a repeat must find what was kept a moment ago.
        on_db!(self.db.write(), pool => sqlx::query_as(KEPT_CALL)
            .bind(name.caller).bind(name.mutation).bind(name.key).bind(self.old_calls())
            .fetch_optional(pool).await)
    }

    /// Keeps a call for 24 hours and returns it, or returns the one that is kept under the same
    /// name.
    pub async fn keep_call(&self, name: CallName<'_>, call: KeptCall) -> Result<KeptCall, Error> {
        for _ in 0..ATTEMPTS {
            let kept = on_db!(self.db.write_with_outcome(), pool => sqlx::query_as(KEEP_CALL)
                .bind(name.caller).bind(name.mutation).bind(name.key)
                .bind(&call.request).bind(call.result_id).bind(&call.sealed)
                .bind(self.clock.now()).bind(self.old_calls())
                .fetch_optional(pool).await)?;
            if let Some(kept) = kept {
                return Ok(kept);
            }

            if let Some(kept) = self.kept_call(name).await? {
                return Ok(kept);
            }
        }
        Err(Error::unavailable(
            "account database",
            "a call could not be kept",
        ))
    }

    /// Drops the calls that were kept for 24 hours.
    pub async fn drop_old_calls(&self) -> Result<(), Error> {
        loop {
            // In small steps, each a transaction of its own: nobody waits for more than one of them.
            let dropped = on_db!(self.db.write(), pool => sqlx::query(DROP_CALLS)
                .bind(self.old_calls()).execute(pool).await.map(|done| done.rows_affected()))?;

            if dropped < DROPPED_AT_A_TIME {
                return Ok(());
            }
        }
    }

    /// Returns the time up to which calls are old.
    fn old_calls(&self) -> Timestamp {
        let kept = i64::try_from(KEPT.as_micros()).expect("a day fits into 64 bits");

        Timestamp::from_micros(self.clock.now_micros() - kept)
    }
}
