//! Markets for tests of what stands on the buyer side: each with a log, a buyer database and a projection that runs when
//! asked.

mod market;
mod trade;

pub use market::{ANN, BLOCK, BOB, BUYER, HOUR, Market};
pub use trade::Lot;

/// Runs each of these functions, which take a market of the type named first, as a test on either backend.
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
