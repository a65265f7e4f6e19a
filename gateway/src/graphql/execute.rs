//! Execution of requests: prepared documents, coded errors, and for a subscription a subscriber of the live engine.
//! Transports differ only in the envelope that they put around the results.

use std::pin::pin;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Response, ServerError, ValidationMode, Variables};
use backbone::position::Position;
use backbone::telemetry::Metrics;
use futures_util::StreamExt;
use live::{Feed, Subscriber};
use serde::Deserialize;

use super::context::Caller;
use super::error_codes::{is_request_error, with_codes};
use super::prepared::{Documents, Prepared};
use super::schema::{self, Schema};
use super::shapes::Shapes;
use super::subscription::Plan;
use crate::document::ShapeDocument;
use crate::error::{Code, Problem};
use crate::services::Services;

/// Answer to a subscription on a transport that can carry only one result.
const SUBSCRIPTION_NEEDS_STREAM: &str = "Subscriptions require a websocket (graphql-transport-ws) or the header Accept: text/event-stream";

/// A GraphQL request as every transport carries it (GraphQL over HTTP, section "Request parameters").
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphqlRequest {
    /// Text of the document.
    pub query: String,
    /// Name of the operation to execute; required if the document has several.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Values of the operation's variables.
    #[serde(default)]
    pub variables: Option<Variables>,
}

/// Executor of GraphQL requests. Clones share their caches.
#[derive(Clone)]
pub struct Executor {
    schema: Schema,
    documents: Arc<Documents>,
    feed: Arc<Feed>,
    shapes: Arc<Shapes>,
}

/// Execution of a request on a transport that can carry more than one result.
pub enum Execution {
    /// The only result, of a query or mutation.
    Response(Response),
    /// Request errors: nothing was executed.
    Rejected(Vec<ServerError>),
    /// An open subscription.
    Subscription(Box<Subscriber>),
}

impl Executor {
    /// Creates an executor over the services behind the API.
    pub fn new(services: Services, feed: Arc<Feed>, metrics: &Metrics) -> Self {
        let schema = schema::builder()
            .data(services)
            // Prepared documents have passed strict validation already.
            .validation_mode(ValidationMode::Fast)
            .finish();
        let shapes = Arc::new(Shapes::new(schema.clone(), metrics));

        Self {
            schema,
            documents: Arc::new(Documents::new(metrics)),
            feed,
            shapes,
        }
    }

    /// Executes a query or a mutation. With `readonly`, mutations are rejected.
    pub async fn execute(
        &self,
        request: GraphqlRequest,
        caller: Caller,
        readonly: bool,
    ) -> Response {
        let (prepared, variables) = match self.prepare(request).await {
            Ok(prepared) => prepared,
            Err(errors) => return Response::from_errors(errors),
        };

        match prepared.ty() {
            OperationType::Subscription => {
                let problem = Problem::new(Code::BadRequest, SUBSCRIPTION_NEEDS_STREAM);
                Response::from_errors(vec![problem.into()])
            }
            OperationType::Mutation if readonly => {
                Response::from_errors(vec![mutation_with_get().into()])
            }
            OperationType::Query | OperationType::Mutation => {
                self.run(&prepared, variables, caller).await
            }
        }
    }

    /// Executes a request or opens a subscription. With `readonly`, mutations are rejected.
    ///
    /// A subscription begins after `last_event`, the id of the last event that the client has received, or else where its
    /// arguments say.
    pub async fn start(
        &self,
        request: GraphqlRequest,
        caller: Caller,
        last_event: Option<&str>,
        readonly: bool,
    ) -> Execution {
        let (prepared, variables) = match self.prepare(request).await {
            Ok(prepared) => prepared,
            Err(errors) => return Execution::Rejected(errors),
        };

        if readonly && prepared.ty() == OperationType::Mutation {
            return Execution::Rejected(vec![mutation_with_get().into()]);
        }

        if let Some(shape) = prepared.shape() {
            let subscribed = self.subscribe(&prepared, shape, variables, caller, last_event);
            return match subscribed.await {
                Ok(subscriber) => Execution::Subscription(Box::new(subscriber)),
                Err(errors) => Execution::Rejected(errors),
            };
        }

        let response = self.run(&prepared, variables, caller).await;
        if is_request_error(&response) {
            Execution::Rejected(response.errors)
        } else {
            Execution::Response(response)
        }
    }

    async fn prepare(
        &self,
        request: GraphqlRequest,
    ) -> Result<(Arc<Prepared>, Variables), Vec<ServerError>> {
        let GraphqlRequest {
            query,
            operation_name,
            variables,
        } = request;
        let variables = variables.unwrap_or_default();

        let prepared = self
            .documents
            .prepare(&query, operation_name.as_deref(), &variables)
            .await?;

        Ok((prepared, variables))
    }

    async fn run(&self, prepared: &Prepared, variables: Variables, caller: Caller) -> Response {
        let request = prepared.request(variables).data(caller);
        with_codes(self.schema.execute(request).await)
    }

    async fn subscribe(
        &self,
        prepared: &Prepared,
        shape: &ShapeDocument,
        variables: Variables,
        caller: Caller,
        last_event: Option<&str>,
    ) -> Result<Subscriber, Vec<ServerError>> {
        let plan = Plan::default();
        let planning = prepared
            .request(variables.clone())
            .data(caller)
            .data(plan.clone());

        // Resolved once for its arguments only: the root field records them in the plan and yields nothing. A result
        // here is therefore a list of errors.
        let mut results = pin!(self.schema.execute_stream(planning));
        if let Some(response) = results.next().await {
            return Err(with_codes(response).errors);
        }

        let mut subscription = plan
            .take()
            .ok_or_else(|| vec![Problem::internal("a subscription recorded no plan").into()])?;

        // The last event wins over the argument `after`: an `EventSource` reconnects with its original URL, whose
        // position is that of the first connection.
        if let Some(id) = last_event {
            let position = Position::decode(id);
            let malformed = || vec![Problem::input("Last-Event-ID", "must be a position").into()];
            subscription.after = Some(position.ok_or_else(malformed)?);
        }

        let selection = self.shapes.get(shape, variables);
        Subscriber::open(Arc::clone(&self.feed), subscription, selection)
            .await
            .map_err(|error| vec![Problem::from(error).into()])
    }
}

fn mutation_with_get() -> Problem {
    Problem::new(
        Code::BadRequest,
        "Mutations are not allowed with GET; use POST",
    )
}
