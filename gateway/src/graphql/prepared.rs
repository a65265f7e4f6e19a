//! Cache of prepared documents: parsed and validated once, kept by text and operation name. Only variables are checked
//! for each request.
//!
//! Validation runs on a schema of its own, with an extension that stops before execution. The schema that executes has no
//! extension, because each costs a boxed future and two look-ups for every field of every result. That is far more than
//! what the fast mode of validation, which execution cannot switch off, still does.

use std::sync::{Arc, OnceLock};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation,
};
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, ValidationMode, ValidationResult, Variables};
use backbone::telemetry::{Counter, Metrics};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::error_codes::with_codes;
use super::schema::{self, Schema};
use super::variables::InputTypes;
use crate::document::{self, DocumentLimits, Parsed, ShapeDocument};

/// Memory for prepared documents, in bytes (an estimate): about 3,000 of usual size.
const CACHE_BYTES: u64 = 32 << 20;
/// Bytes of memory that a parsed document takes for each byte of its text: its fields are heap cells of some 100 bytes.
const MEMORY_PER_BYTE: u64 = 32;

/// A valid document and one of its operations.
pub(super) struct Prepared {
    parsed: Parsed,
    operation: Option<String>,
    ty: OperationType,
    /// Shape of a subscription; `None` for other operations.
    shape: Option<ShapeDocument>,
}

impl Prepared {
    /// Returns whether the operation is a query, a mutation or a subscription.
    pub(super) fn ty(&self) -> OperationType {
        self.ty
    }

    /// Returns the shape of a subscription; `None` for other operations.
    pub(super) fn shape(&self) -> Option<&ShapeDocument> {
        self.shape.as_ref()
    }

    /// Returns a request that executes the operation.
    pub(super) fn request(&self, variables: Variables) -> Request {
        let request = Request::new("").variables(variables);
        let mut request = match &self.operation {
            Some(name) => request.operation_name(name),
            None => request,
        };

        // Parsed already: the text would only be parsed again.
        request.set_parsed_query(self.parsed.document().clone());
        request
    }
}

/// Cache of prepared documents.
pub(super) struct Documents {
    validator: Schema,
    types: Arc<OnceLock<InputTypes>>,
    cache: Cache<Key, Arc<Prepared>, ByTextLength>,
    prepared: Counter,
    served: Counter,
}

impl Documents {
    /// Creates an empty cache.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let types = Arc::<OnceLock<InputTypes>>::default();
        let validator = schema::builder()
            .validation_mode(ValidationMode::Strict)
            .extension(ValidateOnly(Arc::clone(&types)))
            .finish();

        Self {
            validator,
            types,
            cache: Cache::with_weighter(1_000, CACHE_BYTES, ByTextLength),
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

    /// Returns the prepared document of a request whose variables have been checked.
    ///
    /// # Errors
    /// Every fault that was found in the document or, if it is valid, in the variables.
    pub(super) async fn prepare(
        &self,
        text: &str,
        operation: Option<&str>,
        variables: &Variables,
    ) -> Result<Arc<Prepared>, Vec<ServerError>> {
        let prepared = match self.cache.get(&KeyRef { text, operation }) {
            Some(cached) => {
                self.served.inc();
                cached
            }
            None => {
                self.prepared.inc();
                // Two requests with a new document may both prepare it. That is rare and harmless, and cheaper than to
                // let all requests wait for one another here.
                let fresh = Arc::new(self.validate(text, operation).await?);
                let key = Key {
                    text: text.into(),
                    operation: operation.map(Into::into),
                };
                self.cache.insert(key, Arc::clone(&fresh));
                fresh
            }
        };

        let operation = prepared
            .parsed
            .operation(operation)
            .map_err(|error| vec![error.into()])?;
        let types = self.types.get().expect(
            "a prepared document was validated, and validation has recorded the schema's types",
        );

        types
            .check(operation.definition(), variables)
            .map_err(|problem| vec![problem.into()])?;
        Ok(prepared)
    }

    /// Parses and validates a document.
    async fn validate(&self, text: &str, name: Option<&str>) -> Result<Prepared, Vec<ServerError>> {
        let rejected = |error: document::DocumentError| vec![ServerError::from(error)];
        let parsed = document::parse(text, &DocumentLimits::default()).map_err(rejected)?;
        let operation = parsed.operation(name).map_err(rejected)?;

        let ty = operation.ty();
        let shape = match ty {
            OperationType::Subscription => {
                operation.subscription_root().map_err(rejected)?;
                Some(operation.shape().map_err(rejected)?)
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
        let errors = with_codes(errors).errors;

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

/// Borrowed form of [`Key`], so that a look-up copies no text.
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
struct ByTextLength;

impl Weighter<Key, Arc<Prepared>> for ByTextLength {
    fn weight(&self, key: &Key, _prepared: &Arc<Prepared>) -> u64 {
        1_000 + key.text.len() as u64 * MEMORY_PER_BYTE
    }
}

/// Extension that stops a request after validation, and records the schema's input types for the check of variables. The
/// library hands its registry to extensions only.
struct ValidateOnly(Arc<OnceLock<InputTypes>>);

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ValidateOnly {
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
