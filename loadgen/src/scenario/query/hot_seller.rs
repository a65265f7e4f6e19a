//! Seller who changes deals all the time, so that no two answers need be the same.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::interval;
use uuid::Uuid;

use crate::catalogue::Catalogue;
use crate::client::{Http, address};
use crate::error::BoxError;
use crate::target::Target;

/// Changes being made in the background.
pub(super) struct HotSeller {
    task: JoinHandle<Result<Infallible, BoxError>>,
    made: Arc<AtomicU64>,
    started: Instant,
}

impl HotSeller {
    /// Starts to rename the deals of the catalogue's first seller, one after the other, at `rate`
    /// changes per second.
    pub(super) async fn start(catalogue: &Catalogue, rate: f64) -> Result<Self, BoxError> {
        let target = catalogue.target.clone();
        let deals = catalogue.deals.clone();
        let http = Http::open(address(&target.url)?).await?;

        let made = Arc::new(AtomicU64::new(0));
        let period = Duration::from_secs_f64(1.0 / rate);
        let task = tokio::spawn(rename_all(http, target, deals, period, Arc::clone(&made)));

        Ok(Self {
            task,
            made,
            started: Instant::now(),
        })
    }

    /// Ends the changes and returns how many there were per second.
    ///
    /// # Errors
    /// A change has failed: the run was then one without the changes that its title tells of.
    pub(super) async fn stop(self) -> Result<f64, BoxError> {
        let seconds = self.started.elapsed().as_secs_f64();

        self.task.abort();
        match self.task.await {
            // Relaxed is enough: joining the task orders its last count before this.
            Err(ended) if ended.is_cancelled() => {
                Ok(self.made.load(Ordering::Relaxed) as f64 / seconds)
            }
            Err(ended) => Err(ended.into()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(never)) => match never {},
        }
    }
}

async fn rename_all(
    mut http: Http,
    target: Target,
    deals: Vec<Uuid>,
    period: Duration,
    made: Arc<AtomicU64>,
) -> Result<Infallible, BoxError> {
    let mut due = interval(period);

    // A change to the name that a deal already has would not be written.
    let run = Uuid::new_v4().simple().to_string();
    let mut deals = deals.iter().cycle();

    loop {
        due.tick().await;
        let deal = deals.next().ok_or("the seller has no deals to change")?;
        let number = made.load(Ordering::Relaxed);
        let request = target.rename_request(*deal, &format!("{run} {number}"));

        http.execute(&request).await?;
        made.fetch_add(1, Ordering::Relaxed);
    }
}
