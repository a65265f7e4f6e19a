//! Cache of plans, by text and operation name.

use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::error::DocumentError;
use crate::limits::Limits;
use crate::parse::{Parsed, parse};
use crate::plan::Plan;
use crate::schema::Schema;

/// Memory for plans, in bytes (an estimate).
const CACHE_BYTES: u64 = 32 << 20;

/// Bytes of memory that a document takes for each byte of its text. It stays beside what is compiled of it.
const MEMORY_PER_BYTE: u64 = 48;

/// Plans by text and operation name.
pub struct Documents {
    schema: Arc<Schema>,
    limits: Limits,
    cache: Cache<Key, Arc<Plan>, ByMemory>,
}

/// Plan of a text, and whether it was compiled for this call.
pub struct Planned {
    /// The plan.
    pub plan: Arc<Plan>,
    /// True if no earlier request had the same text and operation.
    pub is_new: bool,
}

impl Documents {
    /// Creates an empty cache for documents of a schema within these limits.
    pub fn new(schema: Arc<Schema>, limits: Limits) -> Self {
        Self {
            schema,
            limits,
            cache: Cache::with_weighter(1_000, CACHE_BYTES, ByMemory),
        }
    }

    /// Returns the schema of the documents.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Checks a text and each of its operations, for texts that are to be executed later. Keeps nothing.
    ///
    /// # Errors
    /// Those of [`Plan::new`] for the first operation that has any.
    pub fn check(&self, text: &str) -> Result<(), Vec<DocumentError>> {
        let Parsed { document, .. } = parse(&self.schema, text, &self.limits)?;
        let operations = document.operations.iter();
        let names: Vec<Option<&str>> = operations
            .map(|operation| operation.name.as_ref().map(|name| name.as_str()))
            .collect();

        // A text without operations has its error from the plan of an operation without a name.
        let names = if names.is_empty() { vec![None] } else { names };
        for name in names {
            Plan::new(&self.schema, text, name, &self.limits)?;
        }
        Ok(())
    }

    /// Returns the plan of the operation that has this name, or of the only one.
    ///
    /// # Errors
    /// Those of [`Plan::new`].
    pub fn plan(&self, text: &str, operation: Option<&str>) -> Result<Planned, Vec<DocumentError>> {
        if let Some(plan) = self.cache.get(&KeyRef { text, operation }) {
            let is_new = false;
            return Ok(Planned { plan, is_new });
        }

        // Two requests with a new document may both compile it. That is rare and harmless, and cheaper than to let all
        // requests wait for one another here.
        let plan = Arc::new(Plan::new(&self.schema, text, operation, &self.limits)?);
        let key = Key {
            text: text.into(),
            operation: operation.map(Into::into),
        };
        self.cache.insert(key, Arc::clone(&plan));

        let is_new = true;
        Ok(Planned { plan, is_new })
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
struct ByMemory;

impl Weighter<Key, Arc<Plan>> for ByMemory {
    fn weight(&self, key: &Key, plan: &Arc<Plan>) -> u64 {
        let document = key.text.len() as u64 * MEMORY_PER_BYTE;
        // A plan grows after it was weighed, to no more than it says. A short text may ask for much: twenty times the
        // whole schema, or sixteen variants of two thousand fields.
        document.saturating_add(plan.reserved_bytes())
    }
}
