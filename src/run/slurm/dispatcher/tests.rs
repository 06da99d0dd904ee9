//! The dispatcher with nodes that the tests write down themselves; no Slurm is asked but to cancel.

use super::*;
use crate::plan::{Stage, StageKind};
use crate::run::slurm::spool::report;
use crate::run::worker::WorkerCommand;
use serde_json::Map;
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// Greater than any number that Slurm gives.
const JOB: &str = "999999999_0";

struct Bench {
    dir: tempfile::TempDir,
    dispatcher: Dispatcher,
    events: Receiver<Event>,
}

impl Bench {
    /// A job with a node that has a worker for slot 0.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sweep = Sweep {
            alive: 0,
            leave: false,
            version: String::new(),
            database: dir.path().join("db"),
            store: dir.path().to_owned(),
            name: "advrec-test-of-the-dispatcher".to_owned(),
            worker: WorkerCommand { program: PathBuf::new(), args: Vec::new() },
            stall: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            orphaned: Duration::from_secs(60),
        };
        let spool = Spool::at(&dir.path().join("spool"));
        spool.create(&sweep).unwrap();
        let (sender, events) = channel();
        let mut dispatcher = Dispatcher::new(spool, sweep, Vec::new(), 1, sender);
        dispatcher.ready = true;
        dispatcher.tasks.insert(JOB.to_owned(), Task::submitted("999999999"));
        let mut bench = Self { dir, dispatcher, events };
        bench.hear(Message::Start(vec![0]));
        bench.node(0, Report { alive: 1, worker: Some("w".to_owned()), ..Report::default() });
        assert_eq!(bench.events(), ["ready 0"]);
        bench
    }

    fn hear(&mut self, message: Message) {
        self.dispatcher.hear(message);
    }

    /// The node after so many restarts says this, and it is read.
    fn node(&mut self, restarts: u32, says: Report) {
        let folder = self.dispatcher.spool.node(JOB, restarts);
        std::fs::create_dir_all(&folder).unwrap();
        spool::write(&report(&folder), &says).unwrap();
        self.dispatcher.find_nodes();
        self.dispatcher.read_report(JOB);
    }

    fn run(&mut self, stage: usize) {
        let stage_of = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let job = Job {
            key: stage_of.key(),
            stage: stage_of,
            inputs: std::collections::BTreeMap::new(),
            scratch: PathBuf::new(),
            checkpoint: self.dir.path().join("checkpoint"),
            threads: 1,
            log: self.dir.path().join("log"),
        };
        self.hear(Message::Run { slot: 0, stage, job: Box::new(job) });
    }

    /// Slurm's queue holds these jobs, in this state.
    fn queue(&mut self, jobs: &[&str], state: &str) {
        let queued = |job: &&str| Queued {
            job: (*job).to_owned(),
            state: state.to_owned(),
            reason: "None".to_owned(),
            left: None,
        };
        let jobs = Ok(jobs.iter().map(queued).collect());
        self.hear(Message::Queue { began: Instant::now(), jobs });
    }

    /// What was told but notes, in short.
    fn events(&self) -> Vec<String> {
        let short = |event| match event {
            Event::Ready { slot, .. } => Some(format!("ready {slot}")),
            Event::CannotStart { slot, .. } => Some(format!("cannot start {slot}")),
            Event::Free { slot, has_worker } => {
                Some(format!("free {slot}{}", if has_worker { "" } else { " without worker" }))
            }
            Event::Ended { stage, end } => Some(match end.result {
                JobResult::Failed(f) if f.stopped => format!("stopped {stage}"),
                JobResult::Failed(f) if f.disk_full => format!("disk full {stage}"),
                JobResult::Lost { .. } => format!("lost {stage}"),
                other => format!("{other:?} {stage}"),
            }),
            _ => None,
        };
        self.events.try_iter().filter_map(short).collect()
    }
}

/// A node that has taken so many orders and says that it leaves.
fn leaving(alive: u64, taken: u64, gone: bool) -> Report {
    let leaving = Some("there was nothing to do".to_owned());
    Report { alive, taken, leaving, gone, worker: Some("w".to_owned()), ..Report::default() }
}

#[test]
fn an_order_that_a_leaving_node_does_not_take_ends_once() {
    let mut bench = Bench::new();
    bench.run(7);
    // It decided to leave before it saw the order, and may see it yet.
    bench.node(0, leaving(2, 0, false));
    assert!(bench.events().is_empty());
    bench.node(0, leaving(3, 0, true));
    assert_eq!(bench.events(), ["stopped 7", "free 0 without worker"]);
    // Another order, from a scheduler that has not heard of it yet.
    bench.run(8);
    assert_eq!(bench.events(), ["stopped 8"]);
    bench.node(0, leaving(3, 0, true));
    bench.queue(&[], "");
    assert!(bench.events().is_empty());
    assert!(!bench.dispatcher.spool.node(JOB, 0).exists(), "the folder of a job that is gone");
}

#[test]
fn a_queue_that_does_not_answer_loses_no_job() {
    let mut bench = Bench::new();
    bench.run(7);
    for _ in 0..5 {
        let error = SlurmError::Failed { program: "squeue", said: "no answer".to_owned() };
        bench.hear(Message::Queue { began: Instant::now(), jobs: Err(error) });
    }
    bench.queue(&[], "");
    bench.queue(&[JOB], "R");
    bench.queue(&[], "");
    assert!(bench.events().is_empty(), "once is not enough");
    bench.queue(&[], "");
    assert_eq!(bench.events(), ["lost 7", "free 0 without worker"]);
}

#[test]
fn a_requeued_job_keeps_its_place() {
    let mut bench = Bench::new();
    bench.run(7);
    bench.queue(&[JOB], "PD");
    assert_eq!(bench.events(), ["stopped 7", "free 0 without worker"]);
    bench.hear(Message::Start(vec![0]));
    // No second job is submitted for the slot.
    bench.dispatcher.submit();
    // The folder of the node that is no more is seen again.
    bench.dispatcher.find_nodes();
    bench.dispatcher.read_report(JOB);
    assert!(bench.events().is_empty());
    bench.node(1, Report { alive: 1, worker: Some("w".to_owned()), ..Report::default() });
    assert_eq!(bench.events(), ["ready 0"]);
}

#[test]
fn a_job_that_left_keeps_its_place_until_slurm_has_forgotten_it() {
    let mut bench = Bench::new();
    bench.node(0, leaving(2, 0, true));
    assert_eq!(bench.events(), ["free 0 without worker"]);
    bench.hear(Message::Start(vec![0]));
    // With one job at most, sbatch would be run here, and fail.
    bench.dispatcher.submit();
    assert!(bench.events().is_empty());
    assert_eq!(bench.dispatcher.tasks.len(), 1);
    bench.queue(&[], "");
    assert!(bench.dispatcher.tasks.is_empty());
}

#[test]
fn jobs_that_sbatch_did_not_name_are_found_in_the_queue() {
    let mut bench = Bench::new();
    bench.queue(&["13_0", "13_1", JOB], "PD");
    bench.queue(&["13_0", "13_1", JOB], "PD");
    let known: Vec<&String> = bench.dispatcher.tasks.keys().collect();
    assert_eq!(known, ["13_0", "13_1", JOB]);
    assert_eq!(bench.dispatcher.tasks["13_1"].array, "13");
}

#[test]
fn a_full_disk_ends_what_runs_as_a_full_disk() {
    let mut bench = Bench::new();
    bench.run(7);
    let new = bench.dispatcher.spool.sweep().with_extension("new");
    std::os::unix::fs::symlink("/dev/full", new).unwrap();
    bench.dispatcher.beaten = None;
    bench.dispatcher.beat();
    assert_eq!(bench.events(), ["disk full 7", "free 0 without worker"]);
}

#[test]
fn starts_that_fail_end_the_sweep_only_where_no_other_worker_is() {
    let mut bench = Bench::new();
    bench.hear(Message::Start(vec![1]));
    let fail = |bench: &mut Bench, array: u32| {
        bench.dispatcher.failed_start("20_0", array.to_string(), "FAILED".to_owned());
    };
    (20..60).for_each(|array| fail(&mut bench, array));
    assert!(bench.events().is_empty());
    bench.node(0, leaving(2, 0, true));
    fail(&mut bench, 60);
    assert_eq!(bench.events(), ["free 0 without worker", "cannot start 1"]);
}

#[test]
fn a_spool_that_is_gone_is_not_the_stages_fault() {
    let mut bench = Bench::new();
    bench.dispatcher.spool.remove();
    bench.run(7);
    assert_eq!(bench.events(), ["lost 7", "free 0 without worker"]);
}

#[test]
fn silence_is_excused_where_the_dispatcher_was_held_up() {
    let mut bench = Bench::new();
    bench.run(7);
    let node = |bench: &mut Bench, silent: Duration| {
        let task = bench.dispatcher.tasks.get_mut(JOB).unwrap();
        let node = task.node.as_mut().unwrap();
        (node.heard, node.look_at) = (Instant::now() - silent, Instant::now());
    };
    bench.dispatcher.sweep.stall = Duration::from_millis(200);
    node(&mut bench, Duration::from_secs(1));
    bench.dispatcher.beaten = Some(Instant::now() - HELD_UP);
    bench.dispatcher.beat();
    bench.dispatcher.look();
    assert!(bench.events().is_empty());
    node(&mut bench, Duration::from_secs(1));
    bench.dispatcher.look();
    assert_eq!(bench.events(), ["lost 7", "free 0 without worker"]);
}
