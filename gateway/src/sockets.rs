//! The gateway behind its websockets and event streams: authenticates clients and executes their operations.

mod credentials;

use backbone::telemetry::TraceContext;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use sockets::protocol::SubscribePayload;
use sockets::{Caller as SocketCaller, Outcome, Refusal, Service};
use tokio::sync::watch;

use crate::admission::Permit;
use crate::auth::{Connection, KeyRing, Principal};
use crate::error::Problem;
use crate::graphql::{Caller, Execution, Executor, GraphqlRequest, RequestRules};

pub use credentials::HeaderKey;

/// Sockets of a gateway.
pub type Sockets = sockets::Sockets<SocketService>;

/// The gateway as its sockets see it.
pub struct SocketService {
    keys: KeyRing,
    executor: Executor,
}

/// Client of a socket, whose connection counts against its account's until this is dropped.
pub struct Client {
    principal: Principal,
    _connection: Connection,
}

impl SocketService {
    /// Builds the service.
    pub fn new(keys: KeyRing, executor: Executor) -> Self {
        Self { keys, executor }
    }
}

impl Client {
    /// Makes a client of a principal.
    ///
    /// # Errors
    /// RATE_LIMITED when the key holds as many connections as it may.
    pub fn connect(principal: Principal) -> Result<Self, Problem> {
        Ok(Self {
            _connection: principal.connect()?,
            principal,
        })
    }
}

impl SocketCaller for Client {
    fn is_revoked(&self) -> bool {
        self.principal.is_revoked()
    }

    fn is_trusted(&self) -> bool {
        self.principal.is_trusted()
    }
}

impl Service for SocketService {
    type Caller = Client;
    type Credentials = HeaderKey;
    type Permit = Permit;

    async fn authenticate(
        &self,
        payload: Option<Map<String, Value>>,
        headers: HeaderKey,
    ) -> Result<Client, Refusal> {
        let key = credentials::authenticate(&self.keys, payload.as_ref(), &headers).await;
        let client = key.and_then(Client::connect);

        client.map_err(|problem| {
            if problem.retryable {
                Refusal::TryLater(problem.message)
            } else {
                Refusal::Rejected
            }
        })
    }

    fn execute(
        &self,
        client: &Client,
        request: SubscribePayload,
    ) -> impl Future<Output = Outcome<Permit>> + Send + use<> {
        let executor = self.executor.clone();
        let caller = Caller {
            principal: Some(client.principal.clone()),
            trace: TraceContext::root(),
        };
        let request = GraphqlRequest {
            query: request.query,
            document_id: request.document_id,
            operation_name: request.operation_name,
            variables: Some(request.variables),
            extensions: Some(request.extensions),
        };
        // Now, while the message is handled, and not when the task below runs.
        let rules = RequestRules {
            streams: true,
            arrived: executor.tip(),
            ..RequestRules::default()
        };

        async move {
            match executor.execute(request, caller, rules).await {
                Execution::Response(executed, permit) => Outcome::Response {
                    json: executed.json,
                    permit,
                },
                Execution::Rejected(errors) => Outcome::Rejected(raw(&errors)),
                Execution::Subscription(subscriber) => Outcome::Subscribed(subscriber),
                Execution::TryLater(_) => Outcome::TryLater,
            }
        }
    }

    fn expired(&self) -> Box<RawValue> {
        let problem = Problem::from(live::SubscribeError::Expired);
        raw(&[problem.into()])
    }

    fn key_changes(&self) -> watch::Receiver<u64> {
        self.keys.changes()
    }
}

fn raw(errors: &[async_graphql::ServerError]) -> Box<RawValue> {
    to_raw_value(errors).expect("GraphQL errors are always valid JSON")
}
