//! Harness of the document oracle: the gateway's plans, execution and renderers over the fixtures of a world, without
//! HTTP and without a database. `web/oracle/README.md` describes the protocol and the world.

mod roots;
mod world;
mod world_log;

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::ServerError;
use backbone::telemetry::TraceContext;
use documents::{Documents, Kept, Limits, OperationKind, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::context::Caller;
use super::error_codes::{code, field_error, request_error};
use super::results::Run;
use super::schema::document_schema;
use super::selections::render;
use roots::{Effect, FixtureRoots};
use world::World;

/// Memory for rendered objects: little, so that they are evicted and rendered again.
const KEPT_BYTES: u64 = 64 << 10;

/// Answers requests from one world.
pub struct Oracle {
    documents: Documents,
    kept: Kept,
    world: Arc<World>,
}

/// Request of the protocol.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OracleRequest {
    query: String,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    #[serde(default)]
    behaviour: HashMap<String, Effect>,
}

/// Answer of the protocol.
#[derive(Serialize)]
#[serde(untagged)]
enum OracleAnswer {
    Rejected {
        request: Vec<Value>,
        violations: Vec<String>,
    },
    Executed {
        data: Box<RawValue>,
        errors: Vec<Vec<Value>>,
        calls: Vec<Value>,
    },
}

impl Oracle {
    /// Builds the harness over the text of a world file.
    ///
    /// # Errors
    /// The fault of the text.
    pub fn new(world: &str) -> serde_json::Result<Self> {
        Ok(Self {
            documents: Documents::new(document_schema(), Limits::default()),
            kept: Kept::new(KEPT_BYTES),
            world: Arc::new(serde_json::from_str(world)?),
        })
    }

    /// Answers one line of the protocol with one line.
    ///
    /// # Errors
    /// The fault of a line that is not a request.
    pub async fn answer(&self, line: &str) -> serde_json::Result<String> {
        let request: OracleRequest = serde_json::from_str(line)?;
        let answer = self.execute(request).await;
        serde_json::to_string(&answer.unwrap_or_else(OracleAnswer::rejected))
    }

    async fn execute(&self, request: OracleRequest) -> Result<OracleAnswer, Vec<ServerError>> {
        let rejected = |errors: Vec<_>| errors.into_iter().map(request_error).collect::<Vec<_>>();
        let planned = self
            .documents
            .plan(&request.query, request.operation_name.as_deref())
            .map_err(rejected)?;

        let variables = request.variables.unwrap_or_default();
        let bound = planned
            .plan
            .bind(self.documents.schema(), &variables)
            .map_err(|error| vec![request_error(error)])?;

        let roots = FixtureRoots::new(Arc::clone(&self.world), request.behaviour);
        if bound.kind() == OperationKind::Subscription {
            return self.push(&bound, &roots).map_err(|error| vec![error]);
        }

        let caller = Caller {
            principal: None,
            trace: TraceContext::root(),
            origin: crate::origin::Origin::default(),
        };
        let run = Run {
            schema: self.documents.schema(),
            request: &bound,
            roots: &roots,
            caller: &caller,
        };
        let response = run.response(usize::MAX, &self.kept).await;
        let response = response.expect("the harness sets no limit");

        Ok(OracleAnswer::executed(&response.json, roots.calls()))
    }

    /// Renders one event of a subscription.
    fn push(&self, request: &Request, roots: &FixtureRoots) -> Result<OracleAnswer, ServerError> {
        let root = &request.roots()[0];
        let arguments = request.arguments(root);
        let arguments = arguments.map_err(|error| field_error(root, error.into()))?;
        roots.record(root, &arguments);

        let pushed = roots.world().pushed(root.field());
        let response = render(request, &self.kept, &pushed);
        Ok(OracleAnswer::executed(&response, roots.calls()))
    }
}

impl OracleAnswer {
    fn rejected(errors: Vec<ServerError>) -> Self {
        let mut violations: Vec<String> = errors.iter().flat_map(violated_paths).collect();
        violations.sort();
        violations.dedup();

        let request = errors.iter().map(|error| {
            let code = code(error).map(|code| code.as_str());
            serde_json::json!({ "code": code })
        });
        Self::Rejected {
            request: request.collect(),
            violations,
        }
    }

    fn executed(response: &str, calls: Vec<Value>) -> Self {
        #[derive(Deserialize)]
        struct Response {
            data: Box<RawValue>,
            #[serde(default)]
            errors: Vec<PathOnly>,
        }
        #[derive(Deserialize)]
        struct PathOnly {
            path: Vec<Value>,
        }

        let response: Response = serde_json::from_str(response).expect("a response is JSON");
        Self::Executed {
            data: response.data,
            errors: response
                .errors
                .into_iter()
                .map(|error| error.path)
                .collect(),
            calls,
        }
    }
}

/// Returns the paths of input values that an error is about.
fn violated_paths(error: &ServerError) -> Vec<String> {
    let fields = error
        .extensions
        .as_ref()
        .and_then(|values| values.get("fields"));
    let fields = fields.cloned().and_then(|fields| fields.into_json().ok());

    fields
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|field| field["path"].as_str().map(str::to_owned))
        .collect()
}
