//! The feed: how long it keeps changes, and that no reader meets a gap unannounced.

use std::time::Duration;

use backbone::ids::SellerId;
use backbone::position::{Position, Sequence};
use backbone::testkit::wait_until;
use backbone::{Error, on_db};
use buyer_core::feed::{FeedPage, FeedRange};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use buyer_core::on_both_backends;
use buyer_core::testkit::{ANN, BLOCK, BOB, BUYER, HOUR, Market};

on_both_backends!(Market; changes_that_are_too_old_are_dropped_in_blocks,
    changes_of_a_seller_are_found_among_many_of_others,
    changes_of_a_kind_that_a_newer_version_writes_are_passed_over
);

async fn changes_that_are_too_old_are_dropped_in_blocks(market: Market) {
    let first = changes(&market, ANN, 35).await;
    assert_eq!(
        market.side.drop_old_changes(Sequence::MAX).await.unwrap(),
        0,
        "all changes are young"
    );

    market.clock.advance(HOUR * 2);
    let second = changes(&market, ANN, 7).await;
    let all: Vec<Sequence> = (2..=second).collect();
    assert_eq!(sequences(&after(&market, 0).await), all);

    let horizon = market.side.drop_old_changes(Sequence::MAX).await.unwrap();
    assert!(
        (first - BLOCK..=first).contains(&horizon),
        "as many whole blocks as are old enough: {horizon}"
    );
    let page = after(&market, 0).await;
    assert_eq!(
        page.horizon, horizon,
        "a reader from before the horizon learns of it"
    );
    let kept: Vec<Sequence> = (horizon + 1..=second).collect();
    assert_eq!(sequences(&page), kept, "younger changes are kept");
    assert_eq!(
        market.side.drop_old_changes(Sequence::MAX).await.unwrap(),
        horizon,
        "no other change is too old"
    );

    market.clock.advance(HOUR * 2);
    let third = changes(&market, ANN, 30).await;
    let horizon = market.side.drop_old_changes(Sequence::MAX).await.unwrap();
    assert!((second - BLOCK..=second).contains(&horizon), "{horizon}");
    assert_eq!(
        sequences(&after(&market, horizon).await),
        (horizon + 1..=third).collect::<Vec<_>>()
    );
}

async fn changes_of_a_seller_are_found_among_many_of_others(market: Market) {
    let mut by_bob = Vec::new();
    for _ in 0..4 {
        changes(&market, ANN, 25).await;
        by_bob.push(changes(&market, BOB, 1).await);
    }

    let read = async |after, limit, sellers: &[_]| {
        let range = FeedRange {
            after: (after, Position::END),
            up_to: by_bob[3] - 1,
            limit,
        };
        market.side.feed_of(range, sellers).await.unwrap()
    };

    let page = read(0, 2, &[BOB]).await;
    assert_eq!((sequences(&page), page.more), (by_bob[..2].to_vec(), true));

    let page = read(by_bob[1], 2, &[BOB]).await;
    assert_eq!(
        (sequences(&page), page.more),
        (vec![by_bob[2]], false),
        "no change after the range"
    );
    assert_eq!(page.checkpoint.position, by_bob[3]);

    let both = read(by_bob[0] - 2, 4, &[BOB, ANN]).await;
    let expected: Vec<Sequence> = (by_bob[0] - 1..by_bob[0] + 3).collect();
    assert_eq!(sequences(&both), expected, "in the order of the log");
    assert!(read(0, 9, &[]).await.changes.is_empty());
}

async fn changes_of_a_kind_that_a_newer_version_writes_are_passed_over(market: Market) {
    let last = changes(&market, ANN, 12).await;
    let unknown = r#"{"kind":"bidPlaced","deal":7,"bid":{"amount":1}}"#;
    // All but the first, one in the middle and the last.
    let known = [last - 11, last - 5, last];
    for sequence in (last - 11..=last).filter(|sequence| !known.contains(sequence)) {
        on_db!(market.side.db().write(), pool =>
            sqlx::query("UPDATE feed SET body = $1 WHERE sequence = $2")
                .bind(unknown)
                .bind(sequence as i64)
                .execute(pool)
                .await
                .map(|_| ()))
        .unwrap();
    }

    assert_eq!(sequences(&after(&market, last - 12).await), known);
    for limit in 1..=4 {
        let mut found = Vec::new();
        let mut place = (last - 12, Position::END);
        loop {
            let range = FeedRange {
                after: place,
                up_to: u64::MAX,
                limit,
            };
            let page = market.side.feed(range).await.unwrap();
            let of_ann = market.side.feed_of(range, &[ANN]).await.unwrap();
            assert_eq!(page.changes, of_ann.changes);
            found.extend(sequences(&page));
            if !page.more {
                break;
            }
            place = page.changes.last().expect("a full page has one").order();
        }
        assert_eq!(found, known, "{limit} rows at a time");
    }

    on_db!(market.side.db().write(), pool =>
        sqlx::query("UPDATE feed SET body = $1 WHERE sequence = $2")
            .bind(r#"{"kind":"deal","deal":7}"#)
            .bind(last as i64)
            .execute(pool)
            .await
            .map(|_| ()))
    .unwrap();
    let range = FeedRange {
        after: (0, 0),
        up_to: u64::MAX,
        limit: u32::MAX,
    };
    let broken = market.side.feed(range).await;
    assert!(matches!(broken, Err(Error::Broken { .. })), "{broken:?}");
}

#[tokio::test]
async fn reader_keeps_the_snapshot_that_it_began_with() {
    // Goal: a transaction that reads the feed is not disturbed while old changes are dropped.
    // Method: drop them while a repeatable-read transaction is open on another connection. Proven:
    // the horizon is committed first, the drop waits for the reader, and both end with exact
    // counts.
    let market = Market::production().await;
    changes(&market, ANN, 35).await;
    market.clock.advance(HOUR * 2);

    let mut reader = connect(&market).await;
    reader
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    assert_eq!(count(&mut reader).await, 35);

    let mut dropping = JoinSet::new();
    let side = market.side.clone();
    dropping.spawn(async move { side.drop_old_changes(Sequence::MAX).await });
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
        "no change is dropped while a transaction reads the feed"
    );
    assert!(
        dropping.try_join_next().is_none(),
        "the drop waits for the reader"
    );
    reader.execute("COMMIT").await.unwrap();
    let horizon = dropping.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(count(&mut reader).await, 36 - horizon as i64);
}

#[tokio::test]
async fn dropping_that_was_cut_off_is_finished_later() {
    // Goal: a process may die between any two steps of dropping a block. Method: bring one
    // partition to `detached but not dropped` and another to `detachment pending`, then run.
    // Proven: the run finishes both, and no table is left without its block.
    let market = Market::production().await;
    changes(&market, ANN, 35).await;
    market.clock.advance(HOUR * 2);
    let mut reader = connect(&market).await;
    let mut cut_off = connect(&market).await;

    cut_off
        .execute("UPDATE feed_horizon SET sequence = 20")
        .await
        .unwrap();

    // One partition is detached but not dropped; the detachment of another times out while it waits
    // for a reader.
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

    let horizon = market.side.drop_old_changes(Sequence::MAX).await.unwrap();
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
    assert_eq!(left, blocks, "no table is left without its block");
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

/// Lets a seller grant and revoke by turns, one change each, and projects them. Returns the head.
async fn changes(market: &Market, seller: SellerId, count: u64) -> Sequence {
    for _ in 0..count {
        market.toggle_access(seller, BUYER).await;
    }
    market.project().await
}

/// Returns the feed after an event.
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
