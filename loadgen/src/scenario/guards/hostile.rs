//! Hostile requests: what scanners, broken clients and attackers without a valid key send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::client::{Http, address, post};
use crate::error::BoxError;
use crate::target::Target;

/// Number of connections, each with one request at a time.
const CONNECTIONS: usize = 16;
/// Size of a document that is refused for its length or depth, in bytes.
const LARGE: usize = 60_000;

/// Hostile requests being sent in the background.
pub(super) struct HostileLoad {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

/// Number of hostile requests by what became of them.
#[derive(Default)]
struct Counts {
    /// Requests that were answered, by a refusal or with what anybody may read.
    answered: AtomicU64,
    /// Requests for which the connection was closed or failed.
    closed: AtomicU64,
}

impl HostileLoad {
    /// Starts to send `rate` requests per second, of each kind in turn.
    pub(super) fn start(target: &Target, rate: f64) -> Result<Self, BoxError> {
        let address = address(&target.url)?;
        let requests: Arc<[Vec<u8>]> = kinds(target).into();
        let counts = Arc::new(Counts::default());
        let period = Duration::from_secs_f64(CONNECTIONS as f64 / rate);

        let mut tasks = JoinSet::new();
        for connection in 0..CONNECTIONS {
            tasks.spawn(send(
                address,
                connection,
                period,
                Arc::clone(&requests),
                Arc::clone(&counts),
            ));
        }

        Ok(Self { tasks, counts })
    }

    /// Ends the requests and returns how many were answered and how many cost their connection.
    pub(super) async fn stop(mut self) -> Result<Vec<(&'static str, f64)>, BoxError> {
        self.tasks.shutdown().await;

        // Relaxed is enough: joining the tasks orders their last counts before this.
        let answered = self.counts.answered.load(Ordering::Relaxed);
        let closed = self.counts.closed.load(Ordering::Relaxed);
        if answered + closed == 0 {
            return Err("no hostile request was sent".into());
        }
        Ok(vec![
            ("hostile requests answered", answered as f64),
            ("hostile connections closed", closed as f64),
        ])
    }
}

async fn send(
    address: SocketAddr,
    connection: usize,
    period: Duration,
    requests: Arc<[Vec<u8>]>,
    counts: Arc<Counts>,
) {
    let mut due = interval(period);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut http = None;

    for request in requests.iter().cycle().skip(connection) {
        due.tick().await;

        let mut open = match http.take() {
            Some(open) => open,
            None => match Http::open(address).await {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        let answered = open.exchange(request).await.is_ok();
        let count = if answered {
            http = Some(open);
            &counts.answered
        } else {
            &counts.closed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns one request of each kind.
fn kinds(target: &Target) -> Vec<Vec<u8>> {
    let url = target.graphql_url();
    let of_query = |key: &str, query: &str| post(&url, key, &json!({ "query": query }).to_string());
    let unknown_key = Uuid::new_v4().to_string();

    let deep = format!(
        "{{ dealsForBuyer {} {} }}",
        "{ nodes ".repeat(LARGE / 16),
        "}".repeat(LARGE / 16)
    );
    let wide = format!(
        "{{ {} }}",
        (0..LARGE / 40)
            .map(|number| format!("a{number}: dealsForBuyer {{ position }} "))
            .collect::<String>()
    );

    vec![
        of_query(&unknown_key, "{ dealsForBuyer { position } }"),
        of_query("", "{ dealsForBuyer { position } }"),
        of_query("", "{ __schema { types { name fields { name } } } }"),
        of_query(&target.buyer_key, &deep),
        of_query(&target.buyer_key, &wide),
        of_query(&target.buyer_key, "{ dealsForBuyer(first: 20 { nodes { id } }"),
        of_query(
            &target.buyer_key,
            "{ dealsForBuyer(first: 1000000) { nodes { id } } }",
        ),
        post(&url, &target.buyer_key, "{\"query\": "),
        b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/xml\r\ncontent-length: 4\r\n\r\n<a/>"
            .to_vec(),
        b"GET /admin.php HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".to_vec(),
        b"NONSENSE\r\n\r\n".to_vec(),
    ]
}
