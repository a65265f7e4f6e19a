//! Endpoints: registration, changes, ownership and deletion.

use backbone::FieldError;
use backbone::ids::{BuyerId, DeliveryId, SellerId, WebhookId};
use uuid::Uuid;
use webhooks::retention::KEEP;
use webhooks::signature::SecretText;
use webhooks::{
    Changes, DeliveryFilter, DeliveryState, MAX_WEBHOOKS, Refusal, Registration, WebhookEvent,
    WebhookState,
};

use super::kit::{NOWHERE, SwitchableReceiver, registration, replay_of, states};
use crate::market::{ANN, BOB, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; registration_is_listed_as_it_was_given,
    input_violations_are_all_reported_with_their_fields,
    registration_stops_at_twenty_endpoints_of_a_buyer,
    update_leaves_fields_that_are_not_given,
    update_tells_a_removed_field_from_an_absent_one,
    resume_makes_a_disabled_endpoint_active,
    endpoint_is_out_of_reach_for_another_buyer,
    deletion_discards_what_is_pending,
);

const OTHER: BuyerId = BuyerId(Uuid::from_u128(0xbb));

async fn registration_is_listed_as_it_was_given(market: Market) {
    let webhooks = market.webhooks();
    let request = Registration {
        url: "https://Example.com/hook?a=b".to_owned(),
        events: vec![WebhookEvent::DealUpdated],
        seller_ids: Some(vec![BOB, ANN]),
        only_when_changed: None,
        description: Some("  to the ERP ".to_owned()),
        secret: None,
    };
    let (first, secret) = webhooks.register(BUYER, request).await.unwrap();
    assert_eq!(first.url, "https://example.com/hook?a=b");
    assert_eq!(
        (first.events.as_slice(), first.state),
        (&[WebhookEvent::DealUpdated][..], WebhookState::Active)
    );
    assert_eq!(first.seller_ids, Some(vec![BOB, ANN]));
    assert_eq!(first.description.as_deref(), Some("to the ERP"));
    assert_eq!(
        (first.disabled_reason.as_deref(), first.counts.owed),
        (None, 0)
    );
    assert_eq!(first.created_at, market.clock.now());
    assert!(secret.reveal().starts_with("whsec_"));

    let (second, other) = webhooks
        .register(BUYER, registration(NOWHERE))
        .await
        .unwrap();
    assert_ne!(secret.bytes(), other.bytes());
    assert_eq!(
        (second.seller_ids.as_ref(), second.description.as_ref()),
        (None, None)
    );

    let mut listed = webhooks.list(BUYER).await.unwrap();
    listed.sort_by_key(|webhook| webhook.id != first.id);
    assert_eq!(listed, [first, second]);
}

/// Returns registrations that violate a single rule, each with the path of the violation.
fn registrations_with_one_violation() -> Vec<(&'static str, Registration)> {
    let good = || registration(NOWHERE);
    let many = (0..101).map(|number| SellerId(Uuid::from_u128(number)));

    vec![
        (
            "url",
            Registration {
                url: format!("https://example.com/{}", "a".repeat(2_000)),
                ..good()
            },
        ),
        (
            "url",
            Registration {
                url: "http://127.0.0.2/".to_owned(),
                ..good()
            },
        ),
        (
            "events",
            Registration {
                events: Vec::new(),
                ..good()
            },
        ),
        (
            "sellerIds",
            Registration {
                seller_ids: Some(vec![ANN, ANN]),
                ..good()
            },
        ),
        (
            "sellerIds",
            Registration {
                seller_ids: Some(many.collect()),
                ..good()
            },
        ),
        (
            "description",
            Registration {
                description: Some("é".repeat(501)),
                ..good()
            },
        ),
    ]
}

async fn input_violations_are_all_reported_with_their_fields(market: Market) {
    let webhooks = market.webhooks();
    let violations = |refused: Refusal| match refused {
        Refusal::Invalid(errors) => errors
            .into_iter()
            .map(|error: FieldError| error.path)
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };

    let bad = Registration {
        url: "ftp://example.com".to_owned(),
        events: vec![WebhookEvent::Test, WebhookEvent::Test],
        seller_ids: Some(Vec::new()),
        only_when_changed: Some(Vec::new()),
        description: Some("a\nb".to_owned()),
        secret: Some(SecretText::new("whsec_c2hvcnQ=".to_owned())),
    };
    let refused = webhooks.register(BUYER, bad.clone()).await.unwrap_err();
    assert_eq!(
        violations(refused),
        [
            "url",
            "events",
            "events",
            "sellerIds",
            "onlyWhenChanged",
            "description",
            "secret"
        ]
    );

    for (path, bad) in registrations_with_one_violation() {
        assert_eq!(
            violations(webhooks.register(BUYER, bad).await.unwrap_err()),
            [path]
        );
    }

    assert!(webhooks.list(BUYER).await.unwrap().is_empty());

    let full = Registration {
        description: Some("é".repeat(500)),
        ..registration(NOWHERE)
    };
    let (webhook, _) = webhooks.register(BUYER, full).await.unwrap();
    let changes = Changes {
        url: Some(bad.url),
        events: Some(bad.events),
        seller_ids: Some(bad.seller_ids),
        only_when_changed: Some(bad.only_when_changed),
        description: Some(bad.description),
        paused: Some(true),
    };
    let refused = webhooks
        .update(BUYER, webhook.id, changes)
        .await
        .unwrap_err();
    assert_eq!(
        violations(refused),
        [
            "url",
            "events",
            "events",
            "sellerIds",
            "onlyWhenChanged",
            "description"
        ]
    );
    assert_eq!(market.webhook(webhook.id).await, webhook);
}

async fn registration_stops_at_twenty_endpoints_of_a_buyer(market: Market) {
    let webhooks = market.webhooks();
    for _ in 1..MAX_WEBHOOKS {
        market.register(NOWHERE).await;
    }

    let (one, other) = tokio::join!(
        webhooks.register(BUYER, registration(NOWHERE)),
        webhooks.register(BUYER, registration(NOWHERE))
    );
    let refused = [&one, &other].map(|done| matches!(done, Err(Refusal::LimitExceeded)));
    assert_eq!(
        refused.iter().filter(|refused| **refused).count(),
        1,
        "{one:?} {other:?}"
    );

    webhooks
        .register(OTHER, registration(NOWHERE))
        .await
        .unwrap();
    let listed = webhooks.list(BUYER).await.unwrap();
    assert_eq!(listed.len(), MAX_WEBHOOKS);

    webhooks.delete(BUYER, listed[0].id).await.unwrap();
    market.register(NOWHERE).await;
}

async fn update_leaves_fields_that_are_not_given(market: Market) {
    let webhooks = market.webhooks();
    let full = Registration {
        seller_ids: Some(vec![ANN]),
        description: Some("note".to_owned()),
        ..registration(NOWHERE)
    };
    let (before, _) = webhooks.register(BUYER, full).await.unwrap();
    let update = async |changes| webhooks.update(BUYER, before.id, changes).await.unwrap();
    assert_eq!(update(Changes::default()).await, before);

    let after = update(Changes {
        events: Some(vec![WebhookEvent::DealCreated]),
        ..Changes::default()
    })
    .await;
    assert_eq!(after.events, [WebhookEvent::DealCreated]);
    assert_eq!(
        (&after.url, &after.seller_ids),
        (&before.url, &before.seller_ids)
    );

    let url = "https://example.org/".to_owned();
    let after = update(Changes {
        url: Some(url.clone()),
        ..Changes::default()
    })
    .await;
    assert_eq!(
        (after.url, after.events.len(), after.description.as_deref()),
        (url, 1, Some("note"))
    );

    let after = update(Changes {
        paused: Some(true),
        ..Changes::default()
    })
    .await;
    assert_eq!(after.state, WebhookState::Paused);
    assert_eq!(update(Changes::default()).await.state, WebhookState::Paused);
    assert_eq!(market.webhook(before.id).await.state, WebhookState::Paused);
}

async fn update_tells_a_removed_field_from_an_absent_one(market: Market) {
    let webhooks = market.webhooks();
    let full = Registration {
        seller_ids: Some(vec![ANN]),
        description: Some("note".to_owned()),
        ..registration(NOWHERE)
    };
    let (before, _) = webhooks.register(BUYER, full).await.unwrap();
    let update = async |changes| webhooks.update(BUYER, before.id, changes).await.unwrap();

    let after = update(Changes {
        seller_ids: Some(None),
        ..Changes::default()
    })
    .await;
    assert_eq!(
        (after.seller_ids, after.description.as_deref()),
        (None, Some("note"))
    );

    let after = update(Changes {
        seller_ids: Some(Some(vec![BOB])),
        ..Changes::default()
    })
    .await;
    assert_eq!(after.seller_ids, Some(vec![BOB]));

    let after = update(Changes {
        description: Some(None),
        ..Changes::default()
    })
    .await;
    assert_eq!(
        (after.seller_ids, after.description),
        (Some(vec![BOB]), None)
    );
}

async fn resume_makes_a_disabled_endpoint_active(market: Market) {
    let receiver = SwitchableReceiver::start(410).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    market.create(ANN).await;
    market.project().await;

    let dispatcher = market.dispatcher();
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);

    let disabled = market.webhook(id).await;
    assert_eq!(disabled.state, WebhookState::Disabled);
    assert!(disabled.disabled_reason.unwrap().contains("410"));
    assert_eq!(states(&market.deliveries(id).await), [DeliveryState::Dead]);

    market.create(ANN).await;
    market.project().await;
    assert_eq!(
        dispatcher.run_once().await.unwrap(),
        0,
        "its deliveries accumulate and nothing is sent"
    );

    receiver.answer_with(204);
    let changes = Changes {
        paused: Some(false),
        ..Changes::default()
    };
    let active = market.webhooks().update(BUYER, id, changes).await.unwrap();
    assert_eq!(
        (active.state, active.disabled_reason),
        (WebhookState::Active, None)
    );
    assert_eq!(dispatcher.run_once().await.unwrap(), 1);
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Dead, DeliveryState::Delivered]
    );
}

async fn endpoint_is_out_of_reach_for_another_buyer(market: Market) {
    let id = market.subscribed(ANN, NOWHERE).await;
    market.create(ANN).await;
    market.project().await;

    let delivery = market.deliveries(id).await[0].id;
    let before = market.webhook(id).await;
    let webhooks = market.webhooks();
    let missing = WebhookId(Uuid::from_u128(7));
    for (buyer, id) in [(OTHER, id), (BUYER, missing)] {
        let refused = [
            webhooks.update(buyer, id, Changes::default()).await.err(),
            webhooks.rotate_secret(buyer, id).await.err(),
            webhooks.test(buyer, id).await.err(),
            webhooks
                .start_replay(buyer, &replay_of(id), None)
                .await
                .err(),
            webhooks.delete(buyer, id).await.err(),
        ];
        for refused in refused {
            assert!(matches!(refused, Some(Refusal::NotFound)), "{refused:?}");
        }
        assert!(webhooks.find(buyer, id).await.unwrap().is_none());
        assert!(market.deliveries_of(buyer, id).await.is_empty());
    }

    for (buyer, id) in [(OTHER, delivery), (BUYER, DeliveryId(Uuid::from_u128(7)))] {
        assert!(matches!(
            webhooks.replay(buyer, id).await,
            Err(Refusal::NotFound)
        ));
        assert!(webhooks.delivery(buyer, id).await.unwrap().is_none());
    }

    assert!(webhooks.list(OTHER).await.unwrap().is_empty());
    assert!(
        webhooks
            .deliveries(OTHER, DeliveryFilter::default(), 9, None)
            .await
            .unwrap()
            .deliveries
            .is_empty()
    );
    assert_eq!(market.webhook(id).await, before);
}

async fn deletion_discards_what_is_pending(market: Market) {
    let webhooks = market.webhooks();
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let deal = market.create(ANN).await;
    market.project().await;
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);

    market.change(deal).await;
    market.change(deal).await;
    market.project().await;
    webhooks.delete(BUYER, id).await.unwrap();
    assert!(matches!(
        webhooks.delete(BUYER, id).await,
        Err(Refusal::NotFound)
    ));
    assert!(webhooks.list(BUYER).await.unwrap().is_empty());

    let deleted = market.webhook(id).await;
    assert_eq!(
        (deleted.state, deleted.disabled_reason.as_deref()),
        (WebhookState::Disabled, Some("deleted"))
    );

    let counts = deleted.counts;
    assert_eq!(
        (
            counts.owed,
            counts.delivered,
            counts.discarded,
            counts.pending
        ),
        (3, 1, 2, 0)
    );

    let states_kept = [
        DeliveryState::Delivered,
        DeliveryState::Discarded,
        DeliveryState::Discarded,
    ];
    assert_eq!(states(&market.deliveries(id).await), states_kept);

    market.change(deal).await;
    market.project().await;
    assert_eq!(market.deliveries(id).await.len(), 3, "no delivery is added");

    assert_deletion_is_final(&market, id).await;
    assert_eq!(receiver.delivery_ids().len(), 1);
    market.check_sums().await;

    market.clock.advance(KEEP * 2);
    assert_eq!(webhooks.forget_old().await.unwrap(), 3);
    assert!(
        webhooks.find(BUYER, id).await.unwrap().is_none(),
        "it is dropped with its last delivery"
    );
    market.check_sums().await;
}

/// Checks that a deleted endpoint cannot be resumed, its deliveries cannot be replayed, and nothing
/// is sent to it.
async fn assert_deletion_is_final(market: &Market, id: WebhookId) {
    let webhooks = market.webhooks();
    for delivery in market.deliveries(id).await {
        assert!(matches!(
            webhooks.replay(BUYER, delivery.id).await,
            Err(Refusal::NotFound)
        ));
    }

    let resume = Changes {
        paused: Some(false),
        ..Changes::default()
    };
    assert!(matches!(
        webhooks.update(BUYER, id, resume).await,
        Err(Refusal::NotFound)
    ));
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 0);
}
