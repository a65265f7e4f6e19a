//! Sockets that come back from a position far behind: each must be given every change since then, once, in order.

use std::time::Instant;

use clap::Args;

use super::Server;
use crate::accounts::Keys;
use crate::client::{Http, PATIENCE, Socket, address};
use crate::compare::{Meter, repeat};
use crate::market::Written;
use crate::report::{Run, latencies};
use crate::{Failed, Target, report};

#[derive(Args, Clone, Copy)]
pub(crate) struct Resume {
    /// Sockets that come back at once
    #[arg(long, default_value_t = 500)]
    sockets: usize,
    /// Changes that they missed
    #[arg(long, default_value_t = 2_000)]
    missed: u64,
}

impl Resume {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let keys = target.buyers(self.sockets).await?;
        let (deal, at) = (target.deals(1).await?[0], address(&target.url)?);
        let mut http = Http::open(at).await?;
        let run = uuid::Uuid::new_v4();
        let first = Written::by(&mut http, &target.rename(deal, &format!("{run} before"))).await?;
        for number in 0..self.missed {
            http.ask(&target.rename(deal, &format!("{run} {number}")))
                .await?;
        }
        let open = target.sockets_open().await?;
        let back = async || {
            target.let_go(open).await?;
            self.back(target, &keys, &first).await
        };
        let runs = repeat(target.compare, back).await?;
        let what = format!(
            "{} sockets come back over {} changes; latency is until the last",
            self.sockets, self.missed
        );
        report::print(&what, &runs, None);
        Ok(())
    }

    async fn back(&self, target: &Target, keys: &Keys, first: &Written) -> Result<Run, Failed> {
        const READS: [&str; 1] = ["dealwire_feed_table_reads_total"];
        let server = Server::at(&target.url)?;
        let [before] = target.counted(READS).await?;
        let meter = Meter::start(server.process)?;
        let readers = (0..self.sockets).map(|number| {
            let (graphql, at, key) = (target.graphql(), server.address, keys.of(number).to_owned());
            let (payload, missed) = (target.changes(Some(&first.position)), self.missed);
            let version_before = first.deal.version;
            tokio::spawn(async move {
                let begun = Instant::now();
                let mut socket = Socket::open(&graphql, at)
                    .await?
                    .subscribe(&key, &payload)
                    .await?;
                let mut wrong = 0;
                for number in 1..=missed {
                    let seen = version(socket.text_within(PATIENCE).await?);
                    wrong += u64::from(seen != Some(version_before + number));
                }
                Ok::<_, Failed>((begun.elapsed(), wrong))
            })
        });
        let (mut all, mut wrong) = (latencies(), 0);
        for reader in futures_util::future::try_join_all(readers).await? {
            let (took, faults) = reader?;
            all.saturating_record(took.as_micros() as u64);
            wrong += faults;
        }
        let faults = vec![("missing, doubled or out of order", wrong)];
        let mut run = meter.stop(self.sockets as u64 * self.missed, all, faults)?;
        let [after] = target.counted(READS).await?;
        run.figures
            .push(("reads of the feed's table", (after - before) as f64));
        Ok(run)
    }
}

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
