//! Metrics of a Dealwire process, in the Prometheus text format.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use url::Url;

use crate::client::{Http, RESPONSE_TIMEOUT, address, get};
use crate::error::BoxError;
use crate::target::Target;

/// Time between two reads while waiting for a metric to fall.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Metrics of one process, over a connection that is kept open.
pub(crate) struct Metrics {
    http: Http,
    request: Vec<u8>,
}

impl Metrics {
    pub(crate) async fn open(url: &Url) -> Result<Self, BoxError> {
        Ok(Self {
            http: Http::open(address(url)?).await?,
            request: get(url),
        })
    }

    /// Reads the current values of several metrics in one request. A name includes the labels,
    /// exactly as exposed. Counters are exposed only once they have counted something, so an absent
    /// metric reads as 0.
    pub(crate) async fn read<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[u64; N], BoxError> {
        let text = std::str::from_utf8(self.http.call(&self.request).await?)?;
        Ok(names.map(|name| value(text, name).unwrap_or(0)))
    }

    /// Reads several metrics in one request, each as the sum of its series, whatever labels they
    /// have. An absent metric reads as 0.
    pub(crate) async fn read_totals<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[u64; N], BoxError> {
        let text = std::str::from_utf8(self.http.call(&self.request).await?)?;
        Ok(names.map(|name| total(text, name)))
    }
}

fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        // The space ends the name, so that `open` does not match `open_total`, and a name without
        // labels does not match a series with labels.
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

fn total(text: &str, name: &str) -> u64 {
    let series = text.lines().filter_map(|line| {
        // A space or the labels end the name, so that `open` does not match `open_total`.
        let rest = line.strip_prefix(name)?;
        let value = rest
            .starts_with([' ', '{'])
            .then(|| rest.rsplit_once(' '))??;
        value.1.parse::<u64>().ok()
    });

    series.sum()
}

impl Target {
    /// Returns the URL of the metrics: the one given, or else `/metrics` of the gateway.
    pub(crate) fn metrics_url(&self) -> Url {
        let at_gateway = || {
            self.url
                .join("metrics")
                .expect("a relative path can be joined to a URL with a host")
        };
        self.metrics.clone().unwrap_or_else(at_gateway)
    }

    /// Reads metrics once, as [`Metrics::read`] does, over a connection of its own.
    pub(crate) async fn read_metrics<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[u64; N], BoxError> {
        Metrics::open(&self.metrics_url()).await?.read(names).await
    }

    /// Returns the number of sockets that the gateway holds open.
    pub(crate) async fn open_sockets(&self) -> Result<u64, BoxError> {
        let [open] = self.read_metrics(["dealwire_sockets_open"]).await?;
        Ok(open)
    }

    /// Waits until the gateway holds at most `count` sockets. Without this wait, closing the
    /// sockets of one run would be charged to the next.
    ///
    /// # Errors
    /// The gateway still holds more after [`RESPONSE_TIMEOUT`].
    pub(crate) async fn wait_for_open_sockets(&self, count: u64) -> Result<(), BoxError> {
        let started = Instant::now();

        loop {
            let open = self.open_sockets().await?;
            if open <= count {
                return Ok(());
            }
            if started.elapsed() > RESPONSE_TIMEOUT {
                let seconds = RESPONSE_TIMEOUT.as_secs();
                return Err(format!(
                    "the gateway still holds {open} sockets \
                     {seconds} s after all but {count} were closed"
                )
                .into());
            }

            // No metric tells when the last socket is gone, so this has to poll. Ten reads per
            // second cost the gateway far less than a run does, and they end before the run begins.
            sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{total, value};

    #[test]
    fn metric_value_is_found_by_its_whole_name() {
        let text = "# TYPE closed counter\nclosed_total{code=\"1012\"} 3\n\
                    closed_total{code=\"4290\"} 17\nopen 4\n";

        assert_eq!(value(text, "closed_total{code=\"4290\"}"), Some(17));
        assert_eq!(value(text, "open"), Some(4));
        assert_eq!(value(text, "closed_total"), None);
    }

    #[test]
    fn metric_total_is_the_sum_of_its_series() {
        let text = "# TYPE sql counter\nsql_total{reason=\"off\"} 3\n\
                    sql_total{reason=\"not live\"} 17\nsql 4\n";

        assert_eq!(total(text, "sql_total"), 20);
        assert_eq!(total(text, "sql"), 4);
        assert_eq!(total(text, "hits_total"), 0);
    }
}
