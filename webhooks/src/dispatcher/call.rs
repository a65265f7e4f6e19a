//! One call: checks its lease, opens the secrets, sends, and keeps the outcome to be recorded.

use backbone::Error;
use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::metrics::DispatchMetrics;
use crate::claim::ClaimedDelivery;
use crate::outcome::CompletedCall;
use crate::sender::{Call, Sender};
use crate::service::Webhooks;
use crate::signature::Secret;
use crate::time::between;

/// Everything that the calls of a dispatcher share.
pub(super) struct CallContext {
    pub(super) webhooks: Webhooks,
    pub(super) sender: Sender,
    pub(super) metrics: DispatchMetrics,
}

impl CallContext {
    /// Makes one call. Returns `None` if it was not made, because its lease had run out or its
    /// secret cannot be decrypted.
    pub(super) async fn call(
        &self,
        claimed: ClaimedDelivery,
        lease: Uuid,
        leased_until: Instant,
    ) -> Option<CompletedCall> {
        // The database may have taken longer to answer than the lease lasts. Another dispatcher may
        // be sending the delivery by now, and a second call would reach the receiver twice.
        if Instant::now() >= leased_until {
            self.metrics.lease_lost();
            return None;
        }

        let secrets = match self.secrets(&claimed) {
            Ok(secrets) => secrets,
            Err(error) => {
                // Not recorded, so the delivery is due again when its lease has run out, perhaps on
                // a dispatcher that has the right key.
                tracing::error!(
                    webhook = %claimed.webhook_id,
                    %error,
                    "the webhook's secret cannot be decrypted, so its delivery is not sent"
                );
                return None;
            }
        };

        let at = self.webhooks.clock.now();
        // Retries wait on purpose and replays are old: neither says how fast deliveries are sent.
        if claimed.attempts == 0 && !claimed.replay {
            self.metrics.first_attempt(between(claimed.created_at, at));
        }

        let call = Call {
            url: &claimed.url,
            id: claimed.id.0,
            at,
            secrets: &secrets,
            body: Bytes::from(claimed.body),
            replay: claimed.replay,
        };
        let outcome = self.sender.send(&call).await;

        Some(CompletedCall {
            delivery: claimed.id,
            webhook: claimed.webhook_id,
            lease,
            at,
            outcome,
        })
    }

    /// Opens the secrets that sign a call, the newest first.
    fn secrets(&self, claimed: &ClaimedDelivery) -> Result<Vec<Secret>, Error> {
        let sealed = [Some(&claimed.secret), claimed.previous_secret.as_ref()];
        let owner = claimed.webhook_id.0;

        sealed
            .into_iter()
            .flatten()
            .map(|sealed| self.webhooks.seal.open(owner, sealed))
            .collect()
    }
}
