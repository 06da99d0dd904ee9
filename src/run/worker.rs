//! A worker process, seen from the orchestrator.

use super::death::Death;
use super::device::Slot;
use super::link::Link;
use super::log::tail;
use super::protocol::{FromWorker, Hello, Job, ToWorker};
use super::slurm::SlurmError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// MKL then takes the same code path on every processor that has AVX2, which keeps sums in the same
/// order from machine to machine.
const MKL_CBWR: &str = "AVX2";
/// How long a worker may take to greet: loading libtorch from a cold network disk is slow.
const GREETING: Duration = Duration::from_secs(120);
/// How long an idle worker may take to leave.
const LEAVING: Duration = Duration::from_secs(2);
/// Why there is no worker.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error(
        "no advrec-worker beside {beside}; build it with `make build`, or name the program in \
         ADVREC_WORKER"
    )]
    NotFound { beside: PathBuf },
    #[error(
        "ADVREC_WORKER names {program}, which is no program; name an advrec-worker, or unset it to \
         use the one beside advrec"
    )]
    Misnamed { program: PathBuf },
    #[error("could not start the worker {program}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("the worker {program} cannot load libtorch; {REMEDY}, and see `advrec doctor`{tail}")]
    Libtorch { program: PathBuf, tail: String },
    #[error("the worker {program} ended before it was ready ({ending}){tail}")]
    Startup {
        program: PathBuf,
        ending: String,
        /// Whether a signal ended it, which the next one may be spared.
        killed: bool,
        tail: String,
    },
    #[error("the worker {program} said nothing for {} s; is it an advrec-worker?", GREETING.as_secs())]
    Silent { program: PathBuf },
    #[error("the worker {program} is version {theirs} and advrec is {ours}; build both again")]
    Version { program: PathBuf, theirs: String, ours: &'static str },
    #[error(transparent)]
    Slurm(SlurmError),
}

/// What helps when the worker or libtorch is missing.
pub const REMEDY: &str = "run `make setup` and `make build` in advrec's folder";

impl WorkerError {
    /// Whether the user named something that is no worker.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Slurm(error) => error.is_bad_input(),
            _ => matches!(self, Self::Misnamed { .. }),
        }
    }

    /// Whether another try may succeed: the worker was killed, or the machine was too slow.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Startup { killed: true, .. } | Self::Silent { .. })
    }
}

/// How workers are started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl WorkerCommand {
    /// The program named by ADVREC_WORKER, or else `advrec-worker` beside the running program.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn find() -> Result<Self, WorkerError> {
        if let Some(command) = Self::from_environment()? {
            return Ok(command);
        }
        let own = std::env::current_exe().unwrap_or_default();
        let program = own.with_file_name("advrec-worker");
        if !program.is_file() {
            return Err(WorkerError::NotFound { beside: own });
        }
        Ok(Self { program, args: Vec::new() })
    }

    /// The program named by ADVREC_WORKER, if one is.
    ///
    /// # Errors
    /// If it names no file that can be run.
    pub fn from_environment() -> Result<Option<Self>, WorkerError> {
        let Some(program) = std::env::var_os("ADVREC_WORKER").filter(|name| !name.is_empty())
        else {
            return Ok(None);
        };
        let program = PathBuf::from(program);
        let is_program = fs::metadata(&program)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
        if !is_program {
            return Err(WorkerError::Misnamed { program });
        }
        Ok(Some(Self { program, args: Vec::new() }))
    }
}

/// What a worker finds in its environment: its device, so many cores for batches of work, one thread
/// and one code path for each matrix product, so that results do not depend on the machine's cores.
pub fn environment(threads: usize, visible: &str) -> [(&'static str, String); 8] {
    [
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
        ("CUDA_VISIBLE_DEVICES", visible.to_owned()),
        ("MKL_CBWR", MKL_CBWR.to_owned()),
        ("OMP_NUM_THREADS", "1".to_owned()),
        ("MKL_NUM_THREADS", "1".to_owned()),
        ("RAYON_NUM_THREADS", threads.to_string()),
        // glibc else gives the memory of every large tensor back to the system and takes it anew, page
        // by page, thousands of times a second. 32 MiB is the largest threshold that it accepts.
        ("MALLOC_MMAP_THRESHOLD_", (32 << 20).to_string()),
        ("MALLOC_TRIM_THRESHOLD_", (1u64 << 30).to_string()),
    ]
}

/// What comes from a worker.
#[derive(Debug)]
pub enum Heard {
    Message(FromWorker),
    /// Nothing, for longer than was waited.
    Silence,
    /// The worker is gone.
    End,
}

/// A running worker. It belongs to the thread that started it, which must outlive it: the system
/// kills the worker when that thread ends (that is how a killed orchestrator leaves no orphans).
pub struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
    link: Arc<Link>,
    pub hello: Hello,
}

impl Worker {
    /// Starts a worker and waits for its greeting. Its standard error goes to `log` until its first
    /// job.
    ///
    /// # Errors
    /// If it cannot be started, ends, stays silent, or is of another version.
    pub fn start(
        command: &WorkerCommand,
        slot: &Slot,
        log: &Path,
        link: &Arc<Link>,
    ) -> Result<Self, WorkerError> {
        let program = &command.program;
        let spawn = |source| WorkerError::Spawn { program: program.clone(), source };
        let stderr = File::create(log).map_err(spawn)?;
        let mut process = Command::new(program);
        process
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Ctrl-C goes to the orchestrator alone, which knows what to do with each stage.
            .process_group(0)
            .envs(environment(slot.threads, &slot.visible));
        ignore_sigterm(&mut process);
        die_with_parent(&mut process);
        let mut child = process.spawn().map_err(spawn)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(spawn(io::Error::other("it has no pipes")));
        };
        let pid = child.id() as i32;
        link.attach(pid, stdin);
        let hello = Hello::default();
        let mut worker = Self { child, output: BufReader::new(stdout), link: link.clone(), hello };
        match worker.hear(GREETING) {
            Ok(Heard::Message(FromWorker::Hello(hello))) => worker.hello = hello,
            Ok(Heard::Silence) => {
                worker.end();
                return Err(WorkerError::Silent { program: program.clone() });
            }
            answer => {
                let death = worker.end();
                let ending = match answer {
                    Ok(Heard::Message(_)) => "it did not greet".to_owned(),
                    Ok(_) => death.to_string(),
                    Err(e) => e.to_string(),
                };
                let tail = tail(log);
                // What the system's loader says, and its exit status.
                let loader = "error while loading shared libraries";
                if death.exit_status == Some(127) && tail.contains(loader) {
                    return Err(WorkerError::Libtorch { program: program.clone(), tail });
                }
                let killed = death.signal.is_some();
                return Err(WorkerError::Startup {
                    program: program.clone(),
                    ending,
                    killed,
                    tail,
                });
            }
        }
        let ours = env!("CARGO_PKG_VERSION");
        if worker.hello.version != ours {
            let theirs = worker.hello.version.clone();
            worker.end();
            return Err(WorkerError::Version { program: program.clone(), theirs, ours });
        }
        Ok(worker)
    }

    /// Number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Hands over a job.
    ///
    /// # Errors
    /// If the worker is gone.
    pub fn send(&mut self, job: &Job) -> io::Result<()> {
        self.link.send(&ToWorker::Run(job.clone()))
    }

    /// Waits for a message, for so long at most.
    ///
    /// # Errors
    /// If what it says is no message.
    pub fn hear(&mut self, patience: Duration) -> io::Result<Heard> {
        if self.output.buffer().is_empty() && !readable(self.output.get_ref(), patience) {
            return Ok(Heard::Silence);
        }
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Ok(Heard::End);
        }
        serde_json::from_str(&line).map(Heard::Message).map_err(|e| {
            let start: String = line.chars().take(80).collect();
            io::Error::other(format!("bad message from the worker: {e}: {}", start.trim_end()))
        })
    }

    /// Lets an idle worker leave by itself, for a moment.
    pub fn leave(mut self) {
        self.link.ask_to_stop();
        let start = Instant::now();
        while start.elapsed() < LEAVING && matches!(self.child.try_wait_unreaped(), Ok(false)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.end();
    }

    /// Kills what is left of the worker and says how it ended.
    pub fn end(&mut self) -> Death {
        let status = self.link.reap(&mut self.child).ok();
        Death {
            exit_status: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a child has ended, without taking its status away.
trait TryWaitUnreaped {
    fn try_wait_unreaped(&self) -> io::Result<bool>;
}

impl TryWaitUnreaped for Child {
    fn try_wait_unreaped(&self) -> io::Result<bool> {
        // SAFETY: siginfo_t is plain data, for which zero is a value, and waitid writes one.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            match libc::waitid(libc::P_PID, self.id(), &mut info, flags) {
                0 => Ok(info.si_pid() != 0),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

/// Slurm and service managers send SIGTERM to all processes at once. The orchestrator alone answers it:
/// it asks the stage to stop, which then can write down where it is.
fn ignore_sigterm(process: &mut Command) {
    // SAFETY: between fork and exec one system call is made, and nothing is allocated.
    unsafe {
        process.pre_exec(|| match libc::signal(libc::SIGTERM, libc::SIG_IGN) {
            libc::SIG_ERR => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

fn die_with_parent(process: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
        unsafe {
            process.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the line above.
                if libc::getppid() as u32 != parent {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = process;
}

/// Waits until there is something to read, or the other end is closed.
fn readable(stream: &impl AsRawFd, time: Duration) -> bool {
    let mut entry = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let start = Instant::now();
    loop {
        let left = time.saturating_sub(start.elapsed());
        // SAFETY: one pollfd is passed, and said to be one.
        match unsafe { libc::poll(&mut entry, 1, left.as_millis() as i32) } {
            0 => return false,
            // A signal; the time that is left is counted anew.
            n if n < 0 && !left.is_zero() => {}
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_no_workers_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let start = |program: &str, args: &[&str]| {
            let command = WorkerCommand {
                program: program.into(),
                args: args.iter().map(OsString::from).collect(),
            };
            let slot = Slot { index: 0, visible: String::new(), threads: 1 };
            let link = Arc::new(Link::default());
            match Worker::start(&command, &slot, &dir.path().join("log"), &link) {
                Ok(_) => panic!("a worker"),
                Err(error) => error.to_string(),
            }
        };
        insta::assert_snapshot!(start("/no/such/worker", &[]),
            @"could not start the worker /no/such/worker: No such file or directory (os error 2)");
        insta::assert_snapshot!(start("/bin/sh", &["-c", "echo no libtorch >&2; exit 3"]), @r"
        the worker /bin/sh ended before it was ready (exit status 3)
        no libtorch
        ");
        insta::assert_snapshot!(
            start("/bin/sh", &["-c", "echo 'w: error while loading shared libraries: x' >&2; exit 127"]),
            @r"
        the worker /bin/sh cannot load libtorch; run `make setup` and `make build` in advrec's folder, and see `advrec doctor`
        w: error while loading shared libraries: x
        ");
        insta::assert_snapshot!(start("/bin/echo", &["hello"]),
            @"the worker /bin/echo ended before it was ready (bad message from the worker: expected value at line 1 column 1: hello)");
        insta::assert_snapshot!(start("/bin/echo", &[r#"{"hello":{"version":"0.0.7"}}"#])
                .replace(env!("CARGO_PKG_VERSION"), "OURS"),
            @"the worker /bin/echo is version 0.0.7 and advrec is OURS; build both again");
    }
}
