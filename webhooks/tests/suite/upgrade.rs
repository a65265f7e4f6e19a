//! Upgrades of a market whose projection made the deliveries itself, as version 0.1.0 does.

use backbone::db::{Db, PoolEngine};
use backbone::ids::{DealId, WebhookId};
use backbone::on_db;
use backbone::position::Sequence;
use backbone::testkit::Services;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use webhooks::DeliveryState;

use super::kit::{NOWHERE, SwitchableReceiver, states};
use crate::market::{ANN, BUYER, Market};
use crate::on_both_backends;

on_both_backends!(Market; deliveries_of_an_older_projection_are_not_doubled);

/// Tables of webhooks, in the order of their references.
const TABLES: [&str; 5] = [
    "webhook",
    "webhook_count",
    "webhook_message",
    "webhook_delivery",
    "webhook_attempt",
];

/// Adds a delivery of a change as version 0.1.0 does, which knows no epochs. Its message is that of
/// any other delivery.
async fn add_as_before(market: &Market, id: WebhookId, deal: DealId, sequence: Sequence) {
    const ADD: &str = "
        INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, epoch, sequence, change_index, due_at,
                                      created_at)
        SELECT $1, $2, message_id, $3, 0, $4, 0, created_at, created_at FROM webhook_delivery LIMIT 1";
    const COUNT: &str =
        "UPDATE webhook_count SET owed = owed + 1, pending = pending + 1 WHERE webhook_id = $1";
    let db = market.webhook_db.write();

    on_db!(db, pool => sqlx::query(ADD)
        .bind(backbone::random::random_id())
        .bind(id)
        .bind(deal)
        .bind(sequence as i64)
        .execute(pool)
        .await
        .map(|_| ()))
    .unwrap();
    let db = market.webhook_db.write();
    on_db!(db, pool => sqlx::query(COUNT).bind(id).execute(pool).await.map(|_| ())).unwrap();
}

// Goal: while an older projection still writes deliveries, none is made twice and none is stuck.
// Method: of three changes of a deal, the first two have their deliveries before the fan-out comes
// to them; a second endpoint was not seen by the older projection.
// Proven: each endpoint has each change once, and the lane goes on behind what was there.
async fn deliveries_of_an_older_projection_are_not_doubled(market: Market) {
    let receiver = SwitchableReceiver::start(200).await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    let unseen = market.register(NOWHERE).await;
    market.create(ANN).await;
    let created = market.log.head().await.unwrap();
    market.project().await;

    let deal = (ANN, DealId(backbone::random::random_id()));
    let mut expected = vec![created];
    for _ in 0..3 {
        expected.push(market.change(deal).await);
    }
    market.project_only().await;
    add_as_before(&market, id, deal.1, expected[1]).await;
    let dispatcher = market.dispatcher();
    while dispatcher.run_once().await.unwrap() > 0 {}
    add_as_before(&market, id, deal.1, expected[2]).await;

    market.project().await;
    assert_eq!(market.sequences(id).await, expected);
    assert_eq!(market.sequences(unseen).await, expected);
    market.check_sums().await;

    while dispatcher.run_once().await.unwrap() > 0 {}
    assert_eq!(
        states(&market.deliveries(id).await),
        [DeliveryState::Delivered; 4]
    );
}

// Goal: nothing is lost or doubled when an embedded market's webhooks move to a file of their own.
// Method: a market whose buyer file has an endpoint with a pending and a delivered delivery and an
// attempt, as version 0.1.0 leaves it, is opened; once more as after a crash between the copy and
// the clearing; and once more with nothing to move.
// Proven: all rows are there once, the old tables are empty, and what was pending is delivered.
#[tokio::test]
async fn embedded_market_keeps_its_webhooks() {
    let receiver = SwitchableReceiver::start(200).await;
    let market = Market::embedded().await;
    let id = market.subscribed(ANN, &receiver.url()).await;
    market.create(ANN).await;
    market.project().await;
    assert_eq!(market.dispatcher().run_once().await.unwrap(), 1);
    market.create(ANN).await;
    market.project().await;

    // Back to where version 0.1.0 has them.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.db");
    let before = count(&market.webhook_db).await;
    assert_eq!(before, [1, 1, 2, 2, 1]);
    copy_to_buyer_file(&market).await;

    let moved = Db::sqlite("webhook database", &file);
    webhooks::migrate(&moved, &market.side).await.unwrap();
    assert_eq!(count(&moved).await, before);
    assert_eq!(count(&market.db).await, [0; 5]);

    copy_to_buyer_file(&market).await;
    webhooks::migrate(&moved, &market.side).await.unwrap();
    webhooks::migrate(&moved, &market.side).await.unwrap();
    assert_eq!(count(&moved).await, before);
    assert_eq!(count(&market.db).await, [0; 5]);

    let market = market.with_webhook_db(moved);
    market.create(ANN).await;
    market.project().await;
    while market.dispatcher().run_once().await.unwrap() > 0 {}
    assert_eq!(
        states(&market.deliveries_of(BUYER, id).await),
        [DeliveryState::Delivered; 3]
    );
    assert_eq!(receiver.delivery_ids().len(), 3, "none is sent twice");
    market.check_sums().await;
}

/// Copies the rows of a market's webhooks into the tables of version 0.1.0 in the buyer file.
async fn copy_to_buyer_file(market: &Market) {
    let PoolEngine::Sqlite(own) = market.webhook_db.read().engine() else {
        panic!("the market is embedded");
    };
    let PoolEngine::Sqlite(buyers) = market.db.write().engine() else {
        panic!("the market is embedded");
    };
    let file: String =
        sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'")
            .fetch_one(own)
            .await
            .unwrap();

    let mut connection = buyers.acquire().await.unwrap();
    sqlx::query("ATTACH DATABASE $1 AS own")
        .bind(file)
        .execute(&mut *connection)
        .await
        .unwrap();
    for table in TABLES {
        let columns: String = sqlx::query_scalar(
            "SELECT group_concat(name) FROM pragma_table_info($1) WHERE name <> 'epoch' OR $1 = 'webhook_message'",
        )
        .bind(table)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        let copy =
            format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM own.{table}");
        sqlx::raw_sql(AssertSqlSafe(copy))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    sqlx::raw_sql("DETACH DATABASE own")
        .execute(&mut *connection)
        .await
        .unwrap();
}

/// Counts the rows of each of [`TABLES`].
async fn count(db: &Db) -> [i64; 5] {
    let mut counts = [0; 5];
    for (table, count) in TABLES.into_iter().zip(&mut counts) {
        let statement = format!("SELECT count(*) FROM {table}");
        *count = on_db!(db.read(), pool =>
            sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(pool).await)
        .unwrap();
    }

    counts
}

// Goal: the fan-out begins where the projection of version 0.1.0 was when the tables were migrated.
// Method: tables of version 0.1.0 at sequence 7, with a delivery, are migrated; an older process
// adds another delivery afterwards.
// Proven: the fan-out stands at the end of sequence 7, and both deliveries fit the new table.
#[tokio::test]
async fn fanout_begins_where_the_projection_was() {
    let services = Services::shared_or_private().await;
    let url = services.market().await.buyer_database_url;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut before = sqlx::migrate!("../migrations/postgres/buyer");
    before.migrations.to_mut().retain(|one| one.version <= 4);
    before.run(&mut connection).await.unwrap();

    const DELIVERY: &str = "
        INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, sequence, change_index, created_at)
        VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', gen_random_uuid(), gen_random_uuid(),
                7, 0, now())";
    let at_seven = "UPDATE projection SET epoch = 5, position = 7";
    for statement in [at_seven, DELIVERY] {
        connection.execute(statement).await.unwrap();
    }

    sqlx::migrate!("../migrations/postgres/buyer")
        .run(&mut connection)
        .await
        .unwrap();
    let place: (i64, i64, i32, i64) =
        sqlx::query_as("SELECT epoch, sequence, change_index, claimed FROM webhook_fanout")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(place, (5, 7, 65_535, 7));

    let later = DELIVERY.replace("7, 0, now()", "8, 0, now()");
    connection.execute(AssertSqlSafe(later)).await.unwrap();
}
