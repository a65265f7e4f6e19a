//! What can go wrong with a live bus, as switches on the one inside the process, for tests. It refuses time: a
//! delay lasts until the test ends it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::hub::Session;

/// Switches on one local bus; they act on what any of its clones publishes. Clones are the same switches.
#[derive(Clone)]
pub struct LocalFaults(Arc<Mutex<Plan>>);

struct Plan {
    session: Session,
    drop: usize,
    duplicate: usize,
    held: Option<VecDeque<Bytes>>,
    cut: bool,
}

/// Held messages; one more is refused.
const HELD: usize = 4_096;

impl LocalFaults {
    pub(super) fn over(session: Session) -> Self {
        Self(Arc::new(Mutex::new(Plan {
            session,
            drop: 0,
            duplicate: 0,
            held: None,
            cut: false,
        })))
    }

    /// The next `count` messages vanish; their publishers are told that all is well.
    pub fn drop_next(&self, count: usize) {
        self.plan().drop = count;
    }

    /// The next `count` messages that do not vanish arrive twice in a row.
    pub fn duplicate_next(&self, count: usize) {
        self.plan().duplicate = count;
    }

    /// Messages are delayed, in order, until [`release`](Self::release); their publishers are told that all is
    /// well. More than 4,096 of them are refused.
    pub fn hold(&self) {
        self.plan().held.get_or_insert_default();
    }

    /// Lets the held messages go, and all later ones. If the link is cut by now, the held ones are lost.
    pub fn release(&self) {
        let mut plan = self.plan();
        for message in plan.held.take().unwrap_or_default() {
            plan.session.message(message);
        }
    }

    /// The link goes down: receivers are disconnected, and publishing is refused, until [`mend`](Self::mend).
    pub fn cut(&self) {
        let mut plan = self.plan();
        plan.cut = true;
        plan.session.down();
    }

    /// The link comes up again.
    pub fn mend(&self) {
        let mut plan = self.plan();
        plan.cut = false;
        plan.session.up();
    }

    pub(super) fn publish(&self, message: Bytes) -> Result<(), String> {
        // The lock is held to the end, for the order of messages.
        let mut plan = self.plan();
        if plan.cut {
            return Err("cut by a test".to_owned());
        }
        if take_one(&mut plan.drop) {
            return Ok(());
        }
        let copies = if take_one(&mut plan.duplicate) { 2 } else { 1 };
        for message in std::iter::repeat_n(message, copies) {
            let Plan { session, held, .. } = &mut *plan;
            match held {
                None => session.message(message),
                Some(held) if held.len() < HELD => held.push_back(message),
                Some(_) => return Err(format!("a test holds {HELD} messages already")),
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
