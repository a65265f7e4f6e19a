//! What a run yields, and how it is told: CPU first, since machines are shared and clocks see the neighbours.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies, in microseconds up to a minute.
pub(crate) type Latencies = Histogram<u64>;

pub(crate) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are sound")
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Operations or deliveries.
    pub(crate) count: u64,
    pub(crate) wall: Duration,
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
    /// Resident memory of the server at the end, in bytes.
    pub(crate) resident: u64,
    pub(crate) latencies: Latencies,
    /// What else it showed, by name; the same names in all runs of a kind.
    pub(crate) figures: Vec<(&'static str, f64)>,
    /// What was found wrong, by name; all zero in a good run.
    pub(crate) faults: Vec<(&'static str, u64)>,
}

impl Run {
    fn rate(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    fn server_micros(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.count.max(1) as f64
    }

    fn client_micros(&self) -> f64 {
        self.client_cpu.as_secs_f64() * 1e6 / self.count.max(1) as f64
    }

    /// In milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Runs of one server.
pub(crate) struct Runs {
    pub(crate) name: String,
    pub(crate) runs: Vec<Run>,
}

impl Runs {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            runs: Vec::new(),
        }
    }

    /// The median of one of the figures; 0 where it is not among them.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let of = |run: &Run| {
            run.figures
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, figure)| *figure)
        };
        self.median(|run| of(run).unwrap_or(0.0))
    }

    fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// From the lowest to the highest, in per cent of the median.
    fn spread(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let values = || self.runs.iter().map(&of);
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        100.0 * (high - low) / self.median(&of)
    }

    fn print(&self) {
        println!(
            "{:<16} {:>8.1} ±{:>2.0}% {:>9.1} {:>9.0} ±{:>2.0}% {:>8.2} {:>8.2} {:>8.2} {:>9.1}",
            self.name,
            self.median(Run::server_micros),
            self.spread(Run::server_micros) / 2.0,
            self.median(Run::client_micros),
            self.median(Run::rate),
            self.spread(Run::rate) / 2.0,
            self.median(|run| run.quantile(0.5)),
            self.median(|run| run.quantile(0.99)),
            self.median(|run| run.quantile(0.999)),
            self.median(|run| run.resident as f64 / (1 << 20) as f64),
        );
        for (name, _) in self.runs.first().map_or(&[][..], |run| &run.figures) {
            println!("{:<16} {name}: {:.1}", "", self.figure(name));
        }
        for run in &self.runs {
            let faults = run.faults.iter().filter(|(_, count)| *count > 0);
            faults.for_each(|(fault, count)| println!("{:<16} FAULT {fault}: {count}", ""));
        }
    }
}

/// Tells runs of Dealwire, and of its limit where there is one.
pub(crate) fn print(what: &str, dealwire: &Runs, limit: Option<&Runs>) {
    let all: Vec<&Runs> = [Some(dealwire), limit].into_iter().flatten().collect();
    print_table(what, &all);
    if let Some(limit) = limit {
        let cpu = limit.median(Run::server_micros) / dealwire.median(Run::server_micros);
        let rate = dealwire.median(Run::rate) / limit.median(Run::rate);
        println!(
            "{:<16} {cpu:>8.2} of the limit by server CPU, {rate:.2} by rate",
            "ratio"
        );
    }
}

/// Tells runs alone, and the same runs beside something that should cost them nothing.
pub(crate) fn print_beside(what: &str, alone: &Runs, beside: &Runs) {
    print_table(what, &[alone, beside]);
    let times = |of: &dyn Fn(&Run) -> f64| beside.median(of) / alone.median(of);
    let (cpu, p99) = (times(&Run::server_micros), times(&|run| run.quantile(0.99)));
    let rate = times(&Run::rate);
    println!(
        "{:<16} {cpu:>8.2} times the server CPU, {p99:.2} times the p99, {rate:.2} times the rate",
        "ratio"
    );
}

fn print_table(what: &str, runs: &[&Runs]) {
    let times = runs.first().map_or(0, |runs| runs.runs.len());
    println!("{what}; medians of {times} run(s), ± half the range");
    println!(
        "{:<16} {:>13} {:>9} {:>14} {:>8} {:>8} {:>8} {:>9}",
        "", "server µs/op", "client µs", "rate /s", "p50 ms", "p99 ms", "p99.9", "RSS MiB"
    );
    runs.iter().for_each(|runs| runs.print());
}
