//! Limits: the barest servers that could do Dealwire's job. A limit costs what the machine, its
//! kernel and its stores cost, so nothing can do the same for less. Each is a process of its own,
//! started for one run and killed after it.

mod broadcast;
mod memory;
mod page;
mod publish;
mod request;

use std::process::Stdio;

use clap::Subcommand;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use url::Url;

use crate::error::BoxError;
use crate::process::Process;

/// Kind of limit, with its settings.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Limit {
    /// Parses JSON and publishes stored bytes: one acknowledged JetStream publish per request
    Publish {
        /// URL of the NATS server
        #[arg(long)]
        nats: String,
        /// Name of the stream whose newest message is published again and again
        #[arg(long)]
        like: String,
    },
    /// Parses JSON and answers the bytes of one answer of Dealwire from memory
    Memory {
        /// URL of Dealwire's GraphQL endpoint, which is asked once
        #[arg(long)]
        url: Url,
        /// API key that it is asked with
        #[arg(long)]
        key: String,
        /// Body of the request that it is asked
        #[arg(long)]
        body: String,
    },
    /// Reads 20 rows by an index with sqlx and writes them as JSON
    Page {
        /// URL of the PostgreSQL database
        #[arg(long)]
        database: String,
        /// Number of rows in the table
        #[arg(long)]
        rows: usize,
        /// Reads and writes every column, discount and items included
        #[arg(long)]
        items: bool,
    },
    /// Accepts websockets and writes each line from its control connection to all of them, from one
    /// task
    Broadcast,
}

/// Limit that is running; dropping it kills the process.
pub(crate) struct RunningLimit {
    pub(crate) url: Url,
    pub(crate) process: Process,
    _child: Child,
}

impl Limit {
    /// Serves until killed, and prints its port on standard output once it is ready.
    pub(crate) async fn serve(self) -> Result<(), BoxError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();

        match self {
            Self::Publish { nats, like } => publish::serve(listener, port, &nats, &like).await,
            Self::Memory { url, key, body } => {
                memory::serve(listener, port, &url, &key, &body).await
            }
            Self::Page {
                database,
                rows,
                items,
            } => page::serve(listener, port, &database, rows, items).await,
            Self::Broadcast => broadcast::serve(listener, port).await,
        }
    }

    /// Starts the limit as a process and waits until it is ready.
    ///
    /// # Errors
    /// The process cannot be started or ends before it is ready; it has then written the reason to
    /// standard error.
    pub(crate) async fn start(&self) -> Result<RunningLimit, BoxError> {
        // A process of its own lets /proc charge it for its CPU time alone, as it does with
        // Dealwire.
        let mut child = Command::new(std::env::current_exe()?)
            .arg("limit")
            .args(self.arguments())
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;

        let stdout = child
            .stdout
            .take()
            .expect("standard output is piped and has not been taken");
        // The line with the port comes after the server listens and its tables are filled, so no
        // request can come too early and no set-up is measured.
        let line = BufReader::new(stdout).lines().next_line().await?;
        let port: u16 = line
            .ok_or_else(|| format!("the limit {self:?} ended before it was ready"))?
            .trim()
            .parse()?;
        let pid = child.id().ok_or("the limit ended right after its start")?;

        Ok(RunningLimit {
            url: Url::parse(&format!("http://127.0.0.1:{port}/"))?,
            process: Process::from_pid(pid),
            _child: child,
        })
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Publish { nats, like } => ["publish", "--nats", nats, "--like", like]
                .map(str::to_owned)
                .into(),
            Self::Memory { url, key, body } => [
                "memory",
                "--url",
                url.as_str(),
                "--key",
                key,
                "--body",
                body,
            ]
            .map(str::to_owned)
            .into(),
            Self::Page {
                database,
                rows,
                items,
            } => {
                let rows = rows.to_string();
                let mut arguments: Vec<String> = ["page", "--database", database, "--rows", &rows]
                    .map(str::to_owned)
                    .into();
                arguments.extend(items.then(|| "--items".to_owned()));
                arguments
            }
            Self::Broadcast => vec!["broadcast".to_owned()],
        }
    }
}

/// Reports the port to the parent process, which waits for this line.
fn announce_port(port: u16) {
    println!("{port}");
}
