//! A private nats-server with JetStream: one server with one store.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::port::Port;
use super::server::{Probe, Server, find_chosen, folder};

/// Variable with the path of the server program, for runs against another version than the installed one.
const PROGRAM: &str = "DEALWIRE_TEST_NATS_SERVER";
/// Name of the folder with the streams.
const STORE: &str = "store";

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

        let store = [folder.path().join(STORE).into_os_string()];
        let server = Self(Server {
            program: program(),
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

    /// Removes what it has stored. The server must be killed.
    pub fn clear(&self) {
        std::fs::remove_dir_all(self.store()).expect("the store can be removed");
    }

    /// Copies what it has stored, as a backup of its disk would.
    pub fn copy(&self) -> TempDir {
        let copy = folder("nats-copy");
        copy_folder(&self.store(), copy.path()).expect("the store can be copied");
        copy
    }

    /// Replaces what it has stored with a copy. The server must be killed.
    pub fn put_back(&self, copy: &TempDir) {
        self.clear();
        copy_folder(copy.path(), &self.store()).expect("the copy can be put back");
    }

    fn store(&self) -> PathBuf {
        self.0.folder.path().join(STORE)
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

/// Returns the program in `DEALWIRE_TEST_NATS_SERVER`, or the installed one.
///
/// # Panics
/// If there is none, or the run is one without servers.
pub(super) fn program() -> PathBuf {
    find_chosen(PROGRAM, "nats-server")
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());

        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }

    Ok(())
}
