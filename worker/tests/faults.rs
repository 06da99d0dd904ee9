//! A sweep of real stages while its processes are killed, its artefacts damaged and its disk filled: what
//! comes out in the end is what comes out of an undisturbed one, bit for bit.

mod lab;

use advrec::random::{Purpose, generator};
use lab::Lab;
use rand::{Rng, RngCore};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Of a worker or an orchestrator.
const KILLS: usize = 30;
/// A sweep that makes no progress ends the test.
const PATIENCE: Duration = Duration::from_secs(600);

const GRID: &str = r"
name: faults
dataset: embedded
seeds: [1, 2]
embedding: {dimension: 20, epochs: 12}
agent: {epochs: 10, learning_rate: 3e-3, hidden: [64, 32], max_actions: 50}
rollout: {users: 0..200}
drift: {compare: references, paths: 500, permutations: 99}
detector: {method: gru_attention, paths: 2000, test_paths: 2000, batch: 128, epochs: 4}
axes:
  attack:
    - none
    - {id: fgsm_l1, epsilon: 0.1}
    - {id: fgsm_linf, epsilon: 0.5}
    - {id: noise_l1, epsilon: 0.1}
    - {id: noise_linf, epsilon: 0.5}
include:
  - {attack: fgsm_l1, epsilon: 0.1, timing: random, frequency: 0.5}
";

/// A disk of its own for the store, where the system lets this process mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf) -> Result<Self, String> {
        fs::create_dir(&folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"])
            .arg(&folder)
            .output()
            .map_err(|e| e.to_string())?;
        match mount.status.success() {
            true => Ok(Self(folder)),
            false => Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned()),
        }
    }

    /// Leaves this many bytes free; the file that takes the rest.
    fn fill(&self, left: usize) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        let block = vec![0u8; 1 << 16];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length - left as u64).unwrap();
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What is done to a sweep, in an order that a seed decides.
struct Trouble<'a> {
    lab: &'a Lab,
    store: PathBuf,
    rng: Box<dyn RngCore>,
    kills: usize,
    /// How often the artefact with this key was damaged.
    damages: BTreeMap<String, usize>,
}

impl Trouble<'_> {
    fn start(&self) -> Child {
        let store = self.store.to_str().unwrap();
        let args = ["sweep", "grid.yaml", "--jobs", "2", "--store", store, "--back-off", "20ms"];
        let mut command = self.lab.command(&[&args[..], &["--crash-limit", "1000"]].concat());
        command.env("ADVREC_CHECKPOINT_SECONDS", "0").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn wait(&mut self, from: u64, to: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(from..to)));
    }

    /// Kills something until the sweep ends of itself or with its orchestrator. Returns the output of one
    /// that ended of itself.
    fn disturb(&mut self) -> Option<Output> {
        let mut child = self.start();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() && self.kills < KILLS {
            assert!(start.elapsed() < PATIENCE, "the sweep does not come to an end");
            self.wait(50, 600);
            let orchestrator = child.id() as i32;
            let workers = children(orchestrator);
            match self.rng.random_range(0..10) {
                0..=3 if !workers.is_empty() => {
                    let which = self.rng.random_range(0..workers.len());
                    self.kill(workers[which]);
                }
                4..=6 => self.damage("dataset"),
                _ if child.try_wait().unwrap().is_some() => {}
                7 | 8 => self.kill(orchestrator),
                _ => {
                    self.kill(orchestrator);
                    workers.first().into_iter().for_each(|&worker| self.kill(worker));
                }
            }
        }
        let output = child.wait_with_output().unwrap();
        output.status.code().is_some().then_some(output)
    }

    fn kill(&mut self, process: i32) {
        // SAFETY: a signal to a process that this test, or one that it started, has started.
        if unsafe { libc::kill(process, libc::SIGKILL) } == 0 {
            self.kills += 1;
        }
    }

    /// Truncates or removes something of a random artefact of another kind than this.
    fn damage(&mut self, spared: &str) {
        let kinds = fs::read_dir(self.store.join("artefacts")).unwrap().flatten();
        let kinds = kinds.filter(|kind| kind.file_name() != spared);
        let folders = kinds.flat_map(|kind| fs::read_dir(kind.path()).unwrap().flatten());
        let mut folders: Vec<PathBuf> = folders.map(|folder| folder.path()).collect();
        folders.sort();
        if folders.is_empty() {
            return;
        }
        let folder = folders.swap_remove(self.rng.random_range(0..folders.len()));
        let key = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let files = fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| file.path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        let Some(file) = files.get(self.rng.random_range(0..files.len().max(1))) else { return };
        match self.rng.random_range(0..3) {
            0 => drop(fs::remove_file(file)),
            1 => drop(fs::remove_dir_all(&folder)),
            _ => truncate(file),
        }
        *self.damages.entry(key).or_default() += 1;
    }
}

fn truncate(file: &Path) {
    let length = fs::metadata(file).map_or(0, |data| data.len());
    if let Ok(file) = fs::OpenOptions::new().write(true).open(file) {
        file.set_len(length / 2).unwrap();
    }
}

/// The processes that a process has started and that live.
fn children(parent: i32) -> Vec<i32> {
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists: Vec<String> = tasks.filter_map(of).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).flat_map(str::parse).collect()
}

/// Everything that people read of the results.
fn results(lab: &Lab) -> Vec<Value> {
    let views = ["table1", "table2", "drift", "seeds_summary"];
    let rows =
        |view: &&str| lab.query(&format!("SELECT * FROM {view} ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"));
    let mut all: Vec<Value> = views.iter().flat_map(rows).collect();
    all.sort_by_key(Value::to_string);
    all
}

#[test]
fn killed_damaged_and_filled_up_a_sweep_ends_with_the_same_bits() {
    let undisturbed = Lab::new(GRID);
    undisturbed.sweep(&[]);
    let stages = &undisturbed.query("SELECT count(*) AS n FROM stages")[0]["n"];
    assert!(stages.as_u64().unwrap() >= 40, "{stages} stages");

    let lab = Lab::new(GRID);
    let disk = Disk::mount(lab.path("disk"));
    if let Err(reason) = &disk {
        println!("the part with the full disk is skipped: no tmpfs can be mounted: {reason}");
    }
    let mut trouble = Trouble {
        lab: &lab,
        store: lab.path("disk/store"),
        rng: Box::new(generator(20, Purpose::AgentTraining, [0, 0, 0])),
        kills: 0,
        damages: BTreeMap::new(),
    };
    let mut filled = disk.is_err();
    let start = Instant::now();
    while trouble.kills < KILLS {
        assert!(start.elapsed() < PATIENCE, "{} kills only", trouble.kills);
        if let Some(output) = trouble.disturb() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{stderr}");
        }
        for _ in 0..trouble.rng.random_range(1..4) {
            trouble.damage("");
        }
        if !filled
            && trouble.kills > KILLS / 2
            && let Ok(disk) = &disk
        {
            filled = true;
            full(&mut trouble, disk);
        }
    }
    assert!(filled, "the disk was never full");
    let stderr = {
        let output = trouble.start().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stderr
    };
    let damages: usize = trouble.damages.values().sum();
    let sweeps = &lab.query("SELECT count(*) AS n FROM sweeps WHERE ending = 'killed'")[0]["n"];
    println!("{} kills, {sweeps} of sweeps; {damages} damages; the last sweep:", trouble.kills);
    println!("{stderr}");
    assert!(damages >= 10 && sweeps.as_u64() >= Some(5), "{damages} damages, {sweeps} sweeps");

    assert_eq!(results(&lab), results(&undisturbed));
    let check = lab.query("SELECT * FROM pragma_integrity_check");
    assert_eq!(Value::from(check).to_string(), r#"[{"integrity_check":"ok"}]"#);
    let lost = lab.query("SELECT count(*) AS n FROM failures WHERE state = 'lost'");
    assert_ne!(lost[0]["n"], 0, "no worker was lost");
    let done = "SELECT stage_key, count(*) AS n FROM runs WHERE state = 'done' GROUP BY 1";
    for row in lab.query(done) {
        let causes = trouble.damages.get(row["stage_key"].as_str().unwrap()).copied().unwrap_or(0);
        let times = row["n"].as_u64().unwrap() as usize;
        assert!(times <= 1 + causes, "{row}: done {times} times, damaged {causes} times");
    }
    let left = fs::read_dir(trouble.store.join("checkpoints")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "checkpoints are left of stages that are done");
}

/// Fills the disk, sweeps, and makes room again.
fn full(trouble: &mut Trouble, disk: &Disk) {
    // Something is left to do in any case.
    let agents = fs::read_dir(trouble.store.join("artefacts/embedding")).into_iter().flatten();
    for agent in agents.flatten() {
        let key = agent.file_name().to_str().unwrap().to_owned();
        fs::remove_dir_all(agent.path()).unwrap();
        *trouble.damages.entry(key).or_default() += 1;
    }
    let ballast = disk.fill(100_000);
    let output = trouble.start().wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the disk is full") && stderr.contains("make room"), "{stderr}");
    let failed = trouble.lab.query("SELECT count(*) AS n FROM stages WHERE state = 'failed'");
    assert_eq!(failed[0]["n"], 0, "a full disk is no fault of a stage");
    fs::remove_file(ballast).unwrap();
}
