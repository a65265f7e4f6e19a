//! What buyers do with their endpoints and deliveries: the handle that the public API holds. It decides nothing about
//! calls; it wakes those who make them.

use backbone::clock::Clock;
use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId, WebhookId};
use backbone::live_bus::LiveBus;
use backbone::projection::Checkpoint;
use backbone::time::Timestamp;
use backbone::{Error, random};

use buyer_core::{BuyerSide, PROJECTION, notification};

use super::deliveries::Wanted;
use super::egress::Egress;
use super::seal::SealKey;
use super::signature::Secret;
use super::{
    Changes, Delivery, DeliveryPage, DeliveryState, Refusal, Registration, Webhook, deliveries,
    endpoints, retention,
};

/// What buyers do with their endpoints and deliveries.
#[derive(Clone)]
pub struct Webhooks {
    pub(super) db: Db,
    pub(super) clock: Clock,
    bus: LiveBus,
    egress: Egress,
    pub(super) seal: SealKey,
}

impl Webhooks {
    /// Builds the service over the buyer side's database. `egress` decides which URLs an endpoint may have, `seal`
    /// encrypts the endpoints' secrets at rest.
    pub fn new(buyers: &BuyerSide, bus: LiveBus, egress: Egress, seal: SealKey) -> Self {
        Self {
            db: buyers.db().clone(),
            clock: buyers.clock().clone(),
            bus,
            egress,
            seal,
        }
    }

    /// Adds an endpoint, owed every change after the tables' place of now. The secret is shown this once.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::LimitExceeded`] beyond [`MAX_WEBHOOKS`](super::MAX_WEBHOOKS), [`Refusal::Store`].
    pub async fn register(
        &self,
        buyer: BuyerId,
        asked: Registration,
    ) -> Result<(Webhook, Secret), Refusal> {
        let asked = asked.checked(&self.egress).map_err(Refusal::Invalid)?;
        let now = self.clock.now();
        let (id, secret) = (
            WebhookId(random::row_id(now.as_micros())),
            Secret::generate(),
        );
        let sealed = self.seal.seal(id.0, &secret);
        let webhook = endpoints::register(&self.db, buyer, id, &asked, &sealed, now).await?;
        Ok((webhook, secret))
    }

    /// Changes what is given; what is not stays as it is.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn update(
        &self,
        buyer: BuyerId,
        id: WebhookId,
        asked: Changes,
    ) -> Result<Webhook, Refusal> {
        let asked = asked.checked(&self.egress).map_err(Refusal::Invalid)?;
        let (webhook, checkpoint) = endpoints::update(&self.db, buyer, id, &asked).await?;
        self.wake(checkpoint, id).await;
        Ok(webhook)
    }

    /// Ends an endpoint: what is pending is discarded, calls on their way are not recorded.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Store`], after which what is left is discarded by [`retention`].
    pub async fn delete(&self, buyer: BuyerId, id: WebhookId) -> Result<(), Refusal> {
        let now = self.clock.now();
        endpoints::delete(&self.db, buyer, id, now).await?;
        Ok(retention::discard(&self.db, id, now).await?)
    }

    /// Gives an endpoint a new secret; calls are signed with the one before too, for a day.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn rotate_secret(
        &self,
        buyer: BuyerId,
        id: WebhookId,
    ) -> Result<(Webhook, Secret), Refusal> {
        let secret = Secret::generate();
        let sealed = self.seal.seal(id.0, &secret);
        let webhook = endpoints::rotate(&self.db, buyer, id, &sealed, self.clock.now()).await?;
        Ok((webhook, secret))
    }

    /// Owes an endpoint a test call.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn test(&self, buyer: BuyerId, id: WebhookId) -> Result<Delivery, Refusal> {
        let (delivery, checkpoint) =
            endpoints::owe_test(&self.db, buyer, id, self.clock.now()).await?;
        self.wake(checkpoint, id).await;
        self.read_back(buyer, delivery).await
    }

    /// A buyer's endpoints, oldest first.
    pub async fn list(&self, buyer: BuyerId) -> Result<Vec<Webhook>, Error> {
        endpoints::list(&self.db, buyer).await
    }

    /// An endpoint of this buyer; a deleted one as long as any of its deliveries is kept.
    pub async fn find(&self, buyer: BuyerId, id: WebhookId) -> Result<Option<Webhook>, Error> {
        endpoints::find(&self.db, buyer, id).await
    }

    /// A buyer's deliveries, newest first: at most `limit`, older than `after`, of one endpoint and in one state if
    /// given. Without an endpoint, those of the ones that are not deleted.
    pub async fn deliveries(
        &self,
        buyer: BuyerId,
        webhook: Option<WebhookId>,
        state: Option<DeliveryState>,
        limit: u32,
        after: Option<DeliveryId>,
    ) -> Result<DeliveryPage, Error> {
        deliveries::page(
            &self.db,
            buyer,
            Wanted {
                webhook,
                state,
                limit,
                after,
            },
        )
        .await
    }

    /// A delivery to this buyer.
    pub async fn delivery(
        &self,
        buyer: BuyerId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, Error> {
        deliveries::find(&self.db, buyer, id).await
    }

    /// Re-opens a delivery that is delivered or dead: the same id, outside the order, all tries anew.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], for what was discarded too; [`Refusal::Conflict`] while it is pending;
    /// [`Refusal::Store`].
    pub async fn replay(&self, buyer: BuyerId, id: DeliveryId) -> Result<Delivery, Refusal> {
        let webhook = deliveries::replay(&self.db, buyer, id, self.clock.now()).await?;
        self.wake(self.checkpoint().await?, webhook).await;
        self.read_back(buyer, id).await
    }

    /// Re-opens every delivery of an endpoint in a state, delivered or dead, that came to be owed at `since` or later.
    /// Returns how many.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Invalid`] for another state; [`Refusal::Store`], after which some may have
    /// been re-opened.
    pub async fn replay_many(
        &self,
        buyer: BuyerId,
        webhook: WebhookId,
        state: DeliveryState,
        since: Option<Timestamp>,
    ) -> Result<u64, Refusal> {
        let now = self.clock.now();
        let count = deliveries::replay_many(&self.db, buyer, webhook, state, since, now).await?;
        self.wake(self.checkpoint().await?, webhook).await;
        Ok(count)
    }

    /// Drops what has been finished for [`retention::KEEP`], and ends what deletions left over. Returns how many
    /// deliveries were dropped.
    pub async fn forget_old(&self) -> Result<u64, Error> {
        let now = self.clock.now();
        let kept = i64::try_from(retention::KEEP.as_micros()).unwrap_or(i64::MAX);
        let older_than = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
        retention::forget(&self.db, older_than, now).await
    }

    async fn read_back(&self, buyer: BuyerId, id: DeliveryId) -> Result<Delivery, Refusal> {
        self.delivery(buyer, id).await?.ok_or(Refusal::NotFound)
    }

    async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::read(&self.db, PROJECTION).await
    }

    /// Something may be due: who sends hears of it at once, or sees it within a second.
    async fn wake(&self, checkpoint: Checkpoint, webhook: WebhookId) {
        if let Err(error) = self
            .bus
            .publish(notification::wake(checkpoint, &[webhook]))
            .await
        {
            tracing::debug!(%error, %webhook, "dispatchers were not woken");
        }
    }
}
