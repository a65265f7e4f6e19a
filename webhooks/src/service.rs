//! Service that the public API calls: everything that buyers do with their endpoints and
//! deliveries.

use backbone::clock::Clock;
use backbone::db::Db;
use backbone::ids::{BuyerId, DeliveryId, WebhookId};
use backbone::live_bus::LiveBus;
use backbone::position::Sequence;
use backbone::projection::Checkpoint;
use backbone::{Error, random};
use buyer_core::{BuyerSide, notification};
use uuid::Uuid;

use crate::checkpoint::Tables;
use crate::deliveries::PageRequest;
use crate::egress::Egress;
use crate::input::{Changes, Registration};
use crate::model::{Delivery, DeliveryFilter, DeliveryPage, Webhook};
use crate::refusal::Refusal;
use crate::replay::{Replay, ReplayRequest};
use crate::seal::SealKey;
use crate::signature::Secret;
use crate::time::before;
use crate::{checkpoint, cleanup, deliveries, endpoints, replay};

/// Handle for everything that buyers do with their endpoints and deliveries. Clones share the
/// database's connections.
#[derive(Clone)]
pub struct Webhooks {
    /// Database of the webhooks' tables: the buyer side's on PostgreSQL, one of its own on SQLite.
    pub(crate) db: Db,
    pub(crate) buyers: BuyerSide,
    pub(crate) clock: Clock,
    bus: LiveBus,
    egress: Egress,
    pub(crate) seal: SealKey,
}

impl Webhooks {
    /// Builds the service over the database of the webhooks' tables, which [`migrate`] has created.
    /// `egress` decides which URLs an endpoint may have, `seal` encrypts the endpoints' secrets at
    /// rest.
    ///
    /// [`migrate`]: crate::migrate()
    pub fn new(buyers: &BuyerSide, db: Db, bus: LiveBus, egress: Egress, seal: SealKey) -> Self {
        Self {
            db,
            buyers: buyers.clone(),
            clock: buyers.clock().clone(),
            bus,
            egress,
            seal,
        }
    }

    /// Registers an endpoint, which receives every change after the projection's current
    /// checkpoint. The secret, new or imported, is returned this once and cannot be read again.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::LimitExceeded`] beyond
    /// [`MAX_WEBHOOKS`](crate::MAX_WEBHOOKS) endpoints; [`Refusal::Store`].
    pub async fn register(
        &self,
        buyer: BuyerId,
        registration: Registration,
    ) -> Result<(Webhook, Secret), Refusal> {
        let (registration, secret) = registration
            .checked(&self.egress)
            .map_err(Refusal::Invalid)?;

        let now = self.clock.now();
        // The secret is sealed under the endpoint's id, so the id is drawn here and not by the
        // database.
        let id = WebhookId(random::row_id(now.as_micros()));
        let sealed = self.seal.seal(id.0, &secret);

        let webhook =
            endpoints::register(self.tables(), buyer, id, &registration, &sealed, now).await?;
        Ok((webhook, secret))
    }

    /// Changes the given fields of an endpoint; the others stay as they are.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn update(
        &self,
        buyer: BuyerId,
        id: WebhookId,
        changes: Changes,
    ) -> Result<Webhook, Refusal> {
        let changes = changes.checked(&self.egress).map_err(Refusal::Invalid)?;

        let now = self.clock.now();
        let (webhook, checkpoint) =
            endpoints::update(self.tables(), buyer, id, &changes, now).await?;
        // An endpoint that was resumed or has another URL may have deliveries that have been due for
        // long.
        self.wake_dispatchers(checkpoint, &[id]).await;

        Ok(webhook)
    }

    /// Deletes an endpoint: its pending deliveries are discarded, and the outcomes of calls under
    /// way are not recorded.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Store`], after which [retention](crate::retention)
    /// discards what is left.
    pub async fn delete(&self, buyer: BuyerId, id: WebhookId) -> Result<(), Refusal> {
        let now = self.clock.now();

        // Two steps, because an endpoint may have more pending deliveries than one transaction
        // should hold. Once the first step is committed the endpoint is gone for its owner.
        endpoints::delete(&self.db, buyer, id, now).await?;
        let discarded = cleanup::discard(&self.db, id, now).await;
        Ok(discarded.map_err(Error::after_write)?)
    }

    /// Gives an endpoint a new secret and returns it. Calls carry a signature of the previous
    /// secret as well for 24 hours.
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

        let now = self.clock.now();
        let webhook = endpoints::rotate_secret(&self.db, buyer, id, &sealed, now).await?;
        Ok((webhook, secret))
    }

    /// Creates a test delivery for an endpoint.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn test(&self, buyer: BuyerId, id: WebhookId) -> Result<Delivery, Refusal> {
        let now = self.clock.now();
        let checkpoint = self.checkpoint().await?;
        let delivery = endpoints::add_test_delivery(&self.db, checkpoint, buyer, id, now).await?;
        self.wake_dispatchers(checkpoint, &[id]).await;

        self.read_back(buyer, delivery).await
    }

    /// Returns a buyer's endpoints, oldest first.
    pub async fn list(&self, buyer: BuyerId) -> Result<Vec<Webhook>, Error> {
        endpoints::list(&self.db, buyer).await
    }

    /// Returns an endpoint of this buyer. A deleted one is found as long as any of its deliveries
    /// is kept.
    pub async fn find(&self, buyer: BuyerId, id: WebhookId) -> Result<Option<Webhook>, Error> {
        endpoints::find(&self.db, buyer, id).await
    }

    /// Returns a page of a buyer's deliveries, newest first: at most `limit`, older than `after`,
    /// and matching `filter`. Without an endpoint, the deliveries of deleted endpoints are left out.
    pub async fn deliveries(
        &self,
        buyer: BuyerId,
        filter: DeliveryFilter,
        limit: u32,
        after: Option<DeliveryId>,
    ) -> Result<DeliveryPage, Error> {
        let request = PageRequest {
            filter,
            limit,
            after,
        };
        deliveries::page(&self.db, buyer, &request).await
    }

    /// Returns a delivery to this buyer.
    pub async fn delivery(
        &self,
        buyer: BuyerId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, Error> {
        deliveries::find(&self.db, buyer, id).await
    }

    /// Replays a delivery that is delivered or dead: under the same id, outside the order of its
    /// deal, and with all tries available again.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a discarded delivery; [`Refusal::Conflict`] while the
    /// delivery is pending; [`Refusal::Store`].
    pub async fn replay(&self, buyer: BuyerId, id: DeliveryId) -> Result<Delivery, Refusal> {
        let webhook = deliveries::replay(&self.db, buyer, id, self.clock.now()).await?;
        let checkpoint = self.checkpoint().await.map_err(Error::after_write)?;
        self.wake_dispatchers(checkpoint, &[webhook]).await;

        self.read_back(buyer, id).await
    }

    /// Starts a replay of the deliveries that `request` selects, or counts them. With `key`, a
    /// repetition of the same request returns the first replay.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::NotFound`]; [`Refusal::Conflict`] while another replay of
    /// the endpoint is running; [`Refusal::KeyReused`]; [`Refusal::Store`].
    pub async fn start_replay(
        &self,
        buyer: BuyerId,
        request: &ReplayRequest,
        key: Option<&str>,
    ) -> Result<Replay, Refusal> {
        replay::start(&self.db, buyer, request, key, self.clock.now()).await
    }

    /// Ends a replay. What it has opened and nobody has called yet goes back into its earlier state.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Store`].
    pub async fn cancel_replay(&self, buyer: BuyerId, id: Uuid) -> Result<Replay, Refusal> {
        replay::cancel(&self.db, buyer, id, self.clock.now()).await
    }

    /// Returns the newest replays of a buyer's endpoint, newest first and at most 100.
    pub async fn replays(&self, buyer: BuyerId, webhook: WebhookId) -> Result<Vec<Replay>, Error> {
        replay::list(&self.db, buyer, webhook).await
    }

    /// Takes one step of one running replay, if any is due. Returns whether one was.
    pub async fn step_replay(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        // Looked for without a transaction, because one that writes is alone in SQLite.
        if !replay::is_due(&self.db, now).await? {
            return Ok(false);
        }

        let Some(webhook) = replay::step(&self.db, now).await? else {
            return Ok(false);
        };
        let checkpoint = self.checkpoint().await?;
        self.wake_dispatchers(checkpoint, &[webhook]).await;
        Ok(true)
    }

    /// Returns the sequence up to which every change has its deliveries.
    pub async fn fanned_out(&self) -> Result<Sequence, Error> {
        Ok(checkpoint::read(&self.db).await?.complete_up_to())
    }

    /// Drops what has been finished for [`KEEP`](crate::retention::KEEP), and completes deletions
    /// that were cut short. Returns the number of deliveries dropped.
    pub async fn forget_old(&self) -> Result<u64, Error> {
        let now = self.clock.now();
        cleanup::forget(&self.db, before(now, cleanup::KEEP), now).await
    }

    // Read after the commit, in a statement of its own: a dispatcher may have delivered it by then,
    // which is as true an answer.
    async fn read_back(&self, buyer: BuyerId, id: DeliveryId) -> Result<Delivery, Refusal> {
        let delivery = self.delivery(buyer, id).await;
        delivery
            .map_err(Error::after_write)?
            .ok_or(Refusal::NotFound)
    }

    async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        self.buyers.checkpoint().await
    }

    fn tables(&self) -> Tables<'_> {
        Tables {
            db: &self.db,
            buyers: &self.buyers,
        }
    }

    /// Tells dispatchers that endpoints may have a delivery due.
    pub(crate) async fn wake_dispatchers(&self, checkpoint: Checkpoint, webhooks: &[WebhookId]) {
        let wake = notification::wake(checkpoint, webhooks);

        // A hint only, so an error is not the caller's: dispatchers poll the tables every second.
        if let Err(error) = self.bus.publish(wake).await {
            tracing::debug!(%error, ?webhooks, "webhook dispatchers were not notified and will find the deliveries by polling");
        }
    }
}
