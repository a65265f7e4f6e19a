//! Transactions whose connection goes back to its pool only if they ended cleanly.
//!
//! The driver counts the transactions of a connection. A COMMIT or ROLLBACK that fails leaves that
//! count wrong, and a BEGIN that is given up halfway may leave a transaction open: the next user of
//! such a connection would work in a transaction that nobody commits.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, Postgres, SqlStr, Sqlite};
use sqlx_core::transaction::TransactionManager;

use super::failure::{map_error, map_write_error};
use crate::Error;

/// A transaction, used with [`on_tx!`](crate::on_tx). Dropping it without [`Tx::commit`] rolls it
/// back.
pub struct Tx {
    what: &'static str,
    engine: TxEngine,
    /// True once a statement has failed: only a rollback can follow.
    failed: bool,
}

/// The engine behind a [`Tx`].
pub enum TxEngine {
    /// PostgreSQL.
    Postgres(PooledTransaction<Postgres>),
    /// SQLite.
    Sqlite(PooledTransaction<Sqlite>),
}

impl Tx {
    pub(super) fn new(what: &'static str, engine: TxEngine) -> Self {
        Self {
            what,
            engine,
            failed: false,
        }
    }

    /// Returns the engine, for statements that only one of them has.
    pub fn engine(&mut self) -> &mut TxEngine {
        &mut self.engine
    }

    /// Returns whether the transaction runs on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.engine, TxEngine::Postgres(_))
    }

    /// Commits. An error leaves open whether the transaction was committed, except
    /// [`Error::Broken`] after a statement that failed.
    pub async fn commit(self) -> Result<(), Error> {
        self.end(map_error).await
    }

    /// Commits as [`Tx::commit`] does, and tells whether the outcome is open.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the transaction may have been committed. After any other error it was
    /// not.
    pub async fn commit_with_outcome(self) -> Result<(), Error> {
        self.end(map_write_error).await
    }

    async fn end(self, meaning: fn(&'static str, sqlx::Error) -> Error) -> Result<(), Error> {
        // PostgreSQL answers such a COMMIT with success and rolls back; SQLite may have rolled back
        // by itself, and what came after the failed statement was then outside the transaction.
        if self.failed {
            let why = "a transaction cannot be committed after one of its statements failed";
            return Err(Error::broken(self.what, why));
        }

        match self.engine {
            // A lost connection here leaves the outcome open.
            TxEngine::Postgres(tx) => tx.commit().await,
            TxEngine::Sqlite(tx) => tx.commit().await,
        }
        .map_err(|error| meaning(self.what, error))
    }

    /// Notes that a statement failed, and returns what an error of the driver means to the caller.
    pub fn error(&mut self, error: sqlx::Error) -> Error {
        self.failed = true;
        map_error(self.what, error)
    }
}

/// A transaction of one engine on a connection of a pool.
pub struct PooledTransaction<D: Database> {
    connection: PoolConnection<D>,
    state: State,
}

/// State of a [`PooledTransaction`], which decides what happens to its connection.
#[derive(Clone, Copy)]
enum State {
    /// A BEGIN or COMMIT is under way, or has failed: the connection may or may not be in a
    /// transaction.
    Unclear,
    Open,
    Committed,
}

impl<D: Database> PooledTransaction<D> {
    /// Begins a transaction with `statement`, or with a plain BEGIN.
    pub(crate) async fn begin(
        pool: &Pool<D>,
        statement: Option<&'static str>,
    ) -> Result<Self, sqlx::Error> {
        let mut tx = Self {
            connection: pool.acquire().await?,
            state: State::Unclear,
        };

        let statement = statement.map(SqlStr::from_static);
        <D as Database>::TransactionManager::begin(&mut tx.connection, statement).await?;
        tx.state = State::Open;
        Ok(tx)
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        // Set before the wait: this future may be dropped in the middle of it.
        self.state = State::Unclear;
        <D as Database>::TransactionManager::commit(&mut self.connection).await?;
        self.state = State::Committed;
        Ok(())
    }
}

impl<D: Database> Deref for PooledTransaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<D: Database> DerefMut for PooledTransaction<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl<D: Database> Drop for PooledTransaction<D> {
    fn drop(&mut self) {
        match self.state {
            // The engine rolls back whatever is open when the connection ends.
            State::Unclear => self.connection.close_on_drop(),
            // Queued on the connection, which goes back to the pool once it is done. The pool
            // closes one on which it fails.
            State::Open => {
                <D as Database>::TransactionManager::start_rollback(&mut self.connection);
            }
            State::Committed => {}
        }
    }
}
