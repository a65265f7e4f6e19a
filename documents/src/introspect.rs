//! Introspection: executed by the library, kept as JSON text for the next request with the same variables.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::Operation;
use apollo_compiler::introspection::partial_execute;
use apollo_compiler::response::{JsonMap, ResponseDataPathSegment};
use apollo_compiler::validation::Valid;
use parking_lot::Mutex;

use crate::schema::Schema;
use crate::values::Value;

/// Largest number of bytes that one plan keeps; the result of GraphiQL's query has about 60 KB.
const MAX_KEPT_BYTES: usize = 128 << 10;

/// Results of the introspection fields of one operation.
pub struct Introspected {
    /// JSON texts by response key.
    json: HashMap<String, Box<[u8]>>,
    /// Paths of the fields that failed, because a variable is null where an argument may not be.
    failed: Vec<Vec<PathStep>>,
}

/// Step of a path in a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// Field, by its response key.
    Key(String),
    /// Entry of a list, from 0.
    Index(usize),
}

/// Results of one plan, by the variables that they were executed with.
pub(crate) struct Introspections {
    is_used: bool,
    kept: Mutex<KeptResults>,
}

#[derive(Default)]
struct KeptResults {
    /// Results by the JSON text of the variables.
    results: Vec<(Box<[u8]>, Arc<Introspected>)>,
    bytes: usize,
}

impl Introspected {
    /// Returns the result under a response key; null if there is none.
    pub fn json(&self, response_key: &str) -> &[u8] {
        self.json.get(response_key).map_or(b"null", |json| json)
    }

    /// Returns the path of the first field under a response key that failed.
    pub fn failure(&self, response_key: &str) -> Option<&[PathStep]> {
        let is_under = |path: &&Vec<PathStep>| match path.first() {
            Some(PathStep::Key(key)) => key == response_key,
            _ => false,
        };

        self.failed.iter().find(is_under).map(Vec::as_slice)
    }

    fn execute(
        schema: &Schema,
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
        variables: JsonMap,
    ) -> Self {
        let executed = partial_execute(
            schema.definitions(),
            schema.implementers(),
            document,
            operation,
            // Coerced by the same rules as for all other fields.
            &Valid::assume_valid(variables),
        );

        let (data, errors) = executed
            .map(|response| (response.data, response.errors))
            .unwrap_or_default();
        let steps = |step: ResponseDataPathSegment| match step {
            ResponseDataPathSegment::Field(key) => PathStep::Key(key.to_string()),
            ResponseDataPathSegment::ListIndex(index) => PathStep::Index(index),
        };
        let failed = errors
            .into_iter()
            .map(|error| error.path.into_iter().map(steps).collect());

        let data = data.unwrap_or_default();
        let json = data.iter().map(|(key, value)| {
            let text = serde_json::to_vec(value).expect("a JSON value is always valid JSON");
            (key.as_str().to_owned(), text.into_boxed_slice())
        });

        Self {
            json: json.collect(),
            failed: failed.collect(),
        }
    }

    fn bytes(&self) -> usize {
        let json = self.json.iter().map(|(key, json)| key.len() + json.len());
        let failed = self.failed.iter().map(|path| size_of_val(path.as_slice()));

        json.chain(failed).sum()
    }
}

impl Introspections {
    /// Creates an empty store. `is_used` is whether the operation has introspection fields.
    pub(crate) fn new(is_used: bool) -> Self {
        Self {
            is_used,
            kept: Mutex::default(),
        }
    }

    /// Returns the number of bytes that may come to be kept.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        if self.is_used {
            MAX_KEPT_BYTES as u64
        } else {
            0
        }
    }

    /// Returns the result for these variables, executing the operation unless it is kept.
    pub(crate) fn get_or_execute(
        &self,
        schema: &Schema,
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
        names: &[Arc<str>],
        values: &[Option<Value>],
    ) -> Arc<Introspected> {
        let given = names.iter().zip(values);
        let variables: JsonMap = given
            .filter_map(|(name, value)| {
                let value = serde_json::to_value(value.as_ref()?).ok()?;
                Some((name.to_string().into(), value.into()))
            })
            .collect();
        let key = serde_json::to_vec(&variables).expect("a JSON value is always valid JSON");

        let find = |kept: &KeptResults| {
            let found = kept.results.iter().find(|(of, _)| **of == *key);
            found.map(|(_, result)| Arc::clone(result))
        };
        if let Some(result) = find(&self.kept.lock()) {
            return result;
        }

        // Executed outside the lock, so that requests with other variables need not wait.
        let result = Introspected::execute(schema, document, operation, variables);
        let result = Arc::new(result);

        // The plan is weighed before anything is kept, so no more may be kept than it reserved.
        let bytes = key.len() + result.bytes();
        let mut kept = self.kept.lock();
        if kept.bytes + bytes <= MAX_KEPT_BYTES && find(&kept).is_none() {
            kept.bytes += bytes;
            kept.results.push((key.into(), Arc::clone(&result)));
        }
        result
    }
}
