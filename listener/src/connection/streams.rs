//! Tasks of the requests of one HTTP/2 connection.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks that end with their connection.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Streams {
    pub(super) fn new(ended: CancellationToken) -> Self {
        Self {
            tasks: TaskTracker::new(),
            ended,
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let ended = self.ended.clone();
        self.tasks.spawn(async move {
            // A stream whose connection is gone has nobody to answer.
            ended.run_until_cancelled_owned(stream).await;
        });
    }
}
