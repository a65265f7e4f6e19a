//! Writes whose answer is lost: the caller learns that the outcome is unknown, never that nothing has happened.

use std::time::Duration;

use backbone::accounts::Role;
use backbone::testkit::{Direction, Proxy, wait_until};
use futures_util::future::join_all;
use gateway::error::{Code, Transport};
use gateway::settings::{Mode, Secret};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use super::ask::{Ask, Told, over_rest};
use super::behind_proxy;
use crate::kit::{BUYER_KEY, Backing, DEADLINE, SELLER_KEY, TestApp};

// Goal: a mutation that the log does not confirm is told as unknown over every transport.
// Method: discard what NATS answers, and change deals that this process wrote last, so that their events are sent at once.
// Proves: UNKNOWN_OUTCOME with the status and message of the table, after the budget of a mutation.
#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_an_unconfirmed_event_is_that_of_the_table() {
    let app = TestApp::start(Backing::Production).await;
    let Mode::Production { nats, .. } = app.app.config().mode.clone() else {
        panic!("the app runs on servers");
    };
    let proxy = Proxy::in_front_of(nats.reveal()).await;
    let behind = proxy.url(nats.reveal());
    let app = app
        .restarted_with(|config| {
            if let Mode::Production { nats, .. } = &mut config.mode {
                *nats = Secret::from(behind.as_str());
            }
        })
        .await;

    let seller = app.client(SELLER_KEY);
    let transports = Code::UnknownOutcome.row().over;
    let mut deals = Vec::new();
    for _ in transports {
        let created = seller.create("unconfirmed").await;
        deals.push(created["deal"]["id"].as_str().expect("an id").to_owned());
    }

    proxy.swallow(Direction::ToClient);
    let told = transports
        .iter()
        .zip(&deals)
        .map(|(transport, deal)| change(&app, *transport, deal));
    for (told, transport) in join_all(told).await.iter().zip(transports) {
        told.check(Code::UnknownOutcome, *transport);
    }

    proxy.restore().await;
    app.ready().await;
    app.stop().await;
}

async fn change(app: &TestApp, transport: Transport, deal: &str) -> Told {
    match transport {
        Transport::Rest => over_rest(replacement(app, deal)).await,
        _ => rename(deal).over(transport, app).await,
    }
}

fn rename(deal: &str) -> Ask {
    let update = "mutation($input: UpdateDealInput!) { updateDeal(input: $input) { deal { id } } }";

    Ask::new(
        SELLER_KEY,
        update,
        json!({ "input": { "id": deal, "name": "renamed" } }),
    )
}

fn replacement(app: &TestApp, deal: &str) -> reqwest::RequestBuilder {
    let body = json!({ "id": deal, "name": "replaced", "totalPrice": 1, "currency": "GBP",
                       "status": "available", "items": [{ "name": "i", "price": 1 }] });

    app.client(SELLER_KEY)
        .request(Method::PUT, "/deal")
        .json(&body)
}

/// Statements that make an insert take a second at its end: for a webhook that is the COMMIT of its transaction.
const SLOW: &str = "
    CREATE FUNCTION slow_end() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_webhook AFTER INSERT ON webhook
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_end();
    CREATE TRIGGER slow_account AFTER INSERT ON account
        FOR EACH ROW EXECUTE FUNCTION slow_end();";

const SLEEPERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";

// Goal: a write to a database whose COMMIT is not answered is told as unknown, and has happened all the same.
// Method: a trigger makes the COMMIT take a second; the connection is cut meanwhile, so the server completes it alone.
// Proves: UNKNOWN_OUTCOME for a webhook and for an account, and both exist.
#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_a_lost_commit_answer_is_unknown() {
    let app = TestApp::start(Backing::Production).await;
    let Mode::Production { buyer_database, .. } = app.app.config().mode.clone() else {
        panic!("the app runs on servers");
    };
    let direct = PgPool::connect(buyer_database.reveal())
        .await
        .expect("the buyer database accepts connections");
    let admin_key = admin_key(&app).await;
    let (app, proxy) = behind_proxy(app).await;
    sqlx::raw_sql(SLOW)
        .execute(&direct)
        .await
        .expect("the statements are valid");

    let buyer = app.client(BUYER_KEY);
    let admin = app.client(&admin_key);
    // Cached, so that the cut does not keep the keys from being looked up.
    for client in [&buyer, &admin] {
        client.data("{ viewer { id } }", json!({})).await;
    }

    let register = "mutation { registerWebhook(input: { url: \"http://127.0.0.1:65535/\", events: [DEAL_CREATED] }) {
        webhook { id } } }";
    let create = "mutation { createBuyer(name: \"late\", id: \"0b0e9f6e-4d0c-4a86-8d7f-000000000009\") { id } }";
    for (client, mutation) in [(&buyer, register), (&admin, create)] {
        let cut = async {
            wait_until(DEADLINE, "the write is at its end", async || {
                let sleepers: i64 = sqlx::query_scalar(SLEEPERS)
                    .fetch_one(&direct)
                    .await
                    .expect("the statement is valid");
                sleepers > 0
            })
            .await;
            proxy.cut().await;
        };
        let (answer, ()) = tokio::join!(client.execute(mutation, json!({})), cut);
        assert_eq!(answer.code(), "UNKNOWN_OUTCOME", "{answer:?}");

        proxy.restore().await;
        app.ready().await;
        // The server completes the write by itself; what sleeps next is the next one.
        wait_until(DEADLINE, "the write has ended", async || {
            let sleepers: i64 = sqlx::query_scalar(SLEEPERS)
                .fetch_one(&direct)
                .await
                .expect("the statement is valid");
            sleepers == 0
        })
        .await;
    }

    for (table, count) in [
        ("SELECT count(*) FROM webhook", 1),
        ("SELECT count(*) FROM account WHERE name = 'late'", 1),
    ] {
        wait_until(DEADLINE, "the server has completed the write", async || {
            let found: i64 = sqlx::query_scalar(table)
                .fetch_one(&direct)
                .await
                .expect("the statement is valid");
            found == count
        })
        .await;
    }
    app.stop().await;
}

// Goal: a write to a database that takes too long is told as unknown, not as undone.
// Method: a trigger makes the COMMIT of a webhook take longer than a write may.
// Proves: UNKNOWN_OUTCOME after the time limit of a write, which is 3 s.
#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_a_write_that_times_out_is_unknown() {
    let app = TestApp::start(Backing::Production).await;
    let Mode::Production { buyer_database, .. } = app.app.config().mode.clone() else {
        panic!("the app runs on servers");
    };
    let direct = PgPool::connect(buyer_database.reveal())
        .await
        .expect("the buyer database accepts connections");
    sqlx::raw_sql(sqlx::AssertSqlSafe(
        SLOW.replace("pg_sleep(1)", "pg_sleep(4)"),
    ))
    .execute(&direct)
    .await
    .expect("the statements are valid");

    let register = "mutation { registerWebhook(input: { url: \"http://127.0.0.1:65535/\", events: [DEAL_CREATED] }) {
        webhook { id } } }";
    let began = tokio::time::Instant::now();
    let answer = app.client(BUYER_KEY).execute(register, json!({})).await;
    assert_eq!(answer.code(), "UNKNOWN_OUTCOME", "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(6));
    app.stop().await;
}

async fn admin_key(app: &TestApp) -> String {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts.create(None, Role::Admin, "operator").await;
    let account = account.expect("the account can be created");
    let issued = accounts.issue(account.id, None).await;

    issued.expect("the key can be issued").key
}
