//! Beginning and end of a shard's sockets, and their timers.

use std::time::Duration;

use super::inbox::Newcomer;
use super::limits::INIT_TIMEOUT;
use super::reader::{Decoding, Reader};
use super::socket::{Kind, Operation, OperationState, Socket};
use super::subscription::Subscription;
use super::timers::Timer;
use super::{Shard, SocketKey};
use crate::opening::Opening;
use crate::protocol::{CloseCode, OperationId, Protocol};
use crate::service::{Caller, Service};

impl<S: Service> Shard<S> {
    /// Adds a socket.
    pub(super) fn add(&mut self, newcomer: Newcomer<S>) {
        let key = match newcomer {
            Newcomer::WebSocket(opening) => self.add_web_socket(opening),
            Newcomer::EventStream {
                writes,
                is_closed,
                caller,
                subscriber,
                wire,
            } => {
                let end = async move {
                    let _dropped = is_closed.await;
                };
                let stagger = self.shared.staggers.next();
                let inbox = &self.inbox;
                let key = self.sockets.insert_with_key(|key| {
                    let reader = Reader::until(end, key, inbox.clone());
                    Socket::new(Kind::EventStream, writes, reader, stagger)
                });
                self.shared.metrics.streams.inc();

                self.sockets[key].is_trusted = caller.is_trusted();
                self.sockets[key].caller = Some(caller);
                self.set_timer(key, Timer::Ping, self.shared.settings.ping);

                // Its subscription has begun before: a stream is opened only for one that could.
                let subscription = Subscription::new(key, subscriber, wire, self.place);
                self.subscribe(key, OperationId::from(""), subscription);
                self.check_key(key);
                key
            }
        };

        // The listener goes on until the process stops, so sockets still come while others end.
        if self.is_draining {
            self.set_drain_turn(key);
        }
    }

    fn add_web_socket(&mut self, opening: Opening<S::Credentials>) -> SocketKey {
        let Opening {
            link,
            read,
            is_accepted,
            compresses,
            credentials,
            held,
        } = opening;
        let limits = self.shared.settings.limits;
        let decoding = Decoding {
            limits,
            inflates: compresses,
        };
        let stagger = self.shared.staggers.next();
        let inbox = &self.inbox;

        let key = self.sockets.insert_with_key(|key| {
            let reader = Reader::start(link.reads, read, decoding, key, inbox.clone());
            let kind = Kind::WebSocket(Protocol::new(limits));
            Socket::new(kind, link.writes, reader, stagger)
        });
        let socket = &mut self.sockets[key];
        socket.credentials = Some(credentials);
        socket.compresses = compresses;
        socket.held = held;

        self.shared.metrics.open.inc();
        self.set_timer(key, Timer::Init, INIT_TIMEOUT);
        if !is_accepted {
            self.close(key, CloseCode::SubprotocolNotAcceptable);
        }
        key
    }

    fn subscribe(&mut self, key: SocketKey, id: OperationId, subscription: Subscription) {
        let subscription = self.add_subscription(subscription);

        self.sockets[key].operations.push(Operation {
            id,
            number: 0,
            positions: false,
            state: OperationState::Subscribed(subscription),
        });
        self.add_turn(key);
    }

    /// Sets a timer of a socket, in place of one of the same kind.
    pub(super) fn set_timer(&mut self, key: SocketKey, timer: Timer, after: Duration) {
        self.clear_timer(key, timer);

        let set = self.timers.set(key, timer, after);
        self.sockets[key].timers[timer as usize] = Some(set);
    }

    pub(super) fn clear_timer(&mut self, key: SocketKey, timer: Timer) {
        if let Some(set) = self.sockets[key].timers[timer as usize].take() {
            self.timers.remove(set);
        }
    }

    /// Removes a socket with everything that it holds, which closes its connection.
    pub(super) fn remove(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.remove(key) else {
            return;
        };

        // Tasks of operations that still execute end with the socket's own parts, which are dropped below.
        for operation in &socket.operations {
            self.end_subscription(operation);
        }
        for timer in socket.timers.into_iter().flatten() {
            self.timers.remove(timer);
        }

        let metrics = &self.shared.metrics;
        match socket.kind {
            Kind::WebSocket(_) => metrics.open.dec(),
            Kind::EventStream => metrics.streams.dec(),
        };
    }
}
