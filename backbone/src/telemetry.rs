//! Metrics, logs and trace ids. There are no statics, since a process may run several apps, and no
//! metrics with labels that callers choose.

mod trace_context;

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::IsTerminal;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::MetricConstructor;
use prometheus_client::registry::{Metric, Registry};
use tracing_subscriber::EnvFilter;

pub use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
pub use prometheus_client::registry::Unit;
pub use trace_context::{NotATraceparent, TraceContext};

use crate::Error;

/// Metrics of one app, all named `dealwire_…`. Clones are the same registry.
///
/// Requesting a name again returns the same metric. Labels may be arrays of pairs:
/// `metrics.counter_family::<[(&str, &str); 1]>(…)`.
#[derive(Clone)]
pub struct Metrics(
    // Taken to register and to encode; the metrics themselves are atomics and need no lock.
    Arc<Mutex<Named>>,
);

struct Named {
    registry: Registry,
    known: HashMap<&'static str, Box<dyn Any + Send>>,
    /// Run before the metrics are encoded.
    refreshes: Vec<Box<dyn Fn() + Send>>,
}

/// Histograms by set of labels.
pub type HistogramFamily<L> = Family<L, Histogram, Buckets>;

/// Upper bounds of a histogram's buckets, ascending.
#[derive(Clone, Debug)]
pub struct Buckets(Arc<[f64]>);

impl Metrics {
    /// Returns an empty registry.
    #[expect(
        clippy::new_without_default,
        reason = "a second registry in an app should not come about by default"
    )]
    pub fn new() -> Self {
        let registry = Registry::with_prefix("dealwire");
        Self(Arc::new(Mutex::new(Named {
            registry,
            known: HashMap::new(),
            refreshes: Vec::new(),
        })))
    }

    /// Returns a number that only grows, shown as `dealwire_{name}_total`.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.register(name, help, None, Counter::default)
    }

    /// Returns a number that goes up and down, shown as `dealwire_{name}`.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.register(name, help, None, Gauge::default)
    }

    /// Returns a distribution over `buckets` (ascending upper bounds in `unit`), shown as
    /// `dealwire_{name}_{unit}`.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Unit,
        buckets: &[f64],
    ) -> Histogram {
        self.register(name, help, Some(unit), || {
            Histogram::new(buckets.iter().copied())
        })
    }

    /// Returns counters by set of labels.
    pub fn counter_family<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
    ) -> Family<L, Counter> {
        self.register(name, help, None, Family::default)
    }

    /// Returns gauges by set of labels.
    pub fn gauge_family<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
    ) -> Family<L, Gauge> {
        self.register(name, help, None, Family::default)
    }

    /// Returns histograms by set of labels; see [`histogram`](Self::histogram).
    pub fn histogram_family<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Unit,
        buckets: &[f64],
    ) -> HistogramFamily<L> {
        self.register(name, help, Some(unit), || {
            Family::new_with_constructor(Buckets(buckets.into()))
        })
    }

    /// Runs `refresh` whenever the metrics are read, for gauges of what is only looked at then. It must neither wait nor
    /// use the registry.
    pub fn before_reading(&self, refresh: impl Fn() + Send + 'static) {
        self.0.lock().refreshes.push(Box::new(refresh));
    }

    /// Returns all metrics as OpenMetrics text, ending with `# EOF`
    /// (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    pub fn encode(&self) -> String {
        let named = self.0.lock();
        for refresh in &named.refreshes {
            refresh();
        }

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &named.registry)
            .expect("writing to a String does not fail");

        text
    }

    /// Returns the metric of this name, and builds and registers it first if necessary.
    ///
    /// # Panics
    /// If a metric of a different type has this name.
    pub(crate) fn register<M: Metric + Clone>(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        make: impl FnOnce() -> M,
    ) -> M {
        // One lock around look-up and registration: two callers must not register one name twice.
        let mut named = self.0.lock();
        if let Some(known) = named.known.get(name) {
            let Some(metric) = known.downcast_ref::<M>() else {
                panic!("the metric {name} is registered with two types")
            };

            return metric.clone();
        }

        let metric = make();
        match unit {
            Some(unit) => named
                .registry
                .register_with_unit(name, help, unit, metric.clone()),
            None => named.registry.register(name, help, metric.clone()),
        }
        // Kept by type-erased clone: the registry itself cannot be asked for a metric.
        named.known.insert(name, Box::new(metric.clone()));
        metric
    }
}

/// Labels of a metric. Every set of labels stays in memory for ever, so they must never contain
/// values that callers choose.
pub trait Labels: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<L: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static> Labels for L {}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Sends the process's log to standard error, as text or as one JSON object per line.
///
/// `filter` has the syntax of `RUST_LOG`, such as `info,backbone=debug`. Only the first call in a
/// process has an effect; later ones check their filter.
///
/// # Errors
/// [`Error::Broken`] if the filter cannot be parsed.
pub fn init_tracing(filter: &str, json: bool) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Error::Broken {
            what: "the log filter",
            why: error.to_string(),
        })?;

    // Standard output is left to the results of commands. Colours are for terminals only: elsewhere
    // their escape sequences would be part of the text.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would tell of a line that cannot be written by printing on standard error too, which
        // panics.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());

    let first = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    // Tests run several apps in one process, and the subscriber is global.
    if first.is_err() {
        tracing::debug!("logging was initialised before");
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_encoded_with_prefix_unit_and_labels() {
        let metrics = Metrics::new();
        metrics.counter("appends", "Events appended").inc_by(3);
        metrics.gauge("sockets", "Open sockets").set(-2);
        metrics
            .histogram("append", "Time to append", Unit::Seconds, &[0.1, 1.0])
            .observe(0.5);

        let refusals = metrics.counter_family::<[(&str, &str); 1]>("refusals", "Requests refused");
        refusals.get_or_create(&[("code", "CONFLICT")]).inc();
        let depth = metrics.gauge_family::<[(&str, &str); 1]>("lane", "Queued mutations");
        depth.get_or_create(&[("lane", "deal")]).set(4);
        let calls = metrics.histogram_family::<[(&str, &str); 1]>(
            "call",
            "Time of a call",
            Unit::Seconds,
            &[1.0],
        );

        calls.get_or_create(&[("outcome", "ok")]).observe(0.25);

        let text = metrics.encode();
        for line in [
            "# HELP dealwire_appends Events appended.",
            "dealwire_appends_total 3",
            "dealwire_sockets -2",
            "dealwire_append_seconds_bucket{le=\"0.1\"} 0",
            "dealwire_append_seconds_bucket{le=\"1.0\"} 1",
            "dealwire_refusals_total{code=\"CONFLICT\"} 1",
            "dealwire_lane{lane=\"deal\"} 4",
            "dealwire_call_seconds_bucket{le=\"1.0\",outcome=\"ok\"} 1",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "no line {line} in:\n{text}"
            );
        }

        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn metrics_share_a_name_within_one_app_only() {
        let (metrics, other_app) = (Metrics::new(), Metrics::new());
        metrics.counter("appends", "Events appended").inc();
        metrics.clone().counter("appends", "Events appended").inc();
        other_app.counter("appends", "Events appended").inc();
        assert!(metrics.encode().contains("dealwire_appends_total 2\n"));
        assert_eq!(
            metrics.encode().matches("# TYPE dealwire_appends").count(),
            1
        );

        assert!(other_app.encode().contains("dealwire_appends_total 1\n"));
    }

    #[test]
    #[should_panic(expected = "the metric appends is registered with two types")]
    fn metrics_of_two_types_cannot_share_a_name() {
        let metrics = Metrics::new();
        metrics.counter("appends", "Events appended");
        metrics.gauge("appends", "Events appended");
    }

    #[test]
    fn tracing_reports_a_bad_filter_and_ignores_a_second_initialisation() {
        assert!(matches!(
            init_tracing("info,backbone=loud", false),
            Err(Error::Broken { .. })
        ));

        init_tracing("warn", true).unwrap();
        init_tracing("info,backbone=debug", false).unwrap();
    }
}
