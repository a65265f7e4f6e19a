//! Queues in which mutations of one subject take turns within a process, so that many writers of
//! one deal do not contend at the log. Between processes only the append's expectation decides.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::contract::Subject;

/// Largest number of mutations of one subject that wait or run at a time.
const LANE: usize = 256;

/// The lanes in use, by subject.
#[derive(Clone, Default)]
pub(super) struct Lanes {
    // Held only for map operations and never across an await: a blocking lock is the right kind.
    lanes: Arc<Mutex<HashMap<Subject, Lane>>>,
}

struct Lane {
    turns: Arc<Semaphore>,
    /// Mutations that wait or run; the lane is removed with the last of them.
    users: usize,
}

/// Reason why a mutation got no turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotEntered {
    /// The lane is full.
    Full,
    /// The deadline passed while the mutation waited.
    TooLate,
}

/// A turn in a lane. Dropping it lets the next mutation in.
pub(super) struct Turn {
    // The slot counts this mutation against the lane's limit; the permit is the turn itself.
    _slot: QueueSlot,
    _permit: OwnedSemaphorePermit,
}

/// Membership in a lane, waiting or running.
struct QueueSlot {
    lanes: Lanes,
    subject: Subject,
}

impl Lanes {
    /// Waits for a turn in the order of arrival, until `deadline`.
    pub(super) async fn enter(
        &self,
        subject: Subject,
        deadline: Instant,
    ) -> Result<Turn, NotEntered> {
        let (slot, turns) = self.join(subject).ok_or(NotEntered::Full)?;

        // The slot is taken before the wait, so that waiting mutations count against the limit. If
        // this future is dropped or too late, the slot goes with it.
        let permit = timeout_at(deadline, turns.acquire_owned())
            .await
            .map_err(|_| NotEntered::TooLate)?;

        Ok(Turn {
            _slot: slot,
            _permit: permit.expect("a lane's semaphore is never closed"),
        })
    }

    fn join(&self, subject: Subject) -> Option<(QueueSlot, Arc<Semaphore>)> {
        let mut lanes = self.lock();
        let lane = lanes.entry(subject).or_insert_with(|| Lane {
            turns: Arc::new(Semaphore::new(1)),
            users: 0,
        });

        if lane.users == LANE {
            return None;
        }

        lane.users += 1;
        let slot = QueueSlot {
            lanes: self.clone(),
            subject,
        };

        Some((slot, Arc::clone(&lane.turns)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Lane>> {
        self.lanes.lock()
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lock();
        let lane = lanes
            .get_mut(&self.subject)
            .expect("a lane exists as long as it has users");

        lane.users -= 1;

        // Subjects come and go without bound; an empty lane must not stay behind.
        if lane.users == 0 {
            lanes.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_bounded_and_is_removed_when_it_is_empty() {
        let lanes = Lanes::default();
        let soon = || Instant::now() + Duration::from_millis(5);
        let turn = lanes
            .enter(Subject::Opened, soon())
            .await
            .expect("the lane is empty");

        assert_eq!(
            lanes.enter(Subject::Opened, soon()).await.err(),
            Some(NotEntered::TooLate)
        );

        let waiting: Vec<_> = (1..LANE)
            .map(|_| lanes.join(Subject::Opened).expect("the lane is not full"))
            .collect();

        assert_eq!(
            lanes.enter(Subject::Opened, soon()).await.err(),
            Some(NotEntered::Full)
        );

        drop(waiting);
        drop(turn);
        assert!(lanes.lock().is_empty());
    }
}
