//! What a Dealwire process counts, as its /metrics tells.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use url::Url;

use crate::client::{Http, PATIENCE, address, get};
use crate::{Failed, Target};

/// Between looks at a number that is to come down.
const LOOK: Duration = Duration::from_millis(100);

/// The metrics of one process, over a connection that is kept.
pub(crate) struct Metrics {
    http: Http,
    request: Vec<u8>,
}

impl Metrics {
    pub(crate) async fn open(url: &Url) -> Result<Self, Failed> {
        Ok(Self {
            http: Http::open(address(url)?).await?,
            request: get(url),
        })
    }

    /// Their values now, read at once. A name is all that stands before the value, labels included; what has not been
    /// counted yet is not told, and is 0.
    pub(crate) async fn read<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[u64; N], Failed> {
        let text = std::str::from_utf8(self.http.call(&self.request).await?)?;
        Ok(names.map(|name| value(text, name).unwrap_or(0)))
    }
}

fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

impl Target {
    /// Where the metrics are: at the gateway unless told otherwise.
    pub(crate) fn metrics(&self) -> Url {
        let of_gateway = || {
            self.url
                .join("metrics")
                .expect("a path can be joined to a URL with a host")
        };
        self.metrics.clone().unwrap_or_else(of_gateway)
    }

    /// As [`Metrics::read`], once.
    pub(crate) async fn counted<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[u64; N], Failed> {
        Metrics::open(&self.metrics()).await?.read(names).await
    }

    /// Sockets that the gateway holds.
    pub(crate) async fn sockets_open(&self) -> Result<u64, Failed> {
        let [open] = self.counted(["dealwire_sockets_open"]).await?;
        Ok(open)
    }

    /// Waits until the gateway holds no more sockets than that: closing those of one run is no cost of the next.
    pub(crate) async fn let_go(&self, open: u64) -> Result<(), Failed> {
        let begun = Instant::now();
        while self.sockets_open().await? > open {
            if begun.elapsed() > PATIENCE {
                return Err("the gateway still holds sockets that have long been closed".into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "# TYPE closed counter\nclosed_total{code=\"1012\"} 3\nclosed_total{code=\"4290\"} 17\nopen 4\n";
        assert_eq!(value(text, "closed_total{code=\"4290\"}"), Some(17));
        assert_eq!(value(text, "open"), Some(4));
        assert_eq!(value(text, "closed_total"), None);
    }
}
