//! Creations of deals: their events, and the answers to repeats.

use backbone::contract::{DealCause, DealField, Fact};
use backbone::ids::DealId;
use backbone::telemetry::TraceContext;
use seller_core::{MutationContext, NewDeal, Refusal};
use uuid::Uuid;

use crate::market::{ANN, BOB, Market, START, keyed, renamed, timber};

on_both_backends!(
    creation_is_one_event,
    creation_with_a_key_happens_once_for_ever,
    creation_without_a_key_makes_another_deal_each_time,
    creation_with_a_fixed_id_happens_once_and_never_over_another_deal,
    creation_that_is_invalid_is_refused_before_the_log_is_read,
);

async fn creation_is_one_event(market: Market) {
    let trace = TraceContext::root();
    let context = MutationContext {
        key: None,
        trace: Some(trace),
    };
    let written = market
        .side
        .create_deal(ANN, timber(), context)
        .await
        .unwrap();
    assert_eq!((written.deal.version, written.deal.seller_id), (1, ANN));
    assert_eq!(written.deal.created_at.as_micros(), START);
    assert_eq!(market.log.head().await.unwrap(), written.position.sequence);
    let record = market
        .log
        .get(written.position.sequence)
        .await
        .unwrap()
        .unwrap();
    let event = record.event.unwrap();
    assert_eq!(event.trace, Some(trace));
    let Fact::Deal(fact) = event.fact else {
        panic!("no deal's event")
    };
    assert_eq!(
        (fact.cause, fact.revision, fact.previous),
        (DealCause::Created, 1, None)
    );
    assert_eq!(fact.changed, DealField::ALL);
    assert_eq!(fact.deal, written.deal);
}

async fn creation_with_a_key_happens_once_for_ever(market: Market) {
    let create = |input| market.side.create_deal(ANN, input, keyed("first"));
    let first = create(timber()).await.unwrap();
    for number in 0..20 {
        let input = renamed(&first.deal, &format!("Timber {number}"));
        market
            .side
            .update_deal(ANN, input, MutationContext::default())
            .await
            .unwrap();
    }
    let head = market.log.head().await.unwrap();
    let again = create(NewDeal {
        name: " Timber ".to_owned(),
        ..timber()
    })
    .await
    .unwrap();
    assert_eq!(again.deal.id, first.deal.id);
    assert_eq!(
        (again.deal.name.as_str(), again.deal.version),
        ("Timber 19", 21),
        "the current deal"
    );
    assert_eq!(again.position.sequence, head);
    let other = NewDeal {
        total_price: 1,
        ..timber()
    };
    assert_eq!(create(other).await, Err(Refusal::KeyReused));
    assert_eq!(
        market.log.head().await.unwrap(),
        head,
        "nothing was appended"
    );
    let other_seller = market
        .side
        .create_deal(BOB, timber(), keyed("first"))
        .await
        .unwrap();
    assert_ne!(
        other_seller.deal.id, first.deal.id,
        "a key belongs to its seller"
    );
}

async fn creation_without_a_key_makes_another_deal_each_time(market: Market) {
    assert_ne!(market.deal().await.id, market.deal().await.id);
}

async fn creation_with_a_fixed_id_happens_once_and_never_over_another_deal(market: Market) {
    let fixed = NewDeal {
        id: Some(DealId(Uuid::from_u128(5))),
        ..timber()
    };
    let create = |input| {
        market
            .side
            .create_deal(ANN, input, MutationContext::default())
    };
    let first = create(fixed.clone()).await.unwrap();
    assert_eq!(Some(first.deal.id), fixed.id);
    assert_eq!(create(fixed.clone()).await.unwrap(), first);
    assert_eq!(
        create(NewDeal {
            total_price: 1,
            ..fixed
        })
        .await,
        Err(Refusal::KeyReused)
    );
    let taken = NewDeal {
        id: Some(market.deal().await.id),
        ..timber()
    };
    assert_eq!(create(taken).await, Err(Refusal::AlreadyExists));
}

async fn creation_that_is_invalid_is_refused_before_the_log_is_read(market: Market) {
    let head = market.log.head().await.unwrap();
    let invalid = NewDeal {
        name: "\0".to_owned(),
        total_price: -1,
        ..timber()
    };
    for (key, key_is_invalid) in [
        ("k".repeat(200), false),
        ("k".repeat(201), true),
        (String::new(), true),
        ("\n".into(), true),
    ] {
        let refused = market
            .side
            .create_deal(ANN, invalid.clone(), keyed(&key))
            .await;
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("{refused:?}")
        };
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        let expected: &[_] = if key_is_invalid {
            &["idempotencyKey", "name", "totalPrice"]
        } else {
            &["name", "totalPrice"]
        };
        assert_eq!(paths, expected, "{key:?}");
    }
    assert_eq!(market.log.head().await.unwrap(), head);
}
