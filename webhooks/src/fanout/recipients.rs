//! The recipients of changes: an endpoint is called for a change that its buyer may see at its place
//! in the log, if the settings that the endpoint had there want the event and its seller.

use std::collections::{HashMap, HashSet};

use backbone::contract::DealField;
use backbone::db::Db;
use backbone::ids::{BuyerId, SellerId, WebhookId};
use backbone::position::Sequence;
use backbone::{Error, on_db};
use buyer_core::{BuyerSide, PairInterval};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::body::DealChange;
use crate::kinds::WebhookEvent;

const BUYERS: &str = include_str!("recipients/buyers.sql");
const SETTINGS_POSTGRES: &str = include_str!("recipients/settings.postgres.sql");
const SETTINGS_SQLITE: &str = include_str!("recipients/settings.sqlite.sql");

/// Settings of an endpoint in an interval of the log.
#[derive(FromRow)]
struct Settings {
    id: WebhookId,
    buyer_id: BuyerId,
    events: Json<Vec<WebhookEvent>>,
    /// `None`: of every seller.
    seller_ids: Option<Json<Vec<SellerId>>>,
    /// `None`: whatever changed.
    only_when_changed: Option<Json<Vec<DealField>>>,
    from_position: i64,
    /// `None` for the present settings.
    to_position: Option<i64>,
}

impl Settings {
    /// Returns whether they hold at the place of a change and want it.
    fn want(&self, change: &DealChange<'_>) -> bool {
        let at = change.position.sequence as i64;

        // An endpoint gets what comes after its registration, not the history before it, and new
        // settings hold for what comes after them.
        let hold = at > self.from_position && self.to_position.is_none_or(|end| at <= end);
        let sellers = self.seller_ids.as_ref();

        // A creation is news whichever fields somebody waits for.
        let touches_one = |wanted: &Json<Vec<DealField>>| {
            change.event == WebhookEvent::DealCreated
                || change.changed.iter().any(|field| wanted.0.contains(field))
        };

        hold && self.events.0.contains(&change.event)
            && sellers.is_none_or(|wanted| wanted.0.contains(&change.deal.seller_id))
            && self.only_when_changed.as_ref().is_none_or(touches_one)
    }
}

/// An endpoint in one interval of its settings, with one interval of its buyer's access.
struct Recipient {
    webhook: WebhookId,
    /// Index of its settings.
    settings: usize,
    access: PairInterval,
}

/// All endpoints that changes of some sellers in a range of the log may have to be sent to.
#[derive(Default)]
pub(super) struct Recipients {
    settings: Vec<Settings>,
    /// Recipients of each seller's changes, in the order of the endpoints' ids.
    by_seller: HashMap<SellerId, Vec<Recipient>>,
}

impl Recipients {
    /// Reads the recipients among the endpoints of `buyers`.
    ///
    /// Two reads of two databases, since on SQLite access and endpoints are in different files. No
    /// snapshot is needed: both are kept as intervals of the log, and what lies up to the end of
    /// the range is projected and claimed, so that neither changes there any more.
    pub(super) async fn read(
        db: &Db,
        side: &BuyerSide,
        sellers: &HashSet<SellerId>,
        buyers: &[BuyerId],
        range: (Sequence, Sequence),
    ) -> Result<Self, Error> {
        let sellers: Vec<SellerId> = sellers.iter().copied().collect();
        if sellers.is_empty() || buyers.is_empty() {
            return Ok(Self::default());
        }

        let access = side.access_among(&sellers, buyers, range).await?;
        let granted: HashSet<BuyerId> = access.iter().map(|interval| interval.buyer_id).collect();
        let settings = settings(db, &granted, range).await?;

        Ok(Self::new(settings, access))
    }

    fn new(settings: Vec<Settings>, access: Vec<PairInterval>) -> Self {
        let mut of_buyer: HashMap<BuyerId, Vec<usize>> = HashMap::new();
        for (index, row) in settings.iter().enumerate() {
            of_buyer.entry(row.buyer_id).or_default().push(index);
        }

        let mut by_seller: HashMap<SellerId, Vec<Recipient>> = HashMap::new();
        for interval in access {
            let of_seller = by_seller.entry(interval.seller_id).or_default();

            for index in of_buyer.get(&interval.buyer_id).into_iter().flatten() {
                of_seller.push(Recipient {
                    webhook: settings[*index].id,
                    settings: *index,
                    access: interval,
                });
            }
        }
        for of_seller in by_seller.values_mut() {
            of_seller.sort_unstable_by_key(|recipient| recipient.webhook);
        }

        Self {
            settings,
            by_seller,
        }
    }

    /// Returns the endpoints to call for a change, in the order of their ids, beginning behind
    /// `after`.
    pub(super) fn of(
        &self,
        change: DealChange<'_>,
        after: Option<WebhookId>,
    ) -> impl Iterator<Item = WebhookId> {
        let all = self
            .by_seller
            .get(&change.deal.seller_id)
            .map_or(&[][..], Vec::as_slice);
        let start = all.partition_point(|recipient| Some(recipient.webhook) <= after);

        // Neither the intervals of one endpoint's settings nor those of one pair's access overlap,
        // so no endpoint occurs twice.
        all[start..]
            .iter()
            .filter(move |recipient| {
                let settings = &self.settings[recipient.settings];
                recipient.access.holds_at(change.position.sequence) && settings.want(&change)
            })
            .map(|recipient| recipient.webhook)
    }
}

/// Reads the buyers who have endpoints.
pub(super) async fn buyers(db: &Db) -> Result<Vec<BuyerId>, Error> {
    on_db!(db.read(), pool => sqlx::query_scalar(BUYERS).fetch_all(pool).await)
}

/// Reads the settings that endpoints of some buyers have in a range of the log.
async fn settings(
    db: &Db,
    buyers: &HashSet<BuyerId>,
    (first, last): (Sequence, Sequence),
) -> Result<Vec<Settings>, Error> {
    if buyers.is_empty() {
        return Ok(Vec::new());
    }

    on_db!(
        db.read(),
        postgres(pool) => {
            let buyers: Vec<Uuid> = buyers.iter().map(|buyer| buyer.0).collect();

            // Planned anew each time, since a kept plan may have been made for an empty table.
            sqlx::query_as(SETTINGS_POSTGRES)
                .persistent(false)
                .bind(buyers)
                .bind(first as i64)
                .bind(last as i64)
                .fetch_all(pool)
                .await
        },
        sqlite(pool) => {
            let buyers: Vec<_> = buyers.iter().map(|buyer| buyer.0.simple()).collect();

            sqlx::query_as(SETTINGS_SQLITE)
                .bind(Json(buyers))
                .bind(first as i64)
                .bind(last as i64)
                .fetch_all(pool)
                .await
        },
    )
}
