//! Verification and rebuild of the seller tables, beside writers and a projection that do not stop.

use std::time::Duration;

use backbone::contract::{Deal, DealFact, Fact, Subject};
use backbone::on_db;
use backbone::rebuild::Rebuilt;
use backbone::replay::Scratch;
use backbone::testkit::wait_until;
use backbone::verify::Finding;
use seller_core::{DealUpdate, MutationContext};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::market::{ANN, Market, buyer, renamed};

on_both_backends!(
    verify_names_what_was_damaged_and_since_when,
    rebuild_mends_what_was_damaged_beside_writers,
);

async fn verify_names_what_was_damaged_and_since_when(market: Market) {
    let deals = history(&market).await;
    assert_eq!(verify(&market).await, [""; 0]);

    let update =
        market
            .side
            .update_deal(ANN, renamed(&deals[0], "Wood"), MutationContext::default());
    let changed = update.await.unwrap().position.sequence;
    let revoked = market.revoke(buyer(1)).await.position.sequence;
    market.catch_up().await;
    market.grant(buyer(1)).await;
    damage(
        &market,
        "UPDATE deal SET items = '[]' WHERE id = $1",
        deals[0].id.0,
    )
    .await;
    damage(
        &market,
        "UPDATE access SET granted = TRUE WHERE buyer_id = $1",
        buyer(1).0,
    )
    .await;
    damage(
        &market,
        "DELETE FROM access WHERE buyer_id = $1",
        buyer(2).0,
    )
    .await;

    let found = verify(&market).await;
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with(&format!(
            "deal id={}; items is [] in the tables, [{{",
            deals[0].id
        )),
        "{found:#?}"
    );
    assert!(
        found[0].ends_with(&format!("; since event {changed}")),
        "{found:#?}"
    );
    let access = |number, kind: &str| {
        format!(
            "access seller_id={ANN} buyer_id={}{kind}; since event ",
            buyer(number)
        )
    };
    let granted = access(1, "; granted is true in the tables, false in the replay");
    assert_eq!(
        found[1],
        format!("{granted}{revoked}"),
        "a later grant is not in the tables yet"
    );
    assert!(
        found[2].starts_with(&access(2, ": the tables lack this row")),
        "{found:#?}"
    );
}

async fn rebuild_mends_what_was_damaged_beside_writers(market: Market) {
    let deals = history(&market).await;
    damage(
        &market,
        "UPDATE deal SET items = '[]' WHERE id = $1",
        deals[0].id.0,
    )
    .await;
    damage(&market, "DELETE FROM deal WHERE id = $1", deals[1].id.0).await;
    damage(
        &market,
        "DELETE FROM access WHERE buyer_id = $1",
        buyer(2).0,
    )
    .await;
    damage(
        &market,
        "DELETE FROM dead_event WHERE subject <> CAST($1 AS text)",
        Uuid::nil(),
    )
    .await;
    assert_eq!(verify(&market).await.len(), 4);

    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(market.another_worker().run(stop.clone()));
    let (rebuilt, ()) = tokio::join!(rebuild(&market), write(&market, &deals[2], 200));
    assert_eq!(rebuilt.checkpoint.generation, 2);

    write(&market, &deals[2], 5).await;
    let head = market.log.head().await.unwrap();
    wait_until(
        Duration::from_secs(20),
        "the projection goes on",
        async || market.side.checkpoint().await.unwrap().position == head,
    )
    .await;
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();

    assert_eq!(verify(&market).await, [""; 0]);
    assert_eq!(
        market.stored(ANN, deals[1].id).await.as_ref(),
        Some(&deals[1])
    );
}

/// Writes deals, grants, a revocation, and an event that is set aside, and projects them.
async fn history(market: &Market) -> Vec<Deal> {
    let mut deals = Vec::new();
    for number in 1..=5 {
        deals.push(market.deal().await);
        market.grant(buyer(number)).await;
    }

    market.revoke(buyer(3)).await;
    let dead = market.deal().await;
    let subject = Subject::Deal {
        seller: ANN,
        deal: dead.id,
    };
    let last = market.log.last(&subject).await.unwrap().unwrap();
    let Fact::Deal(fact) = last.event.unwrap().fact else {
        panic!("a deal has events of deals")
    };
    let skipping = DealFact {
        revision: 7,
        ..fact
    };
    market.force(subject, Fact::Deal(skipping)).await;

    market.catch_up().await;
    deals
}

async fn write(market: &Market, deal: &Deal, count: usize) {
    for number in 0..count {
        let name = format!("version {number}");
        let input = DealUpdate {
            name: Some(name),
            ..DealUpdate::of(deal.id)
        };
        let updated = market
            .side
            .update_deal(ANN, input, MutationContext::default());
        updated.await.unwrap();
    }
}

async fn damage(market: &Market, sql: &'static str, id: Uuid) {
    let changed = on_db!(market.db().write(), pool => sqlx::query(sql)
        .bind(id)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()));
    assert!(changed.unwrap() > 0, "{sql}");
}

async fn verify(market: &Market) -> Vec<String> {
    let parent = tempfile::tempdir().unwrap();
    let scratch = Scratch::create(parent.path()).unwrap();
    let mut both = market.side.beside_replay(&scratch).await.unwrap();
    let mut texts = Vec::new();
    let mut found = |finding: Finding| texts.push(finding.to_string());

    both.verify(&mut |_, _| {}, &mut found).await.unwrap();
    texts
}

async fn rebuild(market: &Market) -> Rebuilt {
    let parent = tempfile::tempdir().unwrap();
    let scratch = Scratch::create(parent.path()).unwrap();
    let mut both = market.side.beside_replay(&scratch).await.unwrap();
    both.rebuild(&mut |_, _| {}).await.unwrap()
}
