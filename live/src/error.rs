//! Reasons why a subscription cannot begin or go on, as data: the gateway maps them to its codes.

use backbone::Error;

/// Reason why a subscription ended or could not begin.
///
/// The text of [`SubscribeError::NotReached`] completes a sentence that begins with the name of the argument.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The gateway has not loaded the feed yet. Nothing is lost; the client tries again.
    #[error("The feed has not been loaded yet; try again in a moment")]
    NotReady,
    /// The position belongs to an earlier epoch of the market's log, or to another market.
    #[error(
        "This position is not one of the market's present log; query again, then subscribe from the position of that response"
    )]
    OtherLog,
    /// The position lies beyond the head of the log.
    #[error("lies beyond the newest position of this market")]
    NotReached,
    /// Changes since the position are no longer kept.
    #[error("Changes since that position are no longer kept")]
    Expired,
    /// A store is unavailable or broken.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Reason why a buyer's read has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// A position, or the page that a cursor is of, belongs to an earlier epoch of the market's log, or to another market.
    #[error("{argument} is not of the market's present log; query again without it")]
    OtherLog {
        /// Name of the argument that holds it.
        argument: &'static str,
    },
    /// The data does not include what the answer must show. It will soon, unless something is down.
    #[error("The data has not reached the position that was asked for yet; try again shortly")]
    NotReached,
    /// A store is unavailable or broken.
    #[error(transparent)]
    Store(#[from] Error),
}
