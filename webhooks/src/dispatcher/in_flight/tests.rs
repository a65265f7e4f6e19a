//! The moment between a claim and its calls, which no test from outside can hit reliably.

use backbone::clock::Clock;
use backbone::db::{Db, PoolEngine};
use backbone::health::Health;
use backbone::live_bus::LiveBus;
use backbone::telemetry::Metrics;
use buyer_core::BuyerSide;
use buyer_core::feed::Retention;

use super::*;
use crate::Webhooks;
use crate::dispatcher::metrics::DispatchMetrics;
use crate::egress::Egress;
use crate::resolver::Resolver;
use crate::seal::SealKey;
use crate::sender::Sender;

/// Statements that add an endpoint, a message and a delivery that is due.
const FILL: [&str; 3] = [
    "INSERT INTO webhook (id, buyer_id, url, events, state, from_position, secret, created_at)
     VALUES (unhex('00000000000000000000000000000001'), x'00', 'https://example.com', '[]', 'ACTIVE', 0, x'00', 0)",
    "INSERT INTO webhook_message VALUES (unhex('00000000000000000000000000000002'), 'TEST', 1, NULL, x'00', 1)",
    "INSERT INTO webhook_delivery (id, webhook_id, message_id, epoch, sequence, change_index, due_at, created_at)
     VALUES (unhex('00000000000000000000000000000003'), unhex('00000000000000000000000000000001'),
             unhex('00000000000000000000000000000002'), 1, 0, 0, 0, 0)",
];

// Goal: a dispatcher that is told to stop while a claim is on its way keeps no lease and sends
// nothing.
// Method: the dispatcher's loop, turn by turn, closed in the turn in which the claim arrives.
// Proven: no call is made, and the delivery has no lease when the loop ends.
#[tokio::test]
async fn claim_that_arrives_after_the_stop_is_released() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();

    let buyer_db = Db::sqlite("buyer database", &folder.path().join("buyer.db"));
    let side = BuyerSide::new(buyer_db, Clock::system(), Retention::in_rows(LEASE));
    side.migrate().await.unwrap();
    let db = Db::sqlite("webhook database", &folder.path().join("webhooks.db"));
    crate::migrate(&db, &side).await.unwrap();
    let PoolEngine::Sqlite(pool) = db.write().engine() else {
        panic!("the database is on SQLite")
    };

    for statement in FILL {
        sqlx::query(statement).execute(pool).await.unwrap();
    }

    let bus = LiveBus::local(1, &metrics);
    let context = CallContext {
        webhooks: Webhooks::new(
            &side,
            db.clone(),
            bus,
            Egress::default(),
            SealKey::generate(),
        ),
        sender: Sender::new(Egress::default(), Resolver::system().unwrap()).unwrap(),
        metrics: DispatchMetrics::new(&metrics),
    };
    let health = Health::default().part("webhooks");
    let mut in_flight = InFlight::new(&context, Limits::default(), health);
    let leases = async || -> i64 {
        let leased = "SELECT count(*) FROM webhook_delivery WHERE lease IS NOT NULL";
        sqlx::query_scalar(leased).fetch_one(pool).await.unwrap()
    };

    while in_flight.start_work() {
        let finished = in_flight.next().await;
        if matches!(finished, Finished::Claim { .. }) {
            assert_eq!(leases().await, 1);
            in_flight.close();
        }
        assert!(
            !matches!(finished, Finished::Call { .. }),
            "no call is made"
        );
        in_flight.complete(finished).unwrap();
    }

    assert_eq!(leases().await, 0);
}
