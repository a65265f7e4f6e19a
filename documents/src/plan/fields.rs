//! Fields that an operation selects, for statistics of their use.

use std::collections::{BTreeSet, HashSet};

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::{Operation, Selection, SelectionSet};

/// Returns the fields of an operation and its fragments as `Type.field`, sorted.
pub(super) fn of(document: &ExecutableDocument, operation: &Operation) -> Box<[String]> {
    let mut search = FieldSearch {
        document,
        visited: HashSet::new(),
        found: BTreeSet::new(),
    };
    search.set(&operation.selection_set);

    let found = search.found.into_iter();
    found
        .map(|(parent, field)| format!("{parent}.{field}"))
        .collect()
}

struct FieldSearch<'a> {
    document: &'a ExecutableDocument,
    visited: HashSet<&'a str>,
    found: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> FieldSearch<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if !field.name.starts_with("__") {
                        self.found.insert((set.ty.as_str(), field.name.as_str()));
                    }
                    if let Some(inner) = &field.selection_set {
                        self.set(inner);
                    }
                }
                Selection::InlineFragment(inline) => self.set(&inline.selection_set),
                // Each fragment once, however often it is spread.
                Selection::FragmentSpread(spread) => {
                    if self.visited.insert(&spread.fragment_name)
                        && let Some(fragment) = spread.fragment_def(self.document)
                    {
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }
}
