//! Fan-out of one link to its receivers, with the state of the link. The hub never waits: a
//! receiver that falls behind loses the oldest messages and is told so.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

use super::BusEvent;
use crate::telemetry::{Counter, Gauge, Metrics};

pub(super) struct Hub {
    sender: Sender<Item>,
    // Held while an item is sent, so that changes of the link and messages reach every receiver in
    // one order. Sending never blocks, so the lock is never held for long.
    state: Mutex<State>,
    up: Gauge,
    received: Counter,
    subscribed: Counter,
    gaps: Counter,
}

#[derive(Clone)]
struct Item {
    link: Link,
    message: Option<Bytes>,
}

/// Number of changes of the link; it is up while the number is odd.
///
/// Every item carries the number. A receiver that loses the item of a change learns of it from the
/// next item it gets, and the newest item is never lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Link(u64);

#[derive(Default)]
struct State {
    /// Number of the newest session; items of earlier ones are ignored.
    session: u64,
    link: Link,
}

impl Hub {
    pub(super) fn new(capacity: usize, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            sender: broadcast::channel(capacity.max(1)).0,
            state: Mutex::default(),
            up: metrics.gauge("live_bus_up", "1 while the live bus is up and subscribed"),
            received: metrics.counter(
                "live_bus_received",
                "Messages that came in over the live bus",
            ),
            subscribed: metrics.counter("live_bus_subscribed", "Times the live bus came up"),
            gaps: metrics.counter(
                "live_bus_gaps",
                "Times a slow receiver of the live bus lost messages",
            ),
        })
    }

    /// Begins a session, with the link down, which replaces any earlier one.
    pub(super) fn begin(hub: &Arc<Self>) -> Session {
        Session {
            hub: hub.clone(),
            id: hub.end(),
        }
    }

    /// Takes the link down and ignores its session from now on: a connection that was given up may
    /// deliver for a while. Returns the number of the next session.
    pub(super) fn end(&self) -> u64 {
        let mut state = self.state();
        // Under the same lock as the change of the link: no item of the old session can come
        // between.
        state.session += 1;
        self.change(&mut state, false);
        state.session
    }

    pub(super) fn subscribe(hub: &Arc<Self>) -> BusReceiver {
        // In this order a change between the two statements is seen twice, which `accept`
        // recognises. In the other order it would be missed.
        let receiver = hub.sender.subscribe();
        let link = hub.state().link;

        BusReceiver {
            receiver,
            link,
            // A receiver of a link that is up must not wait for the next change to learn of it.
            due: link.is_up().then_some(BusEvent::Subscribed),
            gaps: hub.gaps.clone(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().link.is_up()
    }

    fn change(&self, state: &mut State, up: bool) {
        if state.link.is_up() == up {
            return;
        }

        state.link.0 += 1;
        self.up.set(i64::from(up));
        if up {
            self.subscribed.inc();
        }

        self.send(Item {
            link: state.link,
            message: None,
        });
    }

    fn send(&self, item: Item) {
        // An error says that there are no receivers, which is no failure.
        let _ = self.sender.send(item);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Link {
    fn is_up(self) -> bool {
        self.0 % 2 == 1
    }
}

/// Handle by which one connection reports to the hub. It has no effect once a later session has
/// begun.
#[derive(Clone)]
pub(super) struct Session {
    hub: Arc<Hub>,
    id: u64,
}

impl Session {
    pub(super) fn up(&self) {
        self.change(true);
    }

    #[cfg(any(test, feature = "testkit"))]
    pub(super) fn down(&self) {
        self.change(false);
    }

    /// Passes a message on, if the link is up. Never waits.
    pub(super) fn message(&self, message: Bytes) {
        // The lock is held until the item is sent: a change of the link must not overtake it.
        let state = self.hub.state();
        if state.session == self.id && state.link.is_up() {
            self.hub.received.inc();
            self.hub.send(Item {
                link: state.link,
                message: Some(message),
            });
        }
    }

    fn change(&self, up: bool) {
        let mut state = self.hub.state();
        if state.session == self.id {
            self.hub.change(&mut state, up);
        }
    }
}

/// Listener of a [`LiveBus`](super::LiveBus). It is bounded: one that is not read for too long
/// loses the oldest messages and gets a [`Gap`](BusEvent::Gap).
pub struct BusReceiver {
    receiver: Receiver<Item>,
    link: Link,
    /// Event to return next, before anything else is received.
    due: Option<BusEvent>,
    gaps: Counter,
}

impl BusReceiver {
    /// Returns the next event, and waits for ever if the bus is gone. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> BusEvent {
        loop {
            if let Some(due) = self.due.take() {
                return due;
            }

            match self.receiver.recv().await {
                Ok(item) => {
                    if let Some(event) = self.accept(item) {
                        return event;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    self.gaps.inc();
                    return BusEvent::Gap;
                }
                // The bus itself is gone, which for a receiver is a link that stays down.
                Err(RecvError::Closed) if self.link.is_up() => {
                    self.link.0 += 1;
                    return BusEvent::Disconnected;
                }
                Err(RecvError::Closed) => pending().await,
            }
        }
    }

    /// Returns the event of an item, and keeps the message for later if the link changed before it.
    fn accept(&mut self, item: Item) -> Option<BusEvent> {
        let message = item.message.map(BusEvent::Message);
        // An item of a link state that is known already; older ones come from before the
        // subscription.
        if item.link <= self.link {
            return message;
        }

        self.link = item.link;
        self.due = message;
        Some(if item.link.is_up() {
            BusEvent::Subscribed
        } else {
            BusEvent::Disconnected
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hub(capacity: usize) -> Arc<Hub> {
        Hub::new(capacity, &Metrics::new())
    }

    async fn next(receiver: &mut BusReceiver) -> BusEvent {
        tokio::time::timeout(Duration::from_secs(1), receiver.next())
            .await
            .expect("an event is due")
    }

    fn message(text: &'static str) -> BusEvent {
        BusEvent::Message(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_lost_the_news_of_the_link_hears_it_with_the_next_item() {
        let hub = hub(1);
        let mut receiver = Hub::subscribe(&hub);
        let session = Hub::begin(&hub);
        session.up();
        session.message(Bytes::from_static(b"news"));
        assert_eq!(next(&mut receiver).await, BusEvent::Gap);
        assert_eq!(next(&mut receiver).await, BusEvent::Subscribed);
        assert_eq!(next(&mut receiver).await, message("news"));
        session.message(Bytes::from_static(b"lost"));
        session.down();
        assert_eq!(next(&mut receiver).await, BusEvent::Gap);
        assert_eq!(next(&mut receiver).await, BusEvent::Disconnected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_given_up_is_not_heard_any_more() {
        let hub = hub(8);
        let mut receiver = Hub::subscribe(&hub);
        let former = Hub::begin(&hub);
        former.up();
        let session = Hub::begin(&hub);
        former.message(Bytes::from_static(b"stale"));
        former.up();
        assert!(!hub.is_up());
        session.message(Bytes::from_static(b"not subscribed yet"));
        session.up();
        former.message(Bytes::from_static(b"stale"));
        former.down();
        session.message(Bytes::from_static(b"fresh"));
        let expected = [
            BusEvent::Subscribed,
            BusEvent::Disconnected,
            BusEvent::Subscribed,
            message("fresh"),
        ];

        for event in expected {
            assert_eq!(next(&mut receiver).await, event);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bus_that_is_gone_is_a_link_that_stays_down() {
        let hub = hub(8);
        Hub::begin(&hub).up();
        let mut receiver = Hub::subscribe(&hub);
        drop(hub);
        assert_eq!(next(&mut receiver).await, BusEvent::Subscribed);
        assert_eq!(next(&mut receiver).await, BusEvent::Disconnected);
        let silence = tokio::select! {
            biased;
            event = receiver.next() => Some(event),
            () = tokio::task::yield_now() => None,
        };

        assert_eq!(silence, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_an_event_can_be_given_up_and_begun_again() {
        let hub = hub(8);
        let session = Hub::begin(&hub);
        session.up();
        let mut receiver = Hub::subscribe(&hub);
        assert_eq!(next(&mut receiver).await, BusEvent::Subscribed);
        for text in ["one", "two"] {
            tokio::select! {
                biased;
                event = receiver.next() => panic!("nothing was sent, and yet {event:?}"),
                () = tokio::task::yield_now() => {}
            }

            session.message(Bytes::from_static(text.as_bytes()));
            assert_eq!(next(&mut receiver).await, message(text));
        }
    }
}
