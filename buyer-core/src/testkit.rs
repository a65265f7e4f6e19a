//! Markets for tests of the buyer side and of what builds on it: each has a log, a buyer database
//! and a projection that runs when the test calls it.

mod market;
mod trade;

pub use market::{ANN, BLOCK, BOB, BUYER, HOUR, Market};
pub use trade::{DealRef, DealState};

/// Turns functions into tests that run on either backend. Each function takes a market of the type
/// that comes first.
#[macro_export]
macro_rules! on_both_backends {
    ($market:ident; $($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $test() {
                super::$test(super::$market::embedded().await).await;
            })+
        }
        mod production {
            $(#[tokio::test] async fn $test() {
                super::$test(super::$market::production().await).await;
            })+
        }
    };
}
