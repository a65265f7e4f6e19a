//! Test kit of the gateway: an app in this process, or the binary in processes of its own, and
//! clients for each of its protocols.

mod app;
mod client;
mod events;
pub(crate) mod issuer;
mod party;
mod process;
mod socket;
mod told;

pub(crate) use app::{Backing, TestApp};
pub(crate) use client::{Answer, CREATE, Client, UPDATE};
pub(crate) use events::Events;
pub(crate) use party::{BUYER_KEY, Party, SELLER_KEY};
pub(crate) use process::{BINARY, Process, dealwire, seed, seed_with};
pub(crate) use socket::{Buffer, End, Socket, Subscription};
pub(crate) use told::{Told, ToldPage};

use std::time::Duration;

/// Longest wait for anything that a test expects to happen. Far above what even a busy machine
/// needs, so that reaching it is a failure and not bad luck.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Runs each test on both kinds of backends, as two tests.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::kit::TestApp::start($crate::kit::Backing::Embedded).await).await; })+
        }
        mod production {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::kit::TestApp::start($crate::kit::Backing::Production).await).await; })+
        }
    };
}
pub(crate) use on_both;
