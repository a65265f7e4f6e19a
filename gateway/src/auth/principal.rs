//! Principals: the account and role that an API key or a token authenticates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backbone::accounts::{Account, KeyHash, KeyHolder, Role};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use live::Viewer;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Code, Problem};

/// Sockets and event streams that one API key, or all tokens of one account, may hold open on one gateway. The limit
/// bounds what a client that reconnects without closing can take from the others.
const MAX_CONNECTIONS: usize = 1_000;

/// Time between two notes of the last use of a key.
const NOTE_INTERVAL: Duration = Duration::from_mins(1);

/// An open socket or event stream, counted against its key's limit until dropped.
pub type Connection = OwnedSemaphorePermit;

/// An authenticated caller. Clones share the state of the same API key or token.
#[derive(Clone)]
pub struct Principal(Arc<State>);

/// State of one API key or token in use.
struct State {
    id: Uuid,
    role: Role,
    name: String,
    proof: Proof,
    /// Time from which the key or token is refused.
    ends: Option<Timestamp>,
    revoked: AtomicBool,
    trusted: watch::Receiver<bool>,
    // A lock, since an `Instant` does not fit into an atomic. Held for one copy, never across an
    // await.
    uses: Mutex<Uses>,
    connections: Arc<Semaphore>,
}

/// Credential that a principal is authenticated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// API key of this id.
    Key(Uuid),
    /// Token that was signed with this key of the set.
    Token(KeyHash),
}

/// Uses of a credential.
#[derive(Clone, Copy)]
struct Uses {
    last: Instant,
    /// Use that was noted last, and when it was noted.
    noted: Option<(Instant, Instant)>,
}

impl Principal {
    /// Builds the principal of a key that was just found. `trusted` tells whether the key's database currently
    /// confirms its keys.
    pub(super) fn of_key(holder: KeyHolder, trusted: watch::Receiver<bool>) -> Self {
        Self(Arc::new(State {
            id: holder.account_id,
            role: holder.role,
            name: holder.name,
            proof: Proof::Key(holder.key_id),
            ends: holder.expires_at,
            revoked: AtomicBool::new(false),
            trusted,
            uses: Uses::now(),
            connections: connections(),
        }))
    }

    /// Builds the principal of a token of an account. `connections` are those of the account's other tokens.
    pub(super) fn of_token(
        account: Account,
        (signer, ends): (KeyHash, Timestamp),
        trusted: watch::Receiver<bool>,
        connections: Arc<Semaphore>,
    ) -> Self {
        Self(Arc::new(State {
            id: account.id,
            role: account.role,
            name: account.name,
            proof: Proof::Token(signer),
            ends: Some(ends),
            revoked: AtomicBool::new(false),
            trusted,
            uses: Uses::now(),
            connections,
        }))
    }

    /// Role of the account.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// Id of the account.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Name of the account.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the caller's id as a seller.
    ///
    /// # Errors
    /// FORBIDDEN for any other role.
    pub fn seller(&self) -> Result<SellerId, Problem> {
        match self.role() {
            Role::Seller => Ok(SellerId(self.id())),
            _ => Err(Problem::forbidden("This requires a seller's API key")),
        }
    }

    /// Returns the caller's id as a buyer.
    ///
    /// # Errors
    /// FORBIDDEN for any other role.
    pub fn buyer(&self) -> Result<BuyerId, Problem> {
        match self.role() {
            Role::Buyer => Ok(BuyerId(self.id())),
            _ => Err(Problem::forbidden("This requires a buyer's API key")),
        }
    }

    /// Returns the account that live changes are shown to.
    ///
    /// # Errors
    /// FORBIDDEN for administrators.
    pub fn viewer(&self) -> Result<Viewer, Problem> {
        match self.role() {
            Role::Seller => Ok(Viewer::Seller(SellerId(self.id()))),
            Role::Buyer => Ok(Viewer::Buyer(BuyerId(self.id()))),
            Role::Admin => Err(Problem::forbidden(
                "Only sellers and buyers can follow changes",
            )),
        }
    }

    /// Checks that the caller is an administrator.
    ///
    /// # Errors
    /// FORBIDDEN for any other role.
    pub fn admin(&self) -> Result<(), Problem> {
        match self.role() {
            Role::Admin => Ok(()),
            _ => Err(Problem::forbidden(
                "This requires an administrator's API key",
            )),
        }
    }

    /// Counts a socket or an event stream that is to stay open against the key's limit.
    ///
    /// # Errors
    /// RATE_LIMITED when the key holds 1,000 connections on this gateway.
    pub fn connect(&self) -> Result<Connection, Problem> {
        // Refused at once rather than queued: the connections that hold the permits may stay open
        // for days.
        let permit = Arc::clone(&self.0.connections).try_acquire_owned();

        permit.map_err(|_| {
            Problem::new(
                Code::RateLimited,
                format!("An API key can hold at most {MAX_CONNECTIONS} connections; close some"),
            )
        })
    }

    /// Returns whether the key or token has ended: it was revoked, its time is over, or its account was disabled.
    /// [`KeyRing::changes`](super::KeyRing::changes) tells when it may have been.
    pub fn is_revoked(&self) -> bool {
        self.0.revoked.load(Ordering::Acquire)
    }

    /// Returns whether the key's database confirms its keys at the moment.
    pub fn is_trusted(&self) -> bool {
        *self.0.trusted.borrow()
    }

    /// Returns the credential.
    pub(super) fn proof(&self) -> Proof {
        self.0.proof
    }

    /// Returns the time from which the key or token is refused.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.0.ends
    }

    /// Returns whether the time of the key or token is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.0.ends.is_some_and(|end| end <= now)
    }

    /// Ends what the key may see.
    pub(super) fn revoke(&self) {
        self.0.revoked.store(true, Ordering::Release);
    }

    /// Notes that the key was used now.
    pub(super) fn touch(&self) {
        self.0.uses.lock().last = Instant::now();
    }

    /// Returns when the key was used last.
    pub(super) fn last_used(&self) -> Instant {
        self.0.uses.lock().last
    }

    /// Returns whether a use of the key is not stored yet.
    pub(super) fn has_use_to_note(&self) -> bool {
        let uses = *self.0.uses.lock();
        let is_noted = uses.noted.is_some_and(|(used, _)| used == uses.last);

        matches!(self.0.proof, Proof::Key(_)) && !is_noted
    }

    /// Returns the last use of the key if it is to be stored now.
    pub(super) fn use_to_note(&self) -> Option<Instant> {
        let uses = *self.0.uses.lock();
        let is_due = uses
            .noted
            .is_none_or(|(_, noted_at)| noted_at.elapsed() >= NOTE_INTERVAL);

        (is_due && self.has_use_to_note()).then_some(uses.last)
    }

    /// Remembers that a use of the key was stored.
    pub(super) fn use_is_noted(&self, used: Instant) {
        self.0.uses.lock().noted = Some((used, Instant::now()));
    }

    /// Returns whether a request, socket or stream still holds this principal, besides the cache that asks.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        // Exact for the cache, which asks under the lock that it also makes its clones under: while
        // the count is one, nobody else can make another.
        Arc::strong_count(&self.0) > 1
    }
}

impl Uses {
    fn now() -> Mutex<Self> {
        Mutex::new(Self {
            last: Instant::now(),
            noted: None,
        })
    }
}

/// Returns the bound of the connections of one key, or of all tokens of one account.
pub(super) fn connections() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CONNECTIONS))
}
