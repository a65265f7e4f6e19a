//! A TCP proxy in this process, for faults between a client and a server.
//!
//! Refuses to understand what it carries: it counts, delays, holds, swallows and cuts bytes, nothing else. A stream
//! that has lost bytes is never resumed.

mod relay;

use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::port::Port;
use super::wait::wait_until;

/// How long the proxy's own tasks may take to follow an order.
const OBEYED: Duration = Duration::from_secs(10);

/// Forwards connections from its own port to a target until it is told to misbehave. Faults add up until
/// [`Proxy::restore`]; dropping it ends every connection.
#[derive(Debug)]
pub struct Proxy {
    wire: Arc<Wire>,
    port: Port,
    target: String,
    _tasks: JoinSet<()>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What the tasks of one proxy share.
#[derive(Debug)]
struct Wire {
    rules: watch::Sender<Rules>,
    status: watch::Sender<Status>,
}

/// The orders in force.
#[derive(Clone, Debug)]
struct Rules {
    open: bool,
    /// Connections accepted under an earlier number are to be reset.
    cuts: u64,
    to_server: Flow,
    to_client: Flow,
    delay: Duration,
    limit: Option<Limit>,
    swallowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Pass,
    Hold,
    Swallow,
}

#[derive(Clone, Debug)]
struct Limit {
    direction: Direction,
    left: u64,
    /// Whether to stay open for new connections.
    reopen: bool,
}

#[derive(Clone, Debug, Default)]
struct Status {
    listening: bool,
    connections: usize,
    accepted: u64,
    to_server: u64,
    to_client: u64,
}

impl Default for Rules {
    fn default() -> Self {
        let (to_server, to_client) = (Flow::Pass, Flow::Pass);
        Self {
            open: true,
            cuts: 0,
            to_server,
            to_client,
            delay: Duration::ZERO,
            limit: None,
            swallowed: false,
        }
    }
}

impl Proxy {
    /// Starts a proxy in front of `target` (`host:port`) and returns when it listens. The target need not be up.
    pub async fn start(target: impl Display) -> Self {
        let (port, target) = (Port::reserve(), target.to_string());
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
            .obeyed("the proxy listens", |status| status.listening)
            .await;
        proxy
    }

    /// Starts a proxy in front of the server that `url` names.
    ///
    /// # Panics
    /// When `url` has no host, or no port and none of the schemes nats, redis, postgres and http.
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
            .unwrap_or_else(|| panic!("no port in {url}"));
        Self::start(format!(
            "{}:{port}",
            url.host_str().unwrap_or_else(|| panic!("no host in {url}"))
        ))
        .await
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Where it forwards to, as given to [`Proxy::start`].
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `url` with this proxy's host and port in place of the server's.
    ///
    /// # Panics
    /// When `url` is not one that has a host.
    pub fn url(&self, url: &str) -> String {
        let mut url = parse(url);
        url.set_host(Some("127.0.0.1"))
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        url.set_port(Some(self.port.number()))
            .unwrap_or_else(|()| panic!("{url} takes no port"));
        url.into()
    }

    /// Resets all connections and refuses new ones; returns when that is so.
    pub async fn cut(&self) {
        self.order(|rules| (rules.open, rules.cuts) = (false, rules.cuts + 1));
        self.obeyed("the proxy is cut", |status| {
            !status.listening && status.connections == 0
        })
        .await;
    }

    /// Resets the connections of this moment and stays open for new ones.
    pub fn reset(&self) {
        self.order(|rules| rules.cuts += 1);
    }

    /// Ends every fault and returns when new connections are accepted. What was held back goes on; connections are
    /// reset if any bytes were swallowed.
    pub async fn restore(&self) {
        self.order(|rules| {
            *rules = Rules {
                cuts: rules.cuts + u64::from(rules.swallowed),
                ..Rules::default()
            }
        });
        self.obeyed("the proxy listens again", |status| status.listening)
            .await;
    }

    /// Forwards exactly `bytes` more that way, counted over all connections, and then cuts as [`Proxy::cut`] does.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.order(|rules| {
            rules.limit = Some(Limit {
                direction,
                left: bytes,
                reopen: false,
            })
        });
    }

    /// Forwards exactly `bytes` more that way, counted over all connections, and then resets as [`Proxy::reset`] does.
    pub fn reset_after(&self, direction: Direction, bytes: u64) {
        self.order(|rules| {
            rules.limit = Some(Limit {
                direction,
                left: bytes,
                reopen: true,
            })
        });
    }

    /// Delays what passes, each way: every chunk by `delay`, so a byte by up to twice that.
    pub fn delay(&self, delay: Duration) {
        self.order(|rules| rules.delay = delay);
    }

    /// Forwards nothing more that way until it is restored: the bytes wait, the sockets stay open.
    pub fn hold(&self, direction: Direction) {
        self.order(|rules| *rules.flow(direction) = Flow::Hold);
    }

    /// Accepts connections and forwards nothing, as a partition does that no packet survives.
    pub fn half_open(&self) {
        self.hold(Direction::ToServer);
        self.hold(Direction::ToClient);
    }

    /// Reads and drops what goes that way; the sockets stay open.
    pub fn swallow(&self, direction: Direction) {
        self.order(|rules| *rules.flow(direction) = Flow::Swallow);
    }

    /// Lets requests through and drops the answers: lost acknowledgements.
    pub fn swallow_replies(&self) {
        self.swallow(Direction::ToClient);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.wire.status.borrow().connections
    }

    /// How many connections have been accepted so far.
    pub fn accepted(&self) -> u64 {
        self.wire.status.borrow().accepted
    }

    /// How many bytes have been forwarded that way so far.
    pub fn forwarded(&self, direction: Direction) -> u64 {
        let status = self.wire.status.borrow();
        if direction == Direction::ToServer {
            status.to_server
        } else {
            status.to_client
        }
    }

    fn order(&self, change: impl FnOnce(&mut Rules)) {
        self.wire.rules.send_modify(change);
    }

    async fn obeyed(&self, what: &str, reached: impl Fn(&Status) -> bool) {
        wait_until(OBEYED, what, async || reached(&self.wire.status.borrow())).await;
    }
}

impl Rules {
    fn flow(&mut self, direction: Direction) -> &mut Flow {
        if direction == Direction::ToServer {
            &mut self.to_server
        } else {
            &mut self.to_client
        }
    }
}

/// Listens while the rules say so, and relays what it accepts.
async fn serve(wire: Arc<Wire>, addr: SocketAddr, target: String) {
    let mut rules = wire.rules.subscribe();
    let mut relays = JoinSet::new();
    loop {
        if rules.wait_for(|rules| rules.open).await.is_err() {
            return;
        }
        let listener = TcpListener::bind(addr)
            .unwrap_or_else(|error| panic!("the proxy's port {addr}: {error}"));
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        let listener =
            tokio::net::TcpListener::from_std(listener).expect("the proxy runs within a runtime");
        wire.status.send_modify(|status| status.listening = true);
        loop {
            let (open, cuts) = {
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
