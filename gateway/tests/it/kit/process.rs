//! The binary `dealwire` in a process of its own.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use backbone::testkit::{Market, Port, wait_until};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Client, DEADLINE};

/// Binary of this build.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_dealwire");

/// Fills a market on servers with the demo.
pub(crate) async fn seed(market: &Market) {
    seed_with(BINARY, market).await;
}

/// Fills a market on servers with the demo of another build.
pub(crate) async fn seed_with(binary: &str, market: &Market) {
    let seeded = Command::new(binary)
        .args(["seed", "--demo"])
        .envs(market.environment())
        .stdout(Stdio::null())
        .status()
        .await;

    assert!(seeded.expect("the binary runs").success());
}

/// Result of a command of `dealwire`.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Exit code.
    pub(crate) code: Option<i32>,
    /// Standard output, followed by standard error.
    pub(crate) text: String,
}

impl Printed {
    /// Returns what a command printed that must have succeeded.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.text
    }

    /// Returns what a command printed that must have failed.
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}", self.text);
        self.text
    }
}

/// Runs a command of `dealwire` with these variables and without a terminal.
pub(crate) async fn dealwire(environment: &[(&str, &str)], arguments: &[&str]) -> Printed {
    let output = Command::new(env!("CARGO_BIN_EXE_dealwire"))
        .args(arguments)
        .env("DEALWIRE_LOG", "error")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the binary runs");

    let text = [output.stdout, output.stderr].concat();
    Printed {
        code: output.status.code(),
        text: String::from_utf8(text).expect("it prints text"),
    }
}

/// Process of `dealwire serve`, killed when dropped.
pub(crate) struct Process {
    binary: String,
    /// Command that starts the binary, which it is given as its first argument; empty for none.
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    /// Reserved for the life of the value, so that a restart finds it free.
    port: Port,
    /// `None` after the process was killed or has ended.
    child: Option<Child>,
}

impl Process {
    /// Starts a process with these variables. Returns before it is ready.
    pub(crate) fn spawn(environment: &[(&str, &str)]) -> Self {
        Self::spawn_in(&[], environment)
    }

    /// Starts a process through a command that becomes the binary: `wrapper… BINARY serve`.
    pub(crate) fn spawn_in(wrapper: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::launch(BINARY, wrapper, environment)
    }

    /// Starts a process of another build with one role in a market.
    pub(crate) fn of_build(binary: &str, market: &Market, role: &str) -> Self {
        let environment = [&market.environment()[..], &[("DEALWIRE_ROLES", role)]].concat();
        Self::launch(binary, &[], &environment)
    }

    fn launch(binary: &str, wrapper: &[&str], environment: &[(&str, &str)]) -> Self {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));

        let mut process = Self {
            binary: binary.to_owned(),
            wrapper: wrapper.iter().map(|&word| word.to_owned()).collect(),
            environment: environment.collect(),
            port: Port::reserve(),
            child: None,
        };
        process.start();

        process
    }

    /// Starts a process with one role in a market. Variables in `more` replace those of the market.
    pub(crate) fn with_role(market: &Market, role: &str, more: &[(&str, &str)]) -> Self {
        Self::spawn(&[&market.environment()[..], &[("DEALWIRE_ROLES", role)], more].concat())
    }

    /// Replaces the process with one of another build on the same port: stops it in order, starts the other, and waits
    /// until that is ready.
    pub(crate) async fn replace(&mut self, binary: &str) {
        self.stop().await;
        self.start_as(binary);
        self.ready().await;
    }

    /// Starts the process again with another build, on the same port.
    pub(crate) fn start_as(&mut self, binary: &str) {
        binary.clone_into(&mut self.binary);
        self.start();
    }

    /// Starts the process again, on the same port.
    pub(crate) fn start(&mut self) {
        let mut words = self.wrapper.clone();
        words.push(self.binary.clone());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("serve")
            .env("DEALWIRE_LOG", "warn")
            // Every client of a test has the same address.
            .env("DEALWIRE_TRUSTED_PROXIES", "127.0.0.0/8")
            .env("DEALWIRE_DRAIN_SECONDS", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("DEALWIRE_LISTEN", self.port.addr().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();

        self.child = Some(child.expect("the binary starts"));
    }

    /// Kills the process (SIGKILL), and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("the process is running");
        child.kill().await.expect("a child can be killed");
    }

    /// Stops the process (SIGTERM), and waits until it has exited.
    pub(crate) async fn stop(&mut self) {
        self.terminate().await;
        self.exited().await;
    }

    /// Begins the drain of the process (SIGTERM). Returns at once.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Waits until the process has exited, and checks that its status is 0.
    pub(crate) async fn exited(&mut self) {
        assert!(self.status().await.success());
    }

    /// Waits until the process has ended by itself, and checks that its status is that of a failure.
    pub(crate) async fn failed(&mut self) {
        assert!(!self.status().await.success());
    }

    async fn status(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the process is running");
        let status = timeout(DEADLINE, child.wait())
            .await
            .expect("the process exits in time");

        status.expect("a child can be waited for")
    }

    /// Suspends the process (SIGSTOP): its connections stay open, and nothing answers on them.
    pub(crate) async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Resumes the process after [`Process::pause`] (SIGCONT).
    pub(crate) async fn resume(&self) {
        self.signal("CONT").await;
    }

    /// Returns the number of the process.
    ///
    /// # Panics
    /// If the process is not running.
    pub(crate) fn id(&self) -> u32 {
        self.child
            .as_ref()
            .and_then(Child::id)
            .expect("the process is running")
    }

    async fn signal(&self, name: &str) {
        let pid = self.id();
        let sent = Command::new("/bin/sh")
            .args(["-c", "kill -s $0 $1", name, &pid.to_string()])
            .status();

        assert!(sent.await.expect("/bin/sh can be run").success());
    }

    /// Returns the base URL of the public API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    /// Returns the status of `/health/ready`, or 0 if the process does not respond.
    pub(crate) async fn ready_status(&self) -> u16 {
        let request = Client::new(&self.url(), None).request(reqwest::Method::GET, "/health/ready");

        match request.timeout(Duration::from_secs(2)).send().await {
            Ok(response) => response.status().as_u16(),
            Err(_) => 0,
        }
    }

    /// Returns the parts that are down or degraded according to `/health/ready`, each with the reason.
    pub(crate) async fn complaints(&self) -> String {
        let client = Client::new(&self.url(), None);
        let answer = client
            .rest(reqwest::Method::GET, "/health/ready", None)
            .await;
        format!("{} {}", answer.body["down"], answer.body["degraded"])
    }

    /// Waits until the process is ready.
    pub(crate) async fn ready(&self) {
        self.ready_within(DEADLINE).await;
    }

    /// Waits until the process is ready, for at most `time`: longer than [`Process::ready`] when
    /// servers that it needs are down at first.
    pub(crate) async fn ready_within(&self, time: Duration) {
        wait_until(time, "the process is ready", async || {
            self.ready_status().await == 200
        })
        .await;
    }
}
