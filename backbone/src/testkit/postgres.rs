//! A private PostgreSQL cluster, and databases in one that a test run shares.
//!
//! PostgreSQL does not run as root, so root's clusters run as the user `postgres`, or else
//! `nobody`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

use super::port::Port;
use super::server::{Probe, Server, find, folder};

/// A running PostgreSQL, 15 or newer. It is shut down at once with SIGQUIT when this value is
/// dropped.
#[derive(Debug)]
pub struct PostgresServer(Server);

impl PostgresServer {
    /// Starts a server without fsync, for tests that do not depend on what survives a crash of the
    /// machine.
    ///
    /// # Panics
    /// If PostgreSQL is missing or does not answer within a minute.
    pub async fn start() -> Self {
        Self::launch(false, None).await
    }

    /// Starts a server that syncs what it commits, for tests that kill it.
    ///
    /// # Panics
    /// Under the conditions of [`Self::start`].
    pub async fn durable() -> Self {
        Self::launch(true, None).await
    }

    /// Starts a server with this certificate and private key, as texts in PEM. Users other than `postgres` reach it
    /// with TLS and their password alone.
    ///
    /// # Panics
    /// Under the conditions of [`Self::start`].
    pub async fn with_tls(cert: &str, key: &str) -> Self {
        Self::launch(false, Some([cert, key])).await
    }

    async fn launch(durable: bool, tls: Option<[&str; 2]>) -> Self {
        let folder = folder("postgres");
        let port = Port::reserve();
        let identity = identity(folder.path());
        if let Some((user, group)) = identity {
            chown(folder.path(), Some(user), Some(group))
                .expect("root may change the owner of a directory");
        }

        let sync = if durable { "on" } else { "off" };
        // With shared memory in files of its own directory, a killed cluster leaves nothing in
        // /dev/shm.
        let tls = match tls {
            Some(files) => tls_settings(folder.path(), identity, files),
            None => Vec::new(),
        };
        let settings = format!(
            "-h 127.0.0.1 -p {} -c max_connections=300 -c fsync={sync} -c full_page_writes={sync} \
             -c dynamic_shared_memory_type=mmap -c timezone=UTC",
            port.number()
        );

        let folders = [
            OsString::from("-D"),
            data(folder.path()).into(),
            OsString::from("-k"),
            folder.path().into(),
        ];

        let server = Self(Server {
            program: find("postgres", binaries()),
            arguments: folders
                .into_iter()
                .chain(settings.split(' ').map(OsString::from))
                .chain(tls)
                .collect(),
            identity,
            probe: Probe::Postgres(admin_url(&port)),
            port,
            process: Mutex::default(),
            folder,
        });

        server.initialise().await;
        server.0.start().await;
        server
    }

    async fn initialise(&self) {
        let mut command = self.0.command(&find("initdb", binaries()));
        command.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);

        command.arg(data(self.0.folder.path()));

        let output = tokio::process::Command::from(command)
            .output()
            .await
            .expect("initdb can be run");

        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "initdb failed with {}:\n{errors}",
            output.status
        );
    }

    /// Returns `postgres://postgres@127.0.0.1:PORT/postgres`, the same through every restart.
    pub fn url(&self) -> String {
        admin_url(&self.0.port)
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// Under the conditions of [`create_database`].
    pub async fn create_database(&self, name: &str) -> String {
        create_database(&self.url(), name).await
    }

    /// Kills the postmaster and its processes with SIGKILL, and returns when they are gone.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Starts it again on the same port with the same data, and kills it first if it runs.
    pub async fn restart(&self) {
        self.0.start().await;
    }

    /// Pauses the postmaster and its processes with SIGSTOP: connections stay open and unanswered.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Resumes it with SIGCONT.
    pub fn resume(&self) {
        self.0.resume();
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.0.end();

        // A cluster that was killed and not restarted leaves a shared memory segment, whose id is
        // the second number on line 7 of its lock file. A system has room for only some thousands.
        let lock = fs::read_to_string(data(self.0.folder.path()).join("postmaster.pid"))
            .unwrap_or_default();

        if let Some(id) = lock
            .lines()
            .nth(6)
            .and_then(|line| line.split_whitespace().nth(1))
        {
            // Without ipcrm the segment stays until the next boot.
            let _ = std::process::Command::new("ipcrm")
                .args(["-m", id])
                .status();
        }
    }
}

/// Writes the files of a server with TLS, and returns the arguments that name them.
fn tls_settings(
    folder: &Path,
    identity: Option<(u32, u32)>,
    [cert, key]: [&str; 2],
) -> Vec<OsString> {
    let hba = "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let files = [
        ("ssl_cert_file", "server.pem", cert),
        ("ssl_key_file", "server.key", key),
        ("hba_file", "hba.conf", hba),
    ];

    let mut arguments = vec![OsString::from("-c"), OsString::from("ssl=on")];
    for (setting, name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).expect("the directory was just created");
        // The server reads a key that only its own user can read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .expect("the file was just created");
        if let Some((user, group)) = identity {
            chown(&path, Some(user), Some(group)).expect("root may change the owner of a file");
        }

        arguments.push("-c".into());
        arguments.push(format!("{setting}={}", path.display()).into());
    }

    arguments
}

/// Creates an empty database on the server at `admin_url` and returns its URL.
///
/// # Panics
/// If the server refuses, or `name` has other characters than lower-case letters, digits and `_`.
pub async fn create_database(admin_url: &str, name: &str) -> String {
    execute(admin_url, name, "CREATE DATABASE").await;
    let mut url = Url::parse(admin_url).expect("the server's URL is well formed");

    url.set_path(name);
    url.into()
}

/// Drops the database at `url`, and ends sessions that are connected to it.
///
/// # Panics
/// If the server refuses.
pub async fn drop_database(admin_url: &str, url: &str) {
    let url = Url::parse(url).expect("the database's URL is well formed");
    let name = url.path().trim_start_matches('/');
    execute(
        admin_url,
        &format!("{name} WITH (FORCE)"),
        "DROP DATABASE IF EXISTS",
    )
    .await;
}

async fn execute(admin_url: &str, name: &str, statement: &str) {
    let plain = name
        .trim_end_matches(" WITH (FORCE)")
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));

    assert!(
        plain,
        "a database name may have lower-case letters, digits and _, not: {name}"
    );

    let done = async {
        let mut session = PgConnection::connect(admin_url).await?;
        sqlx::query(AssertSqlSafe(format!("{statement} {name}")))
            .execute(&mut session)
            .await?;

        session.close().await
    };

    done.await
        .unwrap_or_else(|error: sqlx::Error| panic!("{statement} {name} failed: {error}"));
}

fn admin_url(port: &Port) -> String {
    format!("postgres://postgres@{}/postgres", port.addr())
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Returns the directories in which Debian has the programs, newest version first.
pub(super) fn binaries() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();

    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, path)| path.join("postgres").is_file() && path.join("initdb").is_file())
        .collect();

    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Returns user and group to run as when this process is root, which owns the new directory then.
pub(super) fn identity(folder: &Path) -> Option<(u32, u32)> {
    if folder
        .metadata()
        .expect("the directory was just created")
        .uid()
        != 0
    {
        return None;
    }

    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let ids = |wanted: &str| {
        let fields = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());

        let user = fields
            .into_iter()
            .find(|user| user.len() > 3 && user[0] == wanted)?;

        Some((user[2].parse().ok()?, user[3].parse().ok()?))
    };

    Some(
        ids("postgres")
            .or_else(|| ids("nobody"))
            .expect("root needs a user `postgres` or `nobody` for PostgreSQL"),
    )
}
