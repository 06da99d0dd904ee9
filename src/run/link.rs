//! The way to a worker's process: what its own thread says to it, and what others may do to it.

use super::protocol::ToWorker;
use std::io::{self, Write};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Mutex, PoisonError};

/// The way to a worker, for all threads: ask it to stop, and kill it.
#[derive(Debug, Default)]
pub struct Link(Mutex<Linked>);

#[derive(Debug, Default)]
struct Linked {
    /// The process as long as it is not reaped, so that its number cannot be another's.
    process: Option<(i32, ChildStdin)>,
    /// Set by [`Link::kill`] for good: a worker that starts meanwhile is killed, too.
    closed: bool,
}

impl Link {
    fn with<T>(&self, work: impl FnOnce(&mut Linked) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this process is the worker.
    pub(super) fn attach(&self, process: i32, stdin: ChildStdin) {
        self.with(|linked| {
            linked.process = Some((process, stdin));
            if linked.closed {
                linked.kill();
            }
        });
    }

    /// Says something to the worker.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn send(&self, message: &ToWorker) -> io::Result<()> {
        self.with(|linked| match &mut linked.process {
            Some((_, stdin)) => write_line(stdin, message),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }

    /// Kills what is left of the worker and takes its status away.
    pub(super) fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        // The lock is held until the process is reaped: nobody kills its number afterwards.
        self.with(|linked| {
            linked.kill();
            linked.process = None;
            child.wait()
        })
    }

    /// Asks the worker to stop what it runs and to leave. An answer may come or not.
    pub fn ask_to_stop(&self) {
        // A worker that is gone already shows at the other end of its output.
        let _ = self.send(&ToWorker::Exit {});
    }

    /// Kills the worker with all that it started; a later one may be started.
    pub fn kill_current(&self) {
        self.with(|linked| linked.kill());
    }

    /// Kills the worker with all that it started, and every later one.
    pub fn kill(&self) {
        self.with(|linked| {
            linked.closed = true;
            linked.kill();
        });
    }
}

impl Linked {
    fn kill(&self) {
        if let Some((pid, _)) = &self.process {
            // SAFETY: kill touches no memory; the group is the worker's own, and it is not reaped.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
    }
}

fn write_line(stdin: &mut ChildStdin, message: &ToWorker) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stdin.write_all(&line)
}
