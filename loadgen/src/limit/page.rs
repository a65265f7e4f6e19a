//! Limit of queries: one prepared statement reads a page of 20 rows by an index, and the rows go
//! out as JSON.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{FromRow, query, query_as};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::announce_port;
use crate::error::BoxError;

/// Rows per page, as in the query that Dealwire is given.
const PAGE_SIZE: usize = 20;

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS loadgen_deal (
        id uuid PRIMARY KEY, seller_id uuid NOT NULL, name text NOT NULL,
        total_price bigint NOT NULL, currency text NOT NULL, status text NOT NULL,
        version int NOT NULL, sequence bigint NOT NULL, updated_at text NOT NULL,
        items text NOT NULL)";
const INDEX: &str =
    "CREATE INDEX IF NOT EXISTS loadgen_deal_by_change ON loadgen_deal (seller_id, sequence)";
const FILL: &str = r#"
    INSERT INTO loadgen_deal
    SELECT gen_random_uuid(), $1, 'loadgen ' || n, 122300, 'GBP', 'AVAILABLE', 1, n,
           '2026-01-01T00:00:00.000000Z',
           '[{"id":"9c01d992-7344-44c2-b7d1-a66ac08b1cb7","name":"a board of oak","price":90000},
             {"id":"9c01d992-7344-44c2-b7d1-a66ac08b1cb7","name":"its transport","price":32300}]'
      FROM generate_series(1, $2) n
    ON CONFLICT DO NOTHING"#;

// One row more than a page holds tells whether another page follows. Dealwire must find that out
// too, so the limit pays for it as well.
const PAGE: &str = "
    SELECT id, name, total_price, currency, status, version, updated_at FROM loadgen_deal
     WHERE seller_id = $1 ORDER BY sequence DESC LIMIT 21";
const PAGE_WITH_ITEMS: &str = "
    SELECT id, name, total_price, currency, status, version, updated_at, items FROM loadgen_deal
     WHERE seller_id = $1 ORDER BY sequence DESC LIMIT 21";

/// Seller of all rows. There is only one, as in the query that Dealwire is given.
const SELLER: Uuid = Uuid::from_u128(1);

/// Deal as the limit stores and returns it.
#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: Uuid,
    name: String,
    total_price: i64,
    currency: String,
    status: String,
    version: i32,
    updated_at: String,
    #[sqlx(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<String>,
}

/// State of the server.
#[derive(Clone)]
struct PageServer {
    pool: PgPool,
    statement: &'static str,
}

#[derive(Serialize)]
struct Response {
    data: Vec<Row>,
}

pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    database: &str,
    rows: usize,
    items: bool,
) -> Result<(), BoxError> {
    // A few more connections than Dealwire's own pool has, so that waiting for one never holds back
    // the limit.
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .connect(database)
        .await?;
    fill_table(&pool, rows).await?;

    let statement = if items { PAGE_WITH_ITEMS } else { PAGE };
    let router = Router::new()
        .route("/graphql", post(read_page))
        .with_state(PageServer { pool, statement });

    announce_port(port);
    Ok(axum::serve(listener, router).await?)
}

/// Creates the table afresh, so that a run never depends on what an earlier one left.
async fn fill_table(pool: &PgPool, rows: usize) -> Result<(), BoxError> {
    query(TABLE).execute(pool).await?;
    query(INDEX).execute(pool).await?;
    query("TRUNCATE loadgen_deal").execute(pool).await?;

    query(FILL)
        .bind(SELLER)
        .bind(i64::try_from(rows)?)
        .execute(pool)
        .await?;

    // Without statistics the planner may sort the whole table instead of walking the index.
    query("ANALYZE loadgen_deal").execute(pool).await?;
    Ok(())
}

async fn read_page(
    State(server): State<PageServer>,
    Json(request): Json<Value>,
) -> Result<Json<Response>, StatusCode> {
    // Any server of such requests has to parse them, so the limit does too.
    if !request["query"].is_string() {
        return Err(StatusCode::BAD_REQUEST);
    }

    let rows = query_as(server.statement)
        .bind(SELLER)
        .fetch_all(&server.pool)
        .await;
    let mut data: Vec<Row> = rows.map_err(|_| StatusCode::BAD_GATEWAY)?;
    data.truncate(PAGE_SIZE);

    Ok(Json(Response { data }))
}
