//! Sweeps whose workers are Slurm jobs, on a real cluster of one machine. Where there can be none, the tests
//! say why and pass.

mod cluster;
mod lab;

use cluster::{ask, slurm_conf};
use lab::{Lab, counts, kill, read};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long jobs may take to leave the queue.
const PATIENCE: Duration = Duration::from_secs(60);

/// An orchestrator. Dropping it kills it, so that a test that fails leaves none.
struct Sweeping(Option<Child>);

impl Sweeping {
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    /// Waits for its end: exit code, JSON summary, standard error.
    fn end(mut self) -> (i32, Value, String) {
        read(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A lab whose sweeps run in jobs.
struct SlurmLab {
    lab: Lab,
    conf: &'static str,
}

impl SlurmLab {
    fn new() -> Option<Self> {
        slurm_conf().map(|conf| Self { lab: Lab::new(), conf })
    }

    fn run(&self, args: &[&str]) -> Output {
        self.lab.command(args).env("SLURM_CONF", self.conf).output().unwrap()
    }

    fn arguments<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["sweep", "--output", "json", "--launcher", "slurm"], args].concat()
    }

    fn sweep(&self, args: &[&str]) -> (i32, Value, String) {
        read(self.run(&Self::arguments(args)))
    }

    fn start(&self, args: &[&str]) -> Sweeping {
        let mut command = self.lab.command(&Self::arguments(args));
        Sweeping::start(command.env("SLURM_CONF", self.conf))
    }

    /// The job in which a stage runs.
    fn running_job(&self) -> String {
        let row = self.lab.wait_for(
            "SELECT job FROM runs JOIN stages ON key = stage_key WHERE runs.state = 'running'
             AND json_extract(params, '$.sleep_ms') IS NOT NULL",
        );
        row["job"].as_str().unwrap().to_owned()
    }

    /// Waits until none of this lab's jobs is in the queue.
    fn wait_for_no_jobs(&self) {
        let start = Instant::now();
        let folder = self.lab.path("").display().to_string();
        loop {
            // Each job begins in the folder in which it was submitted.
            let queue = ask(self.conf, "squeue", &["--noheader", "--format=%A %t %Z/"]);
            let own: Vec<&str> = queue.lines().filter(|line| line.contains(&folder)).collect();
            if own.is_empty() {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{own:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn metrics(&self) -> Vec<Value> {
        self.lab.query("SELECT stage_key, name, split, value FROM metrics ORDER BY 1, 2, 3")
    }
}

#[test]
fn stages_run_in_jobs_and_give_what_they_give_here() {
    let Some(slurm) = SlurmLab::new() else { return };
    let noop =
        ["--noop", "20", "--noop-params", r#"{"3": {"fail": true}, "4": {"sleep_ms": 300}}"#];
    let (code, summary, stderr) = slurm.sweep(&[&noop[..], &["--max-jobs", "3"]].concat());
    assert_eq!((code, counts(&summary)), (1, [15, 0, 1, 4, 0]), "{stderr}");
    assert!(stderr.contains(": 3 workers submitted"), "{stderr}");
    let local = Lab::new();
    assert_eq!(local.sweep(&noop).0, 1);
    let metrics = local.query("SELECT stage_key, name, split, value FROM metrics ORDER BY 1, 2, 3");
    assert_eq!((slurm.metrics(), metrics.len()), (metrics, 15));

    let lab = &slurm.lab;
    let runs = lab.query("SELECT job, worker FROM runs");
    let is_task = |job: &str| {
        job.split_once('_')
            .is_some_and(|(array, task)| array.parse::<u32>().is_ok() && task.len() == 1)
    };
    assert!(runs.iter().all(|run| is_task(run["job"].as_str().unwrap())), "{runs:?}");
    let failures = lab.query("SELECT error, log_tail, job FROM failures");
    assert_eq!(failures[0]["error"], "failing on request");
    assert!(failures[0]["log_tail"].as_str().unwrap().contains("failing on request"));
    let sweeps = lab.query("SELECT launcher, job, slots, ending FROM sweeps");
    assert_eq!(
        sweeps[0],
        serde_json::json!({"launcher": "slurm", "job": null, "slots": 3, "ending": "finished"})
    );
    slurm.wait_for_no_jobs();
    assert_eq!(std::fs::read_dir(lab.path(".advrec/slurm")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(lab.path(".advrec/tmp")).unwrap().count(), 0);
}

const SLEEPER: [&str; 6] =
    ["--noop", "5", "--noop-params", r#"{"1": {"sleep_ms": 3000}}"#, "--max-jobs", "2"];

#[test]
fn a_stage_whose_job_is_cancelled_goes_on_in_another() {
    let Some(slurm) = SlurmLab::new() else { return };
    let child = slurm.start(&SLEEPER);
    let job = slurm.running_job();
    ask(slurm.conf, "scancel", &[&job]);
    let (code, summary, stderr) = child.end();
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["lost_workers"], 0, "{stderr}");
    assert_eq!(slurm.lab.attempts(), "done interrupted done done done done");
    let stopped = slurm.lab.query("SELECT error FROM runs WHERE state = 'interrupted'");
    let error = stopped[0]["error"].as_str().unwrap().replace(&job, "JOB");
    insta::assert_snapshot!(error, @"its Slurm job JOB was cancelled or preempted, or reaches its time limit");
    let rest =
        slurm.lab.query("SELECT DISTINCT job FROM runs WHERE state = 'done' AND attempt > 2");
    assert!(rest.iter().all(|run| run["job"] != *job), "{rest:?}");
}

#[test]
fn a_node_that_dies_without_a_word_is_a_lost_worker() {
    let Some(slurm) = SlurmLab::new() else { return };
    let child = slurm.start(&SLEEPER);
    let job = slurm.running_job();
    // As if the machine had failed: the node is the parent of its worker.
    let worker = slurm.lab.worker_of(1);
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap();
    kill(parent.parse().unwrap(), libc::SIGKILL);
    let (code, summary, stderr) = child.end();
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["lost_workers"], 1, "{stderr}");
    let lost = slurm.lab.query("SELECT error FROM failures WHERE state = 'lost'");
    let error = lost[0]["error"].as_str().unwrap();
    assert!(error.contains(&format!("its Slurm job {job} is gone")), "{error}");
}

#[test]
fn a_worker_that_dies_is_replaced_in_its_job() {
    let Some(slurm) = SlurmLab::new() else { return };
    let child = slurm.start(&["--max-jobs", "1", "--noop", "5", "--noop-params", SLEEPER[3]]);
    let job = slurm.running_job();
    kill(slurm.lab.worker_of(1), libc::SIGKILL);
    let (code, summary, stderr) = child.end();
    assert_eq!((code, &summary["lost_workers"]), (0, &Value::from(1)), "{stderr}");
    let jobs = slurm.lab.query("SELECT DISTINCT job FROM runs");
    assert_eq!(jobs, [serde_json::json!({"job": job})]);
}

#[test]
fn a_requeued_job_goes_on() {
    let Some(slurm) = SlurmLab::new() else { return };
    let params = r#"{"1": {"sleep_ms": 3000}, "3": {"sleep_ms": 12000}}"#;
    let child = slurm.start(&["--max-jobs", "2", "--noop", "5", "--noop-params", params]);
    let job = slurm.running_job();
    ask(slurm.conf, "scontrol", &["requeue", &job]);
    let (code, summary, stderr) = child.end();
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["lost_workers"], 0, "{stderr}");
    slurm.wait_for_no_jobs();
    let log = slurm.lab.path(&format!(".advrec/logs/slurm-{job}.log"));
    let log = std::fs::read_to_string(log).unwrap();
    // Two nodes in turn.
    assert_eq!(log.matches("leaving: ").count(), 2, "{log}");
}

#[test]
fn jobs_of_a_killed_orchestrator_are_cancelled_by_the_next() {
    let Some(slurm) = SlurmLab::new() else { return };
    let params = r#"{"1": {"sleep_ms": 600000}}"#;
    let child = slurm.start(&["--max-jobs", "2", "--noop", "5", "--noop-params", params]);
    let job = slurm.running_job();
    drop(child);
    let next = slurm.start(&["--max-jobs", "2", "--noop", "5", "--noop-params", params]);
    slurm.lab.wait_for("SELECT 1 FROM runs WHERE state = 'running' AND sweep_id = 2 AND slot >= 0");
    assert_ne!(slurm.running_job(), job);
    let queue = ask(slurm.conf, "squeue", &["--noheader", "--array", "--format=%i"]);
    assert!(!queue.lines().any(|line| line == job), "{queue}");
    // And this one is stopped in good order.
    let cancelled = slurm.run(&["cancel"]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let stdout = String::from_utf8(cancelled.stdout).unwrap();
    let (asked, ended) = stdout.split_once('\n').unwrap();
    insta::assert_snapshot!(asked, @"asked the sweep and its Slurm jobs to stop; waiting for them");
    assert!(ended.contains(": interrupted after "), "{ended}");
    assert!(ended.ends_with("; the same command goes on\n"), "{ended}");
    assert_eq!(next.end().0, 3);
    slurm.wait_for_no_jobs();
    let idle = slurm.run(&["cancel"]);
    insta::assert_snapshot!(String::from_utf8(idle.stdout).unwrap(), @"no sweep of advrec.db runs");
}

#[test]
fn cancel_ends_the_jobs_that_a_killed_orchestrator_left() {
    let Some(slurm) = SlurmLab::new() else { return };
    let params = r#"{"1": {"sleep_ms": 600000}}"#;
    let child = slurm.start(&["--max-jobs", "2", "--noop", "5", "--noop-params", params]);
    slurm.running_job();
    drop(child);
    let cancelled = slurm.run(&["cancel"]);
    let stdout = String::from_utf8(cancelled.stdout).unwrap();
    assert!(
        stdout.starts_with("cancelled the Slurm jobs that were left (advrec-advrec-"),
        "{stdout}"
    );
    slurm.wait_for_no_jobs();
}

#[test]
fn the_orchestrator_may_be_a_job_itself() {
    let Some(slurm) = SlurmLab::new() else { return };
    let detached = slurm.run(&["sweep", "--launcher", "slurm", "--noop", "5", "--detach"]);
    assert_eq!(detached.status.code(), Some(0), "{detached:?}");
    let job = String::from_utf8(detached.stdout).unwrap().trim().to_owned();
    let stderr = String::from_utf8(detached.stderr).unwrap().replace(&job, "JOB");
    insta::assert_snapshot!(stderr, @r"
    the orchestrator is Slurm job JOB; its log: .advrec/logs/orchestrator-JOB.log
    `advrec watch --db advrec.db` shows how far it is, `advrec cancel --db advrec.db --store .advrec` stops it
    ");
    let row = slurm.lab.wait_for("SELECT job, launcher, run FROM sweeps WHERE ending = 'finished'");
    assert_eq!(row, serde_json::json!({"job": job, "launcher": "slurm", "run": 5}));
    slurm.wait_for_no_jobs();

    let later = ["--detach", "--orchestrator-arg=--begin=now+1hour", "--noop", "6"];
    let waiting = slurm.run(&SlurmLab::arguments(&later));
    let job = String::from_utf8(waiting.stdout).unwrap().trim().to_owned();
    let cancelled = slurm.run(&["cancel"]);
    let stdout = String::from_utf8(cancelled.stdout).unwrap().replace(&job, "JOB");
    insta::assert_snapshot!(stdout, @"cancelled Slurm job JOB, an orchestrator that waited");
    slurm.wait_for_no_jobs();
}

#[test]
fn a_stage_longer_than_the_time_limit_is_given_up() {
    let Some(slurm) = SlurmLab::new() else { return };
    let params = r#"{"1": {"sleep_ms": 600000}}"#;
    let limited = ["--max-jobs", "1", "--time", "5", "--noop", "5", "--noop-params", params];
    let child = slurm.start(&limited);
    let mut last = String::new();
    for _ in 0..3 {
        slurm
            .lab
            .wait_for(&format!("SELECT 1 FROM runs WHERE state = 'running' AND job <> '{last}'"));
        last = slurm.running_job();
        // Until the orchestrator has asked Slurm how long the job may run.
        std::thread::sleep(Duration::from_secs(6));
        ask(slurm.conf, "scancel", &[&last]);
    }
    let (code, summary, stderr) = child.end();
    assert_eq!((code, counts(&summary)), (1, [1, 0, 1, 3, 0]), "{stderr}");
    let failure = slurm.lab.query("SELECT error FROM failures");
    insta::assert_snapshot!(failure[0]["error"].as_str().unwrap(), @"it was stopped at the time limit of 3 Slurm jobs and has nothing to go on from; give the jobs more time (--time)");
}

#[test]
fn folders_may_have_strange_names() {
    let Some(slurm) = SlurmLab::new() else { return };
    let store = "it's a 100% store";
    let args = ["--noop", "3", "--max-jobs", "1", "--store", store];
    let (code, summary, stderr) = slurm.sweep(&args);
    assert_eq!((code, counts(&summary)), (0, [3, 0, 0, 0, 0]), "{stderr}");
    let job = slurm.lab.query("SELECT DISTINCT job FROM runs")[0]["job"].clone();
    let log = format!("{store}/logs/slurm-{}.log", job.as_str().unwrap());
    assert!(slurm.lab.path(&log).is_file());
    slurm.wait_for_no_jobs();
}

#[test]
fn no_job_counts_as_lost_while_slurm_does_not_answer() {
    let Some(slurm) = SlurmLab::new() else { return };
    let squeue = slurm.lab.path("bin/squeue");
    std::fs::create_dir(slurm.lab.path("bin")).unwrap();
    let real = ask(slurm.conf, "which", &["squeue"]);
    let down = slurm.lab.path("down").display().to_string();
    let asked = slurm.lab.path("asked").display().to_string();
    let script = format!(
        "#!/bin/sh\n[ -e {down} ] || exec {real} \"$@\"\necho >> {asked}\n\
         echo 'squeue: error: no answer' >&2\nexit 1\n"
    );
    std::fs::write(&squeue, script).unwrap();
    std::fs::set_permissions(&squeue, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", slurm.lab.path("bin").display(), std::env::var("PATH").unwrap());
    let params = r#"{"1": {"sleep_ms": 16000}}"#;
    let args = SlurmLab::arguments(&["--max-jobs", "1", "--noop", "3", "--noop-params", params]);
    let mut command = slurm.lab.command(&args);
    command.env("SLURM_CONF", slurm.conf).env("PATH", path);
    let child = Sweeping::start(&mut command);
    slurm.running_job();
    std::fs::write(&down, "").unwrap();
    let start = Instant::now();
    while std::fs::read(&asked).unwrap_or_default().len() < 2 {
        assert!(start.elapsed() < PATIENCE, "squeue is not asked");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::fs::remove_file(&down).unwrap();
    let (code, summary, stderr) = child.end();
    assert_eq!((code, counts(&summary)), (0, [3, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["lost_workers"], 0, "{stderr}");
    slurm.wait_for_no_jobs();
}

#[test]
fn what_slurm_does_not_take_is_bad_input() {
    let Some(slurm) = SlurmLab::new() else { return };
    let (code, _, stderr) = slurm.sweep(&["--noop", "5", "--partition", "gpus"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: Slurm refused the jobs: invalid partition specified: gpus; allocation failure: Invalid partition name specified");
    let (code, _, stderr) = slurm.sweep(&["--noop", "5", "--sbatch-arg=--job-name=mine"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: sbatch cannot have --job-name=mine here: the sweep finds its jobs by the name that it gives them; leave it out");
    assert!(!slurm.lab.path("advrec.db").exists());
}

#[test]
fn without_slurm_the_launcher_says_so() {
    let lab = Lab::new();
    let sweep = ["sweep", "--noop", "5", "--launcher", "slurm"];
    let (code, _, stderr) = read(lab.command(&sweep).env("PATH", "/nowhere").output().unwrap());
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: sbatch is not installed here; run this on a machine that submits jobs to Slurm, or without --launcher slurm");
    let (code, _, stderr) = lab.sweep(&["--noop", "5", "--gres", "gpu:1"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: options of Slurm need --launcher slurm; without it stages run here");
    let (code, _, stderr) = lab.sweep(&["--noop", "5", "--launcher", "slurm", "--jobs", "2"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: --jobs is for workers of this machine; with --launcher slurm use --max-jobs");
    let (code, _, stderr) = read(lab.run(&["node", "--spool", "."]));
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: `advrec node` is run by the Slurm jobs of a sweep; see `advrec sweep --launcher slurm`");
    assert_eq!(std::fs::read_dir(lab.path("")).unwrap().count(), 0);
}
