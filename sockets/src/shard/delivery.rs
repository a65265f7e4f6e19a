//! Delivery of changes to the sockets of a shard: a batch is noted for the subscriptions that follow its topics, then each
//! socket that is concerned gets all that is ready for it in one write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use backbone::position::Position;
use live::{Read, Topic};
use tokio::task::yield_now;

use super::batch::Batch;
use super::limits::{MAX_UNREAD, WRITE_TIMEOUT};
use super::scratch::Step;
use super::socket::{OperationState, Phase};
use super::subscription::{Filling, Need, Noted};
use super::timers::Timer;
use super::{SOCKETS_IN_A_ROW, Shard, SocketKey, SubscriptionKey};
use crate::service::Service;

impl<S: Service> Shard<S> {
    /// Reads what follows the shard's place and writes it.
    pub(super) async fn advance(&mut self) {
        self.read_batch().await;

        // A batch may end within an event, whose rest has no tip of its own.
        while self.place.1 != Position::END {
            self.read_batch().await;
        }
    }

    async fn read_batch(&mut self) {
        let read = self.shared.feed.read(self.place);
        // After the read: whatever was read of new tables, their access is known by now.
        self.follow_generation();

        match read {
            Read::Changes(changes, reached) => {
                self.batch = Batch::new(self.place, changes);
                self.note_batch();
                self.place = reached;

                self.write_touched().await;
                self.batch = Batch::default();
            }
            // The shard was held up for longer than the ring reaches. Each subscription reads on by itself.
            Read::Behind(_) => self.skip_to_tip(),
            // A tip without a ring: the next look comes with the next tip.
            Read::NotLoaded => yield_now().await,
        }
    }

    /// Looks up the topics of all subscriptions again if the tables were built anew, which tells nobody who has gained or
    /// lost access by it.
    fn follow_generation(&mut self) {
        let generation = self.shared.feed.generation();
        if generation == self.generation {
            return;
        }

        self.generation = generation;
        for (key, subscription) in &self.subscriptions {
            let topics = subscription.subscriber.topics(self.place.0);
            self.interest.follow(key, &topics);
        }
    }

    /// Notes each change for the subscriptions of its topics.
    fn note_batch(&mut self) {
        let mut windows: Vec<(SocketKey, Duration)> = Vec::new();
        for index in 0..self.batch.len() {
            let change = Arc::clone(self.batch.change(index));
            let mut followers: Vec<SubscriptionKey> = Vec::new();

            // A reader is found twice if it follows both parties of a change of access, and noted once.
            for topic in Topic::of(&change) {
                for key in self.interest.readers(topic) {
                    let subscription = &mut self.subscriptions[key];
                    match subscription.note(index, &change, &self.shared.clock) {
                        Noted::Nothing => {}
                        Noted::Due => {
                            let socket = &mut self.sockets[subscription.socket];
                            if !std::mem::replace(&mut socket.is_touched, true) {
                                self.touched.push(subscription.socket);
                            }
                        }
                        Noted::Window(rest) => windows.push((subscription.socket, rest)),
                    }
                    if matches!(topic, Topic::Access(_)) {
                        followers.push(key);
                    }
                }
            }

            // In the order of the log: what the next change finds is what this one leaves.
            for key in followers {
                let topics = self.subscriptions[key].subscriber.topics(change.sequence);
                self.interest.follow(key, &topics);
            }
        }

        // After the index is no longer borrowed, since a timer belongs to the shard as a whole.
        for (socket, rest) in windows {
            self.set_window(socket, rest);
        }
    }

    /// Makes a socket look at the windows of its subscriptions after this time, unless it does so before.
    fn set_window(&mut self, key: SocketKey, rest: Duration) {
        // One timer for all windows of a socket: those that are not over when it runs out set it again.
        let is_sooner = self.sockets[key].timers[Timer::Window as usize]
            .is_none_or(|set| self.timers.rest(set) > rest);

        if is_sooner {
            self.set_timer(key, Timer::Window, rest);
        }
    }

    /// Ends the windows of a socket's subscriptions that are over.
    pub(super) fn end_windows(&mut self, key: SocketKey) {
        let mut next: Option<Duration> = None;
        for operation in &self.sockets[key].operations {
            if let OperationState::Subscribed(subscription) = operation.state {
                let rest = self.subscriptions[subscription].end_window(self.place);
                next = next.into_iter().chain(rest).min();
            }
        }

        if let Some(rest) = next {
            self.set_window(key, rest);
        }
    }

    async fn write_touched(&mut self) {
        let touched = std::mem::take(&mut self.touched);

        for (index, socket) in touched.iter().enumerate() {
            self.guarded(*socket, Self::flush);

            if index % SOCKETS_IN_A_ROW == SOCKETS_IN_A_ROW - 1 {
                yield_now().await;
            }
        }

        // The memory of the list is used again.
        self.touched = touched;
        self.touched.clear();
    }

    fn skip_to_tip(&mut self) {
        let place = self.place;
        for subscription in self.subscriptions.values_mut() {
            subscription.fall_behind(place);
        }

        if let Some(tip) = self.shared.feed.tip() {
            self.place = tip.order();
        }
        // Everybody has something to read. Their turns come one after the other, as any others do.
        let all: Vec<SocketKey> = self.sockets.keys().collect();
        for socket in all {
            self.add_turn(socket);
        }
    }

    /// Goes on with a socket that takes bytes again.
    pub(super) fn resume_writes(&mut self, key: SocketKey) {
        let socket = &mut self.sockets[key];
        let writable = &self.writable;

        // First what the connection itself holds back: nothing may follow that would carry it along.
        if socket.writes.flush(|| writable.waker(key)).is_err() {
            return self.remove(key);
        }
        socket.is_blocked = false;
        self.flush(key);
    }

    /// Writes what waits for a socket, and then what its subscriptions have for it.
    pub(super) fn flush(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get_mut(key) else {
            return;
        };
        socket.is_touched = false;

        // What waits goes first: a frame that was written in part must be followed by its own rest.
        if !self.write_outgoing(key) {
            return;
        }
        if self.sockets[key].is_trusted {
            self.write_results(key);
        } else {
            // Nothing is even read: the subscriptions keep their offsets and lose nothing by waiting.
            self.postpone(key);
        }
    }

    /// Writes what waits for a socket. Returns whether results may follow.
    fn write_outgoing(&mut self, key: SocketKey) -> bool {
        let socket = &mut self.sockets[key];
        if socket.is_blocked {
            // Not even tried: the connection wakes the shard when it takes bytes again.
            self.postpone(key);
            return false;
        }
        if socket.outgoing.is_empty() {
            return !socket.is_ending();
        }

        let writable = &self.writable;
        let written = socket
            .outgoing
            .write(&mut socket.writes, || writable.waker(key));
        self.shared.metrics.writes.inc();
        if self.take_note(key, written).is_none() {
            return false;
        }

        let socket = &self.sockets[key];
        match socket.phase {
            Phase::Closed => {
                self.remove(key);
                false
            }
            Phase::Closing => false,
            Phase::Open | Phase::Draining => true,
        }
    }

    /// Takes note of a write. Returns `None` if the socket takes no more now, or is gone.
    fn take_note(&mut self, key: SocketKey, written: io::Result<usize>) -> Option<()> {
        // A connection that was reset. Nothing can be told to its client.
        let Ok(written) = written else {
            self.remove(key);
            return None;
        };

        // Slow is who takes nothing, not who takes little.
        if written > 0 {
            self.clear_timer(key, Timer::Stalled);
        }

        let socket = &mut self.sockets[key];
        if socket.outgoing.bytes() < MAX_UNREAD && std::mem::take(&mut socket.reader_waits) {
            socket.reader.go_on();
        }
        if socket.outgoing.is_empty() {
            return Some(());
        }

        socket.is_blocked = true;
        // A socket that ends has a timer for that.
        if socket.timers[Timer::Stalled as usize].is_none() && !socket.is_ending() {
            self.set_timer(key, Timer::Stalled, WRITE_TIMEOUT);
        }
        self.postpone(key);
        None
    }

    /// Makes a socket's subscriptions read by themselves, later, what they are due of the batch.
    fn postpone(&mut self, key: SocketKey) {
        for operation in &self.sockets[key].operations {
            if let OperationState::Subscribed(subscription) = operation.state {
                self.subscriptions[subscription].postpone(&self.batch);
            }
        }
    }

    /// Writes what a socket's subscriptions have for it, in one call.
    fn write_results(&mut self, key: SocketKey) {
        let needs_turn = self.fill(key);

        if !self.scratch.bytes.is_empty() {
            let socket = &mut self.sockets[key];
            let writable = &self.writable;
            let written = socket
                .writes
                .write(&self.scratch.bytes, || writable.waker(key));
            let Ok(written) = written else {
                return self.remove(key);
            };

            self.shared.metrics.writes.inc();
            self.settle(key, written);
        } else {
            // Steps past changes that nobody is shown count without a write.
            self.settle(key, 0);
        }

        if needs_turn && !self.sockets[key].is_blocked {
            self.add_turn(key);
        }
    }

    /// Fills the scratch from a socket's subscriptions. Returns whether they have more.
    fn fill(&mut self, key: SocketKey) -> bool {
        self.scratch.clear();

        let socket = &mut self.sockets[key];
        let count = socket.operations.len();
        // Operations take turns at being first, so that one with much to push does not starve the others.
        let first = socket.next_filled;
        socket.next_filled = (first + 1) % count.max(1);

        let mut needs_turn = false;
        let mut table_reads: Vec<(SubscriptionKey, u64)> = Vec::new();
        let mut windows: Vec<Duration> = Vec::new();
        for step in 0..count {
            let operation = &socket.operations[(first + step) % count];
            let OperationState::Subscribed(subscription) = operation.state else {
                continue;
            };

            let mut filling = Filling {
                feed: &self.shared.feed,
                clock: &self.shared.clock,
                batch: &self.batch,
                place: self.place,
                renderings: &mut self.renderings,
                scratch: &mut self.scratch,
            };
            match self.subscriptions[subscription].fill(subscription, &mut filling) {
                Need::Nothing => {}
                Need::Turn => needs_turn = true,
                Need::Table(floor) => table_reads.push((subscription, floor)),
                Need::Window(rest) => windows.push(rest),
            }
        }

        if let Some(rest) = windows.into_iter().min() {
            self.set_window(key, rest);
        }

        // After the filling: a read begins at the offset that the subscription has now.
        for (subscription, floor) in table_reads {
            self.start_table_read(subscription, floor);
        }
        needs_turn
    }

    /// Takes note of how much of the scratch was written: the subscriptions advance past it. A frame that was written in
    /// part waits for the rest; what comes after it was not begun, and is read again later.
    fn settle(&mut self, key: SocketKey, written: usize) {
        let total = self.scratch.bytes.len();
        let steps = std::mem::take(&mut self.scratch.steps);
        let mut begin = 0;
        let mut done = 0;

        for step in &steps {
            // A frame that was begun must be completed, so its step is done as far as the subscription is concerned.
            let is_begun = step.end <= written || (step.is_result && begin < written);
            if !is_begun {
                break;
            }
            if step.end > written {
                let rest = self.scratch.bytes[written..step.end].to_vec();
                self.sockets[key].outgoing.push(rest, None);
            }

            self.subscriptions[step.subscription].advance(step, self.place);
            begin = step.end;
            done += 1;
        }

        let (settled, undone) = steps.split_at(done);
        // Backwards, so that each subscription ends before its first step that was not written.
        for step in undone.iter().rev() {
            self.subscriptions[step.subscription].go_back(step);
        }

        let results = settled.iter().filter(|step: &&Step| step.is_result).count() as u64;
        self.shared.metrics.messages.inc_by(results);
        self.shared.metrics.deliveries.inc_by(results);
        self.scratch.steps = steps;

        if written < total {
            let socket = &mut self.sockets[key];
            socket.is_blocked = true;
            if written > 0 || socket.timers[Timer::Stalled as usize].is_none() {
                self.set_timer(key, Timer::Stalled, WRITE_TIMEOUT);
            }
        } else if written > 0 {
            self.clear_timer(key, Timer::Stalled);
        }
    }
}
