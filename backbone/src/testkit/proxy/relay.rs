//! One proxied connection: two pumps under the faults in force.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::wire::{Direction, Flow, Rules, Wire};

/// Relays a connection that was accepted after `cuts` cuts, until both sides have closed it or a
/// fault ends it.
pub(super) async fn relay(wire: Arc<Wire>, mut client: TcpStream, target: String, cuts: u64) {
    let _open = Open(wire.clone());
    let mut rules = wire.rules.subscribe();
    let mut server = match connect(&mut rules, &target, cuts).await {
        Ok(server) => server,
        Err(_) => return reset(&client),
    };

    // Small frames must not wait for acknowledgements, which the fault under test may hold back.
    let prompt = client.set_nodelay(true).and(server.set_nodelay(true));
    let intact = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        tokio::select! {
            biased;
            // An error says that the proxy is gone, which is a cut as well.
            _ = rules.wait_for(|rules| rules.cuts != cuts) => false,
            both = async { tokio::try_join!(
                pump(&wire, Direction::ToServer, client_read, server_write),
                pump(&wire, Direction::ToClient, server_read, client_write),
            ) } => both.and(prompt).is_ok(),
        }
    };

    if !intact {
        reset(&client);
        reset(&server);
    }
}

/// Connects as soon as anything may pass. Until then a half-open proxy accepts on behalf of a
/// server that may be down.
async fn connect(
    rules: &mut watch::Receiver<Rules>,
    target: &str,
    cuts: u64,
) -> io::Result<TcpStream> {
    let cut = || io::Error::from(io::ErrorKind::ConnectionAborted);
    let held = |rules: &Rules| rules.to_server == Flow::Hold && rules.to_client == Flow::Hold;

    let found = rules
        .wait_for(|rules| rules.cuts != cuts || !held(rules))
        .await
        .map_err(|_| cut())?
        .cuts;

    if found == cuts {
        TcpStream::connect(target).await
    } else {
        Err(cut())
    }
}

async fn pump(
    wire: &Wire,
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
) -> io::Result<()> {
    let mut rules = wire.rules.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;

        // Looked up after the read: a fault applies to everything that arrives after it is set.
        let (flow, delay) = wait_to_pass(&mut rules, direction).await?;
        if read == 0 {
            return to.shutdown().await;
        }

        if flow == Flow::Swallow {
            wire.rules.send_if_modified(|rules| {
                rules.swallowed = true;
                false
            });
            continue;
        }

        tokio::time::sleep(delay).await;
        let (allowed, spent) = take(wire, direction, read);
        to.write_all(&buffer[..allowed]).await?;
        wire.count(direction, allowed);
        if spent {
            wire.spend_limit();
        }
    }
}

/// Waits while the direction is held, and returns how to treat the bytes that were read.
async fn wait_to_pass(
    rules: &mut watch::Receiver<Rules>,
    direction: Direction,
) -> io::Result<(Flow, std::time::Duration)> {
    let flow = |rules: &Rules| {
        if direction == Direction::ToServer {
            rules.to_server
        } else {
            rules.to_client
        }
    };

    let rules = rules.wait_for(|rules| flow(rules) != Flow::Hold).await;
    let rules = rules.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?;
    Ok((flow(&rules), rules.delay))
}

/// Returns how many of `wanted` bytes the limit allows, and whether they use it up.
fn take(wire: &Wire, direction: Direction, wanted: usize) -> (usize, bool) {
    let mut allowed = wanted;
    let mut spent = false;
    wire.rules.send_if_modified(|rules| {
        if let Some(limit) = rules
            .limit
            .as_mut()
            .filter(|limit| limit.direction == direction)
        {
            allowed = wanted.min(usize::try_from(limit.left).unwrap_or(usize::MAX));
            limit.left -= allowed as u64;
            spent = limit.left == 0;
        }

        false
    });

    (allowed, spent)
}

/// Makes the close a reset, like that of a peer that crashed.
fn reset(stream: &TcpStream) {
    // It fails on a socket that is already broken, which is the purpose.
    let _ = stream.set_zero_linger();
}

/// Counts the connection until it ends.
struct Open(Arc<Wire>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.status.send_modify(|status| status.connections -= 1);
    }
}
