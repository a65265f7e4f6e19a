//! Catalogues: a known number of deals that one buyer sees, and no others.

use std::time::Instant;

use tokio::time::{Duration, sleep};
use uuid::Uuid;

use crate::client::{Http, RESPONSE_TIMEOUT, address};
use crate::error::BoxError;
use crate::requests::MutationResult;
use crate::target::Target;

/// Time between two questions whether the buyer's tables include the last change.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Deals of some sellers, all of which one buyer sees.
pub(crate) struct Catalogue {
    /// Target whose buyer sees the catalogue, and whose seller is the first of its sellers.
    pub(crate) target: Target,
    /// Deals of that seller.
    pub(crate) deals: Vec<Uuid>,
}

impl Target {
    /// Creates a catalogue, or finds the one that an earlier run has created under the same name,
    /// and waits until the buyer sees it.
    ///
    /// Without an administrator, the target's own seller and buyer have the catalogue, among all
    /// else that the buyer sees.
    ///
    /// # Errors
    /// There is no administrator and more than one seller is wanted, or none is wanted, or the
    /// buyer does not see the deals within [`RESPONSE_TIMEOUT`].
    pub(crate) async fn catalogue(
        &self,
        name: &str,
        deals: usize,
        sellers: usize,
    ) -> Result<Catalogue, BoxError> {
        let catalogue = if self.admin_key.is_none() && sellers == 1 {
            Catalogue {
                target: self.clone(),
                deals: self.ensure_deals(deals).await?,
            }
        } else {
            self.own_catalogue(name, deals, sellers).await?
        };

        catalogue.wait_until_visible().await?;
        Ok(catalogue)
    }

    /// Creates a catalogue of sellers and a buyer who have nothing else: the deals that other
    /// scenarios make are then on none of its pages.
    async fn own_catalogue(
        &self,
        name: &str,
        deals: usize,
        sellers: usize,
    ) -> Result<Catalogue, BoxError> {
        let admin = self.admin()?;
        let mut ids = Vec::new();
        let mut catalogue = None;

        for number in 0..sellers {
            let seller = admin
                .create_seller(&format!("loadgen {name}, seller {number}"))
                .await?;
            let target = Target {
                seller_key: admin.issue_key(seller).await?,
                ..self.clone()
            };
            let deals = target.ensure_deals(share(deals, sellers, number)).await?;

            ids.push(seller);
            catalogue.get_or_insert(Catalogue { target, deals });
        }

        let mut catalogue = catalogue.ok_or("a catalogue must have at least one seller")?;
        let buyer = format!("loadgen {name}, buyer");
        catalogue.target.buyer_key = admin.create_buyer_of(&buyer, &ids).await?;
        Ok(catalogue)
    }
}

impl Catalogue {
    /// Waits until the buyer's tables include everything that was written so far. The deals would
    /// otherwise still arrive during the first run.
    async fn wait_until_visible(&self) -> Result<(), BoxError> {
        let target = &self.target;
        let deal = *self.deals.first().ok_or("a catalogue must have a deal")?;
        let mut http = Http::open(address(&target.url)?).await?;

        // A change of one's own comes after all others in the log, and its position is known. The
        // name is a new one, since a change to the same name would not be written.
        let name = format!("loadgen {}", Uuid::new_v4().simple());
        let rename = target.rename_request(deal, &name);
        let position = MutationResult::of_request(&mut http, &rename)
            .await?
            .position;

        let request = target.deal_request(deal, Some(&position));
        let started = Instant::now();
        loop {
            // The server itself waits for a second, and then answers that it has not reached the
            // position. After another status than 2xx the rest of the answer is unread, hence the
            // new connection.
            let mut http = Http::open(address(&target.url)?).await?;
            match http.execute(&request).await {
                Ok(data) if data["deal"].is_object() => return Ok(()),
                Err(error) if started.elapsed() > RESPONSE_TIMEOUT => return Err(error),
                _ if started.elapsed() > RESPONSE_TIMEOUT => {
                    return Err(format!("the buyer does not see deal {deal}").into());
                }
                _ => sleep(POLL_INTERVAL).await,
            }
        }
    }
}

/// Returns the number of deals of a numbered seller. The first sellers have one more where the
/// deals cannot be divided evenly.
fn share(deals: usize, sellers: usize, number: usize) -> usize {
    deals.saturating_sub(number).div_ceil(sellers)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn catalogue_shares_add_up() {
        let shares: Vec<usize> = (0..3).map(|number| share(20, 3, number)).collect();

        assert_eq!(shares, [7, 7, 6]);
    }
}
