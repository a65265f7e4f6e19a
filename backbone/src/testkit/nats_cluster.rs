//! A private cluster of three nats-servers with JetStream on one machine.

use super::nats::NatsServer;
use super::port::Port;

/// Three running servers that replicate streams, of which one may be down. They are killed when this value is dropped.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<NatsServer>,
    /// Reserved while a node is down, because the others keep trying to reach it.
    _routes: [Port; 3],
}

impl NatsCluster {
    /// Starts the servers and returns when each answers. A stream can be created once they have elected a leader.
    ///
    /// # Panics
    /// Under the conditions of [`NatsServer::start`].
    pub async fn start() -> Self {
        let routes = [(); 3].map(|()| Port::reserve());
        let addresses = routes
            .iter()
            .map(|port| format!("nats://{}", port.addr()))
            .collect::<Vec<_>>();
        let all = addresses.join(",");

        let mut nodes = Vec::new();
        for (number, own) in addresses.iter().enumerate() {
            let name = Self::name(number);
            let arguments = [
                "--cluster_name",
                "market",
                "--name",
                &name,
                "--cluster",
                own,
                "--routes",
                &all,
            ];
            nodes.push(NatsServer::start_with(&arguments).await);
        }

        Self {
            nodes,
            _routes: routes,
        }
    }

    /// Returns the name by which the cluster knows a node, from 0 to 2.
    pub fn name(number: usize) -> String {
        format!("node-{number}")
    }

    /// Returns the number of the node with a name.
    ///
    /// # Panics
    /// If no node has the name.
    pub fn number(name: &str) -> usize {
        (0..3)
            .find(|&number| Self::name(number) == name)
            .unwrap_or_else(|| panic!("no node is called {name:?}"))
    }

    /// Returns the URLs of all nodes, separated by commas.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// Returns a node, for a test that breaks it.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn node(&self, number: usize) -> &NatsServer {
        &self.nodes[number]
    }
}
