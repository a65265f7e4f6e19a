//! A TCP proxy in this process, for faults between a client and a server.
//!
//! The proxy counts, delays, holds, swallows and cuts bytes, and does not interpret them. A
//! connection that has lost bytes is never resumed.

mod relay;
mod wire;

pub use wire::Direction;

use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::port::Port;
use super::wait::wait_until;
use wire::{Flow, Limit, Rules, Status, Wire};

/// Time in which the proxy's tasks must carry out a fault.
const CARRIED_OUT: Duration = Duration::from_secs(10);

/// A proxy that forwards connections from its own port to a target. Faults add up until
/// [`Proxy::restore`]; dropping the proxy ends every connection.
#[derive(Debug)]
pub struct Proxy {
    wire: Arc<Wire>,
    port: Port,
    target: String,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy in front of `target` (`host:port`) and returns when it listens. The target
    /// need not be up.
    pub async fn start(target: impl Display) -> Self {
        let port = Port::reserve();
        let target = target.to_string();
        let wire = Arc::new(Wire {
            rules: watch::Sender::default(),
            status: watch::Sender::default(),
        });

        let mut tasks = JoinSet::new();
        tasks.spawn(serve(wire.clone(), port.addr(), target.clone()));

        let proxy = Self {
            wire,
            port,
            target,
            _tasks: tasks,
        };

        proxy
            .wait_for_status("the proxy listens", |status| status.listening)
            .await;

        proxy
    }

    /// Starts a proxy in front of the server that `url` names.
    ///
    /// # Panics
    /// If `url` has no host, or has neither a port nor one of the schemes nats, redis, postgres and
    /// http.
    pub async fn in_front_of(url: &str) -> Self {
        let url = parse(url);
        let known = match url.scheme() {
            "nats" => Some(4222),
            "redis" => Some(6379),
            "postgres" | "postgresql" => Some(5432),
            _ => url.port_or_known_default(),
        };

        let port = url
            .port()
            .or(known)
            .unwrap_or_else(|| panic!("the URL {url} has no port"));

        Self::start(format!(
            "{}:{port}",
            url.host_str()
                .unwrap_or_else(|| panic!("the URL {url} has no host"))
        ))
        .await
    }

    /// Returns the address that clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Returns the target, as given to [`Proxy::start`].
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns `url` with this proxy's host and port instead of the server's.
    ///
    /// # Panics
    /// If `url` cannot have a host.
    pub fn url(&self, url: &str) -> String {
        let mut url = parse(url);
        url.set_host(Some("127.0.0.1"))
            .unwrap_or_else(|error| panic!("{url}: {error}"));

        url.set_port(Some(self.port.number()))
            .unwrap_or_else(|()| panic!("the URL {url} cannot have a port"));

        url.into()
    }

    /// Resets all connections, refuses new ones, and returns once both are so.
    pub async fn cut(&self) {
        self.change(|rules| {
            rules.open = false;
            rules.cuts += 1;
        });

        self.wait_for_status("the proxy is cut", |status| {
            !status.listening && status.connections == 0
        })
        .await;
    }

    /// Resets the present connections and keeps accepting new ones.
    pub fn reset(&self) {
        // Relays compare the number they began under with this one.
        self.change(|rules| rules.cuts += 1);
    }

    /// Ends every fault and returns once new connections are accepted. Held bytes are forwarded.
    /// Connections are reset if any bytes were swallowed.
    pub async fn restore(&self) {
        self.change(|rules| {
            *rules = Rules {
                cuts: rules.cuts + u64::from(rules.swallowed),
                ..Rules::default()
            }
        });

        self.wait_for_status("the proxy listens again", |status| status.listening)
            .await;
    }

    /// Forwards exactly `bytes` more in a direction, counted over all connections, and then cuts as
    /// [`Proxy::cut`] does.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.change(|rules| {
            rules.limit = Some(Limit {
                direction,
                left: bytes,
                reopen: false,
            })
        });
    }

    /// Forwards exactly `bytes` more in a direction, counted over all connections, and then resets
    /// as [`Proxy::reset`] does.
    pub fn reset_after(&self, direction: Direction, bytes: u64) {
        self.change(|rules| {
            rules.limit = Some(Limit {
                direction,
                left: bytes,
                reopen: true,
            })
        });
    }

    /// Delays every chunk in each direction by `delay`, and so a byte by up to twice that.
    pub fn delay(&self, delay: Duration) {
        self.change(|rules| rules.delay = delay);
    }

    /// Holds the bytes of a direction until the proxy is restored. The sockets stay open.
    pub fn hold(&self, direction: Direction) {
        self.change(|rules| *rules.flow(direction) = Flow::Hold);
    }

    /// Accepts connections and forwards nothing, like a network partition.
    pub fn half_open(&self) {
        self.hold(Direction::ToServer);
        self.hold(Direction::ToClient);
    }

    /// Reads and discards the bytes of a direction. The sockets stay open.
    pub fn swallow(&self, direction: Direction) {
        self.change(|rules| *rules.flow(direction) = Flow::Swallow);
    }

    /// Forwards requests and discards the answers: acknowledgements are lost.
    pub fn swallow_replies(&self) {
        self.swallow(Direction::ToClient);
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.wire.status.borrow().connections
    }

    /// Returns the number of connections that have been accepted so far.
    pub fn accepted(&self) -> u64 {
        self.wire.status.borrow().accepted
    }

    /// Returns the number of bytes that have been forwarded in a direction so far.
    pub fn forwarded(&self, direction: Direction) -> u64 {
        let status = self.wire.status.borrow();
        if direction == Direction::ToServer {
            status.to_server
        } else {
            status.to_client
        }
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.wire.rules.send_modify(change);
    }

    async fn wait_for_status(&self, what: &str, reached: impl Fn(&Status) -> bool) {
        // The tasks act on a change later; a test must not go on before they have.
        wait_until(CARRIED_OUT, what, async || {
            reached(&self.wire.status.borrow())
        })
        .await;
    }
}

/// Listens while the proxy is open, and relays what it accepts.
async fn serve(wire: Arc<Wire>, addr: SocketAddr, target: String) {
    let mut rules = wire.rules.subscribe();
    let mut relays = JoinSet::new();
    loop {
        if rules.wait_for(|rules| rules.open).await.is_err() {
            return;
        }

        let listener = TcpListener::bind(addr)
            .unwrap_or_else(|error| panic!("the proxy cannot listen on {addr}: {error}"));

        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");

        let listener =
            tokio::net::TcpListener::from_std(listener).expect("the proxy runs within a runtime");
        wire.status.send_modify(|status| status.listening = true);

        loop {
            let (open, cuts) = {
                // In a block of its own: the borrow is a lock, which must not be held across an
                // await.
                let rules = rules.borrow_and_update();
                (rules.open, rules.cuts)
            };

            if !open {
                break;
            }

            tokio::select! {
                biased;
                changed = rules.changed() => if changed.is_err() { return },
                Some(_) = relays.join_next() => {}
                Ok((client, _)) = listener.accept() => {
                    wire.status.send_modify(|status| {
                        status.accepted += 1;
                        status.connections += 1;
                    });

                    relays.spawn(relay::relay(wire.clone(), client, target.clone(), cuts));
                }
            }
        }

        drop(listener);
        wire.status.send_modify(|status| status.listening = false);
    }
}

fn parse(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}
