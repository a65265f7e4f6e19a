//! The feed: what is kept of it, and that no reader finds a hole.

use std::time::Duration;

use backbone::ids::SellerId;
use backbone::position::{Position, Sequence};
use backbone::testkit::wait_until;
use buyer_core::feed::{FeedPage, FeedRange};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use buyer_core::on_both_backends;
use buyer_core::testkit::{ANN, BLOCK, BOB, BUYER, HOUR, Market};

on_both_backends!(Market; what_is_too_old_goes_in_blocks,
    a_seller_is_found_among_many_changes_of_others
);

async fn what_is_too_old_goes_in_blocks(market: Market) {
    let first = changes(&market, ANN, 35).await;
    assert_eq!(
        market.side.forget_old_changes().await.unwrap(),
        0,
        "all of it is young"
    );
    market.clock.advance(HOUR * 2);
    let second = changes(&market, ANN, 7).await;
    let all: Vec<Sequence> = (2..=second).collect();
    assert_eq!(sequences(&after(&market, 0).await), all);

    let horizon = market.side.forget_old_changes().await.unwrap();
    assert!(
        (first - BLOCK..=first).contains(&horizon),
        "whole blocks, as many as may: {horizon}"
    );
    let page = after(&market, 0).await;
    assert_eq!(page.horizon, horizon, "a reader from before it is told");
    let kept: Vec<Sequence> = (horizon + 1..=second).collect();
    assert_eq!(sequences(&page), kept, "and the rest is there");
    assert_eq!(
        market.side.forget_old_changes().await.unwrap(),
        horizon,
        "nothing else is too old"
    );

    market.clock.advance(HOUR * 2);
    let third = changes(&market, ANN, 30).await;
    let horizon = market.side.forget_old_changes().await.unwrap();
    assert!((second - BLOCK..=second).contains(&horizon), "{horizon}");
    assert_eq!(
        sequences(&after(&market, horizon).await),
        (horizon + 1..=third).collect::<Vec<_>>()
    );
}

async fn a_seller_is_found_among_many_changes_of_others(market: Market) {
    let mut of_bob = Vec::new();
    for _ in 0..4 {
        changes(&market, ANN, 25).await;
        of_bob.push(changes(&market, BOB, 1).await);
    }
    let ask = async |after, limit, sellers: &[_]| {
        let range = FeedRange {
            after: (after, Position::END),
            up_to: of_bob[3] - 1,
            limit,
        };
        market.side.feed_of(range, sellers).await.unwrap()
    };
    let page = ask(0, 2, &[BOB]).await;
    assert_eq!((sequences(&page), page.more), (of_bob[..2].to_vec(), true));
    let page = ask(of_bob[1], 2, &[BOB]).await;
    assert_eq!(
        (sequences(&page), page.more),
        (vec![of_bob[2]], false),
        "none after the range"
    );
    assert_eq!(page.checkpoint.position, of_bob[3]);
    let both = ask(of_bob[0] - 2, 4, &[BOB, ANN]).await;
    let expected: Vec<Sequence> = (of_bob[0] - 1..of_bob[0] + 3).collect();
    assert_eq!(sequences(&both), expected, "in the order of the log");
    assert!(ask(0, 9, &[]).await.changes.is_empty());
}

#[tokio::test]
async fn a_reader_keeps_what_it_began_with() {
    let market = Market::production().await;
    changes(&market, ANN, 35).await;
    market.clock.advance(HOUR * 2);
    let mut reader = connect(&market).await;
    reader
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    assert_eq!(count(&mut reader).await, 35);

    let mut forgetting = JoinSet::new();
    let side = market.side.clone();
    forgetting.spawn(async move { side.forget_old_changes().await });
    let committed = async || after(&market, 0).await.horizon > 0;
    wait_until(
        Duration::from_secs(10),
        "the horizon is committed first",
        committed,
    )
    .await;
    assert_eq!(
        count(&mut reader).await,
        35,
        "nothing has gone while somebody reads"
    );
    assert!(
        forgetting.try_join_next().is_none(),
        "it waits for the reader"
    );
    reader.execute("COMMIT").await.unwrap();
    let horizon = forgetting.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(count(&mut reader).await, 36 - horizon as i64);
}

#[tokio::test]
async fn what_was_cut_off_halfway_is_finished() {
    let market = Market::production().await;
    changes(&market, ANN, 35).await;
    market.clock.advance(HOUR * 2);
    let (mut reader, mut cut_off) = (connect(&market).await, connect(&market).await);
    cut_off
        .execute("UPDATE feed_horizon SET sequence = 20")
        .await
        .unwrap();
    // One was detached and not dropped; another's detachment waited for a reader for too long.
    cut_off
        .execute("ALTER TABLE feed DETACH PARTITION feed_1 CONCURRENTLY")
        .await
        .unwrap();
    reader.execute("BEGIN").await.unwrap();
    count(&mut reader).await;
    cut_off
        .execute("SET statement_timeout = '200ms'")
        .await
        .unwrap();
    let cut = cut_off
        .execute("ALTER TABLE feed DETACH PARTITION feed_11 CONCURRENTLY")
        .await;
    assert!(cut.unwrap_err().to_string().contains("statement timeout"));
    reader.execute("COMMIT").await.unwrap();

    let horizon = market.side.forget_old_changes().await.unwrap();
    assert_eq!(horizon, 30);
    assert_eq!(
        sequences(&after(&market, horizon).await),
        (31..=36).collect::<Vec<_>>()
    );
    let tables = "SELECT count(*) FROM pg_class WHERE relname ~ '^feed_[0-9]+$'";
    let left: i64 = sqlx::query_scalar(tables)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    let blocks: i64 = sqlx::query_scalar("SELECT count(*) FROM feed_block")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(left, blocks, "no table is left over");
}

async fn connect(market: &Market) -> PgConnection {
    PgConnection::connect(market.database_url.as_ref().unwrap())
        .await
        .unwrap()
}

async fn count(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM feed")
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Lets a seller grant and revoke by turns, one change each, and the projection take them in.
async fn changes(market: &Market, seller: SellerId, count: u64) -> Sequence {
    for _ in 0..count {
        market.turn_access(seller, BUYER).await;
    }
    market.project().await
}

/// The feed after an event.
async fn after(market: &Market, sequence: Sequence) -> FeedPage {
    let range = FeedRange {
        after: (sequence, Position::END),
        up_to: u64::MAX,
        limit: 1_000,
    };
    market.side.feed(range).await.unwrap()
}

/// Returns the sequences of a page's changes.
fn sequences(page: &FeedPage) -> Vec<Sequence> {
    page.changes.iter().map(|change| change.sequence).collect()
}
