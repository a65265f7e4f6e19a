//! Runs a command beside one private NATS, Redis and PostgreSQL, which end with it.
//!
//! ```text
//! services [--market NAME] -- COMMAND [ARGUMENT]...
//! services --versions
//! ```
//!
//! The command finds the servers under `DEALWIRE_TEST_NATS_URL`, `DEALWIRE_TEST_REDIS_URL` and
//! `DEALWIRE_TEST_POSTGRES_URL`; with `--market` also the settings of `dealwire` for a market of that name, with
//! its two databases made, on a PostgreSQL that syncs what it commits, as one in production does. Its exit code becomes
//! ours (128 + the signal that killed it, 2 for wrong arguments).
//!
//! Refuses to outlive the command, or to leave it running: SIGTERM is passed on at once. SIGINT comes from a
//! terminal, which tells the command itself, so it is passed on as SIGTERM only where the command goes on.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::Duration;

use backbone::testkit::{Services, Versions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str =
    "usage: services [--market NAME] -- COMMAND [ARGUMENT]... | services --versions";
/// How long the command may take to stop after SIGINT before it gets SIGTERM, and after that before SIGKILL.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Some(Wish::Versions) => {
            println!("{}", Versions::installed());
            ExitCode::SUCCESS
        }
        Some(Wish::Run { market, command }) => {
            ExitCode::from(run(market.as_deref(), &command).await)
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug)]
enum Wish {
    Versions,
    Run {
        market: Option<String>,
        command: Vec<String>,
    },
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
    let mut market = None;
    loop {
        match arguments.next()?.as_str() {
            "--versions" => return Some(Wish::Versions),
            "--market" => market = Some(arguments.next()?),
            "--" => break,
            _ => return None,
        }
    }
    let command: Vec<String> = arguments.collect();
    (!command.is_empty()).then_some(Wish::Run { market, command })
}

async fn run(market: Option<&str>, command: &[String]) -> u8 {
    // Caught from here on, and heeded when the servers run: half-started ones would be left behind.
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be caught");
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    let services = if market.is_some() {
        Services::durable().await
    } else {
        Services::private().await
    };
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).envs(services.environment());
    if let Some(name) = market {
        child.envs(services.market_named(name).await.environment());
    }
    tokio::select! {
        biased;
        _ = interrupt.recv() => return 130,
        _ = terminate.recv() => return 143,
        () = std::future::ready(()) => {}
    }
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{}: {error}", command[0]);
            return 127;
        }
    };
    let status = tokio::select! {
        status = child.wait() => status,
        _ = interrupt.recv() => match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status,
            Err(_) => stop(&mut child).await,
        },
        _ = terminate.recv() => stop(&mut child).await,
    };
    let status = status.expect("our own child can be waited for");
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

async fn stop(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    if let Some(pid) = child.id() {
        let mut kill = Command::new("/bin/sh");
        // It fails where the command has just ended by itself.
        let _ = kill
            .args([
                "-c",
                r#"kill -s TERM "$1" 2>/dev/null"#,
                "kill",
                &pid.to_string(),
            ])
            .status()
            .await;
    }
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.kill().await?;
            child.wait().await
        }
    }
}
