//! Execution of requests: documents are compiled once, variables bound, and the result written as bytes, or for a
//! subscription a subscriber of the live engine opened. Transports differ only in the envelope around the results.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::ServerError;
use backbone::position::Position;
use backbone::telemetry::Metrics;
use documents::{DocumentError, Documents, ErrorKind, Kept, Limits, OperationKind, Plan, Request};
use live::{Selection, Subscriber};
use tokio::time::{Instant, sleep, timeout};

use super::context::{Caller, RootContext};
use super::error_codes::{field_error, request_error};
use super::metrics::ExecutionMetrics;
use super::persisted::PersistedDocuments;
use super::request::GraphqlRequest;
use super::results::{Executed, Run};
use super::roots::{self, MarketRoots, Roots};
use super::schema::document_schema;
use super::selections::Selections;
use crate::admission::Permit;
use crate::auth;
use crate::error::{Code, Problem};
use crate::services::Services;

/// Answer to a subscription on a transport that can carry only one result.
const SUBSCRIPTION_NEEDS_STREAM: &str = "Subscriptions require a websocket (graphql-transport-ws) or the header Accept: text/event-stream";

/// Answer to a mutation by a method that must not change anything.
const MUTATION_NEEDS_POST: &str = "Mutations are not allowed with GET and QUERY; use POST";

/// Memory for the bytes of rendered objects, in bytes.
const KEPT_BYTES: u64 = 64 << 20;

/// Time that a query may take, longer than the longest wait for changes. Each read has a shorter limit of its own.
const QUERY_TIMEOUT: Duration = Duration::from_secs(40);

/// Time that a subscription waits for what it needs to begin, and pause between two attempts.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(100);

/// Limits of what one request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionLimits {
    /// Largest number of fields that a result can have, judged before execution.
    pub cost: u64,
    /// Largest result of a query, in bytes.
    pub result_bytes: usize,
}

/// Executor of GraphQL requests. Clones share their caches.
#[derive(Clone)]
pub struct Executor(Arc<Shared>);

struct Shared {
    documents: Documents,
    persisted: PersistedDocuments,
    limits: ExecutionLimits,
    roots: MarketRoots,
    kept: Arc<Kept>,
    selections: Selections,
    metrics: ExecutionMetrics,
}

/// Execution of a request.
pub enum Execution {
    /// The only result, of a query or mutation. The operation counts as under way until the permit is dropped.
    Response(Executed, Permit),
    /// Request errors: there is no data.
    Rejected(Vec<ServerError>),
    /// An open subscription.
    Subscription(Box<Subscriber>),
    /// A subscription cannot begin now, for a reason that passes. An error would end it at stock clients, so the transport
    /// fails instead, and they come back.
    TryLater(Problem),
}

/// Transport-dependent rules for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestRules<'a> {
    /// True if mutations are rejected.
    pub readonly: bool,
    /// True if the transport can carry the results of a subscription.
    pub streams: bool,
    /// Id of the last event that the client has received, after which a subscription begins.
    pub last_event: Option<&'a str>,
    /// Position after which a subscription begins that names none: the tip when its request arrived. What happens while
    /// it begins is then not missed.
    pub arrived: Option<Position>,
}

impl Executor {
    /// Creates an executor over the services behind the API.
    pub fn new(
        services: Services,
        limits: ExecutionLimits,
        persisted: PersistedDocuments,
        metrics: &Metrics,
    ) -> Self {
        let kept = Arc::new(Kept::new(KEPT_BYTES));

        Self(Arc::new(Shared {
            documents: Documents::new(document_schema(), Limits::default()),
            persisted,
            limits,
            roots: MarketRoots { services },
            selections: Selections::new(Arc::clone(&kept), metrics),
            kept,
            metrics: ExecutionMetrics::new(metrics),
        }))
    }

    /// Returns the newest position of the live feed; `None` before it is loaded.
    pub fn tip(&self) -> Option<Position> {
        self.0.roots.services.feed.tip()
    }

    /// Drops the bytes of rendered objects: tables that were built anew may hold another state of the same event.
    pub fn forget_rendered(&self) {
        self.0.kept.clear();
    }

    /// Executes a request or opens a subscription.
    ///
    /// A subscription begins after the last event that the client has received, or else where its arguments say.
    pub async fn execute(
        &self,
        request: GraphqlRequest,
        caller: Caller,
        rules: RequestRules<'_>,
    ) -> Execution {
        let executed = self.try_execute(request, &caller, rules).await;
        executed.unwrap_or_else(Execution::Rejected)
    }

    async fn try_execute(
        &self,
        request: GraphqlRequest,
        caller: &Caller,
        rules: RequestRules<'_>,
    ) -> Result<Execution, Vec<ServerError>> {
        let plan = self.plan(&request, caller)?;
        self.check_rules(&plan, rules)?;

        let variables = request.variables.unwrap_or_default();
        let schema = self.0.documents.schema();
        let request = plan
            .bind(schema, &variables)
            .map_err(|error| rejection(vec![error], caller))?;
        self.check_cost(&request)?;

        if request.kind() == OperationKind::Subscription {
            return self.subscribe(request, caller, rules).await;
        }
        self.answer(request, caller).await
    }

    /// Executes a query or mutation.
    async fn answer(
        &self,
        request: Request,
        caller: &Caller,
    ) -> Result<Execution, Vec<ServerError>> {
        let refused = |problem: Problem| vec![problem.into()];
        confirmed(caller).map_err(refused)?;
        let admission = &self.0.roots.services.admission;
        let permit = admission
            .enter(caller.principal.as_ref())
            .map_err(refused)?;

        let executed = match request.kind() {
            OperationKind::Mutation => {
                let executor = self.clone();
                let caller = caller.clone();
                // A task of its own: a client that leaves while it waits does not cut its mutation off half-way.
                let mutation = async move {
                    let executed = executor.run(&request, &caller).await;
                    executed.map(|response| (response, permit))
                };
                let lifecycle = &self.0.roots.services.lifecycle;
                let executed = lifecycle.complete("mutation", mutation).await;
                executed.unwrap_or_else(|failure| Err(refused(Problem::internal(failure))))
            }
            OperationKind::Query | OperationKind::Subscription => {
                let execution = self.run(&request, caller);
                let executed = timeout(QUERY_TIMEOUT, execution).await;
                executed
                    .unwrap_or_else(|_| Err(refused(took_too_long())))
                    .map(|response| (response, permit))
            }
        };

        executed.map(|(response, permit)| Execution::Response(response, permit))
    }

    fn plan(
        &self,
        request: &GraphqlRequest,
        caller: &Caller,
    ) -> Result<Arc<Plan>, Vec<ServerError>> {
        let persisted = &self.0.persisted;
        let document = persisted.resolve(request, caller);
        let document = document.map_err(|problem| vec![problem.into()])?;

        let planned = self.0.documents.plan(&document, request.operation());
        let planned = planned.map_err(|errors| rejection(errors, caller))?;

        // After the document turned out to be valid: others are not worth keeping.
        persisted.store(&document, caller);
        self.0.metrics.planned(planned.is_new);
        Ok(planned.plan)
    }

    fn check_rules(&self, plan: &Plan, rules: RequestRules<'_>) -> Result<(), Vec<ServerError>> {
        let problem = match plan.kind() {
            OperationKind::Mutation if rules.readonly => {
                Problem::new(Code::MethodNotAllowed, MUTATION_NEEDS_POST)
            }
            OperationKind::Subscription if !rules.streams => {
                Problem::new(Code::BadRequest, SUBSCRIPTION_NEEDS_STREAM)
            }
            _ => return Ok(()),
        };

        Err(vec![problem.into()])
    }

    fn check_cost(&self, request: &Request) -> Result<(), Vec<ServerError>> {
        let limit = self.0.limits.cost;
        let cost = request.cost(self.0.documents.schema());
        if cost <= limit {
            return Ok(());
        }

        let message = format!(
            "The result can have {cost} fields and at most {limit} are allowed; \
             select fewer fields or ask for smaller pages"
        );
        Err(vec![Problem::new(Code::QueryTooComplex, message).into()])
    }

    async fn run(&self, request: &Request, caller: &Caller) -> Result<Executed, Vec<ServerError>> {
        let shared = &*self.0;
        let run = Run {
            schema: shared.documents.schema(),
            request,
            roots: &shared.roots as &dyn Roots,
            caller,
        };

        // What a mutation has written must be told, whatever its size; its cost was judged before.
        let limit = match request.kind() {
            OperationKind::Mutation => usize::MAX,
            OperationKind::Query | OperationKind::Subscription => shared.limits.result_bytes,
        };
        let response = run.response(limit, &shared.kept).await;
        shared.metrics.observe(&shared.kept);

        response.map_err(|too_large| {
            let message = format!(
                "The result has more than {} bytes; select fewer fields or ask for smaller pages",
                too_large.limit
            );
            vec![Problem::new(Code::QueryTooComplex, message).into()]
        })
    }

    async fn subscribe(
        &self,
        request: Request,
        caller: &Caller,
        rules: RequestRules<'_>,
    ) -> Result<Execution, Vec<ServerError>> {
        let shared = &*self.0;
        let request = Arc::new(request);
        let root = &request.roots()[0];

        let mut subscription = self
            .subscription(&request, caller)
            .map_err(|problem| vec![field_error(root, problem)])?;

        // The last event wins over the argument `after`: an `EventSource` reconnects with its original URL, whose
        // position is that of the first connection.
        if let Some(id) = rules.last_event {
            let position = Position::decode(id);
            let malformed = || vec![Problem::input("Last-Event-ID", "must be a position").into()];
            subscription.after = Some(position.ok_or_else(malformed)?);
        }

        subscription.after = subscription.after.or(rules.arrived);

        let selection = shared.selections.get(&request, root);
        let until = Instant::now() + SUBSCRIBE_TIMEOUT;
        loop {
            let opened = self.open(&subscription, &selection, caller).await;
            match opened {
                Ok(subscriber) => return Ok(Execution::Subscription(Box::new(subscriber))),
                Err(problem) if !problem.retryable => return Err(vec![problem.into()]),
                Err(problem) if Instant::now() >= until => return Ok(Execution::TryLater(problem)),
                // Waited for here: the outage of a moment costs nobody a connection.
                Err(_) => sleep(SUBSCRIBE_PAUSE).await,
            }
        }
    }

    async fn open(
        &self,
        subscription: &live::Subscription,
        selection: &Arc<Selection>,
        caller: &Caller,
    ) -> Result<Subscriber, Problem> {
        confirmed(caller)?;

        let selection = Arc::clone(selection);
        let opened =
            Subscriber::open(&self.0.roots.services.feed, subscription.clone(), selection).await;
        Ok(opened?)
    }

    fn subscription(
        &self,
        request: &Request,
        caller: &Caller,
    ) -> Result<live::Subscription, Problem> {
        let context = RootContext {
            services: &self.0.roots.services,
            caller,
        };
        let root = &request.roots()[0];
        let arguments = request.arguments(root)?;

        match root.field() {
            "accessChanged" => roots::access_changed(context, roots::read(&arguments)?),
            _ => roots::deal_changed(context, roots::read(&arguments)?),
        }
    }
}

/// Checks that a caller's key is confirmed now: a socket may have been opened long before.
fn confirmed(caller: &Caller) -> Result<(), Problem> {
    match &caller.principal {
        Some(principal) if !principal.is_trusted() => Err(auth::unconfirmed()),
        _ => Ok(()),
    }
}

fn took_too_long() -> Problem {
    let message = "The query took too long; try again later, or ask for less";

    Problem::new(Code::Unavailable, message)
}

/// Returns the request errors for a rejected document. Callers without a key are not told which of their input values
/// break a rule: the answer can be many times longer than what it costs to ask.
fn rejection(errors: Vec<DocumentError>, caller: &Caller) -> Vec<ServerError> {
    let tells_values = errors.iter().any(|error| error.kind == ErrorKind::BadInput);
    if tells_values && caller.principal.is_none() {
        return vec![Problem::unauthenticated("An API key is required").into()];
    }

    errors.into_iter().map(request_error).collect()
}
