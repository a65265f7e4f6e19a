//! What a process needs before it is ready, part by part, and what it can go on without once it was there.

use std::sync::Arc;

use parking_lot::Mutex;

/// The parts of one process. Ready when none is down.
#[derive(Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<Vec<(&'static str, State)>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// It was up, and its loss takes something away, not everything.
    Degraded(String),
    Down(String),
}

/// The owner's end of one part. Down until it says otherwise.
#[derive(Clone)]
pub struct Part {
    health: Health,
    index: usize,
}

impl Health {
    /// Adds a part, not yet up.
    pub fn part(&self, name: &'static str) -> Part {
        let mut parts = self.lock();
        parts.push((name, State::Down("starting".to_owned())));
        Part {
            health: self.clone(),
            index: parts.len() - 1,
        }
    }

    /// The parts without which the process is not ready, with why.
    pub fn down(&self) -> Vec<(&'static str, String)> {
        self.told(|state| match state {
            State::Down(why) => Some(why),
            State::Up | State::Degraded(_) => None,
        })
    }

    /// The parts that the process goes on without, with why.
    pub fn degraded(&self) -> Vec<(&'static str, String)> {
        self.told(|state| match state {
            State::Degraded(why) => Some(why),
            State::Up | State::Down(_) => None,
        })
    }

    fn told(&self, why: impl Fn(&State) -> Option<&String>) -> Vec<(&'static str, String)> {
        let parts = self.lock();
        parts
            .iter()
            .filter_map(|(name, state)| Some((*name, why(state)?.clone())))
            .collect()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Vec<(&'static str, State)>> {
        self.parts.lock()
    }
}

impl Part {
    /// The part works.
    pub fn up(&self) {
        self.set(|_| State::Up);
    }

    /// The part does not work, and the process is not ready.
    pub fn down(&self, why: impl std::fmt::Display) {
        self.set(|_| State::Down(why.to_string()));
    }

    /// What the part stands on is away. A process that starts waits for it; one that had it stays ready for all that
    /// does not need it: what all processes share is no reason to take each of them from its load balancer.
    pub fn away(&self, why: impl std::fmt::Display) {
        self.set(|state| match state {
            State::Down(_) => State::Down(why.to_string()),
            State::Up | State::Degraded(_) => State::Degraded(why.to_string()),
        });
    }

    /// A change is said in the process's own log, once.
    fn set(&self, change: impl FnOnce(&State) -> State) {
        let mut parts = self.health.lock();
        let (name, held) = &mut parts[self.index];
        let state = change(held);
        if *held == state {
            return;
        }
        match &state {
            State::Up => tracing::info!(part = name, "{name} is up"),
            State::Degraded(why) => {
                tracing::warn!(part = name, why, "going on without {name}: {why}")
            }
            State::Down(why) => tracing::warn!(part = name, why, "{name} is down: {why}"),
        }
        *held = state;
    }
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn a_process_waits_for_a_part_and_may_lose_it_later() {
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
