//! Slurm's commands: sbatch, squeue, scancel and scontrol.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use thiserror::Error;

/// What can go wrong with Slurm.
#[derive(Debug, Error)]
pub enum SlurmError {
    #[error(
        "{program} is not installed here; run this on a machine that submits jobs to Slurm, or \
         without --launcher slurm"
    )]
    Missing { program: &'static str },
    #[error("could not run {program}: {source}")]
    Spawn { program: &'static str, source: io::Error },
    #[error("Slurm refused the jobs: {said}")]
    Refused { said: String },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    #[error("{program} answered {answer:?}, which advrec does not understand")]
    Answer { program: &'static str, answer: String },
    #[error("the Slurm job {job} ended before its worker was ready ({state}){log}")]
    Ended { job: String, state: String, log: String },
    #[error("the Slurm job {job} has no worker: {reason}")]
    NoWorker { job: String, reason: String },
    #[error("could not write {path}: {source}", path = path.display())]
    Spool { path: PathBuf, source: io::Error },
    #[error("sbatch cannot have {option} here: {why}")]
    Request { option: String, why: &'static str },
}

impl SlurmError {
    /// Whether other arguments, or another machine, are what helps.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Refused { .. } | Self::Request { .. })
    }
}

/// A job, or a task of an array, in Slurm's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// `12`, or `12_3`.
    pub job: String,
    /// Compact: `PD` pending, `R` running, `CG` completing, `S` suspended, …
    pub state: String,
    /// Why it waits.
    pub reason: String,
    /// Until its time limit, where it has one.
    pub left: Option<Duration>,
}

/// Whether a variable is kept from Slurm's commands. What Slurm says of the job that this process may run in
/// is not meant for the jobs that it submits, nor are the GPUs of this machine. Filters for squeue and scancel
/// would hide jobs, which then count as lost. Where the cluster is, who the user is, and the user's
/// wishes for sbatch stay.
fn is_in_the_way(variable: &str) -> bool {
    const OF_SBATCH: [&str; 3] = ["SBATCH_ARRAY_INX", "SBATCH_CLUSTERS", "SBATCH_WAIT"];
    let of_job = variable.starts_with("SLURM_") && !matches!(variable, "SLURM_CONF" | "SLURM_JWT");
    let filter = ["SQUEUE_", "SCANCEL_"].iter().any(|prefix| variable.starts_with(prefix));
    of_job || filter || variable == "CUDA_VISIBLE_DEVICES" || OF_SBATCH.contains(&variable)
}

/// Refuses options of sbatch by which the sweep would lose sight of its jobs.
///
/// # Errors
/// If one of them is among `requests`.
pub fn check_requests(requests: &[String]) -> Result<(), SlurmError> {
    const NAMED: &str = "the sweep finds its jobs by the name that it gives them; leave it out";
    const COUNTED: &str = "the sweep counts its jobs itself; use --max-jobs";
    const ELSEWHERE: &str = "jobs run on the cluster of this machine alone; leave it out";
    const ANSWERED: &str = "the sweep does not wait for sbatch; leave it out";
    let refused = [
        ("--job-name", "-J", NAMED),
        ("--array", "-a", COUNTED),
        ("--clusters", "-M", ELSEWHERE),
        ("--wait", "-W", ANSWERED),
        ("--test-only", "--test-only", ANSWERED),
    ];
    for request in requests {
        let name = request.split('=').next().unwrap_or_default();
        // A letter may have its value right behind it.
        let is = |long: &str, short: &str| {
            name == long || (short.len() == 2 && request.starts_with(short))
        };
        if let Some((.., why)) = refused.iter().find(|(long, short, _)| is(long, short)) {
            return Err(SlurmError::Request { option: request.clone(), why });
        }
    }
    Ok(())
}

/// Runs a command of Slurm; what it printed.
fn run(program: &'static str, args: &[String], input: Option<&str>) -> Result<String, SlurmError> {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    for (name, _) in std::env::vars_os() {
        if is_in_the_way(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    let failure = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SlurmError::Missing { program },
        _ => SlurmError::Spawn { program, source },
    };
    let mut child = command.spawn().map_err(failure)?;
    if let Some(text) = input
        && let Some(mut stdin) = child.stdin.take()
    {
        // One that does not read it says why.
        let _ = io::Write::write_all(&mut stdin, text.as_bytes());
    }
    let output = child.wait_with_output().map_err(failure)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let prefix = format!("{program}: error: ");
    let lines = said.lines().map(|line| line.trim().trim_start_matches(prefix.as_str()));
    let lines = lines.filter(|line| !line.is_empty());
    let said = lines.collect::<Vec<_>>().join("; ");
    Err(match program {
        "sbatch" => SlurmError::Refused { said },
        _ => SlurmError::Failed { program, said },
    })
}

/// What is submitted.
#[derive(Clone, Debug)]
pub struct Submission<'a> {
    pub name: &'a str,
    /// As many tasks of an array; a single job where there is none.
    pub array: Option<usize>,
    /// The folder that the output goes to.
    pub logs: &'a Path,
    /// The name of the file there, with sbatch's own patterns: `slurm-%A_%a.log`.
    pub log: &'a str,
    /// Warns the job this long before its end: `B:TERM@90`.
    pub signal: &'a str,
    pub requests: &'a [String],
    pub script: &'a str,
}

impl Submission<'_> {
    fn arguments(&self) -> Vec<String> {
        let mut args = vec![
            "--parsable".to_owned(),
            format!("--job-name={}", self.name),
            format!("--output={}/{}", literal(self.logs), self.log),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            format!("--signal={}", self.signal),
        ];
        args.extend(self.array.map(|count| format!("--array=0-{}", count.saturating_sub(1))));
        // Last, so that they have the last word.
        args.extend(self.requests.iter().cloned());
        args
    }

    /// Submits it; the job's number.
    ///
    /// # Errors
    /// If Slurm refuses it or cannot be asked.
    pub fn submit(&self) -> Result<String, SlurmError> {
        let answer = run("sbatch", &self.arguments(), Some(self.script))?;
        job_number(&answer).ok_or(SlurmError::Answer { program: "sbatch", answer })
    }

    /// Whether Slurm would take it; nothing is submitted.
    ///
    /// # Errors
    /// If it would not, or cannot be asked.
    pub fn test(&self) -> Result<(), SlurmError> {
        let args = [self.arguments(), vec!["--test-only".to_owned()]].concat();
        run("sbatch", &args, Some(self.script)).map(|_| ())
    }
}

/// A path in which sbatch finds no pattern.
fn literal(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// `12`, or `12;cluster`, after lines of other things that a cluster's own filters print.
fn job_number(answer: &str) -> Option<String> {
    let last = answer.lines().rfind(|line| !line.trim().is_empty())?;
    let number = last.trim().split(';').next()?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| number.to_owned())
}

/// The jobs with this name that wait, run or are about to end, each task of an array for itself.
///
/// # Errors
/// If Slurm cannot be asked.
pub fn queue(name: &str) -> Result<Vec<Queued>, SlurmError> {
    let args = ["--noheader", "--array", "--format=%i|%t|%L|%r"].map(str::to_owned);
    let answer = run("squeue", &[&args[..], &[format!("--name={name}")]].concat(), None)?;
    answer.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

fn row(line: &str) -> Result<Queued, SlurmError> {
    let parts: Vec<&str> = line.trim().splitn(4, '|').collect();
    match parts[..] {
        [job, state, left, reason] => Ok(Queued {
            job: job.to_owned(),
            state: state.to_owned(),
            reason: reason.to_owned(),
            left: duration(left),
        }),
        _ => Err(SlurmError::Answer { program: "squeue", answer: line.to_owned() }),
    }
}

/// `1-02:03:04`, `2:03:04` or `3:04`; `None` of words such as UNLIMITED.
fn duration(text: &str) -> Option<Duration> {
    let (days, rest) = text.split_once('-').unwrap_or(("0", text));
    let mut seconds = 0;
    for part in rest.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(Duration::from_secs(days.parse::<u64>().ok()? * 86_400 + seconds))
}

/// Cancels jobs, or tasks of arrays. Not an error where they have ended.
///
/// # Errors
/// If Slurm cannot be asked.
pub fn cancel(jobs: &[String]) -> Result<(), SlurmError> {
    // A command line has an end.
    for jobs in jobs.chunks(500) {
        run("scancel", &[&["--quiet".to_owned()], jobs].concat(), None)?;
    }
    Ok(())
}

/// Cancels all jobs with this name. Not an error where there are none.
///
/// # Errors
/// If Slurm cannot be asked.
pub fn cancel_all(name: &str) -> Result<(), SlurmError> {
    run("scancel", &["--quiet".to_owned(), format!("--name={name}")], None).map(|_| ())
}

/// Cancels the jobs with this name that have not begun.
///
/// # Errors
/// If Slurm cannot be asked.
pub fn cancel_waiting(name: &str) -> Result<(), SlurmError> {
    let args = ["--quiet", "--state=PENDING"].map(str::to_owned);
    run("scancel", &[&args[..], &[format!("--name={name}")]].concat(), None).map(|_| ())
}

/// How a job ended, as long as Slurm remembers: `CANCELLED, exit code 0:15`.
pub fn ending(job: &str) -> Option<String> {
    let args = ["show", "job", "--oneliner", job].map(str::to_owned);
    let answer = run("scontrol", &args, None).ok()?;
    let line = answer.lines().next()?;
    let value = |name: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.map(str::to_owned)
    };
    let mut text = value("JobState=")?;
    if let Some(reason) = value("Reason=").filter(|reason| reason != "None") {
        text += &format!(", {reason}");
    }
    if let Some(code) = value("ExitCode=").filter(|code| code != "0:0") {
        text += &format!(", exit code {code}");
    }
    Some(text)
}

/// A word for the shell of a script.
pub fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&b);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(job_number("12\n"), Some("12".to_owned()));
        assert_eq!(job_number("lua: hello\n\n34;cluster\n"), Some("34".to_owned()));
        assert_eq!(job_number("Submitted batch job\n"), None);
        let queued = row("12_3|PD|1-00:01:30|Resources").unwrap();
        assert_eq!((&*queued.job, &*queued.state, &*queued.reason), ("12_3", "PD", "Resources"));
        assert_eq!(queued.left, Some(Duration::from_secs(86_490)));
        assert_eq!([duration("0:05"), duration("UNLIMITED")], [Some(Duration::from_secs(5)), None]);
        insta::assert_snapshot!(row("12_3 PD").unwrap_err(),
            @r#"squeue answered "12_3 PD", which advrec does not understand"#);
    }

    #[test]
    fn a_submission_lets_requests_have_the_last_word() {
        let submission = Submission {
            name: "advrec-a",
            array: Some(4),
            logs: Path::new("/s 100%/logs"),
            log: "slurm-%A_%a.log",
            signal: "B:TERM@90",
            requests: &["--partition=gpu".to_owned(), "--signal=B:TERM@300".to_owned()],
            script: "",
        };
        insta::assert_snapshot!(submission.arguments().join(" "),
            @"--parsable --job-name=advrec-a --output=/s 100%%/logs/slurm-%A_%a.log --open-mode=append --requeue --signal=B:TERM@90 --array=0-3 --partition=gpu --signal=B:TERM@300");
    }

    #[test]
    fn requests_that_hide_jobs_are_refused() {
        let check = |request: &str| check_requests(&[request.to_owned()]);
        for fine in
            ["--partition=gpu", "--nice=100", "--mail-user=a", "-pgpu", "--wait-all-nodes=1"]
        {
            assert!(check(fine).is_ok(), "{fine}");
        }
        for refused in ["--job-name=a", "-Ja", "--array=0-3", "-M", "--clusters=b", "--wait"] {
            assert!(check(refused).unwrap_err().is_bad_input(), "{refused}");
        }
        insta::assert_snapshot!(check("--job-name=a").unwrap_err(),
            @"sbatch cannot have --job-name=a here: the sweep finds its jobs by the name that it gives them; leave it out");
    }

    #[test]
    fn the_environment_neither_hides_jobs_nor_passes_for_theirs() {
        let kept = ["SLURM_CONF", "SLURM_JWT", "SBATCH_ACCOUNT", "PATH", "LD_LIBRARY_PATH"];
        assert!(kept.iter().all(|name| !is_in_the_way(name)));
        let removed =
            ["SLURM_JOB_ID", "SLURM_CLUSTERS", "SQUEUE_STATES", "SCANCEL_STATE", "SBATCH_WAIT"];
        assert!(removed.iter().all(|name| is_in_the_way(name)));
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("/a/b-c.yaml"), "/a/b-c.yaml");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
