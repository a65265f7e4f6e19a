//! Interface of the gateway behind the sockets. The crate knows neither API keys nor GraphQL.

use live::Subscriber;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::protocol::SubscribePayload;

/// The gateway behind the sockets.
pub trait Service: Send + Sync + 'static {
    /// Authenticated client. Dropped when its socket ends, and with it what it counts.
    type Caller: Caller;
    /// Credentials that came with the request that opened the socket.
    type Credentials: Send + 'static;
    /// Share of the gateway that an operation takes until its result has been written.
    type Permit: Send + 'static;

    /// Authenticates a client by the payload of its `connection_init` and by the credentials of its request.
    fn authenticate(
        &self,
        payload: Option<Map<String, Value>>,
        credentials: Self::Credentials,
    ) -> impl Future<Output = Result<Self::Caller, Refusal>> + Send;

    /// Executes an operation. Must end by itself; dropping the future gives up what can be given up.
    fn execute(
        &self,
        caller: &Self::Caller,
        request: SubscribePayload,
    ) -> impl Future<Output = Outcome<Self::Permit>> + Send + use<Self>;

    /// Returns the errors of a subscription that cannot go on because its position is no longer kept, as a JSON array.
    fn expired(&self) -> Box<RawValue>;

    /// Returns a receiver that changes whenever any caller may have been revoked, or may be trusted or not.
    fn key_changes(&self) -> watch::Receiver<u64>;
}

/// An authenticated client.
pub trait Caller: Send + Sync + 'static {
    /// Returns whether the client may see nothing any more.
    fn is_revoked(&self) -> bool;

    /// Returns whether the client's key is confirmed now. Pushes wait while it is not.
    fn is_trusted(&self) -> bool;
}

/// Reason why a client was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Credentials that are wrong.
    Rejected,
    /// Outage or limit: the client cannot be accepted now.
    TryLater(String),
}

/// End of what an operation does at first.
pub enum Outcome<P> {
    /// The result of a query or mutation, as JSON.
    Response {
        /// The result.
        json: String,
        /// Held until the result has been written.
        permit: P,
    },
    /// GraphQL errors, as a JSON array: nothing was executed.
    Rejected(Box<RawValue>),
    /// A subscription has begun.
    Subscribed(Box<Subscriber>),
    /// A subscription cannot begin now. The socket closes, and its client comes back with all of them.
    TryLater,
}
