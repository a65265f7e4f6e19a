//! CPU time and memory of processes on this machine, read from Linux's `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

use crate::error::BoxError;

/// Clock ticks per second in `/proc` (`sysconf(_SC_CLK_TCK)`): 100 on every Linux architecture in
/// use today.
const TICKS_PER_SECOND: u64 = 100;

/// State of a listening socket in `/proc/net/tcp`: TCP_LISTEN, in hexadecimal.
const LISTEN: &str = "0A";

/// Process, identified by its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// Returns the process of loadgen itself.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn from_pid(pid: u32) -> Self {
        Self(pid)
    }

    /// Finds the process that listens on a TCP port of this machine.
    ///
    /// # Errors
    /// No process listens on the port, or the process belongs to another user and hides its files.
    pub(crate) fn listening_on(port: u16) -> Result<Self, BoxError> {
        let socket = listening_socket(port)
            .ok_or_else(|| format!("no process on this machine listens on port {port}"))?;

        let processes = fs::read_dir("/proc")?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());

        pids.find(|pid| holds_file(*pid, &socket))
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "cannot find the process that listens on port {port}; \
                     run loadgen as the same user"
                )
                .into()
            })
    }

    /// Returns the CPU time used so far by all threads, user and system, in steps of 10 ms.
    pub(crate) fn cpu_time(self) -> Result<Duration, BoxError> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = fs::read_to_string(&path)?;

        // The second field is the program's name in parentheses and may itself contain spaces and
        // parentheses, so the fields are counted from the last closing one: utime and stime are
        // fields 14 and 15 of the line.
        let after_name = stat
            .rsplit_once(')')
            .ok_or_else(|| format!("{path} contains no program name"))?
            .1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let [user, system] = fields
            .get(11..13)
            .and_then(|times| times.try_into().ok())
            .ok_or_else(|| format!("{path} contains no CPU times"))?;

        let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64, BoxError> {
        let path = format!("/proc/{}/status", self.0);
        let status = fs::read_to_string(&path)?;

        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or_else(|| format!("{path} contains no VmRSS"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;

        Ok(kib << 10)
    }
}

/// Returns the name under which a listening socket appears in `/proc/<pid>/fd`.
fn listening_socket(port: u16) -> Option<String> {
    // A server on the IPv6 wildcard address also accepts IPv4, and appears only in the second
    // table. A machine without IPv6 has no such table, which is no reason to fail.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let suffix = format!(":{port:04X}");

    tables
        .iter()
        .flat_map(|table| table.lines())
        .find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local_address = fields.get(1)?;
            let state = fields.get(3)?;
            let inode = fields.get(9)?;

            let listens = local_address.ends_with(&suffix) && *state == LISTEN;
            listens.then(|| format!("socket:[{inode}]"))
        })
}

/// Tells whether a process has the file open. Processes of other users count as not having it.
fn holds_file(pid: u32, name: &str) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|file| file.as_os_str() == name)
}
