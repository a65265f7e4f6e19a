//! A deal together with the event that made its state.

use std::sync::Arc;

use crate::contract::Deal;
use crate::position::Sequence;

/// A deal as the tables or the feed hold it, with the event that made this state.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDeal {
    /// State of the deal.
    pub deal: Arc<Deal>,
    /// Sequence of the event that made the state. A deal has only one state for a sequence.
    pub sequence: Sequence,
}
