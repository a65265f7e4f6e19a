//! Output of the commands whose reader has gone, or that cannot be stored.

use std::io::pipe;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::kit::{Client, Process, SELLER_KEY};

/// Exit code of a program that SIGPIPE has ended, as a shell reports it.
const CLOSED: Option<i32> = Some(141);

/// Every command that prints and ends by itself on an embedded market, with more than a pipe's buffer or with a line.
const COMMANDS: [&[&str]; 12] = [
    &["schema"],
    &["settings-reference"],
    &["check-config"],
    &["migrate"],
    &["seed"],
    &["seed", "--demo"],
    &["admin", "create-seller", "--name", "Ann"],
    &["dead-events", "list"],
    &["log", "tail"],
    &["log", "show", "1"],
    &["log", "export"],
    &["verify"],
];

// Goal: `dealwire … | head` ends as `cat … | head` does.
// Method: every command writes into a pipe whose reader has gone before it starts.
// Proves: each ends with the code of SIGPIPE, and says nothing.
#[tokio::test]
async fn commands_end_quietly_when_their_reader_has_gone() {
    let folder = market().await;

    for arguments in COMMANDS {
        let (reader, writer) = pipe().expect("a pipe can be made");
        drop(reader);
        let ended = dealwire(folder.path(), arguments, writer).await;

        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), CLOSED, "{arguments:?}: {told}");
        assert_eq!(told, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn commands_say_that_their_output_cannot_be_stored() {
    let folder = market().await;

    for arguments in COMMANDS {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let full = full.expect("this is Linux");
        let ended = dealwire(folder.path(), arguments, full).await;

        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(
            told.starts_with("dealwire: standard output: "),
            "{arguments:?}: {told}"
        );
    }
}

// Goal: a server whose output goes nowhere serves all the same.
// Method: its standard output and its log are a device without room.
// Proves: it becomes ready, and accepts a deal.
#[tokio::test(flavor = "multi_thread")]
async fn server_goes_on_when_its_log_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("a path of text");
    let into_nothing = ["/bin/sh", "-c", r#"exec "$0" "$@" >/dev/full 2>&1"#];
    let settings = [("DEALWIRE_DATA_DIR", data_dir), ("DEALWIRE_LOG", "info")];
    let mut process = Process::spawn_in(&into_nothing, &settings);
    process.ready().await;

    let seller = Client::new(&process.url(), Some(SELLER_KEY));
    seller.create("unseen").await;
    process.stop().await;
}

/// Makes an embedded market with the demo in a folder of its own.
async fn market() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seeded = dealwire(folder.path(), &["seed", "--demo"], Stdio::null()).await;
    assert!(seeded.status.success(), "{seeded:?}");
    folder
}

/// Runs a command of the binary on a data directory until it ends.
async fn dealwire(
    data_dir: &Path,
    arguments: &'static [&'static str],
    stdout: impl Into<Stdio>,
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dealwire"));
    command
        .args(arguments)
        .env("DEALWIRE_DATA_DIR", data_dir)
        .env("DEALWIRE_LOG", "error")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped());

    let run = spawn_blocking(move || {
        let child = command.spawn().expect("the binary starts");
        child.wait_with_output().expect("a child can be waited for")
    });
    run.await.expect("it is not cancelled")
}
