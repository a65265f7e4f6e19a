//! Settings of what one request may ask for.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use clap::value_parser;

use crate::admission::OperationLimits;
use crate::graphql::ExecutionLimits;

/// Flags of what one request may ask for, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct ExecutionSettings {
    /// Largest number of fields that the result of a request can have
    ///
    /// Computed from the document and the sizes of its pages, before anything is executed. A page of 100 deals with every
    /// field can have 41,501, since a deal has up to 100 items.
    #[arg(
        long,
        env = "DEALWIRE_MAX_QUERY_COST",
        default_value_t = 100_000,
        value_name = "FIELDS",
        value_parser = value_parser!(u64).range(1..),
        global = true
    )]
    max_query_cost: u64,

    /// Largest result of a query, in bytes
    ///
    /// A larger one ends with QUERY_TOO_COMPLEX. Results of mutations are never cut.
    #[arg(
        long,
        env = "DEALWIRE_MAX_RESULT_BYTES",
        default_value_t = 4_194_304,
        value_name = "BYTES",
        value_parser = value_parser!(u32).range(1024..),
        global = true
    )]
    max_result_bytes: u32,

    /// Most queries and mutations of one account that are under way at a time
    ///
    /// One more is answered with RATE_LIMITED. Callers without a key count as one account.
    #[arg(
        long,
        env = "DEALWIRE_OPERATIONS_PER_ACCOUNT",
        default_value_t = OperationLimits::default().per_account,
        value_name = "COUNT",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000),
        global = true
    )]
    operations_per_account: usize,

    /// Most queries and mutations that are under way at a time
    #[arg(
        long,
        env = "DEALWIRE_OPERATIONS",
        default_value_t = OperationLimits::default().in_all,
        value_name = "COUNT",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000),
        global = true
    )]
    operations: usize,
}

impl ExecutionSettings {
    /// Returns the limits. Every value that the flags accept makes sense.
    pub(super) fn limits(&self) -> ExecutionLimits {
        ExecutionLimits {
            cost: self.max_query_cost,
            result_bytes: self.max_result_bytes as usize,
        }
    }

    /// Returns how many operations may be under way.
    pub(super) fn operations(&self) -> OperationLimits {
        OperationLimits {
            per_account: self.operations_per_account,
            in_all: self.operations,
        }
    }
}
