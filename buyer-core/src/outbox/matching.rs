//! The match of changes and endpoints: an endpoint is called for a change that its buyer may see,
//! if the endpoint wants the event and the seller of the change.

use std::collections::{HashMap, HashSet};

use backbone::Error;
use backbone::contract::Deal;
use backbone::db::Tx;
use backbone::ids::{SellerId, WebhookId};
use backbone::on_tx;
use backbone::position::Sequence;
use backbone::telemetry::TraceContext;
use backbone::time::Timestamp;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::kinds::WebhookEvent;

const ENDPOINT_ACCESS_POSTGRES: &str = include_str!("matching/endpoint_access.postgres.sql");
const ENDPOINT_ACCESS_SQLITE: &str = include_str!("matching/endpoint_access.sqlite.sql");

/// A change of a deal, as endpoints are called for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DealChange<'a> {
    /// Sequence of the event.
    pub(crate) sequence: Sequence,
    /// Number of the change within its event, from 0.
    pub(crate) index: u16,
    /// True for the deal's creation.
    pub(crate) created: bool,
    /// Time of the event.
    pub(crate) at: Timestamp,
    /// Trace of the mutation behind the event.
    pub(crate) trace: Option<TraceContext>,
    /// The deal after the change.
    pub(crate) deal: &'a Deal,
}

impl DealChange<'_> {
    pub(super) fn event(&self) -> WebhookEvent {
        if self.created {
            WebhookEvent::DealCreated
        } else {
            WebhookEvent::DealUpdated
        }
    }
}

/// An endpoint together with one interval of its buyer's access to a seller.
#[derive(FromRow)]
pub(super) struct EndpointAccess {
    id: WebhookId,
    events: Json<Vec<WebhookEvent>>,
    seller_ids: Option<Json<Vec<SellerId>>>,
    from_position: i64,
    seller_id: SellerId,
    granted_at: i64,
    revoked_at: Option<i64>,
}

impl EndpointAccess {
    /// Returns whether the endpoint must be called for a change of this seller.
    fn covers(&self, change: &DealChange<'_>) -> bool {
        let at = change.sequence as i64;

        // The same rule as for live subscribers: see `access::Interval`.
        let visible = at >= self.granted_at && self.revoked_at.is_none_or(|end| at < end);
        let wants_seller = self
            .seller_ids
            .as_ref()
            .is_none_or(|wanted| wanted.0.contains(&self.seller_id));

        // An endpoint gets what comes after its registration, not the history before it.
        visible
            && wants_seller
            && at > self.from_position
            && self.events.0.contains(&change.event())
    }
}

/// A change and an endpoint that must be called for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    /// Index of the change in its batch.
    pub(super) change: usize,
    pub(super) webhook: WebhookId,
}

/// Reads the endpoints whose buyers have access to one of the changes' sellers somewhere in their
/// range of the log, once for each interval.
pub(super) async fn endpoint_access(
    tx: &mut Tx,
    changes: &[DealChange<'_>],
) -> Result<Vec<EndpointAccess>, Error> {
    let sellers: HashSet<SellerId> = changes.iter().map(|change| change.deal.seller_id).collect();
    // The range of the batch leaves out intervals that ended before it or begin after it: most of a
    // long history.
    let first = changes.first().map_or(0, |change| change.sequence as i64);
    let last = changes.last().map_or(0, |change| change.sequence as i64);

    on_tx!(tx, postgres(tx) => {
        let sellers: Vec<Uuid> = sellers.iter().map(|seller| seller.0).collect();

        // Planned anew by the tables' present size each time. A kept plan may have been made while
        // they were empty, when nothing speaks against beginning the join with the access: until
        // the first ANALYZE, every batch would then read all buyers of its sellers.
        sqlx::query_as(ENDPOINT_ACCESS_POSTGRES)
            .persistent(false)
            .bind(sellers)
            .bind(first)
            .bind(last)
            .fetch_all(&mut *tx)
            .await
    }, sqlite(tx) => {
        let sellers: Vec<_> = sellers.iter().map(|seller| seller.0.simple()).collect();

        sqlx::query_as(ENDPOINT_ACCESS_SQLITE)
            .bind(Json(sellers))
            .bind(first)
            .bind(last)
            .fetch_all(&mut *tx)
            .await
    })
}

/// Returns every change with every endpoint that must be called for it, in the order of the log.
pub(super) fn matches(changes: &[DealChange<'_>], endpoints: &[EndpointAccess]) -> Vec<Match> {
    // By seller, so that an endpoint is compared only with changes that its buyer might see.
    let mut by_seller: HashMap<SellerId, Vec<usize>> = HashMap::new();
    for (index, change) in changes.iter().enumerate() {
        let of_seller = by_seller.entry(change.deal.seller_id).or_default();
        of_seller.push(index);
    }

    let mut matches = Vec::new();
    for endpoint in endpoints {
        let of_seller = by_seller.get(&endpoint.seller_id).into_iter().flatten();
        let covered = of_seller.filter(|index| endpoint.covers(&changes[**index]));

        matches.extend(covered.map(|index| Match {
            change: *index,
            webhook: endpoint.id,
        }));
    }

    // Intervals of one pair never overlap, so no match occurs twice.
    matches.sort_unstable();
    matches
}
