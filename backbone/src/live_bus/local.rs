//! The live bus within one process. As with Redis, nothing is kept for later listeners.

use std::sync::Arc;

use bytes::Bytes;

use super::hub::{Hub, Session};

#[derive(Clone)]
pub(super) struct LocalBus {
    // Chosen when the crate is compiled: the binary has neither the lock nor the branches of the
    // faults.
    #[cfg(not(feature = "testkit"))]
    session: Session,
    #[cfg(feature = "testkit")]
    faults: super::LocalFaults,
}

impl LocalBus {
    pub(super) fn open(hub: &Arc<Hub>) -> Self {
        let session = Hub::begin(hub);
        session.up();
        Self::over(session)
    }
}

#[cfg(not(feature = "testkit"))]
impl LocalBus {
    fn over(session: Session) -> Self {
        Self { session }
    }

    pub(super) fn publish(&self, message: Bytes) -> Result<(), String> {
        self.session.message(message);
        Ok(())
    }
}

#[cfg(feature = "testkit")]
impl LocalBus {
    fn over(session: Session) -> Self {
        Self {
            faults: super::LocalFaults::over(session),
        }
    }

    pub(super) fn publish(&self, message: Bytes) -> Result<(), String> {
        self.faults.publish(message)
    }

    pub(super) fn faults(&self) -> super::LocalFaults {
        self.faults.clone()
    }
}
