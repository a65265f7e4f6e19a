//! Tables of limits, by section of the page.

mod requests;
mod running;

use super::value::Value;

/// One limit.
pub(super) struct Row {
    /// Name of what is limited.
    pub(super) what: &'static str,
    /// Largest value that is accepted.
    pub(super) value: Value,
    /// Answer to more than that.
    pub(super) beyond: &'static str,
}

/// Section of the page.
pub(super) struct Section {
    /// Heading of the section.
    pub(super) heading: &'static str,
    /// Text before the table; may be empty.
    pub(super) introduction: &'static str,
    /// Limits, in the order of the page.
    pub(super) rows: &'static [Row],
}

/// All sections, in their order.
pub(super) const SECTIONS: [Section; 8] = [
    Section {
        heading: "Requests",
        introduction: "",
        rows: requests::REQUESTS,
    },
    Section {
        heading: "Rate limits",
        introduction: include_str!("rates.md"),
        rows: requests::RATES,
    },
    Section {
        heading: "Documents",
        introduction: "Checked before anything follows the document's fragments, for every transport.",
        rows: requests::DOCUMENTS,
    },
    Section {
        heading: "Deals",
        introduction: "",
        rows: requests::DEALS,
    },
    Section {
        heading: "Connections and subscriptions",
        introduction: "",
        rows: running::CONNECTIONS,
    },
    Section {
        heading: "Webhooks",
        introduction: "",
        rows: running::WEBHOOKS,
    },
    Section {
        heading: "Memory of a gateway",
        introduction: "",
        rows: running::MEMORY,
    },
    Section {
        heading: "Databases",
        introduction: "",
        rows: running::DATABASES,
    },
];

const fn row(what: &'static str, value: Value, beyond: &'static str) -> Row {
    Row {
        what,
        value,
        beyond,
    }
}
