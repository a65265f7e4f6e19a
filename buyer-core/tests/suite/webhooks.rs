//! Webhooks: endpoints, what they are owed, who sends it, and that the sums hold.

mod accounting;
mod calls;
mod endpoints;
mod kit;
mod leases;
mod owed;
mod replays;
mod trouble;
