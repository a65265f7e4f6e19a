//! Progress of a command that works through the log, on standard error.

use std::time::{Duration, Instant};

use backbone::position::Sequence;

use super::output;

/// Time between two lines.
const INTERVAL: Duration = Duration::from_secs(2);

/// Lines that say how far a command is and how fast it goes.
pub(super) struct Progress {
    what: &'static str,
    goal: Sequence,
    /// Sequence at which the command began; `None` before the first report.
    from: Option<Sequence>,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Starts the clock. `what` is the participle of the work, such as `exported`.
    pub(super) fn start(what: &'static str, goal: Sequence) -> Self {
        let now = Instant::now();
        Self {
            what,
            goal,
            from: None,
            started: now,
            told: now,
        }
    }

    /// Notes a sequence as [`Progress::reached`] does, of a goal that moves.
    pub(super) fn reached_of(&mut self, sequence: Sequence, goal: Sequence) {
        self.goal = goal;
        self.reached(sequence);
    }

    /// Notes that the command has reached a sequence, and prints a line from time to time.
    pub(super) fn reached(&mut self, sequence: Sequence) {
        let from = *self.from.get_or_insert(sequence);
        let now = Instant::now();
        if now.duration_since(self.told) < INTERVAL {
            return;
        }

        self.told = now;
        self.goal = self.goal.max(sequence);
        let seconds = now.duration_since(self.started).as_secs_f64();
        let rate = (sequence - from) as f64 / seconds;
        output::tell(format_args!(
            "{} {sequence} of {} events, {rate:.0} a second",
            self.what, self.goal
        ));
    }
}
