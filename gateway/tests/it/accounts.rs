//! Accounts and API keys: administrators create them on the command line or over the API, under the
//! same rules, and a revoked key is invalid for ever.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use backbone::accounts::Role;
use backbone::testkit::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::kit::{BUYER_KEY, Client, DEADLINE, Process, SELLER_KEY, Socket, TestApp, on_both};

on_both!(
    account_id_names_one_account_on_both_sides,
    revoked_key_ends_the_sockets_that_it_opened
);

const REVOKE: &str = "mutation($id: ID!) { revokeApiKey(id: $id) { id revokedAt } }";
const VIEWER: &str = "{ viewer { name } }";

async fn admin(app: &TestApp) -> Client {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts
        .create(None, Role::Admin, "operator")
        .await
        .expect("the account can be created");
    let issued = accounts
        .issue(account.id, None)
        .await
        .expect("the key can be issued");

    app.client(&issued.key)
}

async fn account_id_names_one_account_on_both_sides(app: TestApp) {
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
    let created = create("createSeller", " one ", id).await.data();
    assert_eq!(
        created["createSeller"],
        json!({ "id": id, "name": "one", "role": "SELLER" })
    );
    assert_eq!(
        create("createSeller", "one", id).await.data(),
        created,
        "a repeat returns the same account"
    );

    assert_eq!(create("createSeller", "two", id).await.code(), "CONFLICT");
    assert_eq!(create("createBuyer", "one", id).await.code(), "CONFLICT");
    assert_eq!(create("createBuyer", "a\u{0}b", id).await.paths(), ["name"]);
    assert_eq!(create("createBuyer", "x", "7").await.paths(), ["id"]);

    check_issued_keys(&app, &admin, id).await;
    app.stop().await;
}

async fn check_issued_keys(app: &TestApp, admin: &Client, id: &str) {
    let issue = "mutation($id: ID!, $label: String) { issueApiKey(accountId: $id, label: $label) { id key } }";

    let too_long = json!({ "id": id, "label": "x".repeat(201) });
    assert_eq!(admin.execute(issue, too_long).await.paths(), ["label"]);

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
}

/// Creates a buyer with the name "new", and returns the id and text of an API key for it.
async fn issue_to_new_buyer(admin: &Client) -> Value {
    let create = "mutation { createBuyer(name: \"new\") { id role } }";
    let created = admin.data(create, json!({})).await;

    let issue = "mutation($id: ID!) { issueApiKey(accountId: $id) { id key } }";
    let account = json!({ "id": created["createBuyer"]["id"] });
    admin.data(issue, account).await["issueApiKey"].take()
}

async fn revoked_key_ends_the_sockets_that_it_opened(app: TestApp) {
    let admin = admin(&app).await;
    let issued = issue_to_new_buyer(&admin).await;
    let key = issued["key"].as_str().expect("an issued key is shown");
    let client = app.client(key);

    let viewer = client.data(VIEWER, json!({})).await;
    assert_eq!(viewer["viewer"]["name"], "new");
    let mut socket = Socket::open(&app.url(), key).await;

    // Not through the gateway that holds the socket: its periodic check must find the revocation.
    let id = issued["id"]
        .as_str()
        .expect("a key has an id")
        .parse()
        .expect("the id is a UUID");
    let begin = Instant::now();
    app.app
        .backends()
        .buyers
        .accounts()
        .revoke(id)
        .await
        .expect("the database is available");
    assert_eq!(socket.close_code().await, 4403);

    let elapsed = begin.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");

    let refused = client.execute(VIEWER, json!({})).await;
    assert_eq!(refused.code(), "UNAUTHENTICATED");
    let again = admin.data(REVOKE, json!({ "id": issued["id"] })).await;
    assert!(
        again["revokeApiKey"]["revokedAt"].is_string(),
        "revoking a revoked key succeeds"
    );

    app.stop().await;
}

/// The binary on the command line, with an embedded market of its own.
struct Terminal(TempDir);

impl Terminal {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be created"))
    }

    fn data_dir(&self) -> &str {
        self.0.path().to_str().expect("the path is UTF-8")
    }

    /// Runs the binary, and returns its standard output, or its standard error if it fails.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dealwire"));
        let command = command
            .args(arguments)
            .env("DEALWIRE_DATA_DIR", self.data_dir());
        let output = command.output().await.expect("the binary runs");

        let text = |bytes| {
            let text = String::from_utf8(bytes).expect("the output is UTF-8");
            text.trim().to_owned()
        };
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_follows_the_same_rules_as_the_api() {
    let terminal = Terminal::new();
    let create = async |command: &str, name: &str| {
        let id = "0b0e9f6e-4d0c-4a86-8d7f-000000000003";
        terminal
            .run(&["admin", command, "--name", name, "--id", id])
            .await
    };

    let id = create("create-seller", "one")
        .await
        .expect("the account can be created");
    assert_eq!(create("create-seller", "one").await.as_ref(), Ok(&id));

    for refused in [
        create("create-buyer", "one").await,
        create("create-seller", "two").await,
    ] {
        assert!(refused.is_err_and(|error| error.contains("belongs to another account")));
    }

    let label = terminal
        .run(&["admin", "issue-key", "--account", &id, "--label", "\u{7}"])
        .await;
    assert!(label.is_err_and(|error| error.contains("label")));

    let report = terminal
        .run(&["check-config"])
        .await
        .expect("the configuration is valid");
    assert!(report.contains("seller database: SQLite"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_server_keeps_its_administrative_key() {
    let terminal = Terminal::new();
    let address_file = terminal.0.path().join("server");
    let key_file = terminal.0.path().join("admin-key");
    let mut process = Process::spawn(&[("DEALWIRE_DATA_DIR", terminal.data_dir())]);
    let mut keys = Vec::new();

    // Three starts: the first finds no key file, the second a valid one, the third one of another
    // market.
    for spoil in [false, true, false] {
        wait_until(DEADLINE, "the server has written its address", async || {
            address_file.exists()
        })
        .await;

        terminal
            .run(&["admin", "create-buyer", "--name", "late"])
            .await
            .expect("the server accepts the key in the file");
        keys.push(std::fs::read_to_string(&key_file).expect("the server has written its key"));

        // The data folder has one owner, so commands that open it themselves must refuse.
        let seeded = terminal.run(&["seed"]).await;
        assert!(seeded.is_err_and(|error| error.contains("stop that process first")));

        process.stop().await;
        if spoil {
            std::fs::write(&key_file, "of another market").expect("the file can be written");
        }
        process.start();
    }

    assert_eq!(keys[0], keys[1], "a restart keeps a valid key");
    assert_ne!(keys[1], keys[2], "a restart replaces an invalid key");

    let mode = std::fs::metadata(&key_file)
        .expect("the key file exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_repeats_calls_on_the_stores_and_beside_a_server() {
    let terminal = Terminal::new();
    let run = async |arguments: &[&str]| terminal.run(&[&["admin"][..], arguments].concat()).await;
    let create = ["create-buyer", "--name", "one", "--idempotency-key", "k"];
    let id = run(&create).await.expect("the account can be created");
    let account = id.as_str();
    let issue = [
        &[
            "issue-key",
            "--account",
            account,
            "--idempotency-key",
            "k",
            "--label",
            "my laptop",
        ][..],
        &["--expires-at", "2999-01-31T12:00:00Z"],
    ]
    .concat();
    let issued = run(&issue).await.expect("the key can be issued");
    let (key_id, key) = issued.split_once(' ').expect("an id and a key");

    let address_file = terminal.0.path().join("server");
    let mut process = Process::spawn(&[("DEALWIRE_DATA_DIR", terminal.data_dir())]);
    wait_until(DEADLINE, "the server has written its address", async || {
        address_file.exists()
    })
    .await;

    for is_running in [true, false] {
        assert_eq!(run(&create).await.as_ref(), Ok(&id));
        assert_eq!(run(&issue).await.as_ref(), Ok(&issued));
        let reused = run(&issue[..5]).await.expect_err("other arguments");
        assert!(reused.contains("already used"), "{reused}");
        let over = [
            "issue-key",
            "--account",
            account,
            "--expires-at",
            "2020-01-01T00:00:00Z",
        ];
        let over = run(&over).await.expect_err("an end that is over");
        assert!(over.contains("in the future"), "{over}");

        let listed = run(&["list-keys", "--account", account])
            .await
            .expect("a list");
        assert!(listed.starts_with(key_id), "{listed}");
        assert!(
            listed.ends_with("ends 2999-01-31T12:00:00Z label my laptop"),
            "{listed}"
        );
        assert!(!listed.contains(key), "{listed}");

        for command in ["disable-account", "enable-account"] {
            let changed = run(&[command, account]).await.expect("the account exists");
            let state = command.split_once("-account").expect("a command").0;
            assert_eq!(changed, format!("{id} is {state}d"));
        }
        if is_running {
            process.stop().await;
        }
    }
}
