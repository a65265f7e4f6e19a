//! Results of runs, and their report as a table.
//!
//! The first column is CPU time, since machines are shared: wall-clock figures change with the
//! neighbours' load, and CPU time per operation far less.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Histogram of latencies in microseconds, from 1 µs to one minute.
pub(crate) type Latencies = Histogram<u64>;

/// Creates an empty histogram with three significant digits.
pub(crate) fn latencies() -> Latencies {
    latencies_with_digits(3)
}

/// Creates an empty histogram with the given number of significant digits. Each digit takes ten
/// times the memory.
pub(crate) fn latencies_with_digits(digits: u8) -> Latencies {
    // Longer latencies are recorded as one minute: far beyond every timeout, so they only need to
    // be seen.
    Histogram::new_with_bounds(1, 60_000_000, digits)
        .expect("the bounds are ordered and the number of digits is at most 5")
}

/// Result of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Number of operations, or of deliveries.
    pub(crate) count: u64,
    pub(crate) wall: Duration,
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
    /// Resident memory of the server at the end, in bytes.
    pub(crate) resident: u64,
    pub(crate) latencies: Latencies,
    /// Further figures by name; all runs of a kind have the same names.
    pub(crate) figures: Vec<(&'static str, f64)>,
    /// Number of faults by name; all are zero in a good run.
    pub(crate) faults: Vec<(&'static str, u64)>,
}

impl Run {
    /// Returns the operations per second.
    fn rate(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    /// Returns the server's CPU time per operation, in microseconds.
    fn server_micros(&self) -> f64 {
        micros_per_operation(self.server_cpu, self.count)
    }

    /// Returns the CPU time of loadgen per operation, in microseconds.
    fn client_micros(&self) -> f64 {
        micros_per_operation(self.client_cpu, self.count)
    }

    /// Returns a quantile of the latencies, in milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Divides CPU time by a number of operations, in microseconds. No operations count as one.
pub(crate) fn micros_per_operation(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Runs of one kind, with the name of their row in the table.
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

    /// Returns the median of a further figure, or 0 if the runs have no figure of that name.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let value = |run: &Run| {
            run.figures
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        };
        self.median(|run| value(run).unwrap_or(0.0))
    }

    /// Returns the median: with few runs, one disturbed run moves it less than it would move the
    /// mean.
    fn median(&self, value: impl Fn(&Run) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// Returns half the distance from the lowest to the highest value, in per cent of the median.
    fn half_range(&self, value: impl Fn(&Run) -> f64) -> f64 {
        let lowest = self.runs.iter().map(&value).fold(f64::MAX, f64::min);
        let highest = self.runs.iter().map(&value).fold(f64::MIN, f64::max);

        100.0 * (highest - lowest) / self.median(&value) / 2.0
    }

    fn print(&self) {
        println!(
            "{:<16} {:>8.1} ±{:>2.0}% {:>9.1} {:>9.0} ±{:>2.0}% {:>8.2} {:>8.2} {:>8.2} {:>9.1}",
            self.name,
            self.median(Run::server_micros),
            self.half_range(Run::server_micros),
            self.median(Run::client_micros),
            self.median(Run::rate),
            self.half_range(Run::rate),
            self.median(|run| run.quantile(0.5)),
            self.median(|run| run.quantile(0.99)),
            self.median(|run| run.quantile(0.999)),
            self.median(|run| run.resident as f64 / (1 << 20) as f64),
        );

        for (name, _) in self.runs.first().map_or(&[][..], |run| &run.figures) {
            println!("{:<16} {name}: {:.2}", "", self.figure(name));
        }

        // Faults are listed for every run rather than as a median, which would hide those of a
        // single run.
        for run in &self.runs {
            for (fault, count) in run.faults.iter().filter(|(_, count)| *count > 0) {
                println!("{:<16} FAULT {fault}: {count}", "");
            }
        }
    }
}

/// Prints the runs of Dealwire beside those of its limit, if there are any.
pub(crate) fn print(title: &str, dealwire: &Runs, limit: Option<&Runs>) {
    let Some(limit) = limit else {
        return print_table(title, &[dealwire]);
    };

    print_table(title, &[dealwire, limit]);

    // Both ratios are below 1 where Dealwire costs more than its limit.
    let cpu = limit.median(Run::server_micros) / dealwire.median(Run::server_micros);
    let rate = dealwire.median(Run::rate) / limit.median(Run::rate);
    println!(
        "{:<16} {cpu:>8.2} of the limit by server CPU, {rate:.2} by rate",
        "ratio"
    );
}

/// Prints runs alone, and the same runs beside a second load that should make no difference to
/// them.
pub(crate) fn print_beside(title: &str, alone: &Runs, beside: &Runs) {
    print_table(title, &[alone, beside]);

    // Medians are compared rather than pairs of runs, as a single disturbed run then hardly
    // matters.
    let factor = |value: &dyn Fn(&Run) -> f64| beside.median(value) / alone.median(value);
    let cpu = factor(&Run::server_micros);
    let p99 = factor(&|run| run.quantile(0.99));
    let rate = factor(&Run::rate);
    println!(
        "{:<16} {cpu:>8.2} times the server CPU, {p99:.2} times the p99, {rate:.2} times the rate",
        "ratio"
    );
}

/// Prints runs on a growing amount of data, and what the most costs beside the least.
pub(crate) fn print_growth(title: &str, rows: &[&Runs]) {
    print_table(title, rows);

    let (Some(least), Some(most)) = (rows.first(), rows.last()) else {
        return;
    };
    let factor = |value: &dyn Fn(&Run) -> f64| most.median(value) / least.median(value);
    let cpu = factor(&Run::server_micros);
    let p50 = factor(&|run| run.quantile(0.5));
    let p99 = factor(&|run| run.quantile(0.99));
    println!(
        "{:<16} {cpu:>8.2} times the server CPU, {p50:.2} times the p50, {p99:.2} times the p99, \
         from the first row to the last",
        "growth"
    );
}

fn print_table(title: &str, rows: &[&Runs]) {
    let times = rows.first().map_or(0, |runs| runs.runs.len());

    println!("{title}; medians of {times} run(s), ± half the range");
    println!(
        "{:<16} {:>13} {:>9} {:>14} {:>8} {:>8} {:>8} {:>9}",
        "", "server µs/op", "client µs", "rate /s", "p50 ms", "p99 ms", "p99.9", "RSS MiB"
    );
    for runs in rows {
        runs.print();
    }
}
