//! Runs a command beside one private NATS, Redis and PostgreSQL, which end with it.
//!
//! ```text
//! services [--market NAME] -- COMMAND [ARGUMENT]...
//! services --versions
//! ```
//!
//! The command finds the servers in `DEALWIRE_TEST_NATS_URL`, `DEALWIRE_TEST_REDIS_URL` and
//! `DEALWIRE_TEST_POSTGRES_URL`. With `--market` it also finds the settings of `dealwire` for a market of
//! that name, with its two databases created, on a PostgreSQL that syncs what it commits, like one
//! in production. The exit code is the command's: 128 plus the signal that killed it, or 2 for
//! invalid arguments.
//!
//! SIGTERM is passed on at once. A terminal sends SIGINT to the command as well, so it is passed
//! on, as SIGTERM, only if the command goes on.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command-line program"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::Duration;

use backbone::testkit::{Services, Versions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str =
    "usage: services [--market NAME] -- COMMAND [ARGUMENT]... | services --versions";
/// Time in which the command must stop after SIGINT before it gets SIGTERM, and then before
/// SIGKILL.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Some(Request::Versions) => {
            println!("{}", Versions::installed());
            ExitCode::SUCCESS
        }
        Some(Request::Run { market, command }) => {
            ExitCode::from(run(market.as_deref(), &command).await)
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug)]
enum Request {
    Versions,
    Run {
        market: Option<String>,
        command: Vec<String>,
    },
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut market = None;
    loop {
        match arguments.next()?.as_str() {
            "--versions" => return Some(Request::Versions),
            "--market" => market = Some(arguments.next()?),
            "--" => break,
            _ => return None,
        }
    }

    let command: Vec<String> = arguments.collect();
    (!command.is_empty()).then_some(Request::Run { market, command })
}

async fn run(market: Option<&str>, command: &[String]) -> u8 {
    // Caught from here on, and acted on once the servers run: half-started ones would be left
    // behind.
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

    // A signal that came while the servers started. Nothing else is ready, so the order decides.
    tokio::select! {
        biased;
        _ = interrupt.recv() => return 130,
        _ = terminate.recv() => return 143,
        () = std::future::ready(()) => {}
    }

    // From here on the command has to be stopped before the servers.
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
        // It fails if the command has just ended by itself.
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
