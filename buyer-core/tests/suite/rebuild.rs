//! Verification and rebuild of the buyer tables: what was damaged is found, named and mended, beside
//! writers and a projection that do not stop.

use std::time::Duration;

use backbone::contract::{DealFact, Event, Fact, Subject};
use backbone::event_log::AppendAnswer;
use backbone::ids::EventId;
use backbone::on_db;
use backbone::position::{Position, Sequence};
use backbone::replay::Scratch;
use backbone::testkit::wait_until;
use backbone::verify::{Finding, FindingKind, Verified};
use backbone::{Error, rebuild::Rebuilt};
use buyer_core::feed::FeedRange;
use buyer_core::on_both_backends;
use buyer_core::testkit::{ANN, BOB, BUYER, DealRef, Market};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

on_both_backends!(Market;
    tables_equal_a_replay_whatever_happened,
    verify_names_what_was_damaged_and_since_when,
    rebuild_mends_what_was_damaged_beside_writers,
    rebuild_that_dies_has_changed_nothing,
    feed_that_was_damaged_is_cut_at_the_swap,
    rebuild_mends_the_subject_of_an_event_that_was_set_aside_wrongly,
    tables_of_another_log_are_refused,
);

const SOON: Duration = Duration::from_secs(20);

async fn tables_equal_a_replay_whatever_happened(market: Market) {
    let empty = verify(&market).await;
    assert_eq!((empty.0.rows, empty.1), (0, Vec::new()));

    history(&market).await;
    let (verified, findings) = verify(&market).await;
    assert_eq!(findings, []);
    assert_eq!(
        verified.checkpoint.position,
        market.log.head().await.unwrap()
    );
    assert!(verified.rows > 60, "{verified:?}");

    // Events that the tables do not have yet are no difference.
    market.create(ANN).await;
    let (again, findings) = verify(&market).await;
    assert_eq!((again, findings), (verified, Vec::new()));
}

async fn verify_names_what_was_damaged_and_since_when(market: Market) {
    let deals = history(&market).await;
    let changed = market.rename(deals[0], "renamed").await;
    let deleted = market.rename(deals[1], "renamed").await;
    let granted = market.grant(BOB, BUYER).await;
    let revoked = market.toggle_access(BOB, BUYER).await;
    market.project().await;

    damage(
        &market,
        "UPDATE deal SET total_price = 1, discount = NULL WHERE id = $1",
        deals[0].1.0,
    )
    .await;
    damage(&market, "DELETE FROM deal WHERE id = $1", deals[1].1.0).await;
    damage(
        &market,
        "UPDATE access SET revoked_at = NULL WHERE seller_id = $1",
        BOB.0,
    )
    .await;
    let stranger = Uuid::from_u128(u128::MAX);
    damage(
        &market,
        "INSERT INTO access SELECT $1, buyer_id, granted_at, revoked_at, since, revision
                       FROM access WHERE revoked_at IS NULL LIMIT 1",
        stranger,
    )
    .await;

    let (verified, findings) = verify(&market).await;
    assert_eq!(verified.differences, 4);

    let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let find = |begin: &str| {
        let found = texts.iter().find(|text| text.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin} is not in {texts:#?}"))
    };

    let price = find(&format!("deal id={}", deals[0].1));
    assert!(
        price.contains("; total_price is 1 in the tables, "),
        "{price}"
    );
    assert!(
        price.ends_with(&format!("; since event {changed}")),
        "{price}"
    );

    let gone = find(&format!("deal id={}", deals[1].1));
    assert!(gone.contains("the tables lack this row"), "{gone}");
    assert!(
        gone.ends_with(&format!("; since event {deleted}")),
        "{gone}"
    );

    let access = find(&format!(
        "access seller_id={BOB} buyer_id={BUYER} granted_at={granted}"
    ));
    let expected = format!(
        "; revoked_at is null in the tables, {revoked} in the replay; since event {revoked}"
    );
    assert!(access.ends_with(&expected), "{access}");

    let unknown = find(&format!("access seller_id={stranger}"));
    assert!(
        unknown.ends_with("the replay does not have this row; no event of the log concerns it"),
        "{unknown}"
    );
}

async fn rebuild_mends_what_was_damaged_beside_writers(market: Market) {
    // Goal: a rebuild needs no pause of the market.
    // Method: damage rows, then rebuild while a writer and a projection run, and let both go on.
    // Proven: the tables equal the log, readers of the feed see every change once, and the
    // generation is the next one.
    let deals = history(&market).await;
    damage_everything(&market, &deals).await;
    assert!(verify(&market).await.0.differences > 0);

    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(market.another_worker().run(stop.clone()));
    let before = market.side.checkpoint().await.unwrap();

    let (rebuilt, ()) = tokio::join!(rebuild(&market), write(&market, &deals, 300));
    let rebuilt = rebuilt.unwrap();
    assert!(!rebuilt.is_feed_cut);
    assert_eq!(rebuilt.checkpoint.generation, before.generation + 1);
    assert!(rebuilt.replaced >= 3, "{rebuilt:?}");

    write(&market, &deals, 20).await;
    let head = market.log.head().await.unwrap();
    wait_until(
        SOON,
        "the projection goes on in the new generation",
        async || market.side.checkpoint().await.unwrap().position == head,
    )
    .await;
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();

    assert_eq!(verify(&market).await.1, []);
    let after = market.side.checkpoint().await.unwrap();
    assert_eq!(after.generation, rebuilt.checkpoint.generation);
    assert_eq!(horizon(&market).await, 0, "the feed was kept");
}

async fn rebuild_that_dies_has_changed_nothing(market: Market) {
    let deals = history(&market).await;
    damage_everything(&market, &deals).await;
    let before = verify(&market).await;
    let checkpoint = market.side.checkpoint().await.unwrap();

    // Given up between any two steps: its future is dropped after this many of them.
    for steps in (0..60).step_by(4) {
        let mut rebuilding = std::pin::pin!(rebuild(&market));
        let mut left = steps;
        let done = std::future::poll_fn(|context| {
            left -= 1;
            let polled = rebuilding.as_mut().poll(context);
            if left <= 0 && polled.is_pending() {
                return std::task::Poll::Ready(None);
            }
            polled.map(Some)
        })
        .await;
        if done.is_some() {
            break;
        }

        assert_eq!(market.side.checkpoint().await.unwrap(), checkpoint);
    }

    assert_eq!(verify(&market).await, before);
    rebuild(&market).await.unwrap();
    assert_eq!(verify(&market).await.1, []);
}

async fn feed_that_was_damaged_is_cut_at_the_swap(market: Market) {
    let deals = history(&market).await;
    let lost = market.rename(deals[0], "lost").await;
    market.project().await;
    on_db!(market.db.write(), pool => sqlx::query("DELETE FROM feed WHERE sequence = $1")
        .bind(lost as i64)
        .execute(pool)
        .await
        .map(|_| ()))
    .unwrap();

    let (verified, findings) = verify(&market).await;
    assert_eq!(verified.differences, 1);
    assert_eq!(
        (findings[0].table, &findings[0].kind),
        ("feed", &FindingKind::Missing)
    );
    assert_eq!(findings[0].since, Some(lost));

    let rebuilt = rebuild(&market).await.unwrap();
    assert!(rebuilt.is_feed_cut);
    assert_eq!(horizon(&market).await, rebuilt.checkpoint.position);
    assert_eq!(verify(&market).await.1, []);

    market.change(deals[0]).await;
    market.project().await;
    assert_eq!(verify(&market).await.1, []);
}

async fn rebuild_mends_the_subject_of_an_event_that_was_set_aside_wrongly(market: Market) {
    // Goal: what is equal at the comparison is still equal at the swap.
    // Method: let the tables believe that a deal waits for a repair, so that its row is right now and
    // wrong after its next event.
    // Proven: the rebuild mends the deal, its dead events and, since a change is missing, the feed.
    let deals = history(&market).await;
    let seller = deals[0].0;
    let subject = Subject::Deal {
        seller,
        deal: deals[0].1,
    };
    on_db!(market.db.write(), pool => sqlx::query("INSERT INTO dead_event
          (sequence, subject, reason, headers, body, repaired)
          SELECT 1, $1, reason, headers, body, repaired FROM dead_event LIMIT 1")
        .bind(subject.to_string())
        .execute(pool)
        .await
        .map(|_| ()))
    .unwrap();

    market.rename(deals[0], "set aside").await;
    market.project().await;
    assert!(verify(&market).await.0.differences > 2);

    let rebuilt = rebuild(&market).await.unwrap();
    assert!(rebuilt.is_feed_cut);
    assert_eq!(verify(&market).await.1, []);
}

async fn tables_of_another_log_are_refused(market: Market) {
    history(&market).await;
    on_db!(market.db.write(), pool =>
        sqlx::query("UPDATE projection SET epoch = 5").execute(pool).await.map(|_| ()))
    .unwrap();

    let refused = rebuild(&market).await.unwrap_err();
    assert!(matches!(refused, Error::Broken { .. }), "{refused}");
    assert!(refused.to_string().contains("of epoch 5"), "{refused}");
}

#[tokio::test]
async fn every_column_of_the_tables_is_compared_or_left_out_by_name() {
    let market = Market::embedded().await;
    for table in market.side.compared_tables() {
        let columns: Vec<String> =
            on_db!(market.db.write(), postgres(_pool) => Ok(Vec::new()), sqlite(pool) =>
            sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                .bind(table.name)
                .fetch_all(pool)
                .await)
            .unwrap();

        let named = table.columns.iter().map(|column| column.name);
        let known: Vec<&str> = named.chain(table.ignored.iter().copied()).collect();
        for column in &columns {
            assert!(known.contains(&column.as_str()), "{}.{column}", table.name);
        }
        assert_eq!(columns.len(), known.len(), "{}", table.name);
    }
}

/// Writes deals, grants, revocations and events that are set aside, and projects them.
async fn history(market: &Market) -> Vec<DealRef> {
    market.grant(ANN, BUYER).await;
    let mut deals = Vec::new();
    for number in 0..20 {
        deals.push(market.create([ANN, BOB][number % 2]).await);
    }

    set_aside(market, deals[19]).await;
    for number in 0..30 {
        market.change(deals[number % 15]).await;
        if number % 5 == 0 {
            market.toggle_access(ANN, BUYER).await;
        }
    }

    market.project().await;
    deals
}

/// Appends an event whose revision does not follow the last one.
async fn set_aside(market: &Market, (seller, deal): DealRef) {
    let subject = Subject::Deal { seller, deal };
    let last = market.log.last(&subject).await.unwrap().unwrap();
    let mut event = last.event.unwrap();
    let Fact::Deal(fact) = event.fact else {
        panic!("a deal has events of deals");
    };

    event.fact = Fact::Deal(DealFact {
        revision: fact.revision + 5,
        ..fact
    });
    let event = Event {
        id: EventId(backbone::random::random_id()),
        ..event
    };
    let answer = market.log.append(&event, last.sequence).await;
    assert!(matches!(answer, AppendAnswer::Stored(_)), "{answer:?}");
}

async fn write(market: &Market, deals: &[DealRef], count: usize) {
    for number in 0..count {
        market.change(deals[number % 15]).await;
        if number % 40 == 0 {
            market.toggle_access(ANN, BUYER).await;
        }
    }
}

async fn damage_everything(market: &Market, deals: &[DealRef]) {
    for deal in &deals[15..18] {
        damage(
            market,
            "UPDATE deal SET total_price = 1 WHERE id = $1",
            deal.1.0,
        )
        .await;
    }
    damage(market, "DELETE FROM deal WHERE id = $1", deals[18].1.0).await;
    damage(
        market,
        "UPDATE deal SET name = 'wrong' WHERE id = $1",
        deals[0].1.0,
    )
    .await;
    damage(market, "INSERT INTO deal SELECT $1, seller_id, name, total_price, currency, status, discount, items,
        version, revision, sequence, created_at, updated_at FROM deal LIMIT 1", Uuid::from_u128(7)).await;
    damage(
        market,
        "DELETE FROM access WHERE revoked_at IS NOT NULL AND seller_id = $1",
        ANN.0,
    )
    .await;
}

async fn damage(market: &Market, sql: &'static str, id: Uuid) {
    let changed = on_db!(market.db.write(), pool => sqlx::query(sql)
        .bind(id)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()));
    assert!(changed.unwrap() > 0, "{sql}");
}

async fn verify(market: &Market) -> (Verified, Vec<Finding>) {
    let scratch = scratch();
    let mut both = market
        .side
        .beside_replay(&market.log, &scratch.1)
        .await
        .unwrap();
    let mut findings = Vec::new();
    let mut found = |finding| findings.push(finding);

    let verified = both.verify(&mut |_, _| {}, &mut found).await.unwrap();
    (verified, findings)
}

async fn rebuild(market: &Market) -> Result<Rebuilt, Error> {
    let scratch = scratch();
    let mut both = market.side.beside_replay(&market.log, &scratch.1).await?;
    both.rebuild(&mut |_, _| {}).await
}

fn scratch() -> (tempfile::TempDir, Scratch) {
    let parent = tempfile::tempdir().unwrap();
    let scratch = Scratch::create(parent.path()).unwrap();
    (parent, scratch)
}

async fn horizon(market: &Market) -> Sequence {
    let range = FeedRange {
        after: (0, Position::END),
        up_to: u64::MAX,
        limit: 1,
    };
    market.side.feed(range).await.unwrap().horizon
}
