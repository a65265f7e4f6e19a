//! What a process needs before it is ready, part by part.

use std::sync::{Arc, Mutex};

/// The parts of one process. Ready when all are up.
#[derive(Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<Parts>>,
}

/// Names, and why those that are down are down.
type Parts = Vec<(&'static str, Result<(), String>)>;

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
        parts.push((name, Err("starting".to_owned())));
        Part { health: self.clone(), index: parts.len() - 1 }
    }

    /// The parts that are down, with why.
    pub fn down(&self) -> Vec<(&'static str, String)> {
        let down = |(name, state): &(&'static str, Result<(), String>)| {
            state.as_ref().err().map(|why| (*name, why.clone()))
        };
        self.lock().iter().filter_map(down).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts.lock().expect("nothing panics while it holds this lock")
    }
}

impl Part {
    /// The part works.
    pub fn up(&self) {
        self.set(Ok(()));
    }

    /// The part does not work. Said once in the process's own log, not at every attempt.
    pub fn down(&self, why: impl std::fmt::Display) {
        self.set(Err(why.to_string()));
    }

    fn set(&self, state: Result<(), String>) {
        let mut parts = self.health.lock();
        let (name, held) = &mut parts[self.index];
        if held.is_ok() != state.is_ok() || (held.is_err() && *held != state) {
            match &state {
                Ok(()) => tracing::info!(part = name, "{name} is up"),
                Err(why) => tracing::warn!(part = name, why, "{name} is down: {why}"),
            }
        }
        *held = state;
    }
}
