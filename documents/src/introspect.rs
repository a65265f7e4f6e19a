//! Introspection: executed by the library, kept as JSON text for the next request with the same variables.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::Operation;
use apollo_compiler::introspection::partial_execute;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use parking_lot::Mutex;

use crate::schema::Schema;
use crate::values::Value;

/// Largest number of results that one plan keeps; each has about 60 KB.
const MAX_KEPT: usize = 4;

/// Results of the introspection fields of one operation, as JSON text by response key.
pub struct Introspected(HashMap<String, Box<[u8]>>);

/// Results of one plan, by the variables that they were executed with.
#[derive(Default)]
pub(crate) struct Introspections(Mutex<Vec<KeptResult>>);

/// Variables, and the result with them.
type KeptResult = (Vec<Option<Value>>, Arc<Introspected>);

impl Introspected {
    /// Returns the result under a response key; null if there is none.
    pub fn json(&self, response_key: &str) -> &[u8] {
        self.0.get(response_key).map_or(b"null", |json| json)
    }

    pub(crate) fn execute(
        schema: &Schema,
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
        names: &[Arc<str>],
        variables: &[Option<Value>],
    ) -> Self {
        let given = names.iter().zip(variables);
        let variables: JsonMap = given
            .filter_map(|(name, value)| {
                let value = serde_json::to_value(value.as_ref()?).ok()?;
                Some((name.to_string().into(), value.into()))
            })
            .collect();

        let executed = partial_execute(
            schema.definitions(),
            schema.implementers(),
            document,
            operation,
            // Coerced by the same rules as for all other fields.
            &Valid::assume_valid(variables),
        );

        let data = executed
            .ok()
            .and_then(|response| response.data)
            .unwrap_or_default();
        let json = data.iter().map(|(key, value)| {
            let text = serde_json::to_vec(value).expect("a JSON value is always valid JSON");
            (key.as_str().to_owned(), text.into_boxed_slice())
        });

        Self(json.collect())
    }
}

impl Introspections {
    /// Returns the result for these variables, calling `execute` unless it is kept.
    pub(crate) fn get_or_execute(
        &self,
        variables: &[Option<Value>],
        execute: impl FnOnce() -> Introspected,
    ) -> Arc<Introspected> {
        let find = |kept: &[KeptResult]| {
            let found = kept.iter().find(|(of, _)| of == variables);
            found.map(|(_, result)| Arc::clone(result))
        };
        if let Some(result) = find(&self.0.lock()) {
            return result;
        }

        // Executed outside the lock, so that requests with other variables need not wait.
        let result = Arc::new(execute());
        let mut kept = self.0.lock();
        if kept.len() < MAX_KEPT && find(&kept).is_none() {
            kept.push((variables.to_vec(), Arc::clone(&result)));
        }
        result
    }
}
