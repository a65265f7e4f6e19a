//! Plans: one operation of a document, compiled once, to which a request only adds its variables.
//!
//! Variables may decide whether a field is included. A plan therefore has variants: for each combination of the
//! Boolean variables that conditions use, the specification's own algorithm collects and merges the fields, so order,
//! merging and fragments are those of the specification, and rendering knows no conditions.

mod check;
mod collect;
mod compile;
mod fields;
mod root;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};
use parking_lot::RwLock;
use serde_json::{Map, Value as Json};

pub use root::{ArgumentError, Arguments, Root, RootKind};

use crate::error::{DocumentError, Location, MAX_TOLD};
use crate::introspect::{Introspected, Introspections};
use crate::kept::Kept;
use crate::limits::Limits;
use crate::out::{Out, TooLarge};
use crate::parse::{Parsed, parse};
use crate::schema::Schema;
use crate::values::{Coercion, InputType, Source, Template, Value};

/// Largest number of variants that a plan keeps. A document with more conditions than that is compiled anew for the
/// combinations that are not kept.
const MAX_VARIANTS: usize = 16;

/// Smallest and largest number of bytes that a result is given room for at first.
const RESULT_ROOM: (usize, usize) = (512, 64 << 10);

/// Memory that a selection takes in each variant, in bytes (an estimate).
const BYTES_PER_SELECTION: u64 = 160;

/// Kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads; root fields may be executed together.
    Query,
    /// Writes; root fields are executed one after the other.
    Mutation,
    /// Pushes; has exactly one root field, which no condition can remove.
    Subscription,
}

/// One operation of a valid document.
pub struct Plan {
    document: Valid<ExecutableDocument>,
    operation: Node<Operation>,
    kind: OperationKind,
    variables: Vec<Variable>,
    /// Names of the variables, by number.
    names: Vec<Arc<str>>,
    /// Numbers of the variables that conditions use. Their values are the bits of a variant's mask.
    conditions: Vec<usize>,
    variants: RwLock<Vec<(u64, Arc<Variant>)>>,
    introspections: Introspections,
    /// Number of selections of the document with all fragments expanded.
    selections: usize,
    is_meta: bool,
    /// Fields that the operation selects, once they were asked for.
    fields: OnceLock<Box<[String]>>,
}

/// Variable of an operation.
struct Variable {
    ty: InputType,
    default: Option<Value>,
    /// Place of the definition in the text.
    span: Option<SourceSpan>,
}

/// Root fields for one combination of the conditions' variables.
struct Variant {
    roots: Vec<Root>,
    /// Length of the last result, in bytes.
    last_result: AtomicUsize,
}

/// A plan with the variables of one request.
pub struct Request {
    plan: Arc<Plan>,
    variant: Arc<Variant>,
    /// Values by number; `None` for a variable without a value.
    variables: Vec<Option<Value>>,
}

impl Plan {
    /// Compiles the operation of a text that has this name, or its only one.
    ///
    /// # Errors
    /// Everything that is wrong with the document as far as that can be told at once, at most 50 errors or violations.
    pub fn new(
        schema: &Schema,
        text: &str,
        operation: Option<&str>,
        limits: &Limits,
    ) -> Result<Self, Vec<DocumentError>> {
        let Parsed {
            document,
            selections,
        } = parse(schema, text, limits)?;
        let operation = select(&document, operation).map_err(|error| vec![error])?;

        check::literals(schema, &document)?;
        check::subscriptions(schema, &document).map_err(|error| vec![error])?;
        check::merged_arguments(schema, &document).map_err(|error| vec![error])?;
        check::introspection(&document, &operation).map_err(|error| vec![error])?;

        // Those of other operations only for their faults.
        for other in document.operations.iter() {
            variables(schema, &document, other)?;
        }

        let names: Vec<Arc<str>> = operation
            .variables
            .iter()
            .map(|variable| variable.name.as_str().into())
            .collect();

        Ok(Self {
            kind: match operation.operation_type {
                OperationType::Query => OperationKind::Query,
                OperationType::Mutation => OperationKind::Mutation,
                OperationType::Subscription => OperationKind::Subscription,
            },
            variables: variables(schema, &document, &operation)?,
            conditions: check::conditions(&document, &operation, &names),
            names,
            variants: RwLock::default(),
            introspections: Introspections::new(check::has_introspection(&document, &operation)),
            selections,
            is_meta: check::is_meta(&document, &operation),
            fields: OnceLock::new(),
            operation,
            document,
        })
    }

    /// Returns the kind of the operation.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// Returns the name of the operation; `None` if it has none.
    pub fn operation_name(&self) -> Option<&str> {
        self.operation.name.as_ref().map(|name| name.as_str())
    }

    /// Returns whether the operation selects nothing but `__typename`, `__schema` and `__type` at its root, and so asks
    /// about the schema only.
    pub fn is_meta(&self) -> bool {
        self.is_meta
    }

    /// Returns the fields that the operation selects anywhere, those of conditions included, as `Type.field`, each once
    /// and sorted. Meta fields are left out.
    pub fn fields(&self) -> &[String] {
        self.fields
            .get_or_init(|| fields::of(&self.document, &self.operation))
    }

    /// Returns an estimate of the memory that variants and results of introspection may come to take, in bytes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        let most = MAX_VARIANTS.ilog2() as usize;
        let variants = 1_u64 << self.conditions.len().min(most);
        let selections = u64::try_from(self.selections).unwrap_or(u64::MAX);
        let compiled = variants.saturating_mul(selections.saturating_mul(BYTES_PER_SELECTION));

        compiled.saturating_add(self.introspections.reserved_bytes())
    }

    /// Adds the variables of a request. Values of variables that the operation does not declare are ignored.
    ///
    /// # Errors
    /// [`BadInput`](crate::ErrorKind::BadInput) with every violation of the variables' types, of which 50 are told and the others
    /// counted.
    pub fn bind(
        self: &Arc<Self>,
        schema: &Schema,
        given: &Map<String, Json>,
    ) -> Result<Request, DocumentError> {
        let mut coercion = Coercion::new(schema.inputs(), &[]);
        let mut locations = Vec::new();
        let mut values = Vec::with_capacity(self.variables.len());

        for (number, variable) in self.variables.iter().enumerate() {
            let name = &*self.names[number];
            let before = coercion.count();

            let value = coercion.within(name, |coercion| match given.get(name) {
                Some(json) => match coercion.coerce(&variable.ty, Source::Json(json)) {
                    Template::Constant(value) => Some(value),
                    // JSON contains no variables.
                    _ => None,
                },
                None => {
                    if variable.default.is_none() && !variable.ty.nullable() {
                        coercion.violation("is required");
                    }
                    variable.default.clone()
                }
            });

            // A condition needs an answer. The specification makes null an error of the field that has the condition below
            // it; here it is one of the request, before a mutation has done anything.
            let is_fine = coercion.count() == before;
            if is_fine && self.conditions.contains(&number) && value == Some(Value::Null) {
                coercion.within(name, |coercion| coercion.violation("must not be null"));
            }

            if coercion.count() > before && locations.len() < MAX_TOLD {
                locations.extend(Location::of(variable.span, &self.document.sources));
            }
            values.push(value);
        }

        let (violations, more) = coercion.into_violations();
        if !violations.is_empty() {
            return Err(DocumentError::bad_input(violations, more, locations));
        }

        Ok(Request {
            variant: self.variant(schema, self.mask(&values)),
            plan: Arc::clone(self),
            variables: values,
        })
    }

    /// Returns the values of the conditions' variables as bits.
    fn mask(&self, values: &[Option<Value>]) -> u64 {
        self.conditions
            .iter()
            .enumerate()
            .filter(|(_, number)| matches!(values[**number], Some(Value::Boolean(true))))
            .fold(0, |mask, (bit, _)| mask | 1 << bit)
    }

    fn variant(&self, schema: &Schema, mask: u64) -> Arc<Variant> {
        let kept = |variants: &[(u64, Arc<Variant>)]| {
            let found = variants.iter().find(|(other, _)| *other == mask);
            found.map(|(_, variant)| Arc::clone(variant))
        };
        if let Some(variant) = kept(&self.variants.read()) {
            return variant;
        }

        // Compiled outside the lock: two requests may do it at once, which is harmless, while other requests go on.
        let variant = Arc::new(Variant {
            roots: compile::roots(schema, self, mask),
            last_result: AtomicUsize::new(0),
        });

        let mut variants = self.variants.write();
        if variants.len() < MAX_VARIANTS && kept(&variants).is_none() {
            variants.push((mask, Arc::clone(&variant)));
        }
        variant
    }
}

impl Request {
    /// Returns the kind of the operation.
    pub fn kind(&self) -> OperationKind {
        self.plan.kind
    }

    /// Returns the root fields in the order of the result.
    pub fn roots(&self) -> &[Root] {
        &self.variant.roots
    }

    /// Returns the arguments of a root field.
    ///
    /// # Errors
    /// [`ArgumentError`] if a variable without a value, or with null, stands where a value is required. It is an error of
    /// the field, not of the request (specification, section 6.4.1).
    pub fn arguments(&self, root: &Root) -> Result<Arguments, ArgumentError> {
        root.bind(&self.variables)
    }

    /// Returns the number of fields that the result of the request can have.
    pub fn cost(&self, schema: &Schema) -> u64 {
        self.roots()
            .iter()
            .map(|root| root.cost_with(schema.page(), &self.variables))
            .fold(0, u64::saturating_add)
    }

    /// Begins a result of at most `limit` bytes, with room for one as long as the last. Objects that are rendered again and
    /// again are copied from `kept`.
    pub fn begin_result<'a>(&self, limit: usize, kept: Option<&'a Kept>) -> Out<'a> {
        let (least, most) = RESULT_ROOM;
        // Relaxed: a hint, which orders nothing.
        let last = self.variant.last_result.load(Ordering::Relaxed);
        let slack = last / 8;

        Out::with_room((last + slack).clamp(least, most), limit, kept)
    }

    /// Ends a result, and takes note of its length for the next one.
    ///
    /// # Errors
    /// [`TooLarge`] if there are more bytes than the limit.
    pub fn finish_result(&self, out: Out<'_>) -> Result<Vec<u8>, TooLarge> {
        let bytes = out.finish()?;

        self.variant
            .last_result
            .store(bytes.len(), Ordering::Relaxed);
        Ok(bytes)
    }

    /// Executes the introspection fields among the roots.
    pub fn introspect(&self, schema: &Schema) -> Arc<Introspected> {
        let Plan {
            document,
            operation,
            names,
            introspections,
            ..
        } = &*self.plan;

        introspections.get_or_execute(schema, document, operation, names, &self.variables)
    }
}

/// Returns the operation to execute (specification, section 6.1, GetOperation).
fn select(
    document: &ExecutableDocument,
    name: Option<&str>,
) -> Result<Node<Operation>, DocumentError> {
    document.operations.get(name).cloned().map_err(|_| {
        let message = match name {
            Some(name) => format!("The document contains no operation named {name}"),
            None if document.operations.is_empty() => {
                "The document contains no operation".to_owned()
            }
            None => "The document has several operations; operationName must name one".to_owned(),
        };
        DocumentError::invalid(message, None)
    })
}

/// Reads the variables that an operation declares.
fn variables(
    schema: &Schema,
    document: &ExecutableDocument,
    operation: &Operation,
) -> Result<Vec<Variable>, Vec<DocumentError>> {
    let mut coercion = Coercion::new(schema.inputs(), &[]);
    let mut locations = Vec::new();
    let mut variables = Vec::with_capacity(operation.variables.len());

    for definition in &operation.variables {
        let span = definition.location();
        let Some(ty) = schema.inputs().resolve(&definition.ty) else {
            let location = Location::of(span, &document.sources);
            let message = format!("Variable ${} does not have an input type", definition.name);
            return Err(vec![DocumentError::invalid(message, location)]);
        };

        let before = coercion.count();
        let default = definition.default_value.as_ref().and_then(|literal| {
            coercion.within(&definition.name, |coercion| {
                match coercion.coerce(&ty, Source::Literal(literal)) {
                    Template::Constant(value) => Some(value),
                    // Validation refuses variables in defaults.
                    _ => None,
                }
            })
        });

        if coercion.count() > before && locations.len() < MAX_TOLD {
            locations.extend(Location::of(span, &document.sources));
        }
        variables.push(Variable { ty, default, span });
    }

    let (violations, more) = coercion.into_violations();
    if violations.is_empty() {
        Ok(variables)
    } else {
        Err(vec![DocumentError::bad_input(violations, more, locations)])
    }
}
