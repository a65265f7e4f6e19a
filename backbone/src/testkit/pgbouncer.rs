//! A private PgBouncer in front of a PostgreSQL server. It refuses to run as root, as PostgreSQL does.

use std::fs;
use std::os::unix::fs::chown;

use parking_lot::Mutex;
use url::Url;

use super::port::Port;
use super::postgres::identity;
use super::server::{Probe, Server, find_chosen, folder};
use super::services::version;

/// Variable with the path of the program, for runs with another version than the installed one.
const PROGRAM: &str = "DEALWIRE_TEST_PGBOUNCER";

/// A running PgBouncer, which lets every client in as the user `postgres`. It is killed when this value is dropped.
#[derive(Debug)]
pub struct PgBouncer(Server);

impl PgBouncer {
    /// Starts a pooler in front of all databases of the server at `postgres_url`, with these lines in the section
    /// `pgbouncer` of its configuration.
    ///
    /// # Panics
    /// If pgbouncer is missing or does not pass a session on within a minute.
    pub async fn start(postgres_url: &str, settings: &[&str]) -> Self {
        let folder = folder("pgbouncer");
        let port = Port::reserve();
        let file = folder.path().join("pgbouncer.ini");
        let server = Url::parse(postgres_url).expect("the server's URL is well formed");
        let behind = server.port().expect("the server's URL has a port");
        let lines = [
            "[databases]".to_owned(),
            format!("* = host=127.0.0.1 port={behind} user=postgres"),
            "[pgbouncer]".to_owned(),
            "listen_addr = 127.0.0.1".to_owned(),
            format!("listen_port = {}", port.number()),
            "unix_socket_dir =".to_owned(),
            "auth_type = any".to_owned(),
        ];

        let lines = lines
            .iter()
            .map(String::as_str)
            .chain(settings.iter().copied());
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(&file, text).expect("the directory was just created");
        let identity = identity(folder.path());
        if let Some((user, group)) = identity {
            chown(folder.path(), Some(user), Some(group))
                .expect("root may change the owner of a directory");
        }

        let pooler = Self(Server {
            program: find_chosen(PROGRAM, "pgbouncer"),
            arguments: vec![file.into_os_string()],
            identity,
            probe: Probe::Pooler(through(&port, postgres_url)),
            port,
            process: Mutex::default(),
            folder,
        });
        pooler.0.start().await;
        pooler
    }

    /// Returns major and minor version of the program.
    ///
    /// # Panics
    /// If it is missing or prints no version.
    pub fn version() -> (u32, u32) {
        let text = version(&find_chosen(PROGRAM, "pgbouncer"));
        let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// Returns the URL by which the pooler passes sessions on to the database at `url`.
    ///
    /// # Panics
    /// If `url` is not well formed.
    pub fn url(&self, url: &str) -> String {
        through(&self.0.port, url)
    }
}

fn through(port: &Port, url: &str) -> String {
    let mut url = Url::parse(url).expect("the database's URL is well formed");
    url.set_port(Some(port.number()))
        .expect("the URL has a host");
    url.into()
}
