//! Comparison of what a reader was shown with what was due to it, to the letter.

use std::collections::HashMap;

use backbone::contract::Event;
use backbone::position::Position;
use uuid::Uuid;

use super::due::{Due, due, text};
use super::plan::{Habit, ReaderPlan};
use super::reader::{Reader, Shown};

/// Readers to whom the same is due.
pub(super) struct Audience<'a> {
    begin: Position,
    due: Vec<Due<'a>>,
    /// Texts that tell each of them by itself.
    texts: Vec<String>,
}

impl<'a> Audience<'a> {
    /// Returns those who read the same as `plan`, after the same place.
    pub(super) fn of(plan: &ReaderPlan, events: &'a [Event], begin: Position) -> Self {
        let due = due(events, plan, begin.sequence);
        assert!(!due.is_empty(), "{plan}: nothing was due");
        assert!(
            !plan.loses_deals() || due.iter().any(Due::is_left),
            "{plan}: no deal has left, so that nothing is shown of how that is told"
        );

        Self {
            begin,
            texts: due
                .iter()
                .map(|change| text(&[change], begin.epoch))
                .collect(),
            due,
        }
    }

    /// Compares what a reader was shown. Returns how many results that were.
    pub(super) fn check(&self, reader: &Reader) -> usize {
        let plan = reader.plan();
        let shown = reader.shown();

        if plan.habit == Habit::Conflating {
            self.check_conflated(plan, &shown, reader.ends().is_empty());
        } else {
            self.check_each(plan, &shown);
        }
        shown.len()
    }

    /// Checks that each change was shown: all of them, once, in the log's order, and nothing else.
    fn check_each(&self, plan: &ReaderPlan, shown: &[Shown]) {
        let expected = |index: usize| self.texts.get(index).map(String::as_str);
        let found = |index: usize| shown.get(index).map(|shown| &*shown.text);

        let most = self.texts.len().max(shown.len());
        if let Some(index) = (0..most).find(|index| expected(*index) != found(*index)) {
            panic!(
                "{plan}: {index} changes were as due, then came\n{:?} instead of\n{:?}",
                found(index),
                expected(index)
            );
        }
    }

    /// Checks that each result is the latest change of its deal, tells all that it stands for, and stands for nothing that
    /// was told before; and that the last result of each deal is its last change.
    fn check_conflated(&self, plan: &ReaderPlan, shown: &[Shown], never_ended: bool) {
        let mut of_deals: HashMap<Uuid, Vec<&Due<'a>>> = HashMap::new();
        for due in &self.due {
            let deal = due.deal().expect("only changes of deals are conflated");
            of_deals.entry(deal).or_default().push(due);
        }

        // Of each deal, the number of changes that are told.
        let mut told: HashMap<Uuid, usize> = HashMap::new();
        for result in shown {
            let deal = result.deal.expect("only changes of deals are conflated");
            let due = of_deals.get(&deal).map(Vec::as_slice).unwrap_or_default();
            let last = due
                .binary_search_by_key(&result.sequence, |due| due.sequence)
                .unwrap_or_else(|_| panic!("{plan}: {result:?} was not due"));

            let before = told.insert(deal, last + 1).unwrap_or(0);
            let first = last
                .checked_sub(result.skipped)
                .filter(|first| *first >= before)
                .unwrap_or_else(|| panic!("{plan}: {result:?} skips what was told before"));
            // A connection that ends in the middle of a window has told some of its deals. For the others the next one
            // begins anew, after the position of those, and does not know what came before.
            assert!(
                first == before || !never_ended,
                "{plan}: {result:?} skips {} changes of the deal without a word",
                first - before
            );

            let expected = text(&due[first..=last], self.begin.epoch);
            assert_eq!(&*result.text, expected.as_str(), "{plan}");
        }

        for (deal, due) in &of_deals {
            let told = told.get(deal).copied().unwrap_or(0);
            assert_eq!(told, due.len(), "{plan}: the last change of {deal}");
        }
    }
}
