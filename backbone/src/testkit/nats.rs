//! A private nats-server with JetStream: one server with one store, no cluster.

use std::ffi::OsString;

use parking_lot::Mutex;

use super::port::Port;
use super::server::{Probe, Server, find, folder};

/// A running nats-server, 2.9 or newer. It is killed when this value is dropped.
#[derive(Debug)]
pub struct NatsServer(Server);

impl NatsServer {
    /// Starts a server and returns when it answers.
    ///
    /// # Panics
    /// If nats-server is missing or does not answer within a minute.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further command-line arguments, such as `["-c", "file.conf"]`.
    ///
    /// # Panics
    /// Under the conditions of [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = folder("nats");
        let port = Port::reserve();
        let fixed = [
            "-js",
            "-a",
            "127.0.0.1",
            "-p",
            &port.number().to_string(),
            "-sd",
        ]
        .map(OsString::from);

        let store = [folder.path().join("store").into_os_string()];
        let server = Self(Server {
            program: find("nats-server", vec![]),
            arguments: fixed
                .into_iter()
                .chain(store)
                .chain(arguments.iter().map(OsString::from))
                .collect(),
            // Runs as this process's user, unlike PostgreSQL.
            identity: None,
            probe: Probe::Nats,
            port,
            process: Mutex::default(),
            folder,
        });

        server.0.start().await;
        server
    }

    /// Returns `nats://127.0.0.1:PORT`, the same through every restart.
    pub fn url(&self) -> String {
        format!("nats://{}", self.0.port.addr())
    }

    /// Kills it with SIGKILL and returns when the process is gone.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Starts it again on the same port with the same store, and kills it first if it runs.
    pub async fn restart(&self) {
        self.0.start().await;
    }

    /// Pauses it with SIGSTOP: connections stay open and unanswered.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Resumes it with SIGCONT.
    pub fn resume(&self) {
        self.0.resume();
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
