//! What operators see: metrics, logs and trace ids. It refuses statics (ten apps may live in one process), and
//! metrics whose labels are not known before the traffic is.

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

/// The metrics of one app, all named `dealwire_…`. Clones are the same registry.
///
/// Asking for a name again gives the same metric. Labels may be arrays of pairs:
/// `metrics.counter_family::<[(&str, &str); 1]>(…)`.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Named>>);

struct Named {
    registry: Registry,
    known: HashMap<&'static str, Box<dyn Any + Send>>,
}

/// A histogram for each set of labels.
pub type HistogramFamily<L> = Family<L, Histogram, Buckets>;

/// The upper bounds, ascending, of a histogram's buckets.
#[derive(Clone, Debug)]
pub struct Buckets(Arc<[f64]>);

impl Metrics {
    /// An empty registry.
    #[expect(
        clippy::new_without_default,
        reason = "a second registry in an app should not come about by default"
    )]
    pub fn new() -> Self {
        let registry = Registry::with_prefix("dealwire");
        Self(Arc::new(Mutex::new(Named {
            registry,
            known: HashMap::new(),
        })))
    }

    /// A number that only grows; shown as `dealwire_{name}_total`.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.register(name, help, None, Counter::default)
    }

    /// A number that goes up and down; shown as `dealwire_{name}`.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.register(name, help, None, Gauge::default)
    }

    /// A distribution over `buckets` (ascending upper bounds, in `unit`); shown as `dealwire_{name}_{unit}`.
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

    /// A counter for each set of labels.
    pub fn counter_family<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
    ) -> Family<L, Counter> {
        self.register(name, help, None, Family::default)
    }

    /// A gauge for each set of labels.
    pub fn gauge_family<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
    ) -> Family<L, Gauge> {
        self.register(name, help, None, Family::default)
    }

    /// A histogram for each set of labels; see [`histogram`](Self::histogram).
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

    /// All metrics as OpenMetrics text
    /// (`application/openmetrics-text; version=1.0.0; charset=utf-8`), ended by `# EOF`.
    pub fn encode(&self) -> String {
        let named = self.0.lock();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &named.registry)
            .expect("writing to a String does not fail");
        text
    }

    /// The metric of this name, made and registered if it is not there yet.
    ///
    /// # Panics
    /// If the name belongs to a metric of another type: two parts of the program disagree.
    pub(crate) fn register<M: Metric + Clone>(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        make: impl FnOnce() -> M,
    ) -> M {
        let mut named = self.0.lock();
        if let Some(known) = named.known.get(name) {
            let Some(metric) = known.downcast_ref::<M>() else {
                panic!("two types for the metric {name}")
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
        named.known.insert(name, Box::new(metric.clone()));
        metric
    }
}

/// What may label a metric. Every set of labels stays in memory for ever: never use what callers choose.
pub trait Labels: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<L: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static> Labels for L {}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Sends the process's log to standard error, as text or as one JSON object a line. `filter` is in the syntax of
/// `RUST_LOG` (`info,backbone=debug`). The first call in a process wins; later ones only check their filter.
///
/// # Errors
/// [`Error::Broken`] if the filter cannot be read.
pub fn init_tracing(filter: &str, json: bool) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Error::Broken {
            what: "the log filter",
            why: error.to_string(),
        })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let first = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    if first.is_err() {
        tracing::debug!("the log was set up before");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_shown_with_prefix_unit_and_labels() {
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
    fn a_name_asked_for_twice_is_one_metric_and_two_apps_share_none() {
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
    #[should_panic(expected = "two types for the metric appends")]
    fn one_name_cannot_be_two_things() {
        let metrics = Metrics::new();
        metrics.counter("appends", "Events appended");
        metrics.gauge("appends", "Events appended");
    }

    #[test]
    fn a_bad_log_filter_is_an_error_and_a_second_set_up_is_not() {
        assert!(matches!(
            init_tracing("info,backbone=loud", false),
            Err(Error::Broken { .. })
        ));
        init_tracing("warn", true).unwrap();
        init_tracing("info,backbone=debug", false).unwrap();
    }
}
