//! Operations of a shard's sockets: each executes in a task of its own, and a subscription then lives on the shard.

use std::panic::AssertUnwindSafe;

use backbone::lifecycle::OwnedTask;
use futures_util::FutureExt;
use live::{Found, SubscribeError, Subscriber};
use serde_json::value::RawValue;

use super::inbox::Command;
use super::scratch::Wire;
use super::socket::{Kind, Operation, OperationState, Phase};
use super::subscription::{Reading, Subscription};
use super::{Shard, SocketKey, SubscriptionKey};
use crate::event_stream;
use crate::protocol::frame::{NextHeader, next_header};
use crate::protocol::{Action, CloseCode, OperationId, SubscribePayload, wants_positions};
use crate::service::{Outcome, Service};
use crate::websocket::frame::push_text;

impl<S: Service> Shard<S> {
    /// Starts an operation.
    pub(super) fn start(&mut self, key: SocketKey, id: OperationId, request: SubscribePayload) {
        let socket = &mut self.sockets[key];
        let caller = socket
            .caller
            .as_ref()
            .expect("a client starts operations once it is acknowledged");

        // The number and not the id: a client may complete an operation and begin another of the same id while the
        // result of the first is on its way.
        let number = socket.next_operation;
        socket.next_operation += 1;

        let positions = wants_positions(&request.extensions);
        let execution = self.shared.service.execute(caller, request);
        let inbox = self.inbox.clone();
        let task = OwnedTask::start(async move {
            let outcome = AssertUnwindSafe(execution).catch_unwind().await;
            // An operation that panicked would otherwise never end at its client.
            let outcome = outcome.unwrap_or(Outcome::TryLater);
            inbox.send(Command::Executed {
                socket: key,
                operation: number,
                outcome,
            });
        });

        socket.operations.push(Operation {
            id,
            number,
            positions,
            state: OperationState::Executing { _task: task },
        });
    }

    /// Takes what came of an operation.
    pub(super) fn on_executed(&mut self, key: SocketKey, number: u64, outcome: Outcome<S::Permit>) {
        let socket = &mut self.sockets[key];
        // The client may have completed it meanwhile.
        let Some(index) = socket.operations.iter().position(|it| it.number == number) else {
            return;
        };

        match outcome {
            Outcome::Subscribed(subscriber) => self.on_subscribed(key, index, subscriber),
            Outcome::Response { json, permit } => {
                let operation = socket.operations.swap_remove(index);
                self.respond(key, &operation.id, &json, permit);
            }
            Outcome::Rejected(errors) => {
                let operation = socket.operations.swap_remove(index);
                self.fail(key, &operation.id, &errors);
            }
            Outcome::TryLater => {
                let reason = "A subscription cannot begin now".to_owned();
                self.close_with_reason(key, CloseCode::Overloaded, reason);
            }
        }

        // It may have been the last one that a drain has waited for.
        self.close_if_drained(key);
        self.flush(key);
    }

    fn on_subscribed(&mut self, key: SocketKey, index: usize, subscriber: Box<Subscriber>) {
        let Operation { id, positions, .. } = &self.sockets[key].operations[index];
        let compresses = self.sockets[key].compresses;
        let wire = Wire::web_socket(next_header(id), *positions, compresses);

        let subscription = Subscription::new(key, subscriber, wire, self.place);
        let subscription = self.add_subscription(subscription);
        self.sockets[key].operations[index].state = OperationState::Subscribed(subscription);
    }

    /// Sends the only result of an operation, and its end.
    fn respond(&mut self, key: SocketKey, id: &OperationId, json: &str, permit: S::Permit) {
        let socket = &mut self.sockets[key];
        let Kind::WebSocket(protocol) = &mut socket.kind else {
            return;
        };

        let mut frames = Vec::new();
        push_text(
            &mut frames,
            &[next_header(id).as_str(), json, NextHeader::TAIL],
        );
        // In the same write.
        if let Some(Action::Send(complete)) = protocol.operation_finished(id) {
            push_text(&mut frames, &[complete.as_str()]);
        }

        socket.outgoing.push(frames, Some(permit));
        self.shared.metrics.messages.inc_by(2);
    }

    /// Ends an operation with errors, a JSON array.
    pub(super) fn fail(&mut self, key: SocketKey, id: &OperationId, errors: &RawValue) {
        let socket = &mut self.sockets[key];

        match &mut socket.kind {
            Kind::WebSocket(protocol) => {
                let action = protocol.operation_failed(id, errors);
                self.perform(key, action);
            }
            // The errors are the last event, after which the stream ends.
            Kind::EventStream => {
                socket
                    .outgoing
                    .push(event_stream::failed(errors.get()), None);
                socket.phase = Phase::Closed;
            }
        }
    }

    /// Ends an operation that the client has completed.
    pub(super) fn stop(&mut self, key: SocketKey, id: &OperationId) {
        let operations = &mut self.sockets[key].operations;
        let stopped = operations.iter().position(|it| it.id == *id);

        if let Some(index) = stopped {
            let operation = operations.swap_remove(index);
            self.end_subscription(&operation);
        }
        self.close_if_drained(key);
    }

    /// Ends all operations of a socket.
    pub(super) fn stop_all(&mut self, key: SocketKey) {
        for operation in std::mem::take(&mut self.sockets[key].operations) {
            self.end_subscription(&operation);
        }
    }

    /// Adds a subscription to those that changes are written to.
    pub(super) fn add_subscription(&mut self, subscription: Subscription) -> SubscriptionKey {
        // From the shard's place on, wherever the subscription begins: what it has missed it reads by itself, whoever
        // follows what.
        let topics = subscription.subscriber.topics(self.place.0);
        let key = self.subscriptions.insert(subscription);

        self.interest.follow(key, &topics);
        key
    }

    /// Removes the subscription of an operation, if it has one.
    pub(super) fn end_subscription(&mut self, operation: &Operation) {
        if let OperationState::Subscribed(key) = operation.state {
            self.interest.remove(key);
            self.subscriptions.remove(key);
        }
    }

    /// Reads the feed's table for a subscription that is behind the ring.
    pub(super) fn start_table_read(&mut self, key: SubscriptionKey, floor: u64) {
        let subscription = &mut self.subscriptions[key];
        let feed = &self.shared.feed;
        let read = subscription
            .subscriber
            .read_behind(feed, subscription.read_from(), floor);

        let inbox = self.inbox.clone();
        let task = OwnedTask::start(async move {
            let result = read.await;
            inbox.send(Command::TableRead(key, result));
        });
        subscription.reading = Reading::Table { _task: task };
    }

    pub(super) fn on_table_read(
        &mut self,
        key: SubscriptionKey,
        result: Result<Found, SubscribeError>,
    ) {
        let subscription = &mut self.subscriptions[key];
        let socket = subscription.socket;

        match result {
            Ok((changes, reached)) => {
                subscription.reading = Reading::Slice(changes, reached);
                self.add_turn(socket);
            }
            // The only reason why a read gives up.
            Err(_) => {
                let operations = &mut self.sockets[socket].operations;
                let is_it = |operation: &Operation| matches!(operation.state, OperationState::Subscribed(it) if it == key);
                if let Some(index) = operations.iter().position(is_it) {
                    let operation = operations.swap_remove(index);
                    self.end_subscription(&operation);
                    let errors = self.shared.service.expired();
                    self.fail(socket, &operation.id, &errors);
                    self.flush(socket);
                }
            }
        }
    }
}
