//! The barest servers that could do the job: what they cost is what the machine, its kernel and its stores cost, and
//! nothing can be had for less. Each is a process of its own, started for a run and ended with it.

mod broadcast;
mod page;
mod publish;

use std::process::Stdio;

use clap::Subcommand;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use url::Url;

use crate::Failed;
use crate::process::Process;

/// A bare server.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Limit {
    /// Parses JSON and publishes stored bytes, one acknowledged JetStream publish a request
    Publish {
        #[arg(long)]
        nats: String,
        /// The stream whose newest message is published again and again
        #[arg(long)]
        like: String,
    },
    /// Reads 20 rows by an index with sqlx and writes them as JSON
    Page {
        #[arg(long)]
        database: String,
        /// Rows in its table
        #[arg(long)]
        rows: usize,
        /// Read and write the items too
        #[arg(long)]
        items: bool,
    },
    /// Takes websockets, and writes each line that its control connection brings to all of them from one task
    Broadcast,
}

impl Limit {
    /// Serves until killed; tells its port on standard output.
    pub(crate) async fn serve(self) -> Result<(), Failed> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        match self {
            Self::Publish { nats, like } => publish::serve(listener, port, &nats, &like).await,
            Self::Page {
                database,
                rows,
                items,
            } => page::serve(listener, port, &database, rows, items).await,
            Self::Broadcast => broadcast::serve(listener, port).await,
        }
    }

    /// Starts it as a process and waits until it serves.
    pub(crate) async fn start(&self) -> Result<Running, Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("limit").args(self.arguments());
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        let port: u16 = line
            .ok_or_else(|| format!("{self:?} did not start"))?
            .trim()
            .parse()?;
        let process = Process::of(child.id().ok_or("the limit has ended")?);
        Ok(Running {
            url: Url::parse(&format!("http://127.0.0.1:{port}/"))?,
            process,
            _child: child,
        })
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Publish { nats, like } => ["publish", "--nats", nats, "--like", like]
                .map(str::to_owned)
                .into(),
            Self::Page {
                database,
                rows,
                items,
            } => {
                let mut arguments =
                    vec!["page".to_owned(), "--database".to_owned(), database.clone()];
                arguments.extend(["--rows".to_owned(), rows.to_string()]);
                arguments.extend(items.then(|| "--items".to_owned()));
                arguments
            }
            Self::Broadcast => vec!["broadcast".to_owned()],
        }
    }
}

/// A bare server that runs.
pub(crate) struct Running {
    pub(crate) url: Url,
    pub(crate) process: Process,
    _child: Child,
}

fn ready(port: u16) {
    println!("{port}");
}
