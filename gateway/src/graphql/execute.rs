//! Requests into results: prepared documents, execution, coded errors; for subscriptions, a subscriber of the live
//! engine. Transports differ only in the envelope they put around what comes from here.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Response, ServerError, ValidationMode, Variables};
use backbone::position::Position;
use backbone::telemetry::Metrics;
use serde::Deserialize;

use super::coded::{coded, is_refusal};
use super::context::Caller;
use super::prepared::{Documents, Prepared};
use super::schema::{self, Schema};
use super::shapes::Shapes;
use super::subscription::Plan;
use crate::document::ShapeDocument;
use crate::error::{Code, Problem};
use crate::services::Services;
use live::{Feed, Subscriber};

/// A GraphQL request as every transport carries it (GraphQL over HTTP, "Request parameters").
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphqlRequest {
    /// The document.
    pub query: String,
    /// Which of its operations; needed when there is more than one.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Their values.
    #[serde(default)]
    pub variables: Option<Variables>,
}

/// Executes requests.
#[derive(Clone)]
pub struct Executor {
    schema: Schema,
    documents: Arc<Documents>,
    feed: Arc<Feed>,
    shapes: Arc<Shapes>,
}

/// What becomes of a request on a transport that can carry more than one result.
pub enum Live {
    /// A query or mutation: this is all.
    Once(Response),
    /// Not executed at all.
    Refused(Vec<ServerError>),
    /// A subscription.
    Subscriber(Box<Subscriber>),
}

impl Executor {
    /// Over the parts behind the API.
    pub fn new(services: Services, feed: Arc<Feed>, metrics: &Metrics) -> Self {
        // What comes here has been validated.
        let schema = schema::builder()
            .data(services)
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

    /// Executes a query or a mutation. `readonly`: a mutation is refused.
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
        let refused =
            |message| Response::from_errors(vec![Problem::new(Code::BadRequest, message).into()]);
        match prepared.ty() {
            OperationType::Subscription => refused(
                "subscriptions need a websocket (graphql-transport-ws), or Accept: text/event-stream",
            ),
            OperationType::Mutation if readonly => {
                Response::from_errors(vec![mutation_with_get().into()])
            }
            OperationType::Query | OperationType::Mutation => {
                self.run(&prepared, variables, caller).await
            }
        }
    }

    /// Executes a request, or begins a subscription: where its arguments say, or after the last event that the
    /// transport knows the client to have. `readonly`: a mutation is refused.
    pub async fn start(
        &self,
        request: GraphqlRequest,
        caller: Caller,
        last_event: Option<&str>,
        readonly: bool,
    ) -> Live {
        let (prepared, variables) = match self.prepare(request).await {
            Ok(prepared) => prepared,
            Err(errors) => return Live::Refused(errors),
        };
        if readonly && prepared.ty() == OperationType::Mutation {
            return Live::Refused(vec![mutation_with_get().into()]);
        }
        if let Some(shape) = prepared.shape() {
            return match self
                .subscribe(&prepared, shape, variables, caller, last_event)
                .await
            {
                Ok(subscriber) => Live::Subscriber(Box::new(subscriber)),
                Err(errors) => Live::Refused(errors),
            };
        }
        let response = self.run(&prepared, variables, caller).await;
        if is_refusal(&response) {
            Live::Refused(response.errors)
        } else {
            Live::Once(response)
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
        coded(
            self.schema
                .execute(prepared.request(variables).data(caller))
                .await,
        )
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
        let mut results = std::pin::pin!(self.schema.execute_stream(planning));
        // Resolving yields nothing: the arguments have gone into the plan. A result is a list of errors.
        if let Some(response) = futures_util::StreamExt::next(&mut results).await {
            return Err(coded(response).errors);
        }
        let mut asked = plan
            .take()
            .ok_or_else(|| vec![Problem::internal("a subscription left no plan").into()])?;
        if let Some(id) = last_event {
            let known = Position::decode(id);
            let unknown = || vec![Problem::input("Last-Event-ID", "is no position").into()];
            asked.after = Some(known.ok_or_else(unknown)?);
        }
        let shape = self.shapes.get(shape, variables);
        Subscriber::open(Arc::clone(&self.feed), asked, shape)
            .await
            .map_err(|error| vec![Problem::from(error).into()])
    }
}

fn mutation_with_get() -> Problem {
    Problem::new(Code::BadRequest, "mutations are not allowed with GET")
}
