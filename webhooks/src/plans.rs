//! How PostgreSQL runs the statements of sending beside a dead endpoint's 200,000 deliveries: with plans that were made
//! while the tables were empty, as a connection's are, and with plans made after a look at the tables.

use std::time::Duration;

use backbone::clock::Clock;
use backbone::db::Db;
use backbone::testkit::Services;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{claim, record};
use buyer_core::BuyerSide;
use buyer_core::feed::Retention;

/// The first endpoint is dead and has 200,000 deliveries that are due. Of the 49 others each has delivered 2,000, and
/// has ten that are due, of five deals. A seller grants access to their 50 buyers and 99,950 others.
const FILL: [&str; 5] = [
    "INSERT INTO webhook (id, buyer_id, url, events, state, from_position, secret, failures, created_at)
     SELECT lpad(n::text, 32, '0')::uuid, lpad(n::text, 32, 'b')::uuid, 'https://example.com', '[]', 'ACTIVE', 0, '',
            CASE WHEN n = 1 THEN 9 ELSE 0 END, now()
       FROM generate_series(1, 50) n",
    "INSERT INTO webhook_count SELECT id FROM webhook",
    "INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, sequence, change_index, state, due_at,
                                   created_at, finished_at)
     SELECT gen_random_uuid(), lpad(w::text, 32, '0')::uuid, lpad(n::text, 32, '0')::uuid,
            lpad((n % deals)::text, 32, 'd')::uuid, n, 0, state,
            CASE WHEN state = 'PENDING' THEN now() - interval '1 day' + n * interval '1 ms' END, now(),
            CASE WHEN state <> 'PENDING' THEN now() END
       FROM (SELECT 1 AS w, n, 1000000 AS deals, 'PENDING' AS state FROM generate_series(1, 200000) n
             UNION ALL
             SELECT w, n, 5, CASE WHEN n <= 10 THEN 'PENDING' ELSE 'DELIVERED' END
               FROM generate_series(2, 50) w, generate_series(1, 2010) n) AS made",
    "INSERT INTO access SELECT lpad('7', 32, '5')::uuid, lpad(n::text, 32, 'b')::uuid, 1, NULL, now(), 1
       FROM generate_series(1, 100000) n",
    "INSERT INTO webhook_message SELECT lpad(n::text, 32, '0')::uuid, 'DEAL_CREATED', 1, NULL, '', 50
       FROM generate_series(1, 200000) n",
];

/// One of the others, some of its deliveries, and one of its deals.
const HEALTHY: &str = "00000000-0000-0000-0000-000000000007";
const SOME: &str = "
    SELECT coalesce(array_agg(id), '{}')::text
      FROM (SELECT id FROM webhook_delivery WHERE webhook_id = '00000000-0000-0000-0000-000000000007' LIMIT 8) AS d";
const SELLER: &str = "55555555-5555-5555-5555-555555555557";
const DEAL: &str = "dddddddd-dddd-dddd-dddd-ddddddddddd3";
const ANY: &str = "00000000-0000-0000-0000-0000000000aa";

/// A statement's name with the types of its arguments, the statement, and how many pages it may touch at most.
const STATEMENTS: [(&str, &str, &str, u64); 8] = [
    (
        "duties",
        "uuid[], bigint, bigint",
        include_str!("../../buyer-core/src/outbox/matching/endpoint_access.postgres.sql"),
        600,
    ),
    ("look", "timestamptz", claim::LOOK_POSTGRES, 500),
    (
        "claim",
        "timestamptz, uuid[], int[], int[], int, timestamptz, int, uuid, timestamptz",
        claim::CLAIM_POSTGRES,
        400,
    ),
    (
        "renew",
        "uuid[], uuid[], timestamptz",
        claim::RENEW_POSTGRES,
        200,
    ),
    ("held", "uuid[], uuid[]", record::HELD_POSTGRES, 200),
    (
        "settle",
        "uuid[], text[], int[], int[], timestamptz[], timestamptz",
        record::DELIVERIES_POSTGRES,
        600,
    ),
    (
        "lanes",
        "uuid[], uuid[], timestamptz",
        record::LANES_POSTGRES,
        60,
    ),
    (
        "owe",
        "uuid[], uuid[], uuid[], uuid[], bigint[], int[], boolean[], timestamptz",
        include_str!("../../buyer-core/src/outbox/rows/deliveries.postgres.sql"),
        60,
    ),
];

/// The arguments of a statement that works on these deliveries, an array as text.
fn arguments(name: &str, some: &str) -> String {
    let eight = |value: &str| format!("array_fill({value}, '{{8}}')");
    match name {
        "duties" => format!("'{{{SELLER}}}', 5, 9"),
        "look" => "now()".to_owned(),
        "claim" => format!(
            "now(), '{{{HEALTHY}}}', '{{0}}', '{{8}}', 10, now() + interval '60 s', 8, '{ANY}', now() + interval '15 s'"
        ),
        "renew" => format!("'{some}', {}, now()", eight(&format!("'{ANY}'::uuid"))),
        "held" => format!("'{some}', {}", eight(&format!("'{ANY}'::uuid"))),
        "settle" => {
            let (state, tries) = (eight("'DELIVERED'::text"), eight("1"));
            format!(
                "'{some}', {state}, {tries}, {tries}, {}, now()",
                eight("NULL::timestamptz")
            )
        }
        "lanes" => format!("'{{{HEALTHY}}}', '{{{DEAL}}}', now()"),
        "owe" => format!(
            "'{{{ANY}}}', '{{{HEALTHY}}}', '{{{ANY}}}', '{{{DEAL}}}', '{{9000}}', '{{0}}', '{{t}}', now()"
        ),
        other => panic!("{other} has no arguments"),
    }
}

#[tokio::test]
async fn a_dead_endpoint_s_backlog_costs_the_others_nothing() {
    let services = Services::shared_or_private().await;
    let url = services.market().await.buyer_database_url;
    let db = Db::postgres("buyer database", &url).unwrap();
    let side = BuyerSide::new(
        db,
        Clock::system(),
        Retention::in_partitions(Duration::from_secs(60)),
    );
    side.migrate().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    // What a transaction of sending begins with, and plans that know no arguments: the first of each is kept.
    for set in [
        "enable_seqscan = off",
        "jit = off",
        "plan_cache_mode = force_generic_plan",
    ] {
        connection
            .execute(AssertSqlSafe(format!("SET {set}")))
            .await
            .unwrap();
    }
    for (name, types, statement, _) in STATEMENTS {
        let prepare = format!("PREPARE {name} ({types}) AS {statement}");
        connection.execute(AssertSqlSafe(prepare)).await.unwrap();
        explain(&mut connection, name, "{}").await;
    }
    for statement in FILL {
        connection.execute(statement).await.unwrap();
    }
    for look in ["SELECT 1", "ANALYZE"] {
        connection.execute(look).await.unwrap();
        let some: String = sqlx::query_scalar(SOME)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        for (name, _, _, most) in STATEMENTS {
            let (pages, plan) = explain(&mut connection, name, &some).await;
            assert!(
                pages > 0 && pages <= most,
                "{name} after {look}: {pages} pages\n{plan}"
            );
        }
    }
}

/// Runs a prepared statement, undoes what it did, and says how many pages it touched, and how.
async fn explain(connection: &mut PgConnection, name: &str, some: &str) -> (u64, String) {
    let mut tx = connection.begin().await.unwrap();
    let execute = format!(
        "EXPLAIN (ANALYZE, BUFFERS) EXECUTE {name} ({})",
        arguments(name, some)
    );
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(execute))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    let total = lines
        .iter()
        .find(|line| line.trim_start().starts_with("Buffers:"));
    let counts = total
        .map_or("", String::as_str)
        .split([' ', ','])
        .filter_map(|word| word.split_once('='));
    let pages = counts
        .filter(|(kind, _)| ["hit", "read"].contains(kind))
        .map(|(_, count)| count);
    (
        pages.map(|count| count.parse::<u64>().unwrap()).sum(),
        lines.join("\n"),
    )
}
