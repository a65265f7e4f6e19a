//! A private redis-server without persistence: the live bus is a hint, and a restart may lose it
//! all.

use std::ffi::OsString;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use super::port::Port;
use super::server::{Probe, Server, find, folder};

/// A running redis-server, 7 or newer. It is killed when this value is dropped.
#[derive(Debug)]
pub struct RedisServer(Server);

impl RedisServer {
    /// Starts a server and returns when it answers.
    ///
    /// # Panics
    /// If redis-server is missing or does not answer within a minute.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further command-line arguments, such as
    /// `["--client-output-buffer-limit", "pubsub 64kb 32kb 5"]`.
    ///
    /// # Panics
    /// Under the conditions of [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = folder("redis");
        let port = Port::reserve();
        let fixed = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &port.number().to_string(),
        ];

        let server = Self(Server {
            program: find("redis-server", vec![]),
            arguments: fixed.iter().chain(arguments).map(OsString::from).collect(),
            identity: None,
            probe: Probe::Redis,
            port,
            process: Mutex::default(),
            folder,
        });

        server.0.start().await;
        server
    }

    /// Returns `redis://127.0.0.1:PORT`, the same through every restart.
    pub fn url(&self) -> String {
        format!("redis://{}", self.0.port.addr())
    }

    /// Kills it with SIGKILL and returns when the process is gone.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Starts it again on the same port, empty, and kills it first if it runs.
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

    /// Sends a command on a connection of its own and returns its answer of one line with its
    /// marker, such as `+OK` or `:2`.
    ///
    /// # Panics
    /// If the server does not answer, or answers with an error.
    pub async fn command(&self, words: &[&str]) -> String {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }

        let answer = async {
            // Without the client library, so that a test of that library does not rest on it.
            let mut stream = BufStream::new(TcpStream::connect(self.0.port.addr()).await?);
            stream.write_all(command.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = String::new();
            stream.read_line(&mut answer).await?;
            Ok::<_, std::io::Error>(answer.trim_end().to_owned())
        };

        let answer = answer
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));

        assert!(answer.starts_with(['+', ':']), "{words:?}: {answer}");
        answer
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
