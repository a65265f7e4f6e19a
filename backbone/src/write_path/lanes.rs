//! Mutations of one subject take turns within a process, so that many writers of one deal do not fight each other
//! at the log. Other processes are kept apart by the expectation alone.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::contract::Subject;

/// The most mutations of one subject that wait or work at a time.
const LANE: usize = 256;

/// The lanes in use.
#[derive(Clone, Default)]
pub(super) struct Lanes {
    lanes: Arc<Mutex<HashMap<Subject, Lane>>>,
}

struct Lane {
    turns: Arc<Semaphore>,
    users: usize,
}

/// Why there is no turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The lane is full.
    Full,
    /// The deadline came first.
    TooLate,
}

/// A turn; the next one's comes when it is dropped.
pub(super) struct Turn {
    _slot: QueueSlot,
    _permit: OwnedSemaphorePermit,
}

/// A place in a lane, waiting or at work.
struct QueueSlot {
    lanes: Lanes,
    subject: Subject,
}

impl Lanes {
    /// Waits for a turn, first come first served.
    pub(super) async fn enter(&self, subject: Subject, deadline: Instant) -> Result<Turn, Refused> {
        let (place, turns) = self.join(subject).ok_or(Refused::Full)?;
        let permit = timeout_at(deadline, turns.acquire_owned())
            .await
            .map_err(|_| Refused::TooLate)?;
        let permit = permit.expect("a lane's semaphore is never closed");
        Ok(Turn {
            _slot: place,
            _permit: permit,
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
        Some((
            QueueSlot {
                lanes: self.clone(),
                subject,
            },
            Arc::clone(&lane.turns),
        ))
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<Subject, Lane>> {
        self.lanes.lock()
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lock();
        let lane = lanes.get_mut(&self.subject).expect("a place is in a lane");
        lane.users -= 1;
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
    async fn a_lane_is_bounded_and_goes_when_it_is_empty() {
        let lanes = Lanes::default();
        let soon = || Instant::now() + Duration::from_millis(5);
        let turn = lanes
            .enter(Subject::Opened, soon())
            .await
            .expect("the lane is empty");
        assert_eq!(
            lanes.enter(Subject::Opened, soon()).await.err(),
            Some(Refused::TooLate)
        );
        let waiting: Vec<_> = (1..LANE)
            .map(|_| lanes.join(Subject::Opened).expect("there is room"))
            .collect();
        assert_eq!(
            lanes.enter(Subject::Opened, soon()).await.err(),
            Some(Refused::Full)
        );
        drop(waiting);
        drop(turn);
        assert!(lanes.lock().is_empty());
    }
}
