//! Identity of calls that carry an idempotency key.

use backbone::accounts::{CallName, KeptCall, KeyHash, KeyTerms, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Code, Problem};

/// An idempotency key of a caller, by which a repeat of a call is recognised for 24 hours.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    caller: Uuid,
    key: String,
}

impl IdempotencyKey {
    /// Checks a key that the account `caller` gave.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a key that is not 1 to 200 characters, or has control characters.
    pub fn new(caller: Uuid, key: &str) -> Result<Self, Problem> {
        let mut violations = Vec::new();
        seller_core::idempotency_key(key, &mut violations);

        if violations.is_empty() {
            Ok(Self {
                caller,
                key: key.to_owned(),
            })
        } else {
            Err(Problem::inputs(violations))
        }
    }
}

/// Arguments of a call, by which a repeat is told from another call with the same idempotency key.
pub(super) struct Arguments {
    mutation: &'static str,
    digest: [u8; 32],
}

impl Arguments {
    /// Returns the arguments of a call that creates an account.
    pub(super) fn of_account(role: Role, name: &str, id: Option<Uuid>) -> Self {
        let mutation = match role {
            Role::Seller => "createSeller",
            Role::Buyer => "createBuyer",
            Role::Admin => "createAdmin",
        };

        Self::new(mutation, &json!([name, id]))
    }

    /// Returns the arguments of a call that issues a key.
    pub(super) fn of_key(account: Uuid, terms: KeyTerms<'_>) -> Self {
        let end = terms.expires_at.map(|end| end.as_micros());

        Self::new("issueApiKey", &json!([account, terms.label, end]))
    }

    fn new(mutation: &'static str, arguments: &Value) -> Self {
        Self {
            mutation,
            digest: KeyHash::of(&arguments.to_string()).0,
        }
    }

    /// Returns the name that the call is kept under.
    pub(super) fn name<'a>(&self, key: &'a IdempotencyKey) -> CallName<'a> {
        CallName {
            caller: key.caller,
            mutation: self.mutation,
            key: &key.key,
        }
    }

    /// Returns the call with what it makes, to be kept.
    pub(super) fn call(&self, result_id: Uuid, sealed: Option<Vec<u8>>) -> KeptCall {
        KeptCall {
            request: self.digest.to_vec(),
            result_id,
            sealed,
        }
    }

    /// Checks that a kept call had these arguments.
    ///
    /// # Errors
    /// IDEMPOTENCY_KEY_REUSED.
    pub(super) fn check(&self, kept: KeptCall) -> Result<KeptCall, Problem> {
        if kept.request == self.digest {
            return Ok(kept);
        }

        Err(Problem::new(
            Code::IdempotencyKeyReused,
            "This idempotency key was already used with a different request",
        ))
    }
}
