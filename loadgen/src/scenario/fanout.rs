//! Every change to many sockets. Each change carries a marker with its number and the time that it was sent, so what
//! is missing, doubled or out of order shows, and how long each took.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::{Server, open_all};
use crate::client::{Http, PATIENCE, Socket, address};
use crate::compare::{Meter, alternate};
use crate::limit::Limit;
use crate::report::{Latencies, Run, latencies};
use crate::{Failed, Target, report};

#[derive(Args, Clone)]
pub(crate) struct Fanout {
    /// Subscribed sockets
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Changes a second
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
    /// Length of a run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// What a change is told apart by: `m`, its number, the microseconds since the run began.
struct Marker;

impl Marker {
    const LENGTH: usize = 19;

    fn write(number: u64, begun: Instant) -> String {
        format!("m{number:06}{:012}", begun.elapsed().as_micros())
    }

    fn read(text: &[u8]) -> Option<(u64, u64)> {
        let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        let found = text
            .windows(Self::LENGTH)
            .find(|window| window[0] == b'm' && window[1..].iter().all(u8::is_ascii_digit))?;
        Some((digits(&found[1..7])?, digits(&found[7..])?))
    }
}

/// What one socket found.
struct Seen {
    latencies: Latencies,
    missing: u64,
    doubled: u64,
    unordered: u64,
}

impl Fanout {
    fn changes(&self) -> u64 {
        (self.rate * self.seconds as f64).round() as u64
    }

    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let template = self.template(target).await?;
        let ours = async || self.dealwire(target).await;
        let bare = async || self.bare(&template).await;
        let (ours, bare) = alternate(target.compare, ours, Some(("broadcast", bare))).await?;
        let Self { sockets, rate, seconds } = self;
        let what = format!(
            "{sockets} sockets, {rate} changes/s, {seconds} s a run, {} bytes a text",
            template.len()
        );
        report::print(&what, &ours, bare.as_ref());
        Ok(())
    }

    /// The text that Dealwire pushes for a change, with a marker in it.
    async fn template(&self, target: &Target) -> Result<String, Failed> {
        let at = address(&target.url)?;
        let mut socket =
            Socket::subscribe(&target.graphql(), at, &target.buyer_key, &target.changes(None)).await?;
        socket.settle().await?;
        let create = target.create(&Marker::write(0, Instant::now()), None);
        Http::open(at).await?.call(&create).await?;
        loop {
            let text = socket.text_within(PATIENCE).await?;
            if Marker::read(text).is_some() {
                return Ok(String::from_utf8(text.to_vec())?);
            }
        }
    }

    async fn dealwire(&self, target: &Target) -> Result<Run, Failed> {
        let (server, graphql) = (Server::at(&target.url)?, target.graphql());
        let payload = target.changes(None);
        let (graphql, payload, at) = (&graphql, &payload, server.address);
        let sockets = open_all(self.sockets, |_| async move {
            let mut socket = Socket::subscribe(graphql, at, &target.buyer_key, payload).await?;
            socket.settle().await?;
            Ok(socket)
        })
        .await?;
        let mut http = Http::open(at).await?;
        let send = async |marker: String| http.call(&target.create(&marker, None)).await.map(|_| ());
        self.measure(&server, sockets, send).await
    }

    async fn bare(&self, template: &str) -> Result<Run, Failed> {
        let running = Limit::Broadcast.start().await?;
        let at = address(&running.url)?;
        let mut control = TcpStream::connect(at).await?;
        let url = &running.url;
        let sockets = open_all(self.sockets, |_| Socket::open(url, at)).await?;
        let at_marker = template
            .as_bytes()
            .windows(Marker::LENGTH)
            .position(|window| Marker::read(window).is_some())
            .ok_or("no marker in the template")?;
        let (before, after) = (&template[..at_marker], &template[at_marker + Marker::LENGTH..]);
        let send = async |marker: String| {
            let line = format!("{before}{marker}{after}\n");
            control.write_all(line.as_bytes()).await.map_err(Failed::from)
        };
        self.measure(&Server { address: at, process: running.process }, sockets, send).await
    }

    async fn measure(
        &self,
        server: &Server,
        sockets: Vec<Socket>,
        mut send: impl AsyncFnMut(String) -> Result<(), Failed>,
    ) -> Result<Run, Failed> {
        let (changes, begun) = (self.changes(), Instant::now());
        let readers: Vec<_> =
            sockets.into_iter().map(|socket| tokio::spawn(read(socket, changes, begun))).collect();
        let meter = Meter::start(server.process)?;
        let mut pace = interval(Duration::from_secs_f64(1.0 / self.rate));
        for number in 1..=changes {
            pace.tick().await;
            send(Marker::write(number, begun)).await?;
        }
        let (mut all, mut missing, mut doubled, mut unordered) = (latencies(), 0, 0, 0);
        for reader in readers {
            let seen = reader.await??;
            all.add(seen.latencies)?;
            missing += seen.missing;
            doubled += seen.doubled;
            unordered += seen.unordered;
        }
        meter.stop(
            all.len(),
            all,
            vec![("missing", missing), ("doubled", doubled), ("out of order", unordered)],
        )
    }
}

/// Reads until the last change, or until nothing has come for too long.
async fn read(mut socket: Socket, changes: u64, begun: Instant) -> Result<Seen, Failed> {
    let mut seen = Seen { latencies: latencies_of_one(), missing: 0, doubled: 0, unordered: 0 };
    let mut found = vec![false; changes as usize + 1];
    let mut last = 0;
    while last < changes {
        let Ok(text) = timeout(PATIENCE, socket.text()).await else { break };
        let Some((number, sent)) = Marker::read(text?).filter(|(number, _)| (1..=changes).contains(number))
        else {
            continue;
        };
        let now = begun.elapsed().as_micros() as u64;
        seen.latencies.saturating_record(now.saturating_sub(sent));
        seen.doubled += u64::from(std::mem::replace(&mut found[number as usize], true));
        seen.unordered += u64::from(number < last);
        last = last.max(number);
    }
    seen.missing = found[1..].iter().filter(|found| !**found).count() as u64;
    Ok(seen)
}

/// Two digits are enough for one socket of thousands, whose histograms are added up.
fn latencies_of_one() -> Latencies {
    Latencies::new_with_bounds(1, 60_000_000, 2).expect("the bounds are sound")
}
