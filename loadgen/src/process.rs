//! What processes of this machine have used, as Linux's /proc tells.

use std::fs;
use std::time::Duration;

use crate::Failed;

/// Ticks of a second in /proc (`sysconf(_SC_CLK_TCK)`), 100 on every Linux of today.
const TICKS: u64 = 100;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// This one.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// The one that listens on a TCP port.
    pub(crate) fn listening_on(port: u16) -> Result<Self, Failed> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
            .map(|table| fs::read_to_string(table).unwrap_or_default());
        let listening = tables
            .iter()
            .flat_map(|table| table.lines())
            .find_map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let of_port =
                    fields.get(1)?.ends_with(&format!(":{port:04X}")) && *fields.get(3)? == "0A";
                of_port.then(|| format!("socket:[{}]", fields[9]))
            });
        let socket =
            listening.ok_or_else(|| format!("nobody listens on port {port} of this machine"))?;
        let processes = fs::read_dir("/proc")?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let holds = |pid: &u32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .flatten();
            files
                .filter_map(|file| fs::read_link(file.path()).ok())
                .any(|file| file.as_os_str() == socket.as_str())
        };
        pids.into_iter().find(holds).map(Self).ok_or_else(|| {
            format!("the process that listens on port {port} is not visible to us").into()
        })
    }

    /// CPU time so far, user and system, of all its threads; in steps of 10 ms.
    pub(crate) fn cpu(self) -> Result<Duration, Failed> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name, in parentheses, may hold anything; behind it the fields are counted from the third.
        let fields = stat.rsplit_once(')').ok_or("no such /proc")?.1;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [user, system] = fields
            .get(11..13)
            .and_then(|times| times.try_into().ok())
            .ok_or("no times in /proc")?;
        let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(self) -> Result<u64, Failed> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS in /proc")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib << 10)
    }
}
