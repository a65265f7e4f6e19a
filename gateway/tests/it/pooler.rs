//! A market whose databases are reached through PgBouncer.

use backbone::testkit::{Market, PgBouncer, Services};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::kit::{Process, dealwire, seed};
use crate::load::{Load, Plan, Truth};

/// First version that knows prepared statements in transaction mode.
const PREPARES: (u32, u32) = (1, 21);

/// Settings in every mode, as docs/operations.md has them: the driver asks for these parameters, and PgBouncer would refuse
/// its sessions.
const IGNORED: &str = "ignore_startup_parameters = extra_float_digits,options";

// Goal: a pooler in session mode changes nothing.
// Method: writers and readers on a market behind it.
// Proves: acknowledged mutations, tables and pushes equal the log, and the check has no complaint.
#[tokio::test(flavor = "multi_thread")]
async fn market_works_behind_a_pooler_in_session_mode() {
    works_behind(&[IGNORED, "pool_mode = session", "default_pool_size = 60"]).await;
}

// Goal: a pooler in transaction mode changes nothing if it knows prepared statements, and is refused otherwise.
// Method: as in session mode, with fewer sessions than connections; with an older version, two processes after each other use
// the same session.
// Proves: the same; with an older version, the check names prepared statements.
#[tokio::test(flavor = "multi_thread")]
async fn market_works_behind_a_pooler_in_transaction_mode_that_knows_prepared_statements() {
    let mode = "pool_mode = transaction";
    if PgBouncer::version() >= PREPARES {
        let settings = [
            IGNORED,
            mode,
            "default_pool_size = 8",
            "max_prepared_statements = 200",
        ];
        return works_behind(&settings).await;
    }

    let services = Services::shared_or_private().await;
    let direct = services.market().await;
    seed(&direct).await;
    let settings = [IGNORED, mode, "default_pool_size = 1"];
    let pooler = PgBouncer::start(&services.postgres_admin_url, &settings).await;
    let market = behind(&pooler, &direct);

    // The first process leaves its statements in the session that the second one is given.
    let first = dealwire(&market.environment(), &["check-config"])
        .await
        .text;
    let second = dealwire(&market.environment(), &["check-config"])
        .await
        .text;
    let told = format!("{first}{second}");
    assert!(told.contains("prepared statement"), "{told}");
}

async fn works_behind(settings: &[&str]) {
    let services = Services::shared_or_private().await;
    let direct = services.market().await;
    // Migrates past the pooler.
    seed(&direct).await;
    set_timeouts(&direct).await;
    let pooler = PgBouncer::start(&services.postgres_admin_url, settings).await;
    let market = behind(&pooler, &direct);

    let process = Process::with_role(&market, "gateway,seller,buyer,webhooks", &[]);
    process.ready().await;
    let mut load = Load::start(Plan::varied(&process.url())).await;
    load.see(150).await;
    load.stop_writing().await;
    load.finish(&Truth::of(&market).await).await;

    let told = dealwire(&market.environment(), &["check-config"])
        .await
        .done();
    assert!(told.contains("buyer database: PostgreSQL"), "{told}");
    assert!(!told.contains("pooler has dropped"), "{told}");
}

/// The market as its processes see it through a pooler.
fn behind(pooler: &PgBouncer, market: &Market) -> Market {
    Market {
        seller_database_url: pooler.url(&market.seller_database_url),
        buyer_database_url: pooler.url(&market.buyer_database_url),
        ..market.clone()
    }
}

/// Gives every session the settings that the pooler drops.
async fn set_timeouts(market: &Market) {
    for url in [&market.seller_database_url, &market.buyer_database_url] {
        let mut session = PgConnection::connect(url).await.expect("it is up");
        let name = url.rsplit('/').next().expect("a URL has a path");
        for setting in [
            "statement_timeout = '30s'",
            "idle_in_transaction_session_timeout = '3s'",
        ] {
            let statement = format!("ALTER DATABASE {name} SET {setting}");
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut session)
                .await
                .expect("it is ours");
        }
    }
}
