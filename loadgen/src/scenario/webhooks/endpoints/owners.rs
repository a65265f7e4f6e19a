//! Buyers who own a run's endpoints.

use uuid::Uuid;

use crate::accounts::Admin;
use crate::error::BoxError;
use crate::target::Target;

/// Number of endpoints that Dealwire allows a buyer to register.
const ENDPOINTS_PER_BUYER: usize = 20;

/// API keys of buyers who own endpoints.
pub(in crate::scenario::webhooks) struct Owners(Vec<String>);

impl Owners {
    /// Returns enough owners for a number of endpoints, with access to the target's seller. The
    /// target's own buyer serves where an administrator's key is missing and the endpoints are few.
    pub(in crate::scenario::webhooks) async fn of_target(
        target: &Target,
        endpoints: usize,
    ) -> Result<Self, BoxError> {
        // The demo market's buyer can then be measured without any set-up, as on an embedded
        // server.
        if target.admin_key.is_none() && endpoints <= ENDPOINTS_PER_BUYER {
            return Ok(Self(vec![target.buyer_key.clone()]));
        }

        let admin = target.admin()?;
        let seller = target.seller().await?;
        Self::create(&admin, "loadgen endpoints", endpoints, seller).await
    }

    /// Creates enough owners for a number of endpoints, with access to a seller. Their names begin
    /// with the prefix.
    pub(in crate::scenario::webhooks) async fn create(
        admin: &Admin<'_>,
        prefix: &str,
        endpoints: usize,
        seller: Uuid,
    ) -> Result<Self, BoxError> {
        let count = endpoints.div_ceil(ENDPOINTS_PER_BUYER);
        Ok(Self(admin.create_buyers(prefix, count, seller).await?))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn key(&self, owner: usize) -> &str {
        &self.0[owner]
    }

    /// Returns the key of the owner of an endpoint, by the endpoint's number.
    pub(super) fn key_for_endpoint(&self, number: usize) -> &str {
        self.key(number / ENDPOINTS_PER_BUYER)
    }
}
