//! One server process with its children: spawned, paused, resumed, killed, and never outliving us.
//!
//! Refuses to signal anything but a child of its own that has not been waited for, and that child's children while
//! it is stopped: only so no process number can have passed to a stranger.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::settles;

/// How long the kernel may take to carry out a kill.
const KILLED: Duration = Duration::from_secs(10);
/// How long an orderly end may take on drop before it becomes a kill, of the children first.
const STOPPED: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    guard: Child,
    end: &'static str,
}

impl Process {
    /// Runs `command` with its output appended to `log`. `end` is the signal (such as `KILL`) that ends it without
    /// leaving shared memory or children behind; should we die first, a guard sends it and removes `folder`.
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
        // Its own process group: Ctrl-C at a terminal is for the program under test, which then stops in order.
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut child =
            child.unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let guard = guard(child.id(), folder, end).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("/bin/sh does not start: {error}")
        });
        Self { child, guard, end }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("our own child can be waited for")
    }

    /// Stops it and its children where they stand (SIGSTOP): connections stay open and unanswered.
    pub(super) fn pause(&mut self) {
        if self.ended().is_none() {
            // The parent first: a stopped parent makes no new children and leaves the numbers of dead ones taken.
            signal("STOP", &[self.child.id()]);
            self.settle("stopped", |state| state == 'T');
            signal("STOP", &children(self.child.id()));
        }
    }

    /// Lets a paused process go on (SIGCONT).
    pub(super) fn resume(&mut self) {
        if self.ended().is_none() {
            signal("CONT", &children(self.child.id()));
            signal("CONT", &[self.child.id()]);
        }
    }

    /// Kills it and its children (SIGKILL) and returns when all are gone.
    pub(super) fn kill(&mut self) {
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
            assert!(gone, "killed processes are still there: {all:?}");
        }
    }

    fn settle(&self, what: &str, reached: impl Fn(char) -> bool) {
        let pid = self.child.id();
        // Without /proc there is no state to read, and nothing to wait for.
        let settled = settles(KILLED, || {
            state_and_parent(pid).is_none_or(|(state, _)| reached(state) || state == 'Z')
        });
        assert!(settled, "process {pid} is not {what}");
    }

    fn dismiss_guard(&mut self) {
        // Its own death is all it could refuse, and then it is gone as wished.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end != "KILL" && self.ended().is_none() {
            signal(self.end, &[self.child.id()]);
            self.resume();
            if !settles(STOPPED, || self.ended().is_some()) {
                // A child that was just being born can miss the signal; its parent then waits for it.
                signal("KILL", &children(self.child.id()));
                settles(STOPPED, || self.ended().is_some());
            }
        }
        self.kill();
    }
}

/// A shell that reads from a pipe only we hold: when we are gone, however that came, the read ends and it acts.
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

/// Sends a signal through the shell's own `kill`: the standard library has none, and the crate no unsafe code.
fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"kill -s "$@" 2>/dev/null"#, "kill", name]);
    // A process that is already gone makes it fail, and is what was wanted.
    command
        .args(pids.iter().map(u32::to_string))
        .status()
        .expect("/bin/sh can be run");
}

/// The children of a process, by Linux's /proc; none where there is no such thing.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| {
        state_and_parent(pid).is_some_and(|(state, ppid)| ppid == parent && state != 'Z')
    })
    .collect()
}

/// State and parent of a process: the fields after the name, which stands in parentheses and may hold any of them.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
