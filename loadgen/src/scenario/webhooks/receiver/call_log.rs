//! Log of the calls that arrived at a receiver.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::Behaviour;
use crate::error::BoxError;
use crate::scenario::subscribers::Marker;

/// Call that delivered a change.
#[derive(Clone, Copy, Debug)]
pub(in crate::scenario::webhooks) struct Call {
    /// Value of the `webhook-id` header, which is the same for every attempt of a delivery.
    pub(in crate::scenario::webhooks) id: Uuid,
    /// Number of the change, from its marker.
    pub(in crate::scenario::webhooks) number: u64,
    /// Microseconds from the start of the run until the change was made.
    pub(in crate::scenario::webhooks) made_micros: u64,
    /// Microseconds from the start of the run until the call arrived.
    pub(in crate::scenario::webhooks) arrived_micros: u64,
}

/// Calls to all endpoints of a receiver.
pub(super) struct CallLog {
    started: Instant,
    endpoints: Vec<EndpointLog>,
    /// Number of deliveries to answering endpoints.
    answered: AtomicU64,
    /// Number of calls that are no deliveries.
    unrecognised: AtomicU64,
}

struct EndpointLog {
    behaviour: Behaviour,
    // A blocking lock, since it is held only to push or to copy and never across an await. One lock
    // for each endpoint keeps the calls to different endpoints from waiting for one another.
    calls: Mutex<Vec<Call>>,
}

impl CallLog {
    /// Creates the log of a run that starts now.
    pub(super) fn start(behaviours: &[Behaviour]) -> Self {
        let endpoint = |behaviour: &Behaviour| EndpointLog {
            behaviour: *behaviour,
            calls: Mutex::default(),
        };

        Self {
            started: Instant::now(),
            endpoints: behaviours.iter().map(endpoint).collect(),
            answered: AtomicU64::new(0),
            unrecognised: AtomicU64::new(0),
        }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn behaviour(&self, endpoint: usize) -> Behaviour {
        self.endpoints[endpoint].behaviour
    }

    // The counters below order nothing: who needs the calls themselves takes the locks.

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn unrecognised(&self) -> u64 {
        self.unrecognised.load(Ordering::Relaxed)
    }

    pub(super) fn calls_to_answering(&self) -> Vec<Vec<Call>> {
        self.endpoints
            .iter()
            .filter(|endpoint| endpoint.behaviour == Behaviour::Answers)
            .map(EndpointLog::calls)
            .collect()
    }

    #[cfg(test)]
    pub(super) fn calls_to(&self, endpoint: usize) -> Vec<Call> {
        self.endpoints[endpoint].calls()
    }

    /// Records a call and returns the behaviour of its endpoint.
    ///
    /// # Errors
    /// The receiver has no endpoint of that number.
    pub(super) fn record(
        &self,
        endpoint: usize,
        id: Option<Uuid>,
        marker: Option<Marker>,
    ) -> Result<Behaviour, BoxError> {
        let arrived_micros = self.started.elapsed().as_micros() as u64;
        let log = self.endpoints.get(endpoint).ok_or_else(|| {
            format!("a webhook call is for endpoint {endpoint}, which does not exist")
        })?;

        let (Some(id), Some(marker)) = (id, marker) else {
            self.unrecognised.fetch_add(1, Ordering::Relaxed);
            return Ok(log.behaviour);
        };

        log.push(Call {
            id,
            number: marker.number,
            made_micros: marker.sent_micros,
            arrived_micros,
        });
        if log.behaviour == Behaviour::Answers {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(log.behaviour)
    }
}

impl EndpointLog {
    // A panic while the lock is held cannot leave the list half-changed, so a poisoned lock is as
    // good as any.

    fn push(&self, call: Call) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call);
    }

    fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
