//! PostgreSQL's plans for the statements that send, beside a dead endpoint's 200,000 deliveries:
//! plans made while the tables were empty, as a connection keeps them, and plans made after
//! ANALYZE. A statement that no connection keeps is planned for the filled tables in both cases.

use std::time::Duration;

use backbone::clock::Clock;
use backbone::db::Db;
use backbone::testkit::Services;
use buyer_core::BuyerSide;
use buyer_core::feed::Retention;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Statements that fill the tables. The first endpoint is dead and has 200,000 deliveries due. Each
/// of the 49 others has delivered 2,000 and has ten due, of five deals. A seller grants access to
/// their 50 buyers and 99,950 others.
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
               FROM generate_series(2, 50) w, generate_series(1, 2010) n) AS filled",
    "INSERT INTO access SELECT lpad('7', 32, '5')::uuid, lpad(n::text, 32, 'b')::uuid, 1, NULL, now(), 1
       FROM generate_series(1, 100000) n",
    "INSERT INTO webhook_message SELECT lpad(n::text, 32, '0')::uuid, 'DEAL_CREATED', 1, NULL, '', 50
       FROM generate_series(1, 200000) n",
];

/// One of the healthy endpoints.
const HEALTHY: &str = "00000000-0000-0000-0000-000000000007";
/// Query for some of that endpoint's deliveries, as the text of an array.
const SOME_DELIVERIES: &str = "
    SELECT coalesce(array_agg(id), '{}')::text
      FROM (SELECT id FROM webhook_delivery WHERE webhook_id = '00000000-0000-0000-0000-000000000007' LIMIT 8) AS d";
/// Seller that grants access to all buyers.
const SELLER: &str = "55555555-5555-5555-5555-555555555557";
/// One of the healthy endpoint's deals.
const DEAL: &str = "dddddddd-dddd-dddd-dddd-ddddddddddd3";
/// Id that no row has.
const UNKNOWN: &str = "00000000-0000-0000-0000-0000000000aa";

/// Statements, each with a name, the types of its arguments, and the most pages that it may touch.
const STATEMENTS: [(&str, &str, &str, u64); 9] = [
    (
        "find_due",
        "timestamptz",
        include_str!("claim/find_due.postgres.sql"),
        500,
    ),
    (
        "claim",
        "timestamptz, uuid[], int[], int[], int, timestamptz, int, uuid, timestamptz",
        include_str!("claim/claim.postgres.sql"),
        400,
    ),
    (
        "renew",
        "uuid[], uuid[], timestamptz",
        include_str!("claim/renew.postgres.sql"),
        200,
    ),
    (
        "leased",
        "uuid[], uuid[]",
        include_str!("record/leased.postgres.sql"),
        200,
    ),
    (
        "update_deliveries",
        "uuid[], text[], int[], int[], timestamptz[], timestamptz",
        include_str!("record/deliveries.postgres.sql"),
        600,
    ),
    (
        "advance_lanes",
        "uuid[], uuid[], timestamptz",
        include_str!("record/advance_lanes.postgres.sql"),
        60,
    ),
    (
        "add_deliveries",
        "uuid[], uuid[], uuid[], uuid[], bigint[], int[], bigint, timestamptz",
        include_str!("insert/deliveries.postgres.sql"),
        60,
    ),
    (
        "replay_scan",
        "uuid, text, timestamptz, timestamptz, timestamptz, uuid, jsonb, bigint, bigint, int, bigint",
        include_str!("replay/scan.postgres.sql"),
        80,
    ),
    (
        "replay_endpoint",
        "uuid, timestamptz",
        include_str!("replay/endpoint.sql"),
        40,
    ),
];

/// Statements that the fan-out plans anew each time, with the default settings.
const PLANNED_ANEW: [(&str, &str, &str, u64); 2] = [
    (
        "access_among",
        "uuid[], uuid[], bigint, bigint",
        include_str!("../../buyer-core/src/store/access_among.postgres.sql"),
        600,
    ),
    (
        "settings",
        "uuid[], bigint, bigint",
        include_str!("fanout/recipients/settings.postgres.sql"),
        // Two for each endpoint, which has no past settings.
        160,
    ),
];

/// Returns the arguments of a statement. `deliveries` is an array of deliveries as text, or of
/// buyers for the statements that are planned anew.
fn arguments(name: &str, deliveries: &str) -> String {
    let eight = |value: &str| format!("array_fill({value}, '{{8}}')");

    match name {
        "access_among" => format!("'{{{SELLER}}}', '{deliveries}', 5, 9"),
        "settings" => format!("'{deliveries}', 5, 9"),
        "find_due" => "now()".to_owned(),
        "claim" => format!(
            "now(), '{{{HEALTHY}}}', '{{0}}', '{{8}}', 10, now() + interval '60 s', 8, '{UNKNOWN}', now() + interval '15 s'"
        ),
        "renew" => format!(
            "'{deliveries}', {}, now()",
            eight(&format!("'{UNKNOWN}'::uuid"))
        ),
        "leased" => format!("'{deliveries}', {}", eight(&format!("'{UNKNOWN}'::uuid"))),
        "update_deliveries" => {
            let state = eight("'DELIVERED'::text");
            let tries = eight("1");
            format!(
                "'{deliveries}', {state}, {tries}, {tries}, {}, now()",
                eight("NULL::timestamptz")
            )
        }
        "replay_scan" => format!(
            "'{HEALTHY}', 'DEAD', '-infinity', now(), now(), '{DEAL}', '[\"DEAL_CREATED\"]', 0, 900, 0, 8"
        ),
        "replay_endpoint" => format!("'{HEALTHY}', now()"),
        "advance_lanes" => format!("'{{{HEALTHY}}}', '{{{DEAL}}}', now()"),
        "add_deliveries" => format!(
            "'{{{UNKNOWN}}}', '{{{HEALTHY}}}', '{{{UNKNOWN}}}', '{{{DEAL}}}', '{{9000}}', '{{0}}', 5, now()"
        ),
        other => panic!("{other} has no arguments"),
    }
}

// Goal: a dead endpoint's backlog does not slow the other endpoints down.
// Method: EXPLAIN (ANALYZE, BUFFERS) of every statement that sends, on tables filled after the
// plans that a connection keeps were made, and again after ANALYZE.
// Proven: no statement touches more pages than its bound, so none reads the backlog.
#[tokio::test]
async fn plans_of_the_sending_statements_do_not_read_a_dead_endpoint_s_backlog() {
    let services = Services::shared_or_private().await;
    let url = services.market().await.buyer_database_url;
    let db = Db::postgres("buyer database", &url, 12).unwrap();
    let side = BuyerSide::new(
        db,
        Clock::system(),
        Retention::in_partitions(Duration::from_secs(60)),
    );
    side.migrate().await.unwrap();

    let mut connection = connect(&url).await;
    for (name, types, statement, _) in STATEMENTS {
        prepare(&mut connection, name, types, statement).await;
        explain(&mut connection, name, "{}").await;
    }

    for statement in FILL {
        connection.execute(statement).await.unwrap();
    }

    // The first statement does nothing: it stands for tables that were never analysed.
    for analysis in ["SELECT 1", "ANALYZE"] {
        connection.execute(analysis).await.unwrap();
        let deliveries: String = sqlx::query_scalar(SOME_DELIVERIES)
            .fetch_one(&mut connection)
            .await
            .unwrap();

        for (name, _, _, most) in STATEMENTS {
            let (pages, plan) = explain(&mut connection, name, &deliveries).await;
            assert!(
                pages > 0 && pages <= most,
                "{name} after {analysis}: {pages} pages\n{plan}"
            );
        }

        assert_anew_plans_are_small(&url, analysis).await;
    }
}

/// Checks the statements that no connection keeps.
async fn assert_anew_plans_are_small(url: &str, analysis: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let buyers: String =
        sqlx::query_scalar("SELECT array_agg(DISTINCT buyer_id)::text FROM webhook")
            .fetch_one(&mut connection)
            .await
            .unwrap();

    for (name, types, statement, most) in PLANNED_ANEW {
        prepare(&mut connection, name, types, statement).await;
        let (pages, plan) = explain(&mut connection, name, &buyers).await;
        assert!(
            pages > 0 && pages <= most,
            "{name} after {analysis}: {pages} pages\n{plan}"
        );
    }
}

/// Opens a connection with the settings that a sending transaction begins with.
async fn connect(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();

    // With generic plans, the first plan of each prepared statement is kept: one that was made for
    // empty tables.
    for setting in [
        "enable_seqscan = off",
        "jit = off",
        "plan_cache_mode = force_generic_plan",
    ] {
        connection
            .execute(AssertSqlSafe(format!("SET {setting}")))
            .await
            .unwrap();
    }

    connection
}

/// Prepares a statement, whose plan is made when it is first executed.
async fn prepare(connection: &mut PgConnection, name: &str, types: &str, statement: &str) {
    let prepare = format!("PREPARE {name} ({types}) AS {statement}");
    connection.execute(AssertSqlSafe(prepare)).await.unwrap();
}

/// Runs a prepared statement, rolls it back, and returns the number of pages touched and the plan.
async fn explain(connection: &mut PgConnection, name: &str, deliveries: &str) -> (u64, String) {
    let mut tx = connection.begin().await.unwrap();
    let execute = format!(
        "EXPLAIN (ANALYZE, BUFFERS) EXECUTE {name} ({})",
        arguments(name, deliveries)
    );
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(execute))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    tx.rollback().await.unwrap();

    // The first line about buffers is that of the plan's root, which includes all the others.
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
