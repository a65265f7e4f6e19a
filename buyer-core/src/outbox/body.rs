//! What is sent: one JSON text a change, written once and sent as it is at every try. It says what a deal is in the
//! shapes of the GraphQL contract, and refuses to be large.

use backbone::contract::{Deal, DealStatus, Item};
use backbone::ids::{DealId, SellerId};
use backbone::money::{Currency, Discount, MinorUnits};
use backbone::position::Position;
use backbone::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// Bodies are shorter than this, in bytes: what receivers can be expected to take.
pub const LIMIT: usize = 20_000;

/// A change of a deal: `kind` is `deal.created` or `deal.updated`, `at` the event's time, `position` the change's
/// place. A deal that does not fit is only named.
pub fn deal(kind: &str, at: Timestamp, position: Position, deal: &Deal) -> Vec<u8> {
    let whole = json(&Body {
        kind,
        timestamp: at,
        position,
        data: Whole { deal: shown(deal) },
    });
    if whole.len() < LIMIT {
        return whole;
    }
    let named = Named {
        id: deal.id,
        seller_id: deal.seller_id,
        version: deal.version,
    };
    let data = TooLarge {
        deal: named,
        note: "too large to send: query the deal by its id",
    };
    json(&Body {
        kind,
        timestamp: at,
        position,
        data,
    })
}

/// What a customer asked us to send to see whether it arrives: `position` is the tip.
pub fn test(at: Timestamp, position: Position, webhook: Uuid) -> Vec<u8> {
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
struct Whole<'a> {
    deal: Shown<'a>,
}

#[derive(Serialize)]
struct TooLarge {
    deal: Named,
    note: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
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
struct Shown<'a> {
    id: DealId,
    seller_id: SellerId,
    name: &'a str,
    total_price: MinorUnits,
    final_price: MinorUnits,
    currency: Currency,
    status: DealStatus,
    discount: Option<Off>,
    items: &'a [Item],
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A discount as the contract shows it; the log counts basis points.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Off {
    Flat { amount: MinorUnits },
    Percentage { percentage: f64 },
}

fn shown(deal: &Deal) -> Shown<'_> {
    Shown {
        id: deal.id,
        seller_id: deal.seller_id,
        name: &deal.name,
        total_price: deal.total_price,
        final_price: deal.final_price(),
        currency: deal.currency,
        status: deal.status,
        discount: deal.discount.map(|discount| match discount {
            Discount::Flat { amount } => Off::Flat { amount },
            Discount::Percentage { basis_points } => Off::Percentage {
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
    const PLACE: Position = Position {
        epoch: Epoch(5),
        sequence: 9,
        index: 0,
    };

    fn units(amount: i64) -> MinorUnits {
        MinorUnits::new(amount).unwrap()
    }

    fn of(name: &str, discount: Option<Discount>) -> Deal {
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

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_deal_is_told_in_the_contract_s_shapes() {
        let position = PLACE.encode();
        let expected = |discount: &str, final_price: i64| {
            format!(
                "{{\"type\":\"deal.updated\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\
                 \"position\":\"{position}\",\"data\":{{\"deal\":{{\
                 \"id\":\"00000000-0000-0000-0000-000000000001\",\
                 \"sellerId\":\"00000000-0000-0000-0000-000000000002\",\"name\":\"john dœ\",\
                 \"totalPrice\":122301,\"finalPrice\":{final_price},\"currency\":\"GBP\",\"status\":\"SOLD\",\
                 \"discount\":{discount},\
                 \"items\":[{{\"id\":\"00000000-0000-0000-0000-000000000003\",\"name\":\"a \\\"thing\\\"\",\"price\":12000}}],\
                 \"version\":4,\"createdAt\":\"2024-06-17T05:30:12Z\",\"updatedAt\":\"2024-06-17T05:30:12.520001Z\"}}}}}}"
            )
        };
        let told = |discount| text(deal("deal.updated", AT, PLACE, &of("john dœ", discount)));
        assert_eq!(told(None), expected("null", 122_301));
        let flat = Discount::Flat {
            amount: units(1_234),
        };
        assert_eq!(
            told(Some(flat)),
            expected(r#"{"type":"FLAT","amount":1234}"#, 121_067)
        );
        let percentage = Discount::Percentage {
            basis_points: BasisPoints::from_percentage(12.5).unwrap(),
        };
        let shown = r#"{"type":"PERCENTAGE","percentage":12.5}"#;
        assert_eq!(told(Some(percentage)), expected(shown, 107_013));
    }

    #[test]
    fn at_the_limit_a_deal_is_only_named() {
        let length_of = |name: &str| deal("deal.created", AT, PLACE, &of(name, None)).len();
        let fits = "x".repeat(LIMIT - 1 - length_of(""));
        let whole = deal("deal.created", AT, PLACE, &of(&fits, None));
        assert_eq!(whole.len(), 19_999);
        assert!(text(whole).contains(&fits));

        let named = text(deal(
            "deal.created",
            AT,
            PLACE,
            &of(&format!("{fits}x"), None),
        ));
        let position = PLACE.encode();
        assert_eq!(
            named,
            format!(
                "{{\"type\":\"deal.created\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\
                 \"position\":\"{position}\",\"data\":{{\"deal\":{{\
                 \"id\":\"00000000-0000-0000-0000-000000000001\",\
                 \"sellerId\":\"00000000-0000-0000-0000-000000000002\",\"version\":4}},\
                 \"note\":\"too large to send: query the deal by its id\"}}}}"
            )
        );
    }

    #[test]
    fn a_test_names_its_webhook() {
        let tip = Position::end_of(Epoch(5), 9);
        assert_eq!(
            text(test(AT, tip, Uuid::from_u128(7))),
            format!(
                "{{\"type\":\"test\",\"timestamp\":\"2024-06-17T05:30:12.520001Z\",\"position\":\"{}\",\
                 \"data\":{{\"webhookId\":\"00000000-0000-0000-0000-000000000007\"}}}}",
                tip.encode()
            )
        );
    }
}
