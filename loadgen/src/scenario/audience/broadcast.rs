//! The limit of an audience: the same texts, written to bare websockets as lines come over one connection.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::marker::Marker;
use super::{Audience, Server};
use crate::client::{Http, PATIENCE, Socket, address};
use crate::compare::with_limit;
use crate::limit::Limit;
use crate::report::{self, Run};
use crate::scenario::open_all;
use crate::{Failed, Target};

/// The text that Dealwire pushes for a change, around its marker.
#[derive(Clone)]
struct Template {
    before: String,
    after: String,
}

/// The connection that lines go over to every socket.
pub(in crate::scenario) struct Lines {
    control: TcpStream,
    template: Template,
}

/// Measures in turns an audience of Dealwire and one of the limit, of so many sockets that see every change, and tells
/// of both.
pub(in crate::scenario) async fn compare_with_broadcast(
    target: &Target,
    what: &str,
    sockets: usize,
    dealwire: impl AsyncFn(Audience) -> Result<Run, Failed>,
    limit: impl AsyncFn(Audience, Lines) -> Result<Run, Failed>,
) -> Result<(), Failed> {
    let keys = target.buyers(sockets).await?;
    let template = Template::of(target, keys.of(0)).await?;
    let ours = async || {
        let all =
            Audience::of_dealwire(target, &keys, 0..sockets, |_| target.changes(None)).await?;
        dealwire(all).await
    };
    let bare = async || {
        let (audience, control) = of_limit(sockets).await?;
        limit(
            audience,
            Lines {
                control,
                template: template.clone(),
            },
        )
        .await
    };
    let (ours, bare) = with_limit(target.compare, ours, Some(("broadcast", bare))).await?;
    report::print(
        &format!("{what}, {} bytes a text", template.len()),
        &ours,
        bare.as_ref(),
    );
    Ok(())
}

async fn of_limit(sockets: usize) -> Result<(Audience, TcpStream), Failed> {
    let limit = Limit::Broadcast.start().await?;
    let at = address(&limit.url)?;
    let control = TcpStream::connect(at).await?;
    let sockets = open_all((0..sockets).map(|_| Socket::open(&limit.url, at))).await?;
    let server = Server {
        address: at,
        process: limit.process,
    };
    Ok((
        Audience {
            server,
            sockets,
            _limit: Some(limit),
        },
        control,
    ))
}

impl Lines {
    /// A text for each marker, at once.
    pub(in crate::scenario) async fn write(
        &mut self,
        markers: impl Iterator<Item = String>,
    ) -> Result<(), Failed> {
        let lines: String = markers.map(|marker| self.template.line(&marker)).collect();
        Ok(self.control.write_all(lines.as_bytes()).await?)
    }
}

impl Template {
    /// Makes a change, and takes what is pushed for it.
    async fn of(target: &Target, buyer_key: &str) -> Result<Self, Failed> {
        let at = address(&target.url)?;
        let socket = Socket::open(&target.graphql(), at).await?;
        let mut socket = socket.subscribe(buyer_key, &target.changes(None)).await?;
        socket.settle().await?;
        let marker = Marker::write(0, std::time::Instant::now());
        Http::open(at)
            .await?
            .ask(&target.create(&marker, None))
            .await?;
        loop {
            let text = std::str::from_utf8(socket.text_within(PATIENCE).await?)?;
            if let Some((before, after)) = text.split_once(&marker) {
                return Ok(Self {
                    before: before.to_owned(),
                    after: after.to_owned(),
                });
            }
        }
    }

    /// In bytes.
    fn len(&self) -> usize {
        self.before.len() + Marker::LENGTH + self.after.len()
    }

    /// The text with a marker, as a line.
    fn line(&self, marker: &str) -> String {
        format!("{}{marker}{}\n", self.before, self.after)
    }
}
