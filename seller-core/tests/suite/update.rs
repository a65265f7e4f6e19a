//! Updates of deals: versions, conflicts, repeats, and concurrent writers.

use backbone::contract::{DealCause, DealField, DealStatus, Fact};
use seller_core::{DealUpdate, MutationContext, Refusal};

use crate::market::{ANN, BOB, Market, keyed, renamed};

on_both_backends!(
    update_is_the_next_event_of_its_deal,
    update_of_a_stale_version_is_a_conflict,
    repeat_of_an_update_changes_nothing_even_after_ten_others,
    update_that_changes_nothing_makes_no_event,
    deal_of_another_seller_does_not_exist,
    update_that_is_invalid_reports_its_key_too,
    writers_in_two_processes_lose_no_update,
);

async fn update_is_the_next_event_of_its_deal(market: Market) {
    let deal = market.deal().await;
    market.clock.advance(std::time::Duration::from_micros(7));
    let input = DealUpdate {
        status: Some(DealStatus::Reserved),
        ..renamed(&deal, " Wood ")
    };
    let written = market
        .side
        .update_deal(ANN, input, MutationContext::default())
        .await
        .unwrap();
    assert_eq!(
        (written.deal.name.as_str(), written.deal.version),
        ("Wood", 2)
    );
    assert_eq!(
        written.deal.updated_at.as_micros(),
        deal.updated_at.as_micros() + 7
    );
    let Fact::Deal(fact) = market.fact(written.position).await else {
        panic!("no deal's event")
    };
    assert_eq!((fact.cause, fact.revision), (DealCause::Updated, 2));
    assert_eq!(fact.changed, [DealField::Name, DealField::Status]);
    let previous = fact.previous.unwrap();
    assert_eq!(
        (previous.status, previous.total_price),
        (DealStatus::Available, deal.total_price)
    );
    assert_eq!(fact.deal, written.deal);
    let versions: Vec<u32> = fact
        .recent
        .latest
        .iter()
        .map(|applied| applied.version)
        .collect();
    assert_eq!(
        versions,
        [1, 2],
        "the mutations by which a repeat is recognised"
    );
}

async fn update_of_a_stale_version_is_a_conflict(market: Market) {
    let deal = market.deal().await;
    let at_one = |name| DealUpdate {
        expected_version: Some(1),
        ..renamed(&deal, name)
    };
    market
        .side
        .update_deal(ANN, at_one("Wood"), MutationContext::default())
        .await
        .unwrap();
    let refused = market
        .side
        .update_deal(ANN, at_one("Logs"), MutationContext::default())
        .await;
    assert_eq!(refused, Err(Refusal::VersionConflict { current: 2 }));
}

async fn repeat_of_an_update_changes_nothing_even_after_ten_others(market: Market) {
    let deal = market.deal().await;
    let once = || {
        let input = DealUpdate {
            expected_version: Some(1),
            ..renamed(&deal, "Once")
        };
        market.side.update_deal(ANN, input, keyed("once"))
    };
    let first = once().await.unwrap();
    assert_eq!(once().await.unwrap(), first);
    for number in 0..10 {
        let input = renamed(&deal, &format!("Timber {number}"));
        market
            .side
            .update_deal(ANN, input, keyed(&format!("key {number}")))
            .await
            .unwrap();
    }
    let head = market.log.head().await.unwrap();
    let again = once().await.unwrap();
    assert_eq!(
        (again.deal.name.as_str(), again.deal.version),
        ("Timber 9", 12),
        "the current deal"
    );
    assert_eq!(
        (again.position.sequence, market.log.head().await.unwrap()),
        (head, head)
    );
    let other = market
        .side
        .update_deal(ANN, renamed(&deal, "Twice"), keyed("once"))
        .await;
    assert_eq!(other, Err(Refusal::KeyReused));
    let no_version = market
        .side
        .update_deal(ANN, renamed(&deal, "Once"), keyed("once"))
        .await;
    assert_eq!(
        no_version,
        Err(Refusal::KeyReused),
        "the expected version is part of the request"
    );
}

async fn update_that_changes_nothing_makes_no_event(market: Market) {
    let deal = market.deal().await;
    let last = market
        .side
        .update_deal(ANN, renamed(&deal, "Wood"), MutationContext::default())
        .await
        .unwrap();
    market.deal().await;
    let head = market.log.head().await.unwrap();
    market.clock.advance(std::time::Duration::from_secs(1));
    for input in [DealUpdate::of(deal.id), renamed(&deal, "Wood\t")] {
        let unchanged = market
            .side
            .update_deal(ANN, input, MutationContext::default())
            .await
            .unwrap();
        assert_eq!(
            unchanged, last,
            "position of the deal's last event, not the log's head"
        );
    }
    assert_eq!(market.log.head().await.unwrap(), head);
}

async fn deal_of_another_seller_does_not_exist(market: Market) {
    let deal = market.deal().await;
    let refused = market
        .side
        .update_deal(BOB, renamed(&deal, "Stolen"), MutationContext::default())
        .await;
    assert_eq!(refused, Err(Refusal::NotFound));
    market.catch_up().await;
    assert_eq!(market.stored(BOB, deal.id).await, None);
    assert_eq!(market.stored(ANN, deal.id).await, Some(deal));
}

async fn update_that_is_invalid_reports_its_key_too(market: Market) {
    let deal = market.deal().await;
    let head = market.log.head().await.unwrap();
    for (name, expected) in [
        ("", ["idempotencyKey", "name"].as_slice()),
        ("Wood", &["idempotencyKey"]),
    ] {
        let refused = market
            .side
            .update_deal(ANN, renamed(&deal, name), keyed(""))
            .await;
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            errors
                .iter()
                .map(|error| error.path.as_str())
                .collect::<Vec<_>>(),
            expected
        );
    }
    assert_eq!(market.log.head().await.unwrap(), head);
}

async fn writers_in_two_processes_lose_no_update(market: Market) {
    let deal = market.deal().await;
    let sides = [market.side.clone(), market.another_process()];
    let writers = (0..20).map(|number| {
        let side = sides[number % 2].clone();
        let input = renamed(&deal, &format!("Timber {number}"));
        async move {
            side.update_deal(ANN, input, MutationContext::default())
                .await
                .unwrap()
                .deal
                .version
        }
    });
    let mut versions = futures_util::future::join_all(writers).await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    market.catch_up().await;
    assert_eq!(market.stored(ANN, deal.id).await.unwrap().version, 21);
}
