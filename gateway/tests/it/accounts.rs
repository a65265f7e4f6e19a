//! Accounts and keys: made by administrators, at the terminal or by the API, under the same rules; ended for good.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use backbone::accounts::Role;
use backbone::testkit::wait_until;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::kit::{BUYER_KEY, Client, DEADLINE, Process, SELLER_KEY, Socket, TestApp, on_both};

on_both!(an_id_is_one_account, a_revoked_key_ends_what_it_has_opened);

const REVOKE: &str = "mutation($id: ID!) { revokeApiKey(id: $id) { id revokedAt } }";

async fn admin(app: &TestApp) -> Client {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts
        .create(None, Role::Admin, "operator")
        .await
        .expect("an account");
    app.client(&accounts.issue(account.id, None).await.expect("a key").key)
}

async fn an_id_is_one_account(app: TestApp) {
    let admin = admin(&app).await;
    let create = async |field: &str, name: &str, id: &str| {
        let mutation = format!(
            "mutation($name: String!, $id: ID) {{ {field}(name: $name, id: $id) {{ id name role }} }}"
        );
        admin
            .execute(&mutation, json!({ "name": name, "id": id }))
            .await
    };
    let id = "0b0e9f6e-4d0c-4a86-8d7f-000000000001";
    let made = create("createSeller", " one ", id).await.data();
    assert_eq!(
        made["createSeller"],
        json!({ "id": id, "name": "one", "role": "SELLER" })
    );
    assert_eq!(
        create("createSeller", "one", id).await.data(),
        made,
        "again is the same"
    );
    assert_eq!(create("createSeller", "two", id).await.code(), "CONFLICT");
    assert_eq!(create("createBuyer", "one", id).await.code(), "CONFLICT");
    assert_eq!(create("createBuyer", "a\u{0}b", id).await.paths(), ["name"]);
    assert_eq!(create("createBuyer", "x", "7").await.paths(), ["id"]);

    let issue = "mutation($id: ID!, $label: String) { issueApiKey(accountId: $id, label: $label) { id key } }";
    let long = "x".repeat(201);
    assert_eq!(
        admin
            .execute(issue, json!({ "id": id, "label": long }))
            .await
            .paths(),
        ["label"]
    );
    let nobody = json!({ "id": "0b0e9f6e-4d0c-4a86-8d7f-000000000002" });
    assert_eq!(
        admin.execute(issue, nobody.clone()).await.code(),
        "NOT_FOUND"
    );
    assert_eq!(admin.execute(REVOKE, nobody).await.code(), "NOT_FOUND");
    for key in [SELLER_KEY, BUYER_KEY] {
        let refused = app.client(key).execute(issue, json!({ "id": id })).await;
        assert_eq!(refused.code(), "FORBIDDEN");
    }
    app.stop().await;
}

async fn a_revoked_key_ends_what_it_has_opened(app: TestApp) {
    let admin = admin(&app).await;
    let made = admin
        .data(
            "mutation { createBuyer(name: \"new\") { id role } }",
            json!({}),
        )
        .await;
    let issue = "mutation($id: ID!) { issueApiKey(accountId: $id) { id key } }";
    let issued = admin
        .data(issue, json!({ "id": made["createBuyer"]["id"] }))
        .await["issueApiKey"]
        .clone();
    let key = issued["key"].as_str().expect("a key");
    assert_eq!(
        app.client(key).data("{ viewer { name } }", json!({})).await["viewer"]["name"],
        "new"
    );
    let mut socket = Socket::open(&app.url(), key).await;
    // Not through the gateway that holds the socket: it finds out by looking.
    let id = issued["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a UUID");
    let asked = Instant::now();
    app.app
        .backends()
        .buyers
        .accounts()
        .revoke(id)
        .await
        .expect("the database is there");
    assert_eq!(socket.close_code().await, 4403);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        app.client(key)
            .execute("{ viewer { name } }", json!({}))
            .await
            .code(),
        "UNAUTHENTICATED"
    );
    let again = admin.data(REVOKE, json!({ "id": issued["id"] })).await;
    assert!(
        again["revokeApiKey"]["revokedAt"].is_string(),
        "once for all"
    );
    app.stop().await;
}

/// The real binary at the terminal, on an embedded market of its own.
struct Terminal(TempDir);

impl Terminal {
    fn data_dir(&self) -> &str {
        self.0.path().to_str().expect("a path of text")
    }

    /// Standard output, or else standard error.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dealwire"));
        let command = command
            .args(arguments)
            .env("DEALWIRE_DATA_DIR", self.data_dir());
        let output = command.output().await.expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("text").trim().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_keeps_to_the_same_rules() {
    let terminal = Terminal(tempfile::tempdir().expect("a temporary folder"));
    let create = async |what: &str, name: &str| {
        let id = "0b0e9f6e-4d0c-4a86-8d7f-000000000003";
        terminal
            .run(&["admin", what, "--name", name, "--id", id])
            .await
    };
    let id = create("create-seller", "one").await.expect("it is made");
    assert_eq!(create("create-seller", "one").await.as_ref(), Ok(&id));
    for refused in [
        create("create-buyer", "one").await,
        create("create-seller", "two").await,
    ] {
        assert!(refused.is_err_and(|told| told.contains("belongs to another account")));
    }
    let label = terminal
        .run(&["admin", "issue-key", "--account", &id, "--label", "\u{7}"])
        .await;
    assert!(label.is_err_and(|told| told.contains("label")));
    let checked = terminal.run(&["check-config"]).await.expect("all is well");
    assert!(checked.contains("seller database: SQLite"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_server_keeps_its_administrative_key() {
    let terminal = Terminal(tempfile::tempdir().expect("a temporary folder"));
    let (server, key) = (
        terminal.0.path().join("server"),
        terminal.0.path().join("admin-key"),
    );
    let mut process = Process::spawn(&[("DEALWIRE_DATA_DIR", terminal.data_dir())]);
    let mut keys = Vec::new();
    for spoil in [false, true, false] {
        wait_until(DEADLINE, "the server has left its address", async || {
            server.exists()
        })
        .await;
        terminal
            .run(&["admin", "create-buyer", "--name", "late"])
            .await
            .expect("the key opens the server");
        keys.push(std::fs::read_to_string(&key).expect("the server has left its key"));
        let seeded = terminal.run(&["seed"]).await;
        assert!(seeded.is_err_and(|told| told.contains("stop that process first")));
        process.stop().await;
        if spoil {
            std::fs::write(&key, "of another market").expect("the file can be written");
        }
        process.start();
    }
    assert_eq!(keys[0], keys[1], "every start but the first finds it");
    assert_ne!(keys[1], keys[2], "one that opens nothing is replaced");
    let mode = std::fs::metadata(&key)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
