//! Limit of pushes: bare websockets that receive the same messages as Dealwire's subscribers.

use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::marker::Marker;
use super::{Server, Subscribers};
use crate::client::{Http, Socket, address};
use crate::compare::alternate_with_limit;
use crate::error::BoxError;
use crate::limit::Limit;
use crate::report::{self, Run};
use crate::scenario::open_all;
use crate::target::Target;

/// Message that Dealwire pushes for a change, split at its marker.
#[derive(Clone)]
struct Template {
    before: String,
    after: String,
}

/// Control connection of the limit: each line goes to every socket.
pub(in crate::scenario) struct BroadcastControl {
    connection: TcpStream,
    template: Template,
}

/// Measures, in turns, subscribers of Dealwire and of the limit, and prints both results. All
/// sockets see every change.
pub(in crate::scenario) async fn compare_with_broadcast(
    target: &Target,
    title: &str,
    sockets: usize,
    dealwire: impl AsyncFn(Subscribers) -> Result<Run, BoxError>,
    limit: impl AsyncFn(Subscribers, BroadcastControl) -> Result<Run, BoxError>,
) -> Result<(), BoxError> {
    let keys = target.buyer_keys(sockets).await?;
    let template = Template::capture(target, keys.for_socket(0)).await?;

    let run_dealwire = async || {
        let payload = |_| target.all_changes(None);
        let subscribers = Subscribers::of_dealwire(target, &keys, 0..sockets, payload).await?;
        dealwire(subscribers).await
    };
    let run_limit = async || {
        let (subscribers, connection) = connect_to_limit(sockets).await?;
        let template = template.clone();
        let control = BroadcastControl {
            connection,
            template,
        };
        limit(subscribers, control).await
    };
    let (dealwire, limit) =
        alternate_with_limit(target.compare, run_dealwire, Some(("broadcast", run_limit))).await?;

    let title = format!("{title}, {} bytes a message", template.len());
    report::print(&title, &dealwire, limit.as_ref());
    Ok(())
}

async fn connect_to_limit(sockets: usize) -> Result<(Subscribers, TcpStream), BoxError> {
    let limit = Limit::Broadcast.start().await?;
    let server = Server::of_limit(&limit)?;

    // The limit takes its first connection for the control connection, so that one must be made
    // before the sockets.
    let control = TcpStream::connect(server.address).await?;
    let open = |_| Socket::open(&limit.url, server.address);
    let sockets = open_all((0..sockets).map(open)).await?;

    let subscribers = Subscribers {
        server,
        sockets,
        _limit: Some(limit),
    };
    Ok((subscribers, control))
}

impl BroadcastControl {
    /// Sends one message per marker to every socket, all in one write.
    pub(in crate::scenario) async fn broadcast(
        &mut self,
        markers: impl Iterator<Item = String>,
    ) -> Result<(), BoxError> {
        let lines: String = markers.map(|marker| self.template.line(&marker)).collect();

        // One write for all lines hands the limit the whole burst at once, as the log does with the
        // gateway.
        Ok(self.connection.write_all(lines.as_bytes()).await?)
    }
}

impl Template {
    /// Makes one change and captures the message that Dealwire pushes for it. The limit then sends
    /// messages of exactly the same size, whatever the subscription selects.
    async fn capture(target: &Target, buyer_key: &str) -> Result<Self, BoxError> {
        let address = address(&target.url)?;
        let socket = Socket::open(&target.graphql_url(), address).await?;
        let mut socket = socket
            .subscribe(buyer_key, &target.all_changes(None))
            .await?;
        socket.wait_until_processed().await?;

        let marker = Marker::text(0, Instant::now());
        let request = target.create_request(&marker, None);
        Http::open(address).await?.execute(&request).await?;

        loop {
            // Other clients may change deals of the same seller meanwhile; the marker identifies
            // the change made here.
            let text = std::str::from_utf8(socket.next_text_in_time().await?)?;
            if let Some((before, after)) = text.split_once(&marker) {
                return Ok(Self {
                    before: before.to_owned(),
                    after: after.to_owned(),
                });
            }
        }
    }

    /// Returns the length of a message, in bytes.
    fn len(&self) -> usize {
        self.before.len() + Marker::LENGTH + self.after.len()
    }

    /// Returns the message with the given marker, as a line.
    fn line(&self, marker: &str) -> String {
        format!("{}{marker}{}\n", self.before, self.after)
    }
}
