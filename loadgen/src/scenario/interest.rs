//! What those who are not concerned cost: many sockets, each of which wants one seller's changes, and one seller who
//! makes some.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;
use uuid::Uuid;

use super::Server;
use super::audience::{Audience, Held, Paced, subscribe_all};
use crate::accounts::Keys;
use crate::compare::alternate;
use crate::report::Run;
use crate::{Failed, Target, report};

/// Server CPU of a change, less what the sockets cost at rest.
const NET: &str = "server µs/op beyond rest";

#[derive(Args, Clone)]
pub(crate) struct Interest {
    /// Sellers, of whom one makes changes
    #[arg(long, default_value_t = 1_000)]
    sellers: usize,
    /// Sockets that want a seller's changes, for each seller
    #[arg(long, default_value_t = 10)]
    sockets: usize,
    /// Changes a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Length of a run, and of the rest before it. The gateway pings every 12 s, so that with a multiple of 12 each
    /// holds the same number of pings
    #[arg(long, default_value_t = 12)]
    seconds: u64,
}

/// Who there is.
struct Crowd {
    /// With the key of the seller who makes changes.
    target: Target,
    sellers: Vec<Uuid>,
    keys: Keys,
}

impl Interest {
    pub(crate) async fn run(self, target: &Target) -> Result<(), Failed> {
        let crowd = self.crowd(target).await?;
        let open = target.sockets_open().await?;
        let measured = async |others: bool| {
            target.let_go(open).await?;
            self.measure(&crowd, others).await
        };
        let (alone, among) = (
            async || measured(false).await,
            async || measured(true).await,
        );
        let (alone, among) =
            alternate(target.compare, ("alone", alone), ("among others", among)).await?;
        let Self {
            sellers,
            sockets,
            rate,
            seconds,
        } = self;
        let what = format!(
            "{rate} changes/s of one seller to {sockets} sockets, {seconds} s a run, alone and among {} on {sellers} \
             sellers",
            sellers * sockets
        );
        report::print_beside(&what, &alone, &among);
        println!(
            "{:<16} {:>8.2} times the server CPU beyond rest",
            "",
            among.figure(NET) / alone.figure(NET)
        );
        Ok(())
    }

    async fn crowd(&self, target: &Target) -> Result<Crowd, Failed> {
        let admin = target.admin()?;
        let sellers = admin.sellers(self.sellers).await?;
        let keys = admin
            .buyers_of(sellers.len() * self.sockets, |socket| {
                sellers[socket / self.sockets]
            })
            .await?;
        let changing = sellers.first().ok_or("there is nothing without a seller")?;
        let target = Target {
            seller_key: admin.key(*changing).await?,
            ..target.clone()
        };
        Ok(Crowd {
            target,
            sellers,
            keys,
        })
    }

    async fn measure(&self, crowd: &Crowd, others: bool) -> Result<Run, Failed> {
        let Crowd {
            target,
            sellers,
            keys,
        } = crowd;
        let wanted = |number: usize| target.changes_of(sellers[number / self.sockets]);
        let last = if others {
            sellers.len() * self.sockets
        } else {
            self.sockets
        };
        let others = subscribe_all(target, keys, self.sockets..last, wanted).await?;
        let mut others = Held::of(others);

        let (gateway, length) = (
            Server::at(&target.url)?.process,
            Duration::from_secs(self.seconds),
        );
        let cpu = gateway.cpu()?;
        sleep(length).await;
        let at_rest = (gateway.cpu()? - cpu).div_f64(length.as_secs_f64());

        let audience = Audience::of_dealwire(target, keys, 0..self.sockets, wanted).await?;
        let paced = Paced {
            rate: self.rate,
            seconds: self.seconds,
        };
        let mut run = audience.watch_paced(target, paced).await?;
        // An operation is a change here, whoever sees it.
        run.count = paced.changes();
        let beyond = run.server_cpu.as_secs_f64() - at_rest.as_secs_f64() * run.wall.as_secs_f64();
        run.figures
            .push(("server ms/s at rest", at_rest.as_secs_f64() * 1e3));
        run.figures
            .push((NET, beyond * 1e6 / run.count.max(1) as f64));
        run.faults
            .push(("changes to those who want none", others.texts()));
        run.faults.push(("others that ended", others.ended()));
        Ok(run)
    }
}
