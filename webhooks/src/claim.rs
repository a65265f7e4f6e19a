//! Claims: taking due deliveries for one dispatcher, for the time of a lease.
//!
//! A claimed delivery stays where it is in the tables. If its dispatcher dies, nothing has to be
//! put back: the lease runs out and another dispatcher claims the delivery.
//! [`record`](crate::record) checks that the lease still holds before it writes an outcome.

use std::collections::HashMap;
use std::time::Duration;

use backbone::db::Db;
use backbone::ids::{DeliveryId, WebhookId};
use backbone::time::Timestamp;
use backbone::{Error, on_tx, random};
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::retry_policy::{BREAKER, BREAKER_HOLD};
use crate::time::after;

const FIND_DUE_POSTGRES: &str = include_str!("claim/find_due.postgres.sql");
const FIND_DUE_SQLITE: &str = include_str!("claim/find_due.sqlite.sql");
const CLAIM_POSTGRES: &str = include_str!("claim/claim.postgres.sql");
const OPEN_SQLITE: &str = include_str!("claim/open.sqlite.sql");
const LEASE_SQLITE: &str = include_str!("claim/lease.sqlite.sql");
const HOLD_SQLITE: &str = include_str!("claim/hold.sqlite.sql");
const CLAIMED_SQLITE: &str = include_str!("claim/claimed.sqlite.sql");
const RENEW_POSTGRES: &str = include_str!("claim/renew.postgres.sql");
const RENEW_SQLITE: &str = include_str!("claim/renew.sqlite.sql");
const RELEASE_POSTGRES: &str = include_str!("claim/release.postgres.sql");
const RELEASE_SQLITE: &str = include_str!("claim/release.sqlite.sql");

/// Time for which a claim keeps other dispatchers away, unless it is renewed.
// Short, because after a crash nothing is sent to the endpoints concerned until it has passed; and
// three renewals long, so that one lost renewal does no harm.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

/// Request to claim deliveries of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClaimRequest {
    pub(crate) webhook: WebhookId,
    /// Number of calls to the endpoint that this dispatcher has under way.
    pub(crate) busy: u32,
    /// Largest number of deliveries to claim; at least 1.
    pub(crate) room: u32,
}

/// Deliveries claimed together, under one lease.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) lease: Uuid,
    pub(crate) deliveries: Vec<ClaimedDelivery>,
}

/// Delivery that this dispatcher may send while its lease holds.
#[derive(Debug, FromRow)]
pub(crate) struct ClaimedDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) webhook_id: WebhookId,
    pub(crate) replay: bool,
    /// Number of attempts before this one.
    pub(crate) attempts: i32,
    pub(crate) created_at: Timestamp,
    /// Number of deliveries that the claim could have taken from the endpoint.
    pub(crate) room: i32,
    pub(crate) body: Vec<u8>,
    pub(crate) url: String,
    pub(crate) secret: Vec<u8>,
    /// Secret before the last rotation, while it still signs.
    pub(crate) previous_secret: Option<Vec<u8>>,
}

/// Returns every endpoint that may be called and has an unclaimed delivery due.
pub(crate) async fn find_due(db: &Db, now: Timestamp) -> Result<Vec<WebhookId>, Error> {
    // A transaction for one read, because it brings the settings that keep PostgreSQL to the
    // indexes: without them, the plan made for near-empty tables would scan a backlog of any size.
    let mut tx = db.begin_asynchronous_commit().await?;

    let statement = if tx.is_postgres() {
        FIND_DUE_POSTGRES
    } else {
        FIND_DUE_SQLITE
    };
    let found: Result<Vec<WebhookId>, Error> = on_tx!(
        &mut tx,
        connection => sqlx::query_scalar(statement).bind(now).fetch_all(connection).await
    );
    let found = found?;

    tx.commit().await?;
    Ok(found)
}

/// Claims the oldest due deliveries of each requested endpoint.
///
/// A healthy endpoint gets up to `concurrency` calls at a time. Every failure in a row halves that
/// number, down to 1, and an endpoint whose breaker is half open gets a single probe.
pub(crate) async fn claim(
    db: &Db,
    requests: &[ClaimRequest],
    concurrency: u32,
    now: Timestamp,
) -> Result<Claim, Error> {
    let claimant = Claimant {
        // One lease for the whole claim, which is new each time: a dispatcher that claims a
        // delivery again cannot confuse the two claims.
        lease: random::random_id(),
        now,
        concurrency: concurrency as i32,
    };

    // A lease need not survive a crash of the database: one that is forgotten is one that has run
    // out. So the commit does not wait for the disk.
    let mut tx = db.begin_asynchronous_commit().await?;
    let claimed = on_tx!(
        &mut tx,
        postgres(connection) => claimant.claim_on_postgres(connection, requests).await,
        sqlite(connection) => claimant.claim_on_sqlite(connection, requests).await,
    );
    let deliveries = claimed?;
    tx.commit().await?;

    Ok(Claim {
        lease: claimant.lease,
        deliveries,
    })
}

/// Arguments that all statements of one claim share.
struct Claimant {
    lease: Uuid,
    now: Timestamp,
    concurrency: i32,
}

/// Endpoint that may be called, with the number of deliveries to claim of it.
#[derive(FromRow)]
struct OpenEndpoint {
    id: WebhookId,
    probing: bool,
    room: i32,
}

impl Claimant {
    async fn claim_on_postgres(
        &self,
        connection: &mut PgConnection,
        requests: &[ClaimRequest],
    ) -> Result<Vec<ClaimedDelivery>, sqlx::Error> {
        let webhooks: Vec<Uuid> = requests.iter().map(|request| request.webhook.0).collect();
        let busy: Vec<i32> = requests.iter().map(|request| request.busy as i32).collect();
        let room: Vec<i32> = requests.iter().map(|request| request.room as i32).collect();

        sqlx::query_as(CLAIM_POSTGRES)
            .bind(self.now)
            .bind(webhooks)
            .bind(busy)
            .bind(room)
            .bind(BREAKER as i32)
            .bind(after(self.now, BREAKER_HOLD))
            .bind(self.concurrency)
            .bind(self.lease)
            .bind(after(self.now, LEASE))
            .fetch_all(connection)
            .await
    }

    /// Claims from one endpoint after the other.
    // Four small statements are safe here where PostgreSQL needs one with row locks: a transaction
    // that writes is alone in SQLite.
    async fn claim_on_sqlite(
        &self,
        connection: &mut SqliteConnection,
        requests: &[ClaimRequest],
    ) -> Result<Vec<ClaimedDelivery>, sqlx::Error> {
        let requests: Vec<_> = requests
            .iter()
            .map(|request| json!([request.webhook.0.simple(), request.busy, request.room]))
            .collect();
        let open: Vec<OpenEndpoint> = sqlx::query_as(OPEN_SQLITE)
            .bind(self.now)
            .bind(Json(requests))
            .bind(BREAKER as i32)
            .bind(self.concurrency)
            .fetch_all(&mut *connection)
            .await?;

        let mut claimed = Vec::new();
        // Calls under way may already exceed what an endpoint gets after it began to fail.
        for endpoint in open.into_iter().filter(|endpoint| endpoint.room > 0) {
            let leased = self.lease_on_sqlite(connection, &endpoint).await?;
            let room = endpoint.room;
            claimed.extend(leased.iter().map(|id| json!([id.0.simple(), room])));
        }

        sqlx::query_as(CLAIMED_SQLITE)
            .bind(self.now)
            .bind(Json(claimed))
            .fetch_all(connection)
            .await
    }

    async fn lease_on_sqlite(
        &self,
        connection: &mut SqliteConnection,
        endpoint: &OpenEndpoint,
    ) -> Result<Vec<DeliveryId>, sqlx::Error> {
        let leased: Vec<DeliveryId> = sqlx::query_scalar(LEASE_SQLITE)
            .bind(self.now)
            .bind(endpoint.id)
            .bind(self.lease)
            .bind(after(self.now, LEASE))
            .bind(endpoint.room)
            .fetch_all(&mut *connection)
            .await?;

        // A half-open breaker lets one probe through. The hold keeps other dispatchers from probing
        // as well until the outcome is recorded, or until the hold ends if it never is.
        if endpoint.probing && !leased.is_empty() {
            sqlx::query(HOLD_SQLITE)
                .bind(endpoint.id)
                .bind(after(self.now, BREAKER_HOLD))
                .execute(connection)
                .await?;
        }

        Ok(leased)
    }
}

/// Extends leases by the time of one lease from `now`. A lease that was lost meanwhile stays lost.
pub(crate) async fn renew(
    db: &Db,
    leases: &HashMap<DeliveryId, Uuid>,
    now: Timestamp,
) -> Result<(), Error> {
    // A renewal that is lost in a crash of the database means that a delivery may be claimed early
    // and called twice. That is rare, and receivers must expect repetitions anyway.
    let until = after(now, LEASE);
    let mut tx = db.begin_asynchronous_commit().await?;

    on_tx!(
        &mut tx,
        postgres(connection) => {
            let deliveries: Vec<Uuid> = leases.keys().map(|id| id.0).collect();
            let leases: Vec<Uuid> = leases.values().copied().collect();
            let query = sqlx::query(RENEW_POSTGRES).bind(deliveries).bind(leases).bind(until);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let leases: Vec<_> = leases
                .iter()
                .map(|(id, lease)| json!([id.0.simple(), lease.simple()]))
                .collect();
            let query = sqlx::query(RENEW_SQLITE).bind(Json(leases)).bind(until);
            query.execute(connection).await.map(|_| ())
        },
    )?;

    tx.commit().await
}

/// Gives up the lease on deliveries that were not called, so that they are due again at once.
pub(crate) async fn release(db: &Db, lease: Uuid, ids: &[DeliveryId]) -> Result<(), Error> {
    // Under its lease only: a delivery that somebody else has claimed meanwhile stays theirs.
    let mut tx = db.begin_asynchronous_commit().await?;

    on_tx!(
        &mut tx,
        postgres(connection) => {
            let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
            let query = sqlx::query(RELEASE_POSTGRES).bind(ids).bind(lease);
            query.execute(connection).await.map(|_| ())
        },
        sqlite(connection) => {
            let ids: Vec<_> = ids.iter().map(|id| id.0.simple()).collect();
            let query = sqlx::query(RELEASE_SQLITE).bind(Json(ids)).bind(lease);
            query.execute(connection).await.map(|_| ())
        },
    )?;

    tx.commit().await
}
