//! Bodies of webhook calls: one text for each change, rendered once and sent unchanged in every
//! attempt. The standard renderer writes JSON, in which a deal has the same fields as in the GraphQL
//! schema.

use std::sync::Arc;

use backbone::contract::{Deal, DealField, DealStatus, Item, Previous};
use backbone::ids::{DealId, SellerId};
use backbone::money::{Currency, Discount, MinorUnits};
use backbone::position::Position;
use backbone::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::kinds::WebhookEvent;

/// Exclusive limit on the size of a body, in bytes: what receivers can be expected to accept.
pub const LIMIT: usize = 20_000;

/// A change of a deal, as renderers see it.
#[derive(Clone, Copy, Debug)]
pub struct DealChange<'a> {
    /// Kind of the event.
    pub event: WebhookEvent,
    /// Time of the event.
    pub at: Timestamp,
    /// Position of the change.
    pub position: Position,
    /// The deal after the change.
    pub deal: &'a Deal,
    /// Fields that differ from the version before; all fields for a creation.
    pub changed: &'a [DealField],
    /// The filterable fields before the change.
    pub previous: Option<&'a Previous>,
}

/// Function that writes the body of a change. Clones are the same function.
///
/// The fan-out renders a change once for all endpoints of a step, and never while it holds a
/// transaction. Keep bodies below [`LIMIT`].
#[derive(Clone)]
pub struct Renderer(Arc<Render>);

type Render = dyn Fn(&DealChange<'_>) -> Vec<u8> + Send + Sync;

impl Renderer {
    /// Wraps a function, which must return UTF-8.
    pub fn new(render: impl Fn(&DealChange<'_>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    /// Returns the renderer of the bodies that `docs/webhooks.md` describes.
    pub fn standard() -> Self {
        Self::new(deal)
    }

    /// Renders a change.
    pub(crate) fn render(&self, change: &DealChange<'_>) -> Vec<u8> {
        (self.0)(change)
    }
}

/// Encodes a change of a deal.
///
/// A deal that would exceed [`LIMIT`] is represented by its ids and version alone.
fn deal(change: &DealChange<'_>) -> Vec<u8> {
    let kind = change.event.kind();
    let deal = change.deal;
    // Of a creation every field would be listed, which tells the receiver nothing.
    let is_update = change.event == WebhookEvent::DealUpdated;
    let changed_fields = is_update.then_some(change.changed);

    let complete = json(&Body {
        kind,
        timestamp: change.at,
        position: change.position,
        data: CompleteDeal {
            deal: deal_fields(deal),
            changed_fields,
        },
    });
    // Encoded to learn its size: nearly every deal is far below the limit, so little work is ever
    // thrown away.
    if complete.len() < LIMIT {
        return complete;
    }

    let data = AbridgedDeal {
        deal: DealReference {
            id: deal.id,
            seller_id: deal.seller_id,
            version: deal.version,
        },
        changed_fields,
        note: "too large to send: query the deal by its id",
    };
    json(&Body {
        kind,
        timestamp: change.at,
        position: change.position,
        data,
    })
}

/// Encodes a test call, with which a customer checks that calls arrive. `position` is the end of
/// the tables' last event.
pub(crate) fn test(at: Timestamp, position: Position, webhook: Uuid) -> Vec<u8> {
    json(&Body {
        kind: "test",
        timestamp: at,
        position,
        data: Test {
            webhook_id: webhook,
        },
    })
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("texts, numbers and lists are JSON")
}

#[derive(Serialize)]
struct Body<'a, D> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: Timestamp,
    position: Position,
    data: D,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CompleteDeal<'a> {
    deal: DealFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_fields: Option<&'a [DealField]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AbridgedDeal<'a> {
    deal: DealReference,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_fields: Option<&'a [DealField]>,
    note: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DealReference {
    id: DealId,
    seller_id: SellerId,
    version: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    webhook_id: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DealFields<'a> {
    id: DealId,
    seller_id: SellerId,
    name: &'a str,
    total_price: MinorUnits,
    final_price: MinorUnits,
    currency: Currency,
    status: DealStatus,
    discount: Option<DiscountFields>,
    items: &'a [Item],
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A discount as in the public contract, which counts percent where the log counts basis points.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum DiscountFields {
    Flat { amount: MinorUnits },
    Percentage { percentage: f64 },
}

fn deal_fields(deal: &Deal) -> DealFields<'_> {
    DealFields {
        id: deal.id,
        seller_id: deal.seller_id,
        name: &deal.name,
        total_price: deal.total_price,
        final_price: deal.final_price(),
        currency: deal.currency,
        status: deal.status,
        discount: deal.discount.map(|discount| match discount {
            Discount::Flat { amount } => DiscountFields::Flat { amount },
            Discount::Percentage { basis_points } => DiscountFields::Percentage {
                percentage: basis_points.percentage(),
            },
        }),
        items: &deal.items,
        version: deal.version,
        created_at: deal.created_at,
        updated_at: deal.updated_at,
    }
}

#[cfg(test)]
mod tests {
    use backbone::ids::ItemId;
    use backbone::money::BasisPoints;
    use backbone::position::Epoch;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_718_602_212_520_001);
    const POSITION: Position = Position {
        epoch: Epoch(5),
        sequence: 9,
        index: 0,
    };

    fn units(amount: i64) -> MinorUnits {
        MinorUnits::new(amount).unwrap()
    }

    fn deal_of(name: &str, discount: Option<Discount>) -> Deal {
        Deal {
            id: DealId(Uuid::from_u128(1)),
            seller_id: SellerId(Uuid::from_u128(2)),
            name: name.to_owned(),
            total_price: units(122_301),
            currency: "GBP".parse().unwrap(),
            status: DealStatus::Sold,
            discount,
            items: vec![Item {
                id: ItemId(Uuid::from_u128(3)),
                name: "a \"thing\"".to_owned(),
                price: units(12_000),
            }],
            version: 4,
            created_at: Timestamp::from_micros(1_718_602_212_000_000),
            updated_at: AT,
        }
    }

    fn body_of(event: WebhookEvent, deal_after: &Deal) -> Vec<u8> {
        deal(&DealChange {
            event,
            at: AT,
            position: POSITION,
            deal: deal_after,
            changed: &[DealField::Name, DealField::TotalPrice],
            previous: None,
        })
    }

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn deal_has_the_fields_of_the_public_contract() {
        let position = POSITION.encode();
        let expected = |discount: &str, final_price: i64| {
            format!(
                "{{\"type\":\"deal.updated\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\
                 \"position\":\"{position}\",\"data\":{{\"deal\":{{\
                 \"id\":\"00000000-0000-0000-0000-000000000001\",\
                 \"sellerId\":\"00000000-0000-0000-0000-000000000002\",\"name\":\"john dœ\",\
                 \"totalPrice\":122301,\"finalPrice\":{final_price},\"currency\":\"GBP\",\"status\":\"SOLD\",\
                 \"discount\":{discount},\
                 \"items\":[{{\"id\":\"00000000-0000-0000-0000-000000000003\",\"name\":\"a \\\"thing\\\"\",\"price\":12000}}],\
                 \"version\":4,\"createdAt\":\"2024-06-17T05:30:12Z\",\"updatedAt\":\"2024-06-17T05:30:12.520001Z\"}},\
                 \"changedFields\":[\"NAME\",\"TOTAL_PRICE\"]}}}}"
            )
        };
        let encoded = |discount| {
            let deal = deal_of("john dœ", discount);
            text(body_of(WebhookEvent::DealUpdated, &deal))
        };
        assert_eq!(encoded(None), expected("null", 122_301));

        let flat = Discount::Flat {
            amount: units(1_234),
        };
        assert_eq!(
            encoded(Some(flat)),
            expected(r#"{"type":"FLAT","amount":1234}"#, 121_067)
        );

        let percentage = Discount::Percentage {
            basis_points: BasisPoints::from_percentage(12.5).unwrap(),
        };
        let discount = r#"{"type":"PERCENTAGE","percentage":12.5}"#;
        assert_eq!(encoded(Some(percentage)), expected(discount, 107_013));
    }

    #[test]
    fn deal_at_the_limit_is_represented_by_its_ids() {
        let created = |name: &str| body_of(WebhookEvent::DealCreated, &deal_of(name, None));
        let length_of = |name: &str| created(name).len();
        let fits = "x".repeat(LIMIT - 1 - length_of(""));
        let complete = created(&fits);
        assert_eq!(complete.len(), 19_999);
        assert!(text(complete).contains(&fits));

        let abridged = text(created(&format!("{fits}x")));
        let position = POSITION.encode();
        assert_eq!(
            abridged,
            format!(
                "{{\"type\":\"deal.created\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\
                 \"position\":\"{position}\",\"data\":{{\"deal\":{{\
                 \"id\":\"00000000-0000-0000-0000-000000000001\",\
                 \"sellerId\":\"00000000-0000-0000-0000-000000000002\",\"version\":4}},\
                 \"note\":\"too large to send: query the deal by its id\"}}}}"
            )
        );

        let large = deal_of(&"x".repeat(LIMIT), None);
        let updated = text(body_of(WebhookEvent::DealUpdated, &large));
        assert!(updated.contains("\"changedFields\":[\"NAME\",\"TOTAL_PRICE\"],\"note\":"));
    }

    #[test]
    fn test_call_has_the_id_of_its_webhook() {
        let position = Position::end_of(Epoch(5), 9);
        assert_eq!(
            text(test(AT, position, Uuid::from_u128(7))),
            format!(
                "{{\"type\":\"test\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\"position\":\"{}\",\
                 \"data\":{{\"webhookId\":\"00000000-0000-0000-0000-000000000007\"}}}}",
                position.encode()
            )
        );
    }
}
