//! Documents once: what was parsed and found valid is kept by its text and the operation chosen, and only its
//! variables are looked at again.
//!
//! Validation runs on a schema of its own that stops before execution. The schema that executes has no extensions,
//! since each costs a boxed future and two look-ups for every field of every result, far more than what the fast mode
//! of validation still does.

use std::sync::{Arc, OnceLock};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation,
};
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, ValidationMode, ValidationResult, Variables};
use backbone::telemetry::{Counter, Metrics};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::coded::coded;
use super::schema::{self, Schema};
use super::variables::InputTypes;
use crate::document::{self, DocumentLimits, Parsed, ShapeDocument};

/// Memory for prepared documents, as estimated: about 3,000 of usual size.
const KEPT_BYTES: u64 = 32 << 20;
/// What a parsed document takes for each byte of its text: its fields are heap cells of some 100 bytes.
const BYTES_PER_BYTE: u64 = 32;

/// A valid document with one of its operations chosen.
pub(super) struct Prepared {
    parsed: Parsed,
    operation: Option<String>,
    ty: OperationType,
    /// Of a subscription.
    shape: Option<ShapeDocument>,
}

impl Prepared {
    /// What the operation is.
    pub(super) fn ty(&self) -> OperationType {
        self.ty
    }

    /// What of it decides the bytes of pushed results; none unless it is a subscription.
    pub(super) fn shape(&self) -> Option<&ShapeDocument> {
        self.shape.as_ref()
    }

    /// A request to execute it.
    pub(super) fn request(&self, variables: Variables) -> Request {
        let request = Request::new("").variables(variables);
        let mut request = match &self.operation {
            Some(name) => request.operation_name(name),
            None => request,
        };
        request.set_parsed_query(self.parsed.document().clone());
        request
    }
}

/// The documents in use.
pub(super) struct Documents {
    validator: Schema,
    types: Arc<OnceLock<InputTypes>>,
    kept: Cache<Key, Arc<Prepared>, ByText>,
    prepared: Counter,
    served: Counter,
}

impl Documents {
    /// None yet.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let types = Arc::<OnceLock<InputTypes>>::default();
        let validator = schema::builder()
            .validation_mode(ValidationMode::Strict)
            .extension(JustValidate(Arc::clone(&types)))
            .finish();
        Self {
            validator,
            types,
            kept: Cache::with_weighter(1_000, KEPT_BYTES, ByText),
            prepared: metrics.counter(
                "documents_prepared",
                "GraphQL documents parsed and validated",
            ),
            served: metrics.counter(
                "documents_served",
                "Requests whose document was prepared before",
            ),
        }
    }

    /// The document of a request, with variables that it can be executed with.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub(super) async fn prepare(
        &self,
        text: &str,
        operation: Option<&str>,
        variables: &Variables,
    ) -> Result<Arc<Prepared>, Vec<ServerError>> {
        let prepared = match self.kept.get(&KeyRef { text, operation }) {
            Some(kept) => {
                self.served.inc();
                kept
            }
            None => {
                self.prepared.inc();
                let fresh = Arc::new(self.make(text, operation).await?);
                let key = Key {
                    text: text.into(),
                    operation: operation.map(Into::into),
                };
                self.kept.insert(key, Arc::clone(&fresh));
                fresh
            }
        };
        let operation = prepared
            .parsed
            .operation(operation)
            .map_err(|error| vec![error.into()])?;
        let types = self
            .types
            .get()
            .expect("validation has left the schema's types");
        types
            .check(operation.definition(), variables)
            .map_err(|problem| vec![problem.into()])?;
        Ok(prepared)
    }

    async fn make(&self, text: &str, name: Option<&str>) -> Result<Prepared, Vec<ServerError>> {
        let refused = |error: document::DocumentError| vec![ServerError::from(error)];
        let parsed = document::parse(text, &DocumentLimits::default()).map_err(refused)?;
        let operation = parsed.operation(name).map_err(refused)?;
        let ty = operation.ty();
        let shape = match ty {
            OperationType::Subscription => {
                operation.subscription_root().map_err(refused)?;
                Some(operation.shape().map_err(refused)?)
            }
            OperationType::Query | OperationType::Mutation => None,
        };
        let prepared = Prepared {
            operation: name.map(str::to_owned),
            ty,
            shape,
            parsed,
        };
        let errors = self
            .validator
            .execute(prepared.request(Variables::default()))
            .await;
        let errors = coded(errors).errors;
        if errors.is_empty() {
            Ok(prepared)
        } else {
            Err(errors)
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: Box<str>,
    operation: Option<Box<str>>,
}

/// A key that is only looked up.
#[derive(Hash)]
struct KeyRef<'a> {
    text: &'a str,
    operation: Option<&'a str>,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.text == &*key.text && self.operation == key.operation.as_deref()
    }
}

#[derive(Clone)]
struct ByText;

impl Weighter<Key, Arc<Prepared>> for ByText {
    fn weight(&self, key: &Key, _prepared: &Arc<Prepared>) -> u64 {
        1_000 + key.text.len() as u64 * BYTES_PER_BYTE
    }
}

/// Lets a request come as far as it is valid, and leaves the schema's types where variables are checked.
struct JustValidate(Arc<OnceLock<InputTypes>>);

impl ExtensionFactory for JustValidate {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for JustValidate {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        self.0
            .get_or_init(|| InputTypes::of(&context.schema_env.registry));
        next.run(context).await
    }

    async fn execute(
        &self,
        _context: &ExtensionContext<'_>,
        _operation: Option<&str>,
        _next: NextExecute<'_>,
    ) -> Response {
        Response::default()
    }
}
