//! The command that hears how a sweep ended: `--on-finish`.

use crate::run::Interrupts;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Why the command did not do its work.
#[derive(Debug, Error)]
enum NoticeError {
    #[error("could not start sh: {0}")]
    Start(#[source] io::Error),
    #[error("it ended with exit status {0}")]
    Status(i32),
    #[error("it was ended by signal {0}")]
    Signal(i32),
    #[error("it took longer than {} s and was killed", .0.as_secs_f64())]
    Late(Duration),
    #[error("it was killed when ctrl-c was pressed")]
    Interrupted,
}

/// What the command is told, in environment variables.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// `ADVREC_GRID`.
    pub grid: &'a str,
    /// `ADVREC_ENDING`: `done`, `failed`, `interrupted`, `disk_full` or `error`.
    pub ending: &'a str,
    /// `ADVREC_EXIT_CODE`: what the program will end with.
    pub code: u8,
    /// `ADVREC_CELLS_DONE` of `ADVREC_CELLS`, of the whole grid.
    pub cells_done: u64,
    pub cells: u64,
    /// `ADVREC_FAILED`: how many stages failed.
    pub failed: usize,
    /// `ADVREC_DB`.
    pub db: &'a Path,
    /// `ADVREC_SUMMARY`: one sentence.
    pub summary: &'a str,
}

impl Notice<'_> {
    /// Gives the notice to a shell command and waits for it; what it prints goes to standard error. That
    /// it fails is a warning: the sweep is over.
    pub fn give(&self, command: &str) {
        if let Err(error) = self.run(command, LIMIT) {
            tell!("warning: --on-finish {command:?}: {error}");
        }
    }

    fn run(&self, command: &str, limit: Duration) -> Result<(), NoticeError> {
        let stderr = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
        let mut child = Command::new("sh")
            .args(["-c", command])
            .env("ADVREC_GRID", self.grid)
            .env("ADVREC_ENDING", self.ending)
            .env("ADVREC_EXIT_CODE", self.code.to_string())
            .env("ADVREC_CELLS_DONE", self.cells_done.to_string())
            .env("ADVREC_CELLS", self.cells.to_string())
            .env("ADVREC_FAILED", self.failed.to_string())
            .env("ADVREC_DB", std::path::absolute(self.db).unwrap_or(self.db.to_owned()))
            .env("ADVREC_SUMMARY", self.summary)
            .stdin(Stdio::null())
            .stdout(stderr().map_err(NoticeError::Start)?)
            // So that what the shell starts can be ended with it.
            .process_group(0)
            .spawn()
            .map_err(NoticeError::Start)?;
        // The sweep's own listener has left, and ctrl-c would do nothing: the command is in a group of its
        // own.
        let interrupts = Interrupts::listen(|| {}).map_err(NoticeError::Start)?;
        let start = Instant::now();
        let error = loop {
            match child.try_wait().map_err(NoticeError::Start)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let signal = status.signal().map(NoticeError::Signal);
                    return Err(signal.unwrap_or(NoticeError::Status(status.code().unwrap_or(-1))));
                }
                None if interrupts.count() > 0 => break NoticeError::Interrupted,
                None if start.elapsed() >= limit => break NoticeError::Late(limit),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        // SAFETY: kill touches no memory; the group is the child's own, which has not been waited for.
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        // It is dead: waiting takes its place among the processes away.
        let _ = child.wait();
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_by_its_environment_and_has_a_limit() {
        let notice = Notice {
            grid: "g",
            ending: "failed",
            code: 1,
            cells_done: 3,
            cells: 4,
            failed: 2,
            db: Path::new("/a.db"),
            summary: "it is 'over'",
        };
        let run = |command: &str, ms| notice.run(command, Duration::from_millis(ms));
        let told = "$ADVREC_GRID $ADVREC_ENDING $ADVREC_EXIT_CODE $ADVREC_CELLS_DONE $ADVREC_CELLS \
                    $ADVREC_FAILED $ADVREC_DB $ADVREC_SUMMARY";
        let test = format!(r#"test "{told}" = "g failed 1 3 4 2 /a.db it is 'over'""#);
        run(&test, 60_000).unwrap();
        let start = Instant::now();
        let errors = [run("exit 7", 60_000), run("kill -9 $$", 60_000), run("sleep 60; true", 100)];
        assert!(start.elapsed() < Duration::from_secs(30));
        let errors = errors.map(|result| result.unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        it ended with exit status 7
        it was ended by signal 9
        it took longer than 0.1 s and was killed
        ");
    }
}
