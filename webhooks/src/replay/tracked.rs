//! Statements on the deliveries that a replay has selected.

use backbone::db::Tx;
use backbone::ids::{DealId, DeliveryId};
use backbone::time::Timestamp;
use backbone::{Error, on_tx};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::job::Job;
use super::queue::{Stage, Tracked};

const TRACKED: &str = include_str!("tracked.sql");
const SCAN_POSTGRES: &str = include_str!("scan.postgres.sql");
const SCAN_SQLITE: &str = include_str!("scan.sqlite.sql");
const TRACK_POSTGRES: &str = include_str!("track.postgres.sql");
const TRACK_SQLITE: &str = include_str!("track.sqlite.sql");
const STAGE_POSTGRES: &str = include_str!("stage.postgres.sql");
const STAGE_SQLITE: &str = include_str!("stage.sqlite.sql");
const UNTRACK_POSTGRES: &str = include_str!("untrack.postgres.sql");
const UNTRACK_SQLITE: &str = include_str!("untrack.sqlite.sql");
const UNTRACK_ALL: &str = include_str!("untrack_all.sql");
const OPEN_POSTGRES: &str = include_str!("open.postgres.sql");
const OPEN_SQLITE: &str = include_str!("open.sqlite.sql");
const CLOSE_POSTGRES: &str = include_str!("close.postgres.sql");
const CLOSE_SQLITE: &str = include_str!("close.sqlite.sql");

/// Delivery of the endpoint, and whether the replay selects it.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Scanned {
    pub(super) delivery_id: DeliveryId,
    pub(super) deal_id: Option<DealId>,
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) change_index: i32,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) selected: bool,
}

/// Reads what a replay has selected, in the order of the changes.
pub(super) async fn read(tx: &mut Tx, replay: Uuid) -> Result<Vec<Tracked>, Error> {
    on_tx!(
        tx,
        connection => sqlx::query_as(TRACKED).bind(replay).fetch_all(connection).await
    )
}

/// Looks through up to `rows` deliveries behind the place of a replay.
pub(super) async fn scan(tx: &mut Tx, job: &Job, rows: i64) -> Result<Vec<Scanned>, Error> {
    let statement = if tx.is_postgres() {
        SCAN_POSTGRES
    } else {
        SCAN_SQLITE
    };

    on_tx!(
        tx,
        connection => sqlx::query_as(statement)
            .bind(job.webhook_id)
            .bind(job.delivery_state.as_str())
            .bind(job.since)
            .bind(job.until)
            // What finished later is left out, or a replay would meet its own deliveries again.
            .bind(job.created_at)
            .bind(job.deal_id)
            .bind(&job.events)
            .bind(job.at_epoch)
            .bind(job.at_sequence)
            .bind(job.at_index)
            .bind(rows)
            .fetch_all(connection)
            .await
    )
}

/// Adds deliveries that wait to be opened.
pub(super) async fn add(tx: &mut Tx, replay: Uuid, added: &[Scanned]) -> Result<(), Error> {
    if added.is_empty() {
        return Ok(());
    }

    on_tx!(
        tx,
        postgres(connection) => {
            let deliveries: Vec<Uuid> = added.iter().map(|row| row.delivery_id.0).collect();
            let deals: Vec<Option<Uuid>> =
                added.iter().map(|row| row.deal_id.map(|deal| deal.0)).collect();
            let epochs: Vec<i64> = added.iter().map(|row| row.epoch).collect();
            let sequences: Vec<i64> = added.iter().map(|row| row.sequence).collect();
            let indexes: Vec<i32> = added.iter().map(|row| row.change_index).collect();
            let ends: Vec<Option<Timestamp>> = added.iter().map(|row| row.finished_at).collect();

            let query = sqlx::query(TRACK_POSTGRES).bind(replay).bind(deliveries).bind(deals);
            let query = query.bind(epochs).bind(sequences).bind(indexes).bind(ends);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let rows: Vec<_> = added
                .iter()
                .map(|row| {
                    json!([
                        row.delivery_id.0.simple(),
                        row.deal_id.map(|deal| deal.0.simple()),
                        row.epoch,
                        row.sequence,
                        row.change_index,
                        row.finished_at.map(Timestamp::as_micros)
                    ])
                })
                .collect();

            let query = sqlx::query(TRACK_SQLITE).bind(replay).bind(Json(rows));
            query.execute(connection).await.map(|_| ())
        },
    )
}

/// Writes the stage of deliveries.
pub(super) async fn set_stage(
    tx: &mut Tx,
    replay: Uuid,
    deliveries: &[DeliveryId],
    stage: Stage,
) -> Result<(), Error> {
    if deliveries.is_empty() {
        return Ok(());
    }

    on_tx!(
        tx,
        postgres(connection) => {
            let query = sqlx::query(STAGE_POSTGRES).bind(replay).bind(uuids(deliveries));
            query.bind(stage.as_str()).execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let query = sqlx::query(STAGE_SQLITE).bind(replay).bind(Json(texts(deliveries)));
            query.bind(stage.as_str()).execute(connection).await.map(|_| ())
        },
    )
}

/// Forgets deliveries that a replay has finished with.
pub(super) async fn remove(
    tx: &mut Tx,
    replay: Uuid,
    deliveries: &[DeliveryId],
) -> Result<(), Error> {
    if deliveries.is_empty() {
        return Ok(());
    }

    on_tx!(
        tx,
        postgres(connection) => {
            let query = sqlx::query(UNTRACK_POSTGRES).bind(replay).bind(uuids(deliveries));
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let query = sqlx::query(UNTRACK_SQLITE).bind(replay).bind(Json(texts(deliveries)));
            query.execute(connection).await.map(|_| ())
        },
    )
}

/// Forgets all deliveries of a replay that has ended.
pub(super) async fn remove_all(tx: &mut Tx, replay: Uuid) -> Result<(), Error> {
    on_tx!(
        tx,
        connection => sqlx::query(UNTRACK_ALL).bind(replay).execute(connection).await.map(|_| ())
    )
}

/// Opens deliveries that are still in the state that the replay selects. Returns those opened.
pub(super) async fn open(
    tx: &mut Tx,
    job: &Job,
    deliveries: &[DeliveryId],
    now: Timestamp,
) -> Result<Vec<DeliveryId>, Error> {
    let state = job.delivery_state.as_str();

    on_tx!(
        tx,
        postgres(connection) => {
            let query = sqlx::query_scalar(OPEN_POSTGRES).bind(uuids(deliveries)).bind(state);
            query.bind(now).fetch_all(connection).await
        },
        sqlite(connection) => {
            let query = sqlx::query_scalar(OPEN_SQLITE).bind(Json(texts(deliveries))).bind(state);
            query.bind(now).fetch_all(connection).await
        },
    )
}

/// Puts deliveries that were opened and not called back into their earlier state. Returns how many.
pub(super) async fn close(tx: &mut Tx, job: &Job, deliveries: &[DeliveryId]) -> Result<u64, Error> {
    let state = job.delivery_state.as_str();

    on_tx!(
        tx,
        postgres(connection) => {
            let query = sqlx::query(CLOSE_POSTGRES).bind(job.id).bind(uuids(deliveries));
            query.bind(state).execute(connection).await.map(|done| done.rows_affected())
        },
        sqlite(connection) => {
            let query = sqlx::query(CLOSE_SQLITE).bind(job.id).bind(Json(texts(deliveries)));
            query.bind(state).execute(connection).await.map(|done| done.rows_affected())
        },
    )
}

fn uuids(deliveries: &[DeliveryId]) -> Vec<Uuid> {
    deliveries.iter().map(|delivery| delivery.0).collect()
}

fn texts(deliveries: &[DeliveryId]) -> Vec<String> {
    deliveries
        .iter()
        .map(|delivery| delivery.0.simple().to_string())
        .collect()
}
