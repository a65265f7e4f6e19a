//! Sockets that come back from a position far behind: each must be given every change since then, once, in order.

use std::time::Instant;

use clap::Args;
use serde_json::Value;

use super::Server;
use crate::client::{Http, PATIENCE, Socket};
use crate::compare::{Meter, alternate};
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
        let server = Server::at(&target.url)?;
        let (deals, _) = target.deals(1).await?;
        let deal = deals[0];
        let mut http = Http::open(server.address).await?;
        let mut renamed = async |name: String| -> Result<(u64, String), Failed> {
            let answer: Value = serde_json::from_slice(http.call(&target.rename(deal, &name)).await?)?;
            let written = &answer["data"]["updateDeal"];
            let version = written["deal"]["version"].as_u64().ok_or_else(|| answer.to_string())?;
            Ok((version, written["position"].as_str().unwrap_or_default().to_owned()))
        };
        let run = uuid::Uuid::new_v4();
        let (first, position) = renamed(format!("{run} before")).await?;
        for number in 0..self.missed {
            renamed(format!("{run} {number}")).await?;
        }
        let ours = async || self.back(target, &server, first, &position).await;
        let none = None::<(&str, fn() -> std::future::Ready<Result<Run, Failed>>)>;
        let (ours, _) = alternate(target.compare, ours, none).await?;
        let what = format!(
            "{} sockets come back over {} changes; latency is until the last",
            self.sockets, self.missed
        );
        report::print(&what, &ours, None);
        Ok(())
    }

    async fn back(
        &self,
        target: &Target,
        server: &Server,
        first: u64,
        position: &str,
    ) -> Result<Run, Failed> {
        let meter = Meter::start(server.process)?;
        let readers = (0..self.sockets).map(|_| {
            let (graphql, at, key) = (target.graphql(), server.address, target.buyer_key.clone());
            let (payload, missed) = (target.changes(Some(position)), self.missed);
            tokio::spawn(async move {
                let begun = Instant::now();
                let mut socket = Socket::subscribe(&graphql, at, &key, &payload).await?;
                let mut wrong = 0;
                for number in 1..=missed {
                    wrong += u64::from(version(socket.text_within(PATIENCE).await?) != Some(first + number));
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
        meter.stop(self.sockets as u64 * self.missed, all, vec![("missing, doubled or out of order", wrong)])
    }
}

fn version(text: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = br#""version":"#;
    let at = text.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[at..at + digits]).ok()?.parse().ok()
}
