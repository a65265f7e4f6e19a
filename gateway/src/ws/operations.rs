//! Operations of one socket, side by side.
//!
//! Operations take turns: each poll begins after the operation that produced output last, so one with much to push does
//! not starve the others. Nothing queues here. A subscription is polled again only after its last output was written, and
//! until then it is a position in the feed: this is the gateway's back-pressure.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_graphql::ServerError;
use backbone::position::Position;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use live::{Subscriber, Updates};
use serde_json::value::{RawValue, to_raw_value};

use super::protocol::OperationId;
use super::protocol::frame::{self, NextHeader};
use crate::error::Problem;
use crate::graphql::Execution;

/// Active operations of one socket.
#[derive(Default)]
pub(super) struct Operations {
    // A list: a socket has few operations, and polling visits all of them anyway.
    active: Vec<Operation>,
    /// Index of the operation that is polled first the next time.
    next: usize,
}

struct Operation {
    id: OperationId,
    header: Arc<NextHeader>,
    state: State,
}

enum State {
    /// A query or mutation executes, or a subscription is being opened.
    // Boxed: what starting takes is large and given back when it is done, while the subscription may last for days.
    Starting(BoxFuture<'static, Execution>),
    Subscribed(Box<Subscriber>),
}

/// Output of an operation.
pub(super) enum OperationOutput {
    /// Results of a subscription, in order, with the header of their messages.
    Next(Arc<NextHeader>, Updates),
    /// The only result of a query or mutation, as JSON, with the header of its message. The operation ends.
    Only(Arc<NextHeader>, String),
    /// GraphQL errors, as a JSON array. The operation ends.
    Failed(Box<RawValue>),
}

impl Operations {
    /// Adds an operation.
    pub(super) fn start(&mut self, id: OperationId, execution: BoxFuture<'static, Execution>) {
        let header = Arc::new(frame::next_header(&id));
        self.active.push(Operation {
            id,
            header,
            state: State::Starting(execution),
        });
    }

    /// Drops an operation.
    pub(super) fn stop(&mut self, id: &str) {
        // Dropping the future or the subscriber cancels it; a parked subscriber leaves the wake-up index.
        self.active.retain(|operation| &*operation.id != id);
    }

    /// Drops all operations.
    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// Returns whether every subscription has seen everything up to `tip`, a tip that was read before this call; `None`
    /// if there is no subscription.
    pub(super) fn are_caught_up_with(&self, tip: Position) -> Option<bool> {
        let caught_up = self
            .active
            .iter()
            .filter_map(|operation| match &operation.state {
                State::Subscribed(subscriber) => Some(subscriber.is_caught_up_with(tip)),
                State::Starting(_) => None,
            });

        // An operation that is starting is left out: it has no position yet, and begins at the tip or where it is told.
        caught_up.reduce(|all, one| all && one)
    }

    /// Polls the operations in turn for the next output. An operation that ends is dropped.
    pub(super) fn poll_output(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<(OperationId, OperationOutput)> {
        let count = self.active.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            let operation = &mut self.active[index];
            let Poll::Ready(output) = operation.poll_output(context) else {
                continue;
            };

            let id = Arc::clone(&operation.id);
            // Advanced past the operation that spoke, so that the others come first the next time.
            self.next = index + 1;
            if !matches!(output, OperationOutput::Next(..)) {
                // The operation behind the removed one moves to its index, and its turn is next.
                self.active.remove(index);
                self.next = index;
            }
            return Poll::Ready((id, output));
        }

        Poll::Pending
    }
}

impl Operation {
    fn poll_output(&mut self, context: &mut Context<'_>) -> Poll<OperationOutput> {
        loop {
            let subscriber = match &mut self.state {
                State::Subscribed(subscriber) => subscriber,
                State::Starting(execution) => match ready!(execution.poll_unpin(context)) {
                    Execution::Response(response) => {
                        let header = Arc::clone(&self.header);
                        return Poll::Ready(OperationOutput::Only(header, response));
                    }
                    Execution::Rejected(errors) => return Poll::Ready(failed(&errors)),
                    Execution::Subscription(subscriber) => {
                        // Polled at once: until then it has registered no waker, and would sleep for ever.
                        self.state = State::Subscribed(subscriber);
                        continue;
                    }
                },
            };

            return subscriber.poll_next(context).map(|updates| match updates {
                Ok(updates) => OperationOutput::Next(Arc::clone(&self.header), updates),
                Err(error) => failed(&[Problem::from(error).into()]),
            });
        }
    }
}

fn failed(errors: &[ServerError]) -> OperationOutput {
    OperationOutput::Failed(to_raw_value(errors).expect("GraphQL errors are always valid JSON"))
}
