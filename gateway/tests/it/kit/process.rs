//! The real binary as a process of its own.

use std::process::Stdio;
use std::time::Duration;

use backbone::testkit::{Market, Port, wait_until};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Client, DEADLINE};

/// Makes the demo market on servers.
pub(crate) async fn seed(market: &Market) {
    let seeded = Command::new(env!("CARGO_BIN_EXE_dealwire"))
        .args(["seed", "--demo"])
        .envs(market.environment())
        .stdout(Stdio::null())
        .status()
        .await;
    assert!(seeded.expect("the binary runs").success());
}

/// One `dealwire serve`, killed when dropped.
pub(crate) struct Process {
    environment: Vec<(String, String)>,
    port: Port,
    child: Option<Child>,
}

impl Process {
    /// Starts it; it may not be ready yet.
    pub(crate) fn spawn(environment: &[(&str, &str)]) -> Self {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut process = Self {
            environment: environment.collect(),
            port: Port::reserve(),
            child: None,
        };
        process.start();
        process
    }

    /// Starts one with a role in a market; `more` settings win over the market's.
    pub(crate) fn of_role(market: &Market, role: &str, more: &[(&str, &str)]) -> Self {
        Self::spawn(&[&market.environment()[..], &[("DEALWIRE_ROLES", role)], more].concat())
    }

    /// Starts it again, on the same port.
    pub(crate) fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_dealwire"))
            .arg("serve")
            .env("DEALWIRE_LOG", "warn")
            .env("DEALWIRE_DRAIN_SECONDS", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("DEALWIRE_LISTEN", self.port.addr().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("the binary starts"));
    }

    /// kill -9, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("it can be killed");
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub(crate) async fn end(&mut self) {
        self.ask_to_end().await;
        self.ended().await;
    }

    /// Asks it to end (SIGTERM).
    pub(crate) async fn ask_to_end(&self) {
        self.signal("TERM").await;
    }

    /// Waits until it has ended, which must be well.
    pub(crate) async fn ended(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let ended = timeout(DEADLINE, child.wait())
            .await
            .expect("it ends in time");
        assert!(ended.expect("it can be waited for").success());
    }

    /// Stops it where it stands (SIGSTOP): its connections stay open and unanswered.
    pub(crate) async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on (SIGCONT).
    pub(crate) async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs");
        let sent = Command::new("/bin/sh")
            .args(["-c", "kill -s $0 $1", name, &pid.to_string()])
            .status();
        assert!(sent.await.expect("/bin/sh can be run").success());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    /// The status of `/health/ready`; 0 when nobody answers.
    pub(crate) async fn ready_status(&self) -> u16 {
        let request = Client::new(&self.url(), None).request(reqwest::Method::GET, "/health/ready");
        match request.timeout(Duration::from_secs(2)).send().await {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        self.ready_within(DEADLINE).await;
    }

    /// As [`Process::ready`], while what it needs may be away.
    pub(crate) async fn ready_within(&self, time: Duration) {
        wait_until(time, "the process is ready", async || {
            self.ready_status().await == 200
        })
        .await;
    }
}
