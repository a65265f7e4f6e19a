//! Replays: jobs that send finished deliveries of an endpoint again.
//!
//! A replay works in steps, each one transaction: any number of processes may take steps, and one
//! that ends in the middle leaves nothing behind. Deliveries are selected in the order of their
//! changes and opened a few at a time, at most one of each deal, so that a replay keeps the order of
//! each deal and never stands before live deliveries.

mod end;
mod job;
mod queue;
mod start;
mod step;
mod tracked;

pub(crate) use end::cancel;
pub(crate) use job::list;
pub use job::{Replay, ReplayRequest, ReplayState};
pub(crate) use start::start;
pub(crate) use step::{is_due, step};
