//! Observation of a session that migrates, from another one.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, FromRow, PgConnection};
use tokio::time::{sleep, timeout};

use super::progress::Progress;

const WATCH: &str = include_str!("postgres/watch.postgres.sql");

/// Interval of the looks.
const EVERY: Duration = Duration::from_secs(1);
/// Time limit of a look.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(FromRow)]
struct Seen {
    phase: Option<String>,
    blocks_done: Option<i64>,
    blocks_total: Option<i64>,
    waits_for: Option<String>,
}

/// Runs `work` in the session `pid` and tells meanwhile what it does or waits for. Returns `None`
/// when the server no longer has that session, whose answer would never come.
pub(super) async fn watched<T>(
    work: impl Future<Output = T>,
    options: &PgConnectOptions,
    pid: i32,
    name: &str,
    progress: &Progress,
) -> Option<T> {
    tokio::select! {
        // An answer counts, also if the session has ended since.
        biased;
        done = work => Some(done),
        () = watch(options, pid, name, progress) => None,
    }
}

/// Looks until the session is gone.
async fn watch(options: &PgConnectOptions, pid: i32, name: &str, progress: &Progress) {
    let mut beside: Option<PgConnection> = None;
    loop {
        sleep(EVERY).await;

        let look = async {
            let mut session = match beside.take() {
                Some(session) => session,
                None => options.connect().await?,
            };
            let seen: Option<Seen> = sqlx::query_as(WATCH)
                .bind(pid)
                .fetch_optional(&mut session)
                .await?;
            beside = Some(session);
            Ok::<_, sqlx::Error>(seen)
        };

        match timeout(LIMIT, look).await {
            Ok(Ok(Some(seen))) => progress.tell(format!("applying {name}{}", seen.text())),
            Ok(Ok(None)) => return,
            // Without a look nothing is known: the work goes on.
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

impl Seen {
    fn text(&self) -> String {
        if let Some(waits_for) = &self.waits_for {
            return format!(", waiting for {waits_for}");
        }

        let done = self.blocks_done.unwrap_or(0);
        let total = self.blocks_total.unwrap_or(0);
        match &self.phase {
            // In steps of ten, since every change is logged.
            Some(phase) if total > 0 => format!(": {phase}, {} %", done * 10 / total * 10),
            Some(phase) => format!(": {phase}"),
            None => String::new(),
        }
    }
}
