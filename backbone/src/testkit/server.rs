//! Common parts of the three servers: a program found on this machine, a private directory and a
//! reserved port. Port and data stay the same through kills and restarts. A server is handed out
//! only once it answers on its port.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::port::Port;
use super::process::Process;
use super::wait::wait_until;

/// Time from spawning to the first answer, recovery included, on a machine that is busy with other
/// tests.
const READY: Duration = Duration::from_secs(60);

/// A server program with its arguments and its files.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// User and group to run as, if different from this process's.
    pub(super) identity: Option<(u32, u32)>,
    pub(super) probe: Probe,
    pub(super) port: Port,
    pub(super) process: Mutex<Option<Process>>,
    // The last field, because fields are dropped in order: the directory outlives the process.
    pub(super) folder: TempDir,
}

/// Sign by which a server shows that it is ready.
#[derive(Debug)]
pub(super) enum Probe {
    /// NATS greets with an INFO line.
    Nats,
    /// Redis answers PING with PONG.
    Redis,
    /// PostgreSQL accepts a session at this URL.
    Postgres(String),
    /// PgBouncer passes a session on to the database at this URL.
    Pooler(String),
}

impl Server {
    /// Starts the process, after killing one that runs, and returns when it answers.
    pub(super) async fn start(&self) {
        // The port and the data belong to one process at a time.
        self.kill();
        let mut seen = self.spawn();
        wait_until(
            READY,
            &format!("{} answers on {}", self.program.display(), self.port.addr()),
            async || {
                let ended = self.process().as_mut().and_then(Process::ended);
                if let Some(status) = ended {
                    let log = self.log();
                    let output = log.get(seen..).unwrap_or(&log);

                    // The kernel releases what a killed postmaster held a moment after its death,
                    // so these failures pass.
                    let held = ["shared memory block", "postmaster.pid\" already exists"];
                    assert!(
                        held.iter().any(|text| output.contains(text)),
                        "{} ended with {status}:\n{output}",
                        self.program.display()
                    );

                    seen = self.spawn();
                }

                self.probe.answers(self.port.addr()).await
            },
        )
        .await;
    }

    /// Kills the process and its children with SIGKILL and returns when they are gone. Does nothing
    /// if it does not run.
    pub(super) fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Ends the process, in an orderly way if that is quick.
    pub(super) fn end(&self) {
        drop(self.process().take());
    }

    pub(super) fn pause(&self) {
        self.process()
            .as_mut()
            .expect("a server that was killed cannot be paused")
            .pause();
    }

    pub(super) fn resume(&self) {
        self.process()
            .as_mut()
            .expect("a server that was killed cannot be resumed")
            .resume();
    }

    /// Builds a command that runs as the server's user in its directory.
    pub(super) fn command(&self, program: &Path) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.identity {
            command.uid(user).gid(group);
        }

        command
    }

    /// Returns everything that the server has printed so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Spawns the process and returns the length of the log before it.
    fn spawn(&self) -> usize {
        let seen = self.log().len();
        let mut command = self.command(&self.program);
        command.args(&self.arguments);
        let end = if matches!(self.probe, Probe::Postgres(_)) {
            "QUIT"
        } else {
            "KILL"
        };
        *self.process() = Some(Process::spawn(
            command,
            &self.log_path(),
            self.folder.path(),
            end,
        ));

        seen
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Probe {
    async fn answers(&self, addr: SocketAddr) -> bool {
        let answer = async {
            match self {
                Self::Nats => converse(addr, b"", b"INFO ").await,
                Self::Redis => converse(addr, b"PING\r\n", b"+PONG").await,
                Self::Postgres(url) | Self::Pooler(url) => {
                    match sqlx::PgConnection::connect(url).await {
                        Ok(session) => session.close().await.is_ok(),
                        Err(_) => false,
                    }
                }
            }
        };
        // A paused server accepts connections and never answers.
        tokio::time::timeout(Duration::from_secs(5), answer)
            .await
            .unwrap_or(false)
    }
}

async fn converse(addr: SocketAddr, say: &[u8], hear: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr).await else {
        return false;
    };

    let mut heard = vec![0; hear.len()];
    stream.write_all(say).await.is_ok()
        && stream.read_exact(&mut heard).await.is_ok()
        && heard == hear
}

/// Creates a directory that only the server's user can read.
pub(super) fn folder(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("dealwire-{name}-"))
        .tempdir()
        .expect("a temporary directory can be created")
}

/// Fails a test that needs servers in a run that promises to start none.
///
/// # Panics
/// If `DEALWIRE_TEST_SERVERS` is `none`, or nextest runs its profile `quick`.
pub(super) fn require_servers_allowed() {
    let quick = environment("NEXTEST_PROFILE").is_some_and(|profile| profile == "quick");
    let none = environment("DEALWIRE_TEST_SERVERS").is_some_and(|servers| servers == "none");

    assert!(
        !quick && !none,
        "this test needs servers, and a quick run starts none: name the test in the filter of profile.quick in \
         .config/nextest.toml and in scripts/test, or run it with `cargo t NAME`"
    );
}

/// Finds a program in `folders`, then on the search path, then in Debian's directories of daemons.
///
/// # Panics
/// If it is in none of them, or the run is one without servers. The message says what to do.
pub(super) fn find(program: &str, folders: Vec<PathBuf>) -> PathBuf {
    require_servers_allowed();

    // Debian keeps daemons in sbin, which is not on the path of ordinary users.
    let path = environment("PATH").unwrap_or_default();
    let places = folders
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));

    places.map(|place| place.join(program)).find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "{program} not found: ./scripts/test installs it on Debian and Ubuntu when run as root; otherwise install \
             nats-server 2.9+, Redis 7+, PostgreSQL 15+ and PgBouncer so that nats-server, redis-server, postgres and \
             pgbouncer are on PATH"
        )
    })
}

/// Finds the program whose path a variable holds, for runs with another version than the installed one, or as [`find`]
/// does without the variable.
///
/// # Panics
/// If there is none, or the run is one without servers.
pub(super) fn find_chosen(variable: &str, program: &str) -> PathBuf {
    let Some(chosen) = environment(variable) else {
        return find(program, vec![]);
    };

    require_servers_allowed();
    let path = PathBuf::from(chosen);
    assert!(
        path.is_file(),
        "{variable} is no program: {}",
        path.display()
    );
    path
}

/// Reads a variable of the environment. The kit needs them to find programs, and the servers that a
/// test run shares.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no settings; this is the kit's own door"
)]
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
