//! The event log of the oracle's world, as administrators see it.

use axum::body::Bytes;
use backbone::contract::wire::{Message, Undecodable};
use backbone::dead_events;
use backbone::event_log::Record;
use backbone::position::Sequence;
use serde::Deserialize;

use crate::graphql::operator::{DeadEvent, ProjectionState, Side, StoredEvent};

/// Size of a page without `first`.
const DEFAULT_PAGE: i32 = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorldLog {
    projections: Vec<WorldProjection>,
    dead_events: Vec<WorldDeadEvent>,
    stored_event: WorldStoredEvent,
}

#[derive(Deserialize)]
struct WorldProjection {
    side: Side,
    sequence: Sequence,
    head: Sequence,
    generation: i32,
}

#[derive(Deserialize)]
struct WorldDeadEvent {
    sequence: Sequence,
    subject: String,
    reason: String,
    settled: bool,
}

#[derive(Deserialize)]
struct WorldStoredEvent {
    sequence: Sequence,
    subject: String,
    problem: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl WorldLog {
    pub(super) fn projections(&self) -> Vec<ProjectionState> {
        let states = self.projections.iter();
        states
            .map(|state| ProjectionState {
                side: state.side,
                sequence: state.sequence.into(),
                head: state.head.into(),
                generation: state.generation,
            })
            .collect()
    }

    pub(super) fn dead_events(&self, side: Side, first: Option<i32>) -> Vec<DeadEvent> {
        let size = usize::try_from(first.unwrap_or(DEFAULT_PAGE)).unwrap_or(0);
        let dead = self.dead_events.iter().take(size);

        dead.map(|dead| {
            let dead = dead_events::DeadEvent {
                sequence: dead.sequence,
                subject: dead.subject.clone(),
                reason: dead.reason.clone(),
                settled: dead.settled,
            };
            DeadEvent::new(side, dead)
        })
        .collect()
    }

    pub(super) fn stored_event(&self) -> StoredEvent {
        let stored = &self.stored_event;
        let headers = stored.headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name.into(), value));

        let record = Record {
            sequence: stored.sequence,
            subject: stored.subject.clone(),
            event: Err(Undecodable::Corrupt(stored.problem.clone())),
            message: Message {
                headers: headers.collect(),
                body: Bytes::from(stored.body.clone()),
            },
        };
        record.into()
    }
}
