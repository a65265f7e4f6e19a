//! Faults of a live bus that tests inject into the one within the process. Nothing depends on time:
//! a delay lasts until the test ends it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::hub::Session;

/// Faults of one local bus, which affect what any of its clones publishes. Clones are the same
/// faults.
#[derive(Clone)]
// Held while messages are passed on, so that they keep their order.
pub struct LocalFaults(Arc<Mutex<Plan>>);

struct Plan {
    session: Session,
    drop: usize,
    duplicate: usize,
    delayed: Option<VecDeque<Bytes>>,
    cut: bool,
}

/// Largest number of delayed messages; further ones are refused.
const DELAYED: usize = 4_096;

impl LocalFaults {
    pub(super) fn over(session: Session) -> Self {
        Self(Arc::new(Mutex::new(Plan {
            session,
            drop: 0,
            duplicate: 0,
            delayed: None,
            cut: false,
        })))
    }

    /// Loses the next `count` messages, although publishing them succeeds.
    pub fn drop_next(&self, count: usize) {
        self.plan().drop = count;
    }

    /// Delivers the next `count` messages that are not lost twice in a row.
    pub fn duplicate_next(&self, count: usize) {
        self.plan().duplicate = count;
    }

    /// Delays messages, in order, until [`release`](Self::release), although publishing them
    /// succeeds. Beyond 4,096 delayed messages, publishing fails.
    pub fn delay(&self) {
        self.plan().delayed.get_or_insert_default();
    }

    /// Delivers the delayed messages, and stops delaying. If the link is cut by now, they are lost.
    pub fn release(&self) {
        let mut plan = self.plan();
        // Under the lock, so that no message that is published meanwhile overtakes the delayed
        // ones.
        for message in plan.delayed.take().unwrap_or_default() {
            plan.session.message(message);
        }
    }

    /// Takes the link down until [`mend`](Self::mend): receivers are disconnected, and publishing
    /// fails.
    pub fn cut(&self) {
        let mut plan = self.plan();
        plan.cut = true;
        plan.session.down();
    }

    /// Brings the link up again.
    pub fn mend(&self) {
        let mut plan = self.plan();
        plan.cut = false;
        plan.session.up();
    }

    pub(super) fn publish(&self, message: Bytes) -> Result<(), String> {
        // The lock is held to the end, for the order of messages.
        let mut plan = self.plan();
        // A cut comes before the other faults, so that a refused message uses up none of them.
        if plan.cut {
            return Err("the link was cut by a test".to_owned());
        }

        if take_one(&mut plan.drop) {
            return Ok(());
        }

        let copies = if take_one(&mut plan.duplicate) { 2 } else { 1 };
        for message in std::iter::repeat_n(message, copies) {
            let Plan {
                session, delayed, ..
            } = &mut *plan;

            match delayed {
                None => session.message(message),
                Some(delayed) if delayed.len() < DELAYED => delayed.push_back(message),
                Some(_) => return Err(format!("{DELAYED} messages are delayed already")),
            }
        }

        Ok(())
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock()
    }
}

fn take_one(count: &mut usize) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}
