//! Table that the limit reads, with the columns, types and index of Dealwire's own.

use sqlx::postgres::PgPool;
use sqlx::query;
use uuid::Uuid;

use crate::error::BoxError;

/// Seller of all rows. There is only one, as in the query that Dealwire is given.
pub(super) const SELLER: Uuid = Uuid::from_u128(1);

const TABLES: [&str; 5] = [
    "DROP TABLE IF EXISTS loadgen_deal, loadgen_checkpoint",
    "CREATE TABLE loadgen_checkpoint (epoch bigint NOT NULL, position bigint NOT NULL)",
    "INSERT INTO loadgen_checkpoint VALUES (4611686018427387904, 1000000)",
    "CREATE TABLE loadgen_deal (
        id uuid PRIMARY KEY, seller_id uuid NOT NULL, name text NOT NULL,
        total_price bigint NOT NULL, currency text NOT NULL, status text NOT NULL,
        discount jsonb, items jsonb NOT NULL, version int NOT NULL, sequence bigint NOT NULL,
        created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)",
    "CREATE INDEX loadgen_deal_by_change
         ON loadgen_deal (seller_id, sequence, status, currency, total_price)",
];
const FILL: &str = r#"
    INSERT INTO loadgen_deal
    SELECT gen_random_uuid(), $1, 'loadgen deal ' || n, 122300, 'GBP', 'AVAILABLE',
           CASE n % 2 WHEN 0 THEN '{"type":"FLAT","amount":2300}'::jsonb
                      ELSE '{"type":"PERCENTAGE","percentage":12.5}'::jsonb END,
           jsonb_build_array(
               jsonb_build_object('id', gen_random_uuid(), 'name', 'a board of oak',
                                  'price', 90000),
               jsonb_build_object('id', gen_random_uuid(), 'name', 'its transport',
                                  'price', 32300)),
           1, n, now(), now()
      FROM generate_series(1, $2) n"#;

/// Creates the table afresh, so that a run never depends on what an earlier one left.
pub(super) async fn fill(pool: &PgPool, rows: usize) -> Result<(), BoxError> {
    for statement in TABLES {
        query(statement).execute(pool).await?;
    }

    query(FILL)
        .bind(SELLER)
        .bind(i64::try_from(rows)?)
        .execute(pool)
        .await?;

    // Without statistics the planner may sort the whole table instead of walking the index.
    query("ANALYZE loadgen_deal").execute(pool).await?;
    Ok(())
}
