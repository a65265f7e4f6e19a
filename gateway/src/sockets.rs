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
use crate::error::{Code, Problem};
use crate::graphql::{Caller, Execution, Executor, GraphqlRequest, RequestRules};
use crate::origin::Origin;
use crate::rates::{Payer, Rates};

pub use credentials::{Credentials, HeaderKey};

/// Sockets of a gateway.
pub type Sockets = sockets::Sockets<SocketService>;

/// The gateway as its sockets see it.
pub struct SocketService {
    keys: KeyRing,
    executor: Executor,
    rates: Rates,
}

/// Client of a socket, whose connection counts against its account's until this is dropped.
pub struct Client {
    principal: Principal,
    origin: Origin,
    _connection: Connection,
}

impl SocketService {
    /// Builds the service.
    pub fn new(keys: KeyRing, executor: Executor, rates: Rates) -> Self {
        Self {
            keys,
            executor,
            rates,
        }
    }

    /// Authenticates a client within the limits of its network and its account.
    async fn client(
        &self,
        payload: Option<&Map<String, Value>>,
        credentials: Credentials,
    ) -> Result<Client, Problem> {
        let Credentials { key, origin } = credentials;
        let network = origin.network();

        let turn = if self.rates.is_suspect(network) {
            self.rates.turn().await
        } else {
            None
        };
        let principal = credentials::authenticate(&self.keys, payload, &key).await;
        drop(turn);

        let principal = principal.or_else(|problem| match problem.code {
            Code::Unauthenticated => self.rates.failed_key(network).and(Err(problem)),
            _ => Err(problem),
        })?;
        self.rates.handshake(Some(Payer::Account(principal.id())))?;

        Client::connect(principal, origin.with_payload(payload))
    }
}

impl Client {
    /// Makes a client of a principal.
    ///
    /// # Errors
    /// RATE_LIMITED when the key holds as many connections as it may.
    pub fn connect(principal: Principal, origin: Origin) -> Result<Self, Problem> {
        Ok(Self {
            _connection: principal.connect()?,
            principal,
            origin,
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
    type Credentials = Credentials;
    type Permit = Permit;

    async fn authenticate(
        &self,
        payload: Option<Map<String, Value>>,
        credentials: Credentials,
    ) -> Result<Client, Refusal> {
        let client = self.client(payload.as_ref(), credentials).await;

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
            origin: client.origin.clone(),
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
                // An error of the operation alone: the others of the socket go on.
                Execution::Limited(problem) => Outcome::Rejected(raw(&[problem.into()])),
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
