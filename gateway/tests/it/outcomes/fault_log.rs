//! The log line of an internal error: it has the id that the client was told, and the cause, which the client was not.

use std::process::Stdio;

use backbone::testkit::{Port, wait_until};
use reqwest::Method;
use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::DEAL;
use crate::kit::{BUYER_KEY, Client, DEADLINE};

// Goal: an operator finds the cause of an internal error by the id that a client was told.
// Method: break a row under a running process, ask for it, and read the log of the process.
// Proves: one line has the id and the cause, and the answer has no word of the cause.
#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_a_fault_is_found_in_the_log_by_its_id() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = Port::reserve();
    let mut process = Command::new(env!("CARGO_BIN_EXE_dealwire"))
        .arg("serve")
        .env("DEALWIRE_DATA_DIR", folder.path())
        .env("DEALWIRE_LISTEN", port.addr().to_string())
        .env("DEALWIRE_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");

    let buyer = Client::new(&format!("http://{}", port.addr()), Some(BUYER_KEY));
    let deal = "query($id: ID!) { deal(id: $id) { id } }";
    wait_until(DEADLINE, "the deal can be read", async || {
        let body = json!({ "query": deal, "variables": { "id": DEAL } });
        let request = buyer.request(Method::POST, "/graphql").json(&body);
        match request.send().await {
            Ok(response) => {
                let text = response.text().await;
                text.is_ok_and(|text| text.contains(&format!("\"id\":\"{DEAL}\"")))
            }
            Err(_) => false,
        }
    })
    .await;

    let file = SqliteConnectOptions::new().filename(folder.path().join("market-buyer.sqlite"));
    let pool = SqlitePool::connect_with(file).await;
    sqlx::query("UPDATE deal SET status = 'BROKEN'")
        .execute(&pool.expect("the file can be opened"))
        .await
        .expect("the statement is valid");
    let answer = buyer.execute(deal, json!({ "id": DEAL })).await;
    let id = answer.body["errors"][0]["extensions"]["errorId"].clone();

    process.kill().await.expect("a child can be killed");
    let mut log = String::new();
    let mut errors = process.stderr.take().expect("the log is piped");
    let read = errors.read_to_string(&mut log).await;
    read.expect("the log is text");

    let id = id.as_str().expect("an id");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(id)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("column status"), "{log}");
    assert!(!answer.body.to_string().contains("status"), "{answer:?}");
}
