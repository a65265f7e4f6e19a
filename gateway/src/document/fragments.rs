//! Graph of fragments and the fragments that they spread.
//!
//! Yields the order in which everything about fragments can be computed in a single pass: leaves first. Rejects cycles
//! and spreads of undefined fragments, so that later steps may follow spreads freely.

use std::collections::{HashMap, VecDeque};

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentSpread, Selection},
};

use super::error::DocumentError;

/// Returns the names of all fragments, each after those that it spreads (Kahn's algorithm).
///
/// # Errors
/// `ValidationFailed` for an undefined fragment or a cycle.
pub(super) fn leaves_first(document: &ExecutableDocument) -> Result<Vec<Name>, DocumentError> {
    let graph = Graph::new(document)?;

    // Spreads of each fragment that are not in the order yet, and the fragments that wait for each.
    let mut pending: Vec<usize> = graph.spreads.iter().map(Vec::len).collect();
    let mut users = vec![Vec::new(); pending.len()];

    for (user, spreads) in graph.spreads.iter().enumerate() {
        spreads.iter().for_each(|&used| users[used].push(user));
    }

    let mut ready: VecDeque<usize> = (0..pending.len())
        .filter(|&index| pending[index] == 0)
        .collect();
    let mut order = Vec::with_capacity(pending.len());

    while let Some(leaf) = ready.pop_front() {
        order.push(graph.names[leaf].clone());
        for &user in &users[leaf] {
            pending[user] -= 1;
            if pending[user] == 0 {
                ready.push_back(user);
            }
        }
    }

    // Whatever is still pending waits for itself, directly or through others.
    match pending.iter().position(|&left| left > 0) {
        None => Ok(order),
        Some(stuck) => Err(graph.cycle_from(stuck, &pending, document)),
    }
}

/// Collects every spread below these items without following any.
pub(super) fn spreads_in<'a>(
    items: &'a [Positioned<Selection>],
    found: &mut Vec<&'a Positioned<FragmentSpread>>,
) {
    for item in items {
        match &item.node {
            Selection::Field(field) => spreads_in(&field.node.selection_set.node.items, found),
            Selection::InlineFragment(inline) => {
                spreads_in(&inline.node.selection_set.node.items, found)
            }
            Selection::FragmentSpread(spread) => found.push(spread),
        }
    }
}

struct Graph<'a> {
    /// Names in the order of the text, so that the same document is always rejected with the same message.
    names: Vec<&'a Name>,
    /// Indexes of the fragments that each fragment spreads.
    spreads: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(document: &'a ExecutableDocument) -> Result<Self, DocumentError> {
        let mut fragments: Vec<_> = document.fragments.iter().collect();
        fragments.sort_by_key(|(_, fragment)| fragment.pos);
        let index: HashMap<&str, usize> = fragments
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.as_str(), index))
            .collect();

        let targets = |items: &'a [Positioned<Selection>]| {
            let mut found = Vec::new();
            spreads_in(items, &mut found);
            found
                .into_iter()
                .map(|spread| target(&index, spread))
                .collect::<Result<Vec<_>, _>>()
        };

        // Operations are nodes of no cycle, but their spreads must be defined, too.
        for (_, operation) in document.operations.iter() {
            targets(&operation.node.selection_set.node.items)?;
        }

        let spreads = fragments
            .iter()
            .map(|(_, fragment)| targets(&fragment.node.selection_set.node.items))
            .collect::<Result<_, _>>()?;

        Ok(Self {
            names: fragments.into_iter().map(|(name, _)| name).collect(),
            spreads,
        })
    }

    /// Returns the error for a cycle that can be reached from the fragment `stuck`.
    fn cycle_from(
        &self,
        stuck: usize,
        pending: &[usize],
        document: &ExecutableDocument,
    ) -> DocumentError {
        let step = |index: usize| {
            *self.spreads[index]
                .iter()
                .find(|&&next| pending[next] > 0)
                .expect("a stuck fragment spreads a stuck one")
        };
        // A fragment that never became ready is on a cycle or leads to one. As many steps as there are fragments end on
        // the cycle itself, and the message must name a fragment that does spread itself.
        let on_cycle = (0..pending.len()).fold(stuck, |index, _| step(index));
        let name = self.names[on_cycle];
        let pos = document.fragments.get(name).map(|fragment| fragment.pos);

        DocumentError::invalid(format!("Fragment {name} spreads itself"), pos)
    }
}

fn target(
    index: &HashMap<&str, usize>,
    spread: &Positioned<FragmentSpread>,
) -> Result<usize, DocumentError> {
    let name = &spread.node.fragment_name.node;
    index.get(name.as_str()).copied().ok_or_else(|| {
        DocumentError::invalid(format!("Fragment {name} is not defined"), [spread.pos])
    })
}
