//! Readiness of a process, part by part: what it needs before it is ready, and what it can continue
//! without once it had it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time for which a part may be down at first before the log warns about it: a server is connected to within that time,
/// unless something is wrong.
const STARTING: Duration = Duration::from_secs(3);

/// The parts of one process, which is ready while none is down. Clones are the same parts.
#[derive(Clone, Default)]
pub struct Health {
    // Held for a few instructions and never across an await.
    parts: Arc<Mutex<Vec<Entry>>>,
}

struct Entry {
    name: &'static str,
    state: State,
    began: Instant,
    was_up: bool,
    /// True if the state is that of a part which merely starts, so that the log has no warning of it.
    is_quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// The part was up and is lost; the process continues with less.
    Degraded(String),
    Down(String),
}

/// Handle by which the owner of a part reports its state. A part is down at first.
#[derive(Clone)]
pub struct Part {
    health: Health,
    index: usize,
}

impl Health {
    /// Adds a part, which is down until its owner reports otherwise.
    pub fn part(&self, name: &'static str) -> Part {
        let mut parts = self.lock();

        parts.push(Entry {
            name,
            state: State::Down("starting".to_owned()),
            began: Instant::now(),
            was_up: false,
            is_quiet: false,
        });
        Part {
            health: self.clone(),
            index: parts.len() - 1,
        }
    }

    /// Returns the parts that keep the process from being ready, each with the reason.
    pub fn down(&self) -> Vec<(&'static str, String)> {
        self.with_reason(|state| match state {
            State::Down(why) => Some(why),
            State::Up | State::Degraded(_) => None,
        })
    }

    /// Returns the lost parts that the process continues without, each with the reason.
    pub fn degraded(&self) -> Vec<(&'static str, String)> {
        self.with_reason(|state| match state {
            State::Degraded(why) => Some(why),
            State::Up | State::Down(_) => None,
        })
    }

    fn with_reason(&self, why: impl Fn(&State) -> Option<&String>) -> Vec<(&'static str, String)> {
        let parts = self.lock();
        parts
            .iter()
            .filter_map(|part| Some((part.name, why(&part.state)?.clone())))
            .collect()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Vec<Entry>> {
        self.parts.lock()
    }
}

impl Part {
    /// Reports that the part works.
    pub fn up(&self) {
        self.set(|_| State::Up);
    }

    /// Reports that the part does not work and the process is not ready.
    pub fn down(&self, why: impl std::fmt::Display) {
        self.set(|_| State::Down(why.to_string()));
    }

    /// Reports that a server behind the part cannot be reached.
    ///
    /// A process that is starting waits for it. One that had it stays ready for everything that
    /// does not need it: the loss of a server that all processes share must not remove each of them
    /// from its load balancer.
    pub fn away(&self, why: impl std::fmt::Display) {
        self.set(|state| match state {
            State::Down(_) => State::Down(why.to_string()),
            State::Up | State::Degraded(_) => State::Degraded(why.to_string()),
        });
    }

    /// Changes the state, and logs every change once.
    fn set(&self, change: impl FnOnce(&State) -> State) {
        let mut parts = self.health.lock();
        let part = &mut parts[self.index];
        let state = change(&part.state);

        let is_starting = !part.was_up && part.began.elapsed() < STARTING;
        let must_warn_now = part.is_quiet && !is_starting;
        if part.state == state && !must_warn_now {
            return;
        }

        // Logged under the lock, so that the log has the changes in their order.
        let name = part.name;
        match &state {
            State::Up => tracing::info!(part = name, "{name} is up"),
            State::Degraded(why) => {
                tracing::warn!(part = name, why, "continuing without {name}: {why}")
            }
            State::Down(why) if is_starting => {
                tracing::debug!(part = name, why, "waiting for {name}: {why}")
            }
            State::Down(why) => tracing::warn!(part = name, why, "{name} is down: {why}"),
        }

        part.was_up |= state == State::Up;
        part.is_quiet = is_starting && matches!(state, State::Down(_));
        part.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn health_waits_for_a_part_at_first_and_may_lose_it_later() {
        let health = Health::default();
        let (tables, log) = (health.part("tables"), health.part("log"));
        assert_eq!(health.down().len(), 2);
        tables.up();
        log.away("not there yet");
        assert_eq!(health.down(), [("log", "not there yet".to_owned())]);
        log.up();
        assert!(health.down().is_empty() && health.degraded().is_empty());
        log.away("lost");
        tables.down("lost too");
        assert_eq!(health.down(), [("tables", "lost too".to_owned())]);
        assert_eq!(health.degraded(), [("log", "lost".to_owned())]);
    }
}
