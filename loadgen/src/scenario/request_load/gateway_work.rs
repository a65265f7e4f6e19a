//! Work that the gateway did for the requests of a run, as its own metrics tell it.

use crate::error::BoxError;
use crate::metrics::Metrics;
use crate::target::Target;

/// Totals since the gateway's start.
#[derive(Clone, Copy)]
pub(super) struct GatewayWork {
    /// Objects rendered.
    renders: u64,
    /// Objects copied from bytes that were rendered before.
    copies: u64,
    /// Pages answered from memory.
    hits: u64,
    /// Pages read from the tables into memory.
    loads: u64,
    /// Pages read from the tables and not kept.
    sql: u64,
}

impl GatewayWork {
    pub(super) async fn read(target: &Target) -> Result<Self, BoxError> {
        let mut metrics = Metrics::open(&target.metrics_url()).await?;
        let names = [
            "dealwire_object_renders",
            "dealwire_object_copies",
            "dealwire_view_hits_total",
            "dealwire_view_loads_total",
            "dealwire_view_sql_total",
        ];
        let [renders, copies, hits, loads, sql] = metrics.read_totals(names).await?;

        Ok(Self {
            renders,
            copies,
            hits,
            loads,
            sql,
        })
    }

    /// Returns figures on the work for `requests` requests, done since an earlier reading. Figures
    /// on pages are left out if no page was requested.
    pub(super) fn figures_since(self, before: Self, requests: u64) -> Vec<(&'static str, f64)> {
        let per_request = |count: u64| count as f64 / requests.max(1) as f64;
        let renders = self.renders.saturating_sub(before.renders);
        let copies = self.copies.saturating_sub(before.copies);
        let hits = self.hits.saturating_sub(before.hits);
        let loads = self.loads.saturating_sub(before.loads);
        let sql = self.sql.saturating_sub(before.sql);

        let mut figures = vec![
            ("objects rendered per request", per_request(renders)),
            ("objects copied per request", per_request(copies)),
        ];

        // A page that is loaded counts as one from the tables: its request paid for the statement.
        let pages = hits + loads + sql;
        if pages > 0 {
            let from_memory = 100.0 * hits as f64 / pages as f64;
            figures.push(("pages from memory, %", from_memory));
            figures.push(("pages loaded into memory", loads as f64));
            figures.push(("pages from the tables, not loaded", sql as f64));
        }

        figures
    }
}

#[cfg(test)]
mod tests {
    use super::GatewayWork;

    #[test]
    fn gateway_work_counts_loads_as_pages_from_the_tables() {
        let before = GatewayWork {
            renders: 5,
            copies: 10,
            hits: 7,
            loads: 1,
            sql: 2,
        };
        let after = GatewayWork {
            renders: 15,
            copies: 210,
            hits: 15,
            loads: 2,
            sql: 3,
        };

        let expected = [
            ("objects rendered per request", 1.0),
            ("objects copied per request", 20.0),
            ("pages from memory, %", 80.0),
            ("pages loaded into memory", 1.0),
            ("pages from the tables, not loaded", 1.0),
        ];
        assert_eq!(after.figures_since(before, 10), expected);
    }

    #[test]
    fn gateway_work_without_pages_has_no_figures_on_them() {
        let work = GatewayWork {
            renders: 5,
            copies: 10,
            hits: 7,
            loads: 1,
            sql: 2,
        };

        assert_eq!(work.figures_since(work, 10).len(), 2);
    }
}
