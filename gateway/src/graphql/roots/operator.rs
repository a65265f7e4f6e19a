//! Root fields by which administrators look at the event log, and decide about events that cannot be applied.

use async_graphql::ID;
use backbone::contract::OperatorNote;
use backbone::dead_events::{Decisions, Refused};
use backbone::position::{Position, Sequence};
use serde::Deserialize;

use crate::error::{Code, Problem};
use crate::graphql::connection::{DEFAULT_PAGE, MAX_PAGE, PAGE_OUT_OF_RANGE};
use crate::graphql::context::RootContext;
use crate::graphql::operator::{
    DeadEvent, EventDecisionPayload, ProjectionState, Side, StoredEvent,
};

/// Message for a value that is not the number of an event, to follow the path of the value.
const NOT_A_SEQUENCE: &str = "must be the number of an event, such as 42";

/// Arguments of `deadEvents`.
#[derive(Deserialize)]
pub(in crate::graphql) struct DeadEventsArgs {
    pub(in crate::graphql) side: Side,
    pub(in crate::graphql) settled: bool,
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<ID>,
}

/// Arguments of `storedEvent`.
#[derive(Deserialize)]
pub(in crate::graphql) struct EventArgs {
    pub(in crate::graphql) sequence: ID,
}

/// Arguments of `repairEvent`, `skipEvent` and `discardEvent`.
#[derive(Deserialize)]
pub(in crate::graphql) struct DecisionArgs {
    pub(in crate::graphql) sequence: ID,
    pub(in crate::graphql) why: String,
    pub(in crate::graphql) by: Option<String>,
}

/// Reads how far the tables of both sides are.
pub(in crate::graphql) async fn projections(
    context: RootContext<'_>,
) -> Result<Option<Vec<ProjectionState>>, Problem> {
    context.principal()?.admin()?;

    let services = context.services;
    let sellers = services.read(services.sellers.checkpoint()).await?;
    let buyers = services.read(services.buyers.checkpoint()).await?;
    // Read last, so that no side is ahead of it.
    let head = services.read(services.log.head()).await?;

    let state = |side, checkpoint: backbone::checkpoint::Checkpoint| ProjectionState {
        side,
        sequence: checkpoint.position.into(),
        head: head.into(),
        generation: checkpoint.generation,
    };
    Ok(Some(vec![
        state(Side::Seller, sellers),
        state(Side::Buyer, buyers),
    ]))
}

/// Reads the events that the tables of a side have set aside.
pub(in crate::graphql) async fn dead_events(
    context: RootContext<'_>,
    arguments: DeadEventsArgs,
) -> Result<Option<Vec<DeadEvent>>, Problem> {
    context.principal()?.admin()?;
    let DeadEventsArgs {
        side,
        settled,
        first,
        after,
    } = arguments;
    let after = after.map_or(Ok(0), |after| parse_sequence("after", &after))?;
    let first = first.unwrap_or(DEFAULT_PAGE);
    if !(0..=MAX_PAGE).contains(&first) {
        return Err(Problem::input("first", PAGE_OUT_OF_RANGE));
    }
    let limit = first as u32;

    let services = context.services;
    let dead = match side {
        Side::Seller => {
            let page = services.sellers.dead_events(after, limit, settled);
            services.read(page).await?
        }
        Side::Buyer => {
            let page = services.buyers.dead_events(after, limit, settled);
            services.read(page).await?
        }
    };
    let dead = dead.into_iter().map(|dead| DeadEvent::new(side, dead));
    Ok(Some(dead.collect()))
}

/// Reads an event as the log stores it.
pub(in crate::graphql) async fn stored_event(
    context: RootContext<'_>,
    arguments: EventArgs,
) -> Result<Option<StoredEvent>, Problem> {
    context.principal()?.admin()?;
    let sequence = parse_sequence("sequence", &arguments.sequence)?;

    let services = context.services;
    let record = services.read(services.log.get(sequence)).await?;
    Ok(record.map(StoredEvent::from))
}

/// Repairs the deal or access of an event from its newest readable state.
pub(in crate::graphql) async fn repair_event(
    context: RootContext<'_>,
    arguments: DecisionArgs,
) -> Result<EventDecisionPayload, Problem> {
    let (sequence, note) = arguments.check(context)?;
    let decided = decisions(context).repair(sequence, note).await;
    payload(arguments.sequence, decided)
}

/// Lets projections that wait at an event go on without it.
pub(in crate::graphql) async fn skip_event(
    context: RootContext<'_>,
    arguments: DecisionArgs,
) -> Result<EventDecisionPayload, Problem> {
    let (sequence, note) = arguments.check(context)?;
    let decided = decisions(context).skip(sequence, note).await;
    payload(arguments.sequence, decided)
}

/// Gives up the dead events of an event's deal or access.
pub(in crate::graphql) async fn discard_event(
    context: RootContext<'_>,
    arguments: DecisionArgs,
) -> Result<EventDecisionPayload, Problem> {
    let (sequence, note) = arguments.check(context)?;
    let decided = decisions(context).discard(sequence, note).await;
    payload(arguments.sequence, decided)
}

fn decisions(context: RootContext<'_>) -> Decisions {
    let services = context.services;
    Decisions::new(services.log.clone(), services.buyers.clock().clone())
}

fn payload(
    sequence: ID,
    decided: Result<Position, Refused>,
) -> Result<EventDecisionPayload, Problem> {
    let position = decided?.into();
    Ok(EventDecisionPayload { sequence, position })
}

fn parse_sequence(path: &str, id: &ID) -> Result<Sequence, Problem> {
    let sequence: Option<Sequence> = id.parse().ok();
    // The log counts in signed 64-bit integers, from 1.
    sequence
        .filter(|sequence| (1..=i64::MAX as u64).contains(sequence))
        .ok_or_else(|| Problem::input(path, NOT_A_SEQUENCE))
}

impl DecisionArgs {
    /// Checks the caller and the arguments. Returns the event, and the note that the log keeps.
    fn check(&self, context: RootContext<'_>) -> Result<(Sequence, OperatorNote), Problem> {
        let caller = context.principal()?;
        caller.admin()?;
        let sequence = parse_sequence("sequence", &self.sequence)?;

        // The account is what was authenticated; a name is what its holder says.
        let account = format!("{} {}", caller.name(), caller.id());
        let note = OperatorNote::new(self.by.as_deref().unwrap_or(&account), &self.why);
        let note = note.map_err(Problem::inputs)?;
        let by = match &self.by {
            Some(_) => format!("{} ({account})", note.by),
            None => note.by,
        };
        Ok((sequence, OperatorNote { by, ..note }))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoEvent(_) => Self::new(Code::NotFound, refused.to_string()),
            Refused::NoState(_) | Refused::NothingReadable(_) => {
                Self::input("sequence", format!("cannot be repaired: {refused}"))
            }
            Refused::Store(error) => error.into(),
        }
    }
}
