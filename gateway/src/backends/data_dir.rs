//! Data directory of an embedded market: its lock, and the private files in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use webhooks::seal::SealKey;

/// File name of the key that webhook secrets are encrypted with.
const SECRETS_KEY_FILE: &str = "webhook-secrets.key";

/// Data directory, locked for this process as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Failure to use a data directory.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds the lock.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory or a file in it cannot be created, read or written.
    #[error("cannot use {}: {why}", path.display())]
    Io {
        /// Path of the directory or file.
        path: PathBuf,
        /// Error of the operating system.
        why: std::io::Error,
    },
    /// The key file of webhook secrets is damaged. A new key would not help: it cannot decrypt the stored secrets.
    #[error("{} does not hold a key of 32 bytes in Base64; restore the file from a backup", .0.display())]
    Key(PathBuf),
}

impl DataDir {
    /// Creates the directory if it is absent, and locks it.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] when another process has locked it, [`DataDirError::Io`] when it cannot be created.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let failed = |why| DataDirError::Io {
            path: path.to_owned(),
            why,
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;

        // The kernel gives the lock back when the process ends in whatever way, so none is ever left behind.
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        }
    }

    /// Returns the key that webhook secrets are encrypted with, and creates it on first use.
    ///
    /// # Errors
    /// [`DataDirError::Io`] when the file cannot be read or written, [`DataDirError::Key`] when it is damaged.
    pub fn webhook_secrets_key(&self) -> Result<SealKey, DataDirError> {
        let path = self.path.join(SECRETS_KEY_FILE);
        let failed = |why| DataDirError::Io {
            path: path.clone(),
            why,
        };

        match std::fs::read_to_string(&path) {
            Ok(text) => SealKey::parse(text.trim()).map_err(|_| DataDirError::Key(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = SealKey::generate();
                write_private(&path, &key.to_base64()).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Path of the directory, as configured.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a file of one line that only its owner can read (mode 0600). After a crash the file is either the old one or
/// the new one.
///
/// # Errors
/// The operating system's.
pub(crate) fn write_private(path: &Path, line: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    writeln!(file, "{line}")?;

    // The content must be on disk before the name points to it, or a power loss could leave an empty file.
    file.sync_all()?;
    std::fs::rename(temporary, path)
}
