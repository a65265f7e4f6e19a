//! Usage of the API: which operations clients send and, if wanted, which fields they select, so that a deprecation can be
//! judged by who would notice it.
//!
//! Names come from clients, and every label of a metric stays in memory for ever. So only the first names count by
//! themselves, and all others together.

use std::collections::HashSet;
use std::sync::Arc;

use backbone::telemetry::{Counter, Family, Metrics};
use documents::{OperationKind, Plan};
use parking_lot::RwLock;

/// Names of clients that are counted by themselves.
const MAX_CLIENTS: usize = 30;

/// Names of operations that are counted by themselves.
const MAX_OPERATIONS: usize = 200;

/// Longest name of an operation that is counted by itself, in bytes.
const MAX_NAME: usize = 64;

/// Label of every name beyond the limits.
const OTHER: &str = "other";

/// Label of requests without a name.
const NONE: &str = "none";

/// Counters of the operations and fields that clients use. Clones are the same.
#[derive(Clone)]
pub struct Usage(Arc<Counters>);

struct Counters {
    clients: Names,
    operations: Names,
    requests: Counts<3>,
    /// Requests by field; `None` if fields are not counted.
    fields: Option<Counts<2>>,
}

/// Counters by so many labels.
type Counts<const N: usize> = Family<[(&'static str, Arc<str>); N], Counter>;

impl Usage {
    /// Registers the metrics. `fields`: count the fields that requests select, too.
    pub fn new(fields: bool, metrics: &Metrics) -> Self {
        let requests = metrics.counter_family(
            "graphql_requests",
            "GraphQL requests with a valid document, by client, operation name and kind",
        );
        let fields = fields.then(|| {
            metrics.counter_family(
                "graphql_field_requests",
                "GraphQL requests that select a field, by client and field",
            )
        });

        Self(Arc::new(Counters {
            clients: Names::new(MAX_CLIENTS),
            operations: Names::new(MAX_OPERATIONS),
            requests,
            fields,
        }))
    }

    /// Counts a request of a client by the name that it gives itself, if any. New names are taken note of only if it `has_key`:
    /// anybody else could fill the places.
    pub fn count(&self, plan: &Plan, client: Option<&str>, has_key: bool) {
        let Counters {
            clients,
            operations,
            requests,
            fields,
        } = &*self.0;

        let client = clients.label(client, has_key);
        let operation = operations.label(plan.operation_name(), has_key);
        let kind = match plan.kind() {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        };
        let labels = [
            ("client", Arc::clone(&client)),
            ("operation", operation),
            ("kind", kind.into()),
        ];
        requests.get_or_create(&labels).inc();

        if let Some(counts) = fields {
            // Fields are those of the schema, so there is no need to bound them.
            for field in plan.fields() {
                let labels = [
                    ("client", Arc::clone(&client)),
                    ("field", field.as_str().into()),
                ];
                counts.get_or_create(&labels).inc();
            }
        }
    }
}

/// The first so many names of a kind.
struct Names {
    most: usize,
    // Nearly always read only, and held for a look-up.
    known: RwLock<HashSet<Arc<str>>>,
    other: Arc<str>,
    none: Arc<str>,
}

impl Names {
    fn new(most: usize) -> Self {
        Self {
            most,
            known: RwLock::default(),
            other: OTHER.into(),
            none: NONE.into(),
        }
    }

    /// Returns the label that a name is counted under.
    fn label(&self, name: Option<&str>, may_add: bool) -> Arc<str> {
        let Some(name) = name else {
            return Arc::clone(&self.none);
        };

        {
            let known = self.known.read();
            if let Some(name) = known.get(name) {
                return Arc::clone(name);
            }
            // The common case once the names are many: no writer is waited for.
            if !may_add || known.len() >= self.most || name.len() > MAX_NAME {
                return Arc::clone(&self.other);
            }
        }

        let mut known = self.known.write();
        // Others may have taken the last places since.
        if known.len() >= self.most && !known.contains(name) {
            return Arc::clone(&self.other);
        }
        let name: Arc<str> = name.into();
        known.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_first_are_counted_together() {
        let names = Names::new(2);
        let label = |name| names.label(name, true).to_string();

        assert_eq!(&*names.label(Some("guest"), false), "other");
        assert_eq!(label(None), "none");
        assert_eq!(label(Some("a")), "a");
        let long = "x".repeat(65);
        assert_eq!(label(Some(&long)), "other");
        assert_eq!(label(Some("b")), "b");
        assert_eq!(label(Some("c")), "other");
        assert_eq!(label(Some("a")), "a");
    }
}
