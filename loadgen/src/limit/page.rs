//! Limit of pages from the tables: one prepared statement reads a page of 20 rows by an index,
//! together with the position that it shows, and serde writes it as JSON.
//!
//! The answer has every field of Dealwire's: a limit that reads fewer columns would be a floor for
//! another query. The scenario compares both answers before it measures.

mod row;
mod table;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use serde::Serialize;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::query_as;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::announce_port;
use super::request::GraphqlRequest;
use crate::error::BoxError;
use row::{FlatNode, FullNode, Node, Row};

/// Rows per page, as in the query that Dealwire is given.
const PAGE_SIZE: usize = 20;

#[derive(Serialize)]
struct Response<N> {
    data: Data<N>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<N> {
    deals_for_buyer: Connection<N>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection<N> {
    nodes: Vec<N>,
    page_info: PageInfo,
    position: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
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
    table::fill(&pool, rows).await?;

    let page = if items {
        pages_of::<FullNode>()
    } else {
        pages_of::<FlatNode>()
    };
    let router = Router::new().route("/graphql", page).with_state(pool);

    announce_port(port);
    Ok(axum::serve(listener, router).await?)
}

fn pages_of<N: Node>() -> MethodRouter<PgPool> {
    post(read_page::<N>)
}

async fn read_page<N: Node>(
    State(pool): State<PgPool>,
    Json(request): Json<GraphqlRequest>,
) -> Result<Json<Response<N>>, StatusCode> {
    if !request.is_valid() {
        return Err(StatusCode::BAD_REQUEST);
    }

    let rows = query_as(N::PAGE).bind(table::SELLER).fetch_all(&pool).await;
    let rows: Vec<Row<N>> = rows.map_err(|_| StatusCode::BAD_GATEWAY)?;

    let deals_for_buyer = connection(rows).ok_or(StatusCode::BAD_GATEWAY)?;
    Ok(Json(Response {
        data: Data { deals_for_buyer },
    }))
}

/// Makes a page of the rows; `None` if there are none, since the table never is empty.
fn connection<N: Node>(mut rows: Vec<Row<N>>) -> Option<Connection<N>> {
    let has_next_page = rows.len() > PAGE_SIZE;
    rows.truncate(PAGE_SIZE);

    let last = rows.last()?;
    let position = opaque(last.epoch, last.position);
    let end_cursor = Some(opaque(last.position, last.sequence));
    let nodes = rows.into_iter().map(|row| row.node.completed()).collect();

    Some(Connection {
        nodes,
        page_info: PageInfo {
            has_next_page,
            end_cursor,
        },
        position,
    })
}

/// Encodes two numbers as a text for clients, about as long as Dealwire's positions and cursors.
fn opaque(high: i64, low: i64) -> String {
    Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned())
        .simple()
        .to_string()
}
