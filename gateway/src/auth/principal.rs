//! Principals: the account and role that an API key authenticates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backbone::accounts::{KeyHolder, Role};
use backbone::ids::{BuyerId, SellerId};
use live::Viewer;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Code, Problem};

/// Sockets and event streams that one API key may hold open on one gateway. The limit bounds what a client that
/// reconnects without closing can take from the others.
const MAX_CONNECTIONS: usize = 1_000;

/// An open socket or event stream, counted against its key's limit until dropped.
pub type Connection = OwnedSemaphorePermit;

/// An authenticated caller. Clones share the state of the same API key.
#[derive(Clone)]
pub struct Principal(Arc<KeyState>);

/// State of one API key in use.
struct KeyState {
    holder: KeyHolder,
    revoked: AtomicBool,
    trusted: watch::Receiver<bool>,
    // A lock, since an `Instant` does not fit into an atomic. Held for one copy, never across an
    // await.
    last_used: Mutex<Instant>,
    connections: Arc<Semaphore>,
}

impl Principal {
    /// Builds the principal of a key that was just found. `trusted` tells whether the key's database currently
    /// confirms its keys.
    pub(super) fn new(holder: KeyHolder, trusted: watch::Receiver<bool>) -> Self {
        Self(Arc::new(KeyState {
            holder,
            revoked: AtomicBool::new(false),
            trusted,
            last_used: Mutex::new(Instant::now()),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }))
    }

    /// Role of the account.
    pub fn role(&self) -> Role {
        self.0.holder.role
    }

    /// Id of the account.
    pub fn id(&self) -> Uuid {
        self.0.holder.account_id
    }

    /// Name of the account.
    pub fn name(&self) -> &str {
        &self.0.holder.name
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

    /// Returns whether the key was revoked. [`KeyRing::changes`](super::KeyRing::changes) tells when it may have been.
    pub fn is_revoked(&self) -> bool {
        self.0.revoked.load(Ordering::Acquire)
    }

    /// Returns whether the key's database confirms its keys at the moment.
    pub fn is_trusted(&self) -> bool {
        *self.0.trusted.borrow()
    }

    /// Ends what the key may see.
    pub(super) fn revoke(&self) {
        self.0.revoked.store(true, Ordering::Release);
    }

    /// Notes that the key was used now.
    pub(super) fn touch(&self) {
        *self.0.last_used.lock() = Instant::now();
    }

    /// Returns when the key was used last.
    pub(super) fn last_used(&self) -> Instant {
        *self.0.last_used.lock()
    }

    /// Returns whether a request, socket or stream still holds this principal, besides the cache that asks.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        // Exact for the cache, which asks under the lock that it also makes its clones under: while
        // the count is one, nobody else can make another.
        Arc::strong_count(&self.0) > 1
    }
}
