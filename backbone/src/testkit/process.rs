//! One server process with its children: spawned, paused, resumed, killed, and ended with this
//! process.
//!
//! Signals go only to a child that has not been waited for, and to its children while it is
//! stopped. Otherwise a process number could have passed to an unrelated process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::settles;

/// Time in which the kernel must carry out a kill.
const KILLED: Duration = Duration::from_secs(10);
/// Time for an orderly end on drop before the children, and then the process, are killed.
const STOPPED: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    guard: Child,
    end: &'static str,
}

impl Process {
    /// Runs `command` with its output appended to `log`.
    ///
    /// `end` is the signal, such as `KILL`, that ends the server without leaving shared memory or children
    /// behind. If this process dies first, a guard process sends it and removes `folder`.
    pub(super) fn spawn(
        mut command: Command,
        log: &Path,
        folder: &Path,
        end: &'static str,
    ) -> Self {
        use std::os::unix::process::CommandExt;
        let program = PathBuf::from(command.get_program());
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log file can be opened");

        let errors = output.try_clone().expect("a file handle can be cloned");

        // A process group of its own, since Ctrl-C at a terminal is meant for the program under
        // test, which then stops in order.
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();

        let mut child = child
            .unwrap_or_else(|error| panic!("{} could not be started: {error}", program.display()));

        let guard = guard(child.id(), folder, end).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("/bin/sh could not be started: {error}")
        });

        Self { child, guard, end }
    }

    /// Returns the exit status if the process has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("our own child can be waited for")
    }

    /// Stops the process and its children (SIGSTOP): connections stay open and unanswered.
    pub(super) fn pause(&mut self) {
        if self.ended().is_none() {
            // The parent first. A stopped parent spawns no more children, and does not release the
            // numbers of dead ones.
            signal("STOP", &[self.child.id()]);
            self.settle("stopped", |state| state == 'T');
            signal("STOP", &children(self.child.id()));
        }
    }

    /// Resumes a paused process (SIGCONT).
    pub(super) fn resume(&mut self) {
        if self.ended().is_none() {
            // In the reverse order of the pause.
            signal("CONT", &children(self.child.id()));
            signal("CONT", &[self.child.id()]);
        }
    }

    /// Kills the process and its children (SIGKILL) and returns when all are gone.
    pub(super) fn kill(&mut self) {
        // Before the kill: afterwards the process number may belong to a stranger, whom the guard
        // would signal.
        self.dismiss_guard();
        if self.ended().is_none() {
            self.pause();
            let mut all = children(self.child.id());
            all.push(self.child.id());
            signal("KILL", &all);
            self.child.wait().expect("our own child can be waited for");
            let gone = settles(KILLED, || {
                all.iter()
                    .all(|&pid| state_and_parent(pid).is_none_or(|(s, _)| s == 'Z'))
            });

            assert!(
                gone,
                "processes {all:?} still run {KILLED:?} after they were killed"
            );
        }
    }

    fn settle(&self, what: &str, reached: impl Fn(char) -> bool) {
        let pid = self.child.id();
        // Without /proc there is no state to read, and nothing to wait for.
        let settled = settles(KILLED, || {
            state_and_parent(pid).is_none_or(|(state, _)| reached(state) || state == 'Z')
        });

        assert!(settled, "process {pid} is not {what} within {KILLED:?}");
    }

    fn dismiss_guard(&mut self) {
        // An error says that the guard is already dead, which is the purpose.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A killed PostgreSQL leaves shared memory behind, so it gets time for an orderly end.
        if self.end != "KILL" && self.ended().is_none() {
            signal(self.end, &[self.child.id()]);
            self.resume();
            if !settles(STOPPED, || self.ended().is_some()) {
                // A child that was being spawned can miss the signal, and its parent then waits for
                // it.
                signal("KILL", &children(self.child.id()));
                settles(STOPPED, || self.ended().is_some());
            }
        }

        self.kill();
    }
}

/// Spawns a shell that reads from a pipe held only by this process. However this process ends, the
/// read ends with it, and the shell acts.
fn guard(pid: u32, folder: &Path, end: &'static str) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let script = r#"read -r _; kill -s "$1" "$2"; kill -s CONT "$2"
        while kill -s 0 "$2"; do sleep 0.1; done; rm -rf "$3""#;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script, "guard", end, &pid.to_string()])
        .arg(folder);

    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());

    command.spawn()
}

/// Sends a signal with the shell's `kill`: the standard library cannot, and the crate has no unsafe
/// code.
fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }

    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"kill -s "$@" 2>/dev/null"#, "kill", name]);
    // It fails for a process that is already gone, which is the purpose.
    command
        .args(pids.iter().map(u32::to_string))
        .status()
        .expect("/bin/sh can be run");
}

/// Returns the children of a process from Linux's /proc, or none without it.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| {
        state_and_parent(pid).is_some_and(|(state, ppid)| ppid == parent && state != 'Z')
    })
    .collect()
}

/// Returns state and parent of a process: the fields after its name, which is in parentheses and
/// may contain any character.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
