//! Resumption: sockets come back from a position far behind. Each must receive every change since
//! then once, in order.

use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::try_join_all;
use serde_json::Value;
use uuid::Uuid;

use super::Server;
use crate::accounts::BuyerKeys;
use crate::client::{Http, Socket, address};
use crate::compare::{Meter, repeat};
use crate::error::BoxError;
use crate::report;
use crate::report::{Run, latencies};
use crate::requests::MutationResult;
use crate::target::Target;

/// Metric of a gateway that counts how often it read the feed's table.
const TABLE_READS: [&str; 1] = ["dealwire_feed_table_reads_total"];

#[derive(Args, Clone, Copy)]
pub(crate) struct Resume {
    /// Number of sockets that come back at once
    #[arg(long, default_value_t = 500)]
    sockets: usize,
    /// Number of changes that they have missed
    #[arg(long, default_value_t = 2_000)]
    missed: u64,
}

impl Resume {
    pub(crate) async fn run(self, target: &Target) -> Result<(), BoxError> {
        let keys = target.buyer_keys(self.sockets).await?;
        let before = self.make_changes(target).await?;
        let open = target.open_sockets().await?;

        let measure = async || {
            target.wait_for_open_sockets(open).await?;
            self.measure(target, &keys, &before).await
        };
        let runs = repeat(target.compare, measure).await?;

        let title = format!(
            "{} sockets come back over {} changes; latency is until the last change",
            self.sockets, self.missed
        );
        report::print(&title, &runs, None);
        Ok(())
    }

    /// Makes the changes that will have been missed, and returns the change before them.
    async fn make_changes(&self, target: &Target) -> Result<MutationResult, BoxError> {
        let deal = target.ensure_deals(1).await?[0];
        let mut http = Http::open(address(&target.url)?).await?;

        // A name that the deal already has would be no change, so names differ from run to run.
        let run = Uuid::new_v4();

        let request = target.rename_request(deal, &format!("{run} before"));
        let before = MutationResult::of_request(&mut http, &request).await?;

        // All changes are to one deal, one after the other: its versions then number them, and show
        // a gap, a repetition or a wrong order at once.
        for number in 0..self.missed {
            let request = target.rename_request(deal, &format!("{run} {number}"));
            http.execute(&request).await?;
        }

        Ok(before)
    }

    async fn measure(
        &self,
        target: &Target,
        keys: &BuyerKeys,
        before: &MutationResult,
    ) -> Result<Run, BoxError> {
        let server = Server::at(&target.url)?;

        // The server's CPU time includes accepting the sockets, since coming back begins with a
        // connection.
        let [reads_before] = target.read_metrics(TABLE_READS).await?;
        let meter = Meter::start(server.process)?;

        let readers = (0..self.sockets).map(|number| {
            let target = target.clone();
            let key = keys.for_socket(number).to_owned();
            let payload = target.all_changes(Some(&before.position));
            tokio::spawn(self.catch_up(target, key, payload, before.deal.version))
        });

        let mut all = latencies();
        let mut unexpected = 0;
        for reader in try_join_all(readers).await? {
            let (latency, wrong) = reader?;
            all.saturating_record(latency.as_micros() as u64);
            unexpected += wrong;
        }

        let faults = vec![("missing, duplicated or out of order", unexpected)];
        let mut run = meter.stop(self.sockets as u64 * self.missed, all, faults)?;

        // Sockets that read the same stretch of the feed should share the reads of its table. A
        // number of reads near the number of sockets shows that they did not.
        let [reads] = target.read_metrics(TABLE_READS).await?;
        run.figures
            .push(("reads of the feed table", (reads - reads_before) as f64));
        Ok(run)
    }

    /// Subscribes from the position and reads until the last change. Returns the time that this
    /// took, and the number of messages that were not the expected version.
    async fn catch_up(
        self,
        target: Target,
        key: String,
        payload: Value,
        version_before: u64,
    ) -> Result<(Duration, u64), BoxError> {
        let started = Instant::now();
        let socket = Socket::open(&target.graphql_url(), address(&target.url)?).await?;
        let mut socket = socket.subscribe(&key, &payload).await?;

        let mut unexpected = 0;
        for number in 1..=self.missed {
            let version = version(socket.next_text_in_time().await?);
            unexpected += u64::from(version != Some(version_before + number));
        }

        Ok((started.elapsed(), unexpected))
    }
}

/// Finds the deal's version in a pushed message. A full JSON parser would spend more CPU time here
/// than the server needs to push the message.
fn version(text: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = br#""version":"#;

    let at = text
        .windows(FIELD.len())
        .position(|window| window == FIELD)?
        + FIELD.len();
    let digits = text[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();

    std::str::from_utf8(&text[at..at + digits])
        .ok()?
        .parse()
        .ok()
}
