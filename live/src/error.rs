//! Reasons why a subscription cannot begin or go on, as data: the gateway maps them to its codes.

use backbone::Error;

/// Reason why a subscription ended or could not begin.
///
/// The texts of [`SubscribeError::OtherMarket`] and [`SubscribeError::NotReached`] complete a sentence that begins with
/// the name of the argument, as in "after belongs to another market".
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The gateway has not loaded the feed yet. Nothing is lost; the client tries again.
    #[error("The feed has not been loaded yet; try again in a moment")]
    NotReady,
    /// The position belongs to another market or to an earlier log of this one.
    #[error("belongs to another market")]
    OtherMarket,
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
