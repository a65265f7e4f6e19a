//! The world that the oracle's harness answers from, read from its file.

mod callers;

use std::sync::Arc;
use std::time::Duration;

use backbone::contract;
use backbone::deal_table::{self, Cursor, DealKey, PageDeal, StoredDeal};
use backbone::ids::{BuyerId, DealId, DeliveryId, SellerId, WebhookId};
use backbone::money;
use backbone::position::{Position, Sequence};
use backbone::time::Timestamp;
use buyer_core::feed::{Change, ChangeBody};
use live::{ChangeKind, Pulled, PushedChange, Shown};
use serde::Deserialize;
use uuid::Uuid;

use super::world_log::WorldLog;
use crate::graphql::access::{Access, AccessConnection};
use crate::graphql::account::{Role, Viewer};
use crate::graphql::connection::DealConnection;
use crate::graphql::deal::Deal;
use crate::graphql::node::Node;
use crate::graphql::scalars;
use crate::graphql::webhook::{
    DeliveryState, Webhook, WebhookDelivery, WebhookDeliveryConnection, WebhookEvent, WebhookState,
};
use crate::graphql::webhook_replay::{WebhookReplay, WebhookReplayState};
use callers::{WorldAccount, WorldApiKey, WorldIssuedKey, WorldRevokedKey};

/// Size of a page without `first`.
const DEFAULT_PAGE: i32 = 20;

/// All data of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct World {
    viewer: WorldViewer,
    deals: Vec<WorldDeal>,
    accesses: Vec<WorldAccess>,
    webhooks: Vec<WorldWebhook>,
    deliveries: Vec<WorldDelivery>,
    replays: Vec<WorldReplay>,
    accounts: Vec<WorldAccount>,
    api_keys: Vec<WorldApiKey>,
    issued_keys: Vec<WorldIssuedKey>,
    revoked_keys: Vec<WorldRevokedKey>,
    secrets: Vec<String>,
    positions: Vec<Position>,
    changes: Vec<WorldChange>,
    pub(super) log: WorldLog,
}

#[derive(Deserialize)]
struct WorldViewer {
    role: Role,
    id: Uuid,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldDeal {
    id: DealId,
    seller_id: SellerId,
    name: String,
    total_price: i64,
    currency: money::Currency,
    status: contract::DealStatus,
    discount: Option<WorldDiscount>,
    items: Vec<contract::Item>,
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    sequence: Sequence,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WorldDiscount {
    Amount(i64),
    Percentage(f64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldAccess {
    seller_id: SellerId,
    buyer_id: BuyerId,
    since: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldWebhook {
    id: WebhookId,
    url: String,
    events: Vec<WebhookEvent>,
    seller_ids: Option<Vec<SellerId>>,
    description: Option<String>,
    state: WebhookState,
    disabled_reason: Option<String>,
    counts: WorldCounts,
    created_at: Timestamp,
}

#[derive(Clone, Copy, Deserialize)]
struct WorldCounts {
    owed: u64,
    delivered: u64,
    pending: u64,
    dead: u64,
    discarded: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldDelivery {
    id: DeliveryId,
    webhook_id: WebhookId,
    event: WebhookEvent,
    state: DeliveryState,
    position: Position,
    attempts: Vec<WorldAttempt>,
    next_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldReplay {
    id: Uuid,
    webhook_id: WebhookId,
    state: WebhookReplayState,
    matched: u64,
    sent: u64,
    created_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorldAttempt {
    number: u32,
    at: Timestamp,
    status_code: Option<u16>,
    error: Option<String>,
    duration_ms: u64,
    response_body: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    tag = "field",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum WorldChange {
    DealChanged {
        r#type: String,
        deal_id: DealId,
        changed_fields: Vec<contract::DealField>,
        position: Position,
    },
    AccessChanged {
        seller_id: SellerId,
        buyer_id: BuyerId,
        granted: bool,
        position: Position,
    },
}

impl World {
    pub(super) fn viewer(&self) -> Viewer {
        Viewer {
            role: self.viewer.role,
            id: self.viewer.id.into(),
            name: self.viewer.name.clone(),
        }
    }

    pub(super) fn node(&self, id: &str) -> Option<Node> {
        let has_id = |other: Uuid| other.to_string() == id;
        let webhook = self.webhooks.iter().find(|webhook| has_id(webhook.id.0));
        let delivery = self
            .deliveries
            .iter()
            .find(|delivery| has_id(delivery.id.0));

        let deal = self.deal(id).map(Node::Deal);
        deal.or_else(|| webhook.map(|webhook| Node::Webhook(webhook.to_core().into())))
            .or_else(|| delivery.map(|delivery| Node::WebhookDelivery(delivery.to_core().into())))
    }

    pub(super) fn deal(&self, id: &str) -> Option<Deal> {
        // By the text itself: the fixture takes no other form of the same UUID.
        let deal = self.deals.iter().find(|deal| deal.id.to_string() == id);
        deal.map(|deal| Deal(deal.to_stored()))
    }

    pub(super) fn first_deal(&self) -> Deal {
        Deal(self.deals[0].to_stored())
    }

    pub(super) fn deals(&self, size: Option<i32>) -> DealConnection {
        let size = page_size(size);
        let deals = self.deals.iter().take(size).map(|deal| PageDeal {
            // Without the position of its page, as the protocol has it.
            cursor: Cursor {
                key: DealKey::Change(deal.sequence),
                shown_at: None,
            },
            deal: deal.to_stored(),
        });

        DealConnection(deal_table::Page {
            deals: deals.collect(),
            has_next: self.deals.len() > size,
            has_previous: false,
            position: self.positions[0],
        })
    }

    pub(super) fn access(&self) -> Access {
        let WorldAccess {
            seller_id,
            buyer_id,
            since,
        } = self.accesses[0];
        Access::new(seller_id, buyer_id, since)
    }

    pub(super) fn accesses(&self, size: Option<i32>, by_seller: bool) -> AccessConnection {
        let size = page_size(size);
        let accesses = self.accesses.iter().take(size).map(|access| {
            let other = if by_seller {
                access.seller_id.0
            } else {
                access.buyer_id.0
            };
            (other, access.seller_id, access.buyer_id, access.since)
        });

        AccessConnection::new(accesses, self.accesses.len() > size, false)
    }

    pub(super) fn webhooks(&self) -> Vec<Webhook> {
        let webhooks = self.webhooks.iter();
        webhooks.map(|webhook| webhook.to_core().into()).collect()
    }

    pub(super) fn webhook(&self) -> Webhook {
        self.webhooks[0].to_core().into()
    }

    pub(super) fn webhook_id(&self) -> Uuid {
        self.webhooks[0].id.0
    }

    pub(super) fn delivery(&self) -> WebhookDelivery {
        self.deliveries[0].to_core().into()
    }

    pub(super) fn replay(&self) -> WebhookReplay {
        self.replays[0].shown()
    }

    pub(super) fn replays(&self) -> Vec<WebhookReplay> {
        self.replays.iter().map(WorldReplay::shown).collect()
    }

    pub(super) fn deliveries(&self, size: Option<i32>) -> WebhookDeliveryConnection {
        let size = page_size(size);
        let page = webhooks::DeliveryPage {
            deliveries: self
                .deliveries
                .iter()
                .take(size)
                .map(WorldDelivery::to_core)
                .collect(),
            has_next: self.deliveries.len() > size,
        };

        WebhookDeliveryConnection::new(page, false)
    }

    pub(super) fn secret(&self) -> String {
        self.secrets[0].clone()
    }

    pub(super) fn position(&self) -> scalars::Position {
        self.positions[0].into()
    }

    /// Returns the page of changes that a pull is answered with: the world has one change of a deal.
    pub(super) fn pulled(&self, first: Option<i32>) -> Pulled {
        let has_room = first.is_none_or(|first| first > 0);
        let changes = has_room.then(|| self.pushed("dealChanged"));

        Pulled {
            changes: changes.into_iter().collect(),
            position: self.positions[0],
            more: false,
        }
    }

    /// Returns the change that a subscription to this root field is answered with.
    pub(super) fn pushed(&self, field: &str) -> PushedChange {
        let pushed = self
            .changes
            .iter()
            .find_map(|change| self.change(change, field));
        pushed.expect("the world has a change of every kind")
    }

    fn change(&self, change: &WorldChange, field: &str) -> Option<PushedChange> {
        let (kind, position, seller_id, body) = match change {
            WorldChange::DealChanged {
                r#type,
                deal_id,
                changed_fields,
                position,
            } if field == "dealChanged" => {
                let deal = self.deals.iter().find(|deal| deal.id == *deal_id)?;
                let body = ChangeBody::Deal {
                    created: false,
                    deal: deal.to_stored().deal,
                    changed: changed_fields.clone(),
                    previous: None,
                };
                (change_kind(r#type), *position, deal.seller_id, body)
            }
            WorldChange::AccessChanged {
                seller_id,
                buyer_id,
                granted,
                position,
            } if field == "accessChanged" => {
                let body = ChangeBody::Access {
                    buyer: *buyer_id,
                    granted: *granted,
                };
                (ChangeKind::Updated, *position, *seller_id, body)
            }
            _ => return None,
        };

        let change = Change {
            sequence: position.sequence,
            index: position.index,
            seller_id,
            body,
        };
        Some(PushedChange {
            epoch: position.epoch,
            shown: Shown {
                kind,
                change: Arc::new(change),
                conflated: None,
            },
        })
    }
}

impl WorldDeal {
    fn to_stored(&self) -> StoredDeal {
        let units = |amount| money::MinorUnits::new(amount).expect("a price of the world is valid");
        let discount = self.discount.map(|discount| match discount {
            WorldDiscount::Amount(amount) => money::Discount::Flat {
                amount: units(amount),
            },
            WorldDiscount::Percentage(percentage) => money::Discount::Percentage {
                basis_points: money::BasisPoints::from_percentage(percentage)
                    .expect("a percentage of the world is valid"),
            },
        });

        StoredDeal {
            deal: Arc::new(contract::Deal {
                id: self.id,
                seller_id: self.seller_id,
                name: self.name.clone(),
                total_price: units(self.total_price),
                currency: self.currency,
                status: self.status,
                discount,
                items: self.items.clone(),
                version: self.version,
                created_at: self.created_at,
                updated_at: self.updated_at,
            }),
            sequence: self.sequence,
        }
    }
}

impl WorldWebhook {
    fn to_core(&self) -> webhooks::Webhook {
        webhooks::Webhook {
            id: self.id,
            url: self.url.clone(),
            events: self.events.iter().map(|event| (*event).into()).collect(),
            seller_ids: self.seller_ids.clone(),
            description: self.description.clone(),
            state: self.state.into(),
            disabled_reason: self.disabled_reason.clone(),
            counts: webhooks::DeliveryCounts {
                owed: self.counts.owed,
                delivered: self.counts.delivered,
                pending: self.counts.pending,
                dead: self.counts.dead,
                discarded: self.counts.discarded,
            },
            created_at: self.created_at,
        }
    }
}

impl WorldDelivery {
    fn to_core(&self) -> webhooks::Delivery {
        let attempt = |attempt: &WorldAttempt| webhooks::Attempt {
            number: attempt.number,
            at: attempt.at,
            status_code: attempt.status_code,
            error: attempt.error.clone(),
            duration: Duration::from_millis(attempt.duration_ms),
            response_body: attempt.response_body.clone(),
        };

        webhooks::Delivery {
            id: self.id,
            webhook_id: self.webhook_id,
            event: self.event.into(),
            state: self.state.into(),
            position: self.position,
            attempts: self.attempts.iter().map(attempt).collect(),
            next_attempt_at: self.next_attempt_at,
            created_at: self.created_at,
            body: self.body.clone(),
        }
    }
}

impl WorldReplay {
    fn shown(&self) -> WebhookReplay {
        WebhookReplay {
            id: self.id.into(),
            webhook_id: self.webhook_id.into(),
            state: self.state,
            matched: self.matched,
            sent: self.sent,
            created_at: scalars::DateTime(self.created_at),
        }
    }
}

fn page_size(size: Option<i32>) -> usize {
    usize::try_from(size.unwrap_or(DEFAULT_PAGE)).unwrap_or(0)
}

fn change_kind(name: &str) -> ChangeKind {
    match name {
        "CREATED" => ChangeKind::Created,
        "LEFT" => ChangeKind::Left,
        _ => ChangeKind::Updated,
    }
}
