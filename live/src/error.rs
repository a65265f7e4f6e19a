//! Reasons why a subscription cannot begin or go on, as data: the gateway maps them to its codes.

use backbone::Error;

/// Reason why a subscription ended or could not begin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The gateway has not read the feed yet. Nothing is lost; the client tries again.
    #[error("the feed has not been loaded yet")]
    NotReady,
    /// The position belongs to another market or to an earlier log of this one.
    #[error("is a position of another market")]
    OtherMarket,
    /// The position lies beyond the head of the log.
    #[error("is a position that the market has not reached")]
    NotReached,
    /// Changes since the position are no longer kept.
    #[error("changes since that position are no longer kept")]
    Expired,
    /// A store is away or broken.
    #[error(transparent)]
    Store(#[from] Error),
}
