//! Deals in the buyer's table that are in no log: copies of a seller's own.

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use crate::error::BoxError;

/// Writes copies of the seller's deals, a number of them.
///
/// The copies come after all of the seller's own deals in the order of changes, so that the first
/// pages are those of the log and only the table behind them grows. There are more copies than
/// sequences below, so copies share them.
const COPY: &str = "
    WITH own AS (
        SELECT *, row_number() OVER (ORDER BY id) - 1 AS number
          FROM deal WHERE seller_id = $1 AND name NOT LIKE 'loadgen copy %'),
    size AS (SELECT count(*) AS total, min(sequence) AS first FROM own)
    INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version,
                      revision, sequence, created_at, updated_at)
    SELECT gen_random_uuid(), seller_id, 'loadgen copy ' || n, total_price + n, currency, status,
           discount, items, version, revision, n % (SELECT first FROM size), created_at, updated_at
      FROM generate_series(1, $2) n JOIN own ON number = n % (SELECT total FROM size)";
const REMOVE: &str = "DELETE FROM deal WHERE seller_id = $1 AND name LIKE 'loadgen copy %'";
const COUNT: &str = "SELECT count(*) FROM deal WHERE seller_id = $1";
const COUNT_OTHERS: &str = "SELECT count(*) FROM deal WHERE seller_id <> $1";
const SAMPLE: &str = "SELECT id FROM deal WHERE seller_id = $1 ORDER BY random() LIMIT $2";

/// Table of deals of the buyer's database.
pub(super) struct DealTable {
    pool: PgPool,
    seller: Uuid,
}

impl DealTable {
    /// Opens the table to write copies of one seller's deals.
    pub(super) async fn open(database: &str, seller: Uuid) -> Result<Self, BoxError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect(database)
            .await?;

        Ok(Self { pool, seller })
    }

    /// Adds copies until the seller has `deals` deals.
    ///
    /// # Errors
    /// The seller has more already, or a statement fails; CHECKPOINT needs a superuser or the role
    /// `pg_checkpoint`.
    pub(super) async fn grow_to(&self, deals: usize) -> Result<(), BoxError> {
        let present = self.count(COUNT).await?;
        let missing = i64::try_from(deals)? - present.cast_signed();
        if missing < 0 {
            return Err(format!(
                "the seller has {present} deals already: give --deals in ascending order"
            )
            .into());
        }

        query(COPY)
            .bind(self.seller)
            .bind(missing)
            .execute(&self.pool)
            .await?;

        // What PostgreSQL would otherwise do during the runs: counting rows for the planner,
        // marking pages as visible, and writing a million rows to the disk.
        query("VACUUM (ANALYZE) deal").execute(&self.pool).await?;
        query("CHECKPOINT").execute(&self.pool).await?;
        Ok(())
    }

    /// Removes all copies, and the room that they took in the table and its indexes.
    pub(super) async fn remove_copies(&self) -> Result<(), BoxError> {
        query(REMOVE).bind(self.seller).execute(&self.pool).await?;

        // Without FULL, the table and its indexes would stay as large as they were with the copies,
        // and the next small table would not be small.
        query("VACUUM (FULL, ANALYZE) deal")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns ids of the seller's deals, at most `count`, at random.
    pub(super) async fn sample(&self, count: usize) -> Result<Vec<Uuid>, BoxError> {
        let ids = query_scalar(SAMPLE)
            .bind(self.seller)
            .bind(i64::try_from(count)?)
            .fetch_all(&self.pool);

        Ok(ids.await?)
    }

    /// Returns the number of deals of other sellers.
    pub(super) async fn others(&self) -> Result<u64, BoxError> {
        self.count(COUNT_OTHERS).await
    }

    async fn count(&self, statement: &'static str) -> Result<u64, BoxError> {
        let count: i64 = query_scalar(statement)
            .bind(self.seller)
            .fetch_one(&self.pool)
            .await?;
        Ok(count.cast_unsigned())
    }
}
