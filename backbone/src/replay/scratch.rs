//! A directory for temporary databases, removed with the value that stands for it. What a killed
//! process left behind is removed by the next one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Beginning of the names of the directories.
const PREFIX: &str = "dealwire-replay-";
/// File whose lock says that a directory is in use.
const LOCK: &str = "lock";

/// A directory that belongs to one replay, and that nobody but its owner can read.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
    // Behind the directory, so that it is locked until it is gone.
    _lock: File,
}

impl Scratch {
    /// Creates a directory in `parent`, and removes those there that no process uses any more.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(parent: &Path) -> io::Result<Self> {
        for left in left_behind(parent)? {
            tracing::info!(directory = %left.display(), "removing what a replay left behind");
            // Of no consequence but the space, which the next one may get.
            let _removed = fs::remove_dir_all(left);
        }

        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;

        // Locked before it has its name: a file of this name that is not locked says that the
        // directory is left behind.
        let unnamed = directory.path().join("lock.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, directory.path().join(LOCK))?;

        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Returns the directories of replays that have ended without removing them.
fn left_behind(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }

        // One without its lock file is just being created, or belongs to somebody else.
        let Ok(lock) = File::open(entry.path().join(LOCK)) else {
            continue;
        };
        // The kernel gives a lock back when its process ends in whatever way.
        if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            left.push(entry.path());
        }
    }

    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_removes_what_a_killed_process_left_and_nothing_that_is_in_use() {
        let parent = tempfile::tempdir().expect("a temporary folder can be made");
        let used = Scratch::create(parent.path()).expect("the folder can be written to");
        let left = parent.path().join("dealwire-replay-left");
        fs::create_dir(&left).expect("the name is free");
        fs::write(left.join(LOCK), "").expect("the folder can be written to");

        let next = Scratch::create(parent.path()).expect("the folder can be written to");
        assert!(!left.exists());
        assert!(used.file(LOCK).exists() && next.file(LOCK).exists());

        let gone = used.file("");
        drop(used);
        assert!(!gone.exists());
    }
}
