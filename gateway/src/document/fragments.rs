//! The graph of which fragment spreads which.
//!
//! Owns the one order in which everything about fragments can be computed in a single pass: leaves first. Refuses
//! cycles and spreads of fragments that do not exist, so that whoever comes later may follow spreads freely.

use std::collections::{HashMap, VecDeque};

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentSpread, Selection},
};

use super::DocumentError;

/// The fragments' names, each after all that it spreads.
pub(super) fn leaves_first(document: &ExecutableDocument) -> Result<Vec<Name>, DocumentError> {
    let graph = Graph::new(document)?;
    let mut pending: Vec<usize> = graph.spreads.iter().map(Vec::len).collect();
    let mut users = vec![Vec::new(); pending.len()];
    for (user, spreads) in graph.spreads.iter().enumerate() {
        spreads.iter().for_each(|&used| users[used].push(user));
    }
    let mut ready: VecDeque<usize> = (0..pending.len()).filter(|&at| pending[at] == 0).collect();
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
    match pending.iter().position(|&left| left > 0) {
        None => Ok(order),
        Some(stuck) => Err(graph.cycle_from(stuck, &pending, document)),
    }
}

/// Every spread below these items, not following any.
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
    /// In the order of the text, so that faults are reported alike every time.
    names: Vec<&'a Name>,
    spreads: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(document: &'a ExecutableDocument) -> Result<Self, DocumentError> {
        let mut fragments: Vec<_> = document.fragments.iter().collect();
        fragments.sort_by_key(|(_, fragment)| fragment.pos);
        let index: HashMap<&str, usize> = fragments
            .iter()
            .enumerate()
            .map(|(at, (name, _))| (name.as_str(), at))
            .collect();
        let targets = |items: &'a [Positioned<Selection>]| {
            let mut found = Vec::new();
            spreads_in(items, &mut found);
            found
                .into_iter()
                .map(|spread| target(&index, spread))
                .collect::<Result<Vec<_>, _>>()
        };
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

    /// Whoever waits for ever waits on a cycle, if not in it: as many steps as there are fragments lead into it.
    fn cycle_from(
        &self,
        stuck: usize,
        pending: &[usize],
        document: &ExecutableDocument,
    ) -> DocumentError {
        let step = |at: usize| {
            *self.spreads[at]
                .iter()
                .find(|&&next| pending[next] > 0)
                .expect("a stuck fragment spreads a stuck one")
        };
        let name = self.names[(0..pending.len()).fold(stuck, |at, _| step(at))];
        let pos = document.fragments.get(name).map(|fragment| fragment.pos);
        DocumentError::invalid(format!("fragment {name} spreads itself"), pos)
    }
}

fn target(
    index: &HashMap<&str, usize>,
    spread: &Positioned<FragmentSpread>,
) -> Result<usize, DocumentError> {
    let name = &spread.node.fragment_name.node;
    index.get(name.as_str()).copied().ok_or_else(|| {
        DocumentError::invalid(format!("fragment {name} is not defined"), [spread.pos])
    })
}
