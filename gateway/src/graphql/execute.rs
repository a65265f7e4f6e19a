//! Requests into results: document checks, execution, coded errors; for subscriptions, a subscriber of the live
//! engine. Transports differ only in the envelope they put around what comes from here.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value, Variables};
use backbone::telemetry::Metrics;
use serde::Deserialize;

use super::subscription::Plan;
use super::{Caller, Schema, schema};
use crate::document::{self, DocumentError, DocumentLimits, Operation, Parsed};
use crate::error::{Code, Problem};
use crate::live::shape::Shapes;
use crate::live::{Feed, Subscriber};
use crate::services::Services;

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
        let schema = schema(Some(services));
        let shapes = Arc::new(Shapes::new(schema.clone(), metrics));
        Self { schema, feed, shapes }
    }

    /// Executes a query or a mutation. `readonly`: a mutation is refused.
    pub async fn execute(&self, request: GraphqlRequest, caller: Caller, readonly: bool) -> Response {
        let parsed = match parse(&request) {
            Ok(parsed) => parsed,
            Err(error) => return refused(error),
        };
        match parsed.operation(request.operation_name.as_deref()).map(|operation| operation.ty()) {
            Err(error) => refused(error.into()),
            Ok(OperationType::Subscription) => refused(
                Problem::new(Code::BadRequest, "subscriptions need a websocket (graphql-transport-ws)")
                    .into(),
            ),
            Ok(OperationType::Mutation) if readonly => {
                refused(Problem::new(Code::BadRequest, "mutations are not allowed with GET").into())
            }
            Ok(_) => self.run(parsed, request, caller).await,
        }
    }

    /// Executes a request, or begins a subscription.
    pub async fn start(&self, request: GraphqlRequest, caller: Caller) -> Live {
        let parsed = match parse(&request) {
            Ok(parsed) => parsed,
            Err(error) => return Live::Refused(vec![error]),
        };
        let operation = match parsed.operation(request.operation_name.as_deref()) {
            Ok(operation) => operation,
            Err(error) => return Live::Refused(vec![error.into()]),
        };
        if operation.ty() == OperationType::Subscription {
            return match self.subscribe(&parsed, &operation, &request, caller).await {
                Ok(subscriber) => Live::Subscriber(Box::new(subscriber)),
                Err(errors) => Live::Refused(errors),
            };
        }
        let response = self.run(parsed, request, caller).await;
        if is_refusal(&response) { Live::Refused(response.errors) } else { Live::Once(response) }
    }

    async fn run(&self, parsed: Parsed, request: GraphqlRequest, caller: Caller) -> Response {
        coded(self.schema.execute(executable(parsed, request).data(caller)).await)
    }

    async fn subscribe(
        &self,
        parsed: &Parsed,
        operation: &Operation<'_>,
        request: &GraphqlRequest,
        caller: Caller,
    ) -> Result<Subscriber, Vec<ServerError>> {
        let refused = |error: DocumentError| vec![ServerError::from(error)];
        operation.subscription_root().map_err(refused)?;
        let shape = operation.shape().map_err(refused)?;
        let plan = Plan::default();
        let planning = Request::new("")
            .variables(request.variables.clone().unwrap_or_default())
            .data(caller)
            .data(plan.clone());
        let mut planning = match &request.operation_name {
            Some(name) => planning.operation_name(name),
            None => planning,
        };
        planning.set_parsed_query(parsed.document().clone());
        let mut results = std::pin::pin!(self.schema.execute_stream(planning));
        // Resolving yields nothing: the arguments have gone into the plan. A result is a list of errors.
        if let Some(response) = futures_util::StreamExt::next(&mut results).await {
            return Err(coded(response).errors);
        }
        let asked =
            plan.take().ok_or_else(|| vec![Problem::internal("a subscription left no plan").into()])?;
        let shape = self.shapes.get(shape, request.variables.clone().unwrap_or_default());
        Subscriber::open(Arc::clone(&self.feed), asked, shape).await.map_err(|problem| vec![problem.into()])
    }
}

fn parse(request: &GraphqlRequest) -> Result<Parsed, ServerError> {
    Ok(document::parse(&request.query, &DocumentLimits::default())?)
}

fn executable(parsed: Parsed, request: GraphqlRequest) -> Request {
    let mut executable = Request::new("").variables(request.variables.unwrap_or_default());
    if let Some(name) = request.operation_name {
        executable = executable.operation_name(name);
    }
    executable.set_parsed_query(parsed.into_document());
    executable
}

fn refused(error: ServerError) -> Response {
    Response::from_errors(vec![error])
}

/// The code of an error, if it has one.
pub(crate) fn code(error: &ServerError) -> Option<Code> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(name) => Code::parse(name),
        _ => None,
    }
}

/// Whether nothing was executed, so that there is no `data`.
pub(crate) fn is_refusal(response: &Response) -> bool {
    response.data == Value::Null && response.errors.iter().any(|error| error.path.is_empty())
}

/// Gives every error a code: what the library itself says of a document or of a value has none.
fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        if code(error).is_some() {
            continue;
        }
        let problem = if error.path.is_empty() {
            Problem::new(Code::GraphqlValidationFailed, error.message.clone())
        } else {
            let path: Vec<String> = error.path.iter().map(segment).collect();
            Problem::input(path.join("."), error.message.clone())
        };
        error.extensions = ServerError::from(problem).extensions;
    }
    response
}

fn segment(segment: &async_graphql::PathSegment) -> String {
    match segment {
        async_graphql::PathSegment::Field(name) => name.clone(),
        async_graphql::PathSegment::Index(index) => index.to_string(),
    }
}

impl From<DocumentError> for ServerError {
    fn from(error: DocumentError) -> Self {
        let code = Code::parse(error.code.as_str()).unwrap_or(Code::GraphqlValidationFailed);
        let mut said = Self::from(Problem::new(code, error.message));
        said.locations = error.locations;
        said
    }
}
