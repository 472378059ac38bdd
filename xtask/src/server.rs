//! One process under test: started in a session of its own, stopped by its own id, never left behind. Knows no product.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a process may take to stop when asked, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How often a process that is awaited is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Rights and place of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// The one core it may run on.
    pub(crate) core: Option<usize>,
    /// Real-time priority, when the system permits it.
    pub(crate) is_real_time: bool,
}

/// A running process and its children.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

/// The command line that runs `program` where `place` says, in a session of its own.
///
/// The kernel schedules by session (autogroup), so a nice level alone changes nothing against other programs' builds:
/// the session's own level does. It ends with us, even when we are killed.
pub(crate) fn placed(program: &[String], place: Place) -> Command {
    let prepare =
        "echo -15 2>/dev/null >/proc/self/autogroup; ulimit -n 65536 2>/dev/null; exec \"$@\"";
    let mut command = Command::new("setsid");
    command.args(["setpriv", "--pdeathsig", "KILL", "sh", "-c", prepare, "sh"]);
    if let Some(core) = place.core {
        command.args(["taskset", "-c", &core.to_string()]);
    }
    if place.is_real_time && may_be_real_time() {
        command.args(["chrt", "-r", "1"]);
    }
    command.args(program);
    command
}

/// Gives the threads of a process tree real-time priority, or takes it back. Those that stand behind the others of their
/// process (a nice level) get none: real time would put them beside. Refused without the right: then nothing changes.
pub(crate) fn set_real_time(pids: &[u32], on: RealTime) {
    let (policy, priority) = match on {
        RealTime::On => ("-r", "1"),
        RealTime::Off => ("-o", "0"),
    };
    let threads = pids.iter().flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")));
    for thread in threads.flatten().flatten() {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // Who began meanwhile has inherited it, behind or not.
        if matches!(on, RealTime::Off) || nice_level(&stat).is_some_and(|nice| nice <= 0) {
            let id = thread.file_name();
            drop(Command::new("chrt").args([policy, "-p", priority]).arg(id).output());
        }
    }
}

/// The 19th field of proc_pid_stat(5). The second, the name, may hold anything.
fn nice_level(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

/// Whether threads run before everybody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RealTime {
    On,
    Off,
}

fn may_be_real_time() -> bool {
    Command::new("chrt")
        .args(["-r", "1", "true"])
        .output()
        .is_ok_and(|tried| tried.status.success())
}

impl Server {
    /// Starts a command made by [`placed`], or one that is its own process group.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        Ok(Self { child: command.spawn()? })
    }

    /// The process id; the head of the tree.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL to the whole group at once, then waits until it is gone; how it ended.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait()
    }

    /// SIGTERM, and SIGKILL when that is not heeded in time.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let until = Instant::now() + STOP_PATIENCE;
        while self.ended().is_none() {
            if Instant::now() > until {
                drop(self.kill());
                return;
            }
            pause(LOOK_EVERY);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Gone already: nothing to stop.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.stop();
        }
    }
}

/// Lets measured time pass, or another process get on.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement takes its time; processes outside tell no events"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Tries until it succeeds or `patience` is over; the last failure is the answer.
///
/// # Errors
/// The last failure of `attempt`.
pub(crate) fn retry<T>(
    patience: Duration,
    every: Duration,
    mut attempt: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let until = Instant::now() + patience;
    loop {
        match attempt() {
            Err(_) if Instant::now() < until => pause(every),
            outcome => return outcome,
        }
    }
}
