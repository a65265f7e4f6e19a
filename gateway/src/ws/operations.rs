//! The operations of one socket, side by side: those that begin or run, and those that are live. Each in its turn gets
//! to say something; none is asked for more before what it gave is written.

use std::sync::Arc;
use std::task::{Context, Poll};

use async_graphql::{Response, ServerError};
use backbone::position::Position;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::value::{RawValue, to_raw_value};

use super::protocol::OperationId;
use super::protocol::frame::{self, NextHeader};
use crate::error::Problem;
use crate::graphql::Live;
use live::{Subscriber, Updates};

/// Those of one socket. They are few, and looked at one after the other.
#[derive(Default)]
pub(super) struct Operations {
    all: Vec<Operation>,
    /// Whose turn it is.
    turn: usize,
}

struct Operation {
    id: OperationId,
    header: Arc<NextHeader>,
    state: State,
}

enum State {
    /// A query or a mutation is executed, or a subscription begins.
    Begun(BoxFuture<'static, Live>),
    Live(Box<Subscriber>),
}

/// Something an operation has to say.
pub(super) enum Said {
    /// Results of a subscription, in order, as JSON, and what comes before each of them.
    Next(Arc<NextHeader>, Updates),
    /// The one result of a query or mutation, as JSON, which is its end.
    Only(Arc<NextHeader>, String),
    /// It ends with these errors, a JSON list.
    Failed(Box<RawValue>),
}

impl Operations {
    /// Begins one.
    pub(super) fn begin(&mut self, id: OperationId, begun: BoxFuture<'static, Live>) {
        let header = Arc::new(frame::next_header(&id));
        self.all.push(Operation {
            id,
            header,
            state: State::Begun(begun),
        });
    }

    /// Drops one.
    pub(super) fn stop(&mut self, id: &str) {
        self.all.retain(|operation| &*operation.id != id);
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Whether a tip that was read before this was asked is the position of all that are live; none when none is.
    pub(super) fn are_caught_up_with(&self, tip: Position) -> Option<bool> {
        let live = self
            .all
            .iter()
            .filter_map(|operation| match &operation.state {
                State::Live(subscriber) => Some(subscriber.is_caught_up_with(tip)),
                State::Begun(_) => None,
            });
        live.reduce(|all, one| all && one)
    }

    /// What the next of them has to say. One that ends is dropped.
    pub(super) fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<(OperationId, Said)> {
        for step in 0..self.all.len() {
            let at = (self.turn + step) % self.all.len();
            let operation = &mut self.all[at];
            let Poll::Ready(said) = operation.poll_said(context) else {
                continue;
            };
            let id = Arc::clone(&operation.id);
            self.turn = at + 1;
            if !matches!(said, Said::Next(..)) {
                self.all.remove(at);
                self.turn = at;
            }
            return Poll::Ready((id, said));
        }
        Poll::Pending
    }
}

impl Operation {
    fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        loop {
            let subscriber = match &mut self.state {
                State::Live(subscriber) => subscriber,
                State::Begun(begun) => match std::task::ready!(begun.poll_unpin(context)) {
                    Live::Once(response) => {
                        return Poll::Ready(Said::Only(Arc::clone(&self.header), json(&response)));
                    }
                    Live::Refused(errors) => return Poll::Ready(failed(&errors)),
                    Live::Subscriber(subscriber) => {
                        self.state = State::Live(subscriber);
                        continue;
                    }
                },
            };
            return subscriber.poll_next(context).map(|results| match results {
                Ok(results) => Said::Next(Arc::clone(&self.header), results),
                Err(error) => failed(&[Problem::from(error).into()]),
            });
        }
    }
}

fn failed(errors: &[ServerError]) -> Said {
    Said::Failed(to_raw_value(errors).expect("errors are JSON"))
}

fn json(response: &Response) -> String {
    serde_json::to_string(response).expect("a response is JSON")
}
