//! The files by which an orchestrator and the workers in Slurm jobs talk, in a folder of the store:
//!
//! ```text
//! slurm/20260131T120000-login1-4711/
//!     sweep.json          the orchestrator: it lives; what the nodes need to know
//!     wish.json           `advrec cancel`
//!     nodes/12_3.0/       array task 3 of job 12, before any restart
//!         order.json      the orchestrator: the stage to run
//!         node.json       the node: it lives; its worker, how far the stage is, how it ended
//! ```
//!
//! Each file has one writer, which replaces it whole; but the first, empty order is the node's. The readers open
//! a file again and again: network file systems see to it that a file opened after it was replaced is the
//! new one, and promise less of files that appear, and nothing of clocks. No file is locked.

use crate::run::crew::JobEnd;
use crate::run::protocol::{Job, Progress};
use crate::run::worker::WorkerCommand;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool(PathBuf);

/// What the orchestrator says to all nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sweep {
    /// Counts up while it lives.
    pub alive: u64,
    /// All nodes are to stop what they run, and to end.
    pub leave: bool,
    pub version: String,
    /// Whose sweep it is.
    pub database: PathBuf,
    pub store: PathBuf,
    /// The name of all its jobs.
    pub name: String,
    /// How nodes start their workers.
    pub worker: WorkerCommand,
    /// A worker silent for so long during a stage is killed.
    pub stall: Duration,
    pub idle: Duration,
    pub orphaned: Duration,
}

/// What others want of the orchestrator.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Wish {
    /// The sweep is to stop, as at Ctrl-C.
    pub cancel: bool,
}

/// A stage for a node. The first has number 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    pub number: u64,
    pub job: Option<Box<Job>>,
}

/// What a node says of itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Counts up while it lives.
    pub alive: u64,
    /// Its worker's name in the database, when that has greeted.
    pub worker: Option<String>,
    /// Why it can have no worker.
    pub cannot: Option<String>,
    /// The number of the order that it runs, or ran last.
    pub taken: u64,
    /// Of that order.
    pub progress: Option<Progress>,
    /// Of that order.
    pub end: Option<JobEnd>,
    /// Why it takes no more orders.
    pub leaving: Option<String>,
    /// Nothing more comes of it.
    pub gone: bool,
}

/// An orchestrator that was submitted as a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detached {
    pub job: String,
    /// The job's name.
    pub name: String,
    pub database: PathBuf,
}

impl Detached {
    fn folder(store: &Path) -> PathBuf {
        store.join("slurm").join("detached")
    }

    /// The orchestrators of a database that were submitted, and may have ended.
    pub fn of_database(store: &Path, database: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(Self::folder(store)) else { return Vec::new() };
        let known = entries.flatten().filter_map(|entry| read(&entry.path()).ok().flatten());
        known.filter(|detached: &Self| detached.database == database).collect()
    }

    /// Writes it down below a store.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&self, store: &Path) -> io::Result<()> {
        let folder = Self::folder(store);
        fs::create_dir_all(&folder)?;
        write(&folder.join(format!("{}.json", self.job)), self)
    }

    /// Removes what was written down.
    pub fn forget(&self, store: &Path) {
        // One that stays is compared with Slurm's queue the next time, too.
        let _ = fs::remove_file(Self::folder(store).join(format!("{}.json", self.job)));
    }
}

impl Spool {
    /// The spool in this folder.
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The spools that sweeps of a database have below a store.
    pub fn of_database(store: &Path, database: &Path) -> Vec<(Self, Sweep)> {
        let Ok(entries) = fs::read_dir(store.join("slurm")) else { return Vec::new() };
        let spool = |entry: fs::DirEntry| {
            let spool = Self(entry.path());
            let sweep: Sweep = read(&spool.sweep()).ok().flatten()?;
            (sweep.database == database).then_some((spool, sweep))
        };
        entries.flatten().filter_map(spool).collect()
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn create(&self, sweep: &Sweep) -> io::Result<()> {
        fs::create_dir_all(self.nodes())?;
        write(&self.wish(), &Wish::default())?;
        write(&self.sweep(), sweep)
    }

    /// Removes the folder with all that is in it.
    pub fn remove(&self) {
        // Nodes that find no sweep end. What stays only takes room.
        let _ = fs::remove_file(self.sweep());
        let _ = fs::remove_dir_all(&self.0);
    }

    /// Removes the folders of a job that is gone, up to this restart: sweeps may have thousands of jobs.
    pub fn remove_nodes(&self, job: &str, last: Option<u32>) {
        for restarts in last.into_iter().flat_map(|last| 0..=last) {
            // One that stays goes with the spool.
            let _ = fs::remove_dir_all(self.node(job, restarts));
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the orchestrator says to all nodes: a [`Sweep`].
    pub fn sweep(&self) -> PathBuf {
        self.0.join("sweep.json")
    }

    /// What others want of the orchestrator: a [`Wish`].
    pub fn wish(&self) -> PathBuf {
        self.0.join("wish.json")
    }

    /// The folder of the nodes' folders.
    pub fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    /// The folder of a job, such as `12_3`, that Slurm has restarted so many times.
    pub fn node(&self, job: &str, restarts: u32) -> PathBuf {
        self.nodes().join(format!("{job}.{restarts}"))
    }

    /// The jobs and restarts that have a folder.
    pub fn present(&self) -> Vec<(String, u32)> {
        let Ok(entries) = fs::read_dir(self.nodes()) else { return Vec::new() };
        let parse = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let (job, restarts) = name.rsplit_once('.')?;
            Some((job.to_owned(), restarts.parse().ok()?))
        };
        entries.flatten().filter_map(parse).collect()
    }
}

/// The orchestrator's file in a node's folder.
pub fn order(node: &Path) -> PathBuf {
    node.join("order.json")
}

/// The node's own file in its folder.
pub fn report(node: &Path) -> PathBuf {
    node.join("node.json")
}

/// Replaces a file; readers find the old one or the new one, whole.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(content)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// If it cannot be read, or holds something else.
pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let mut tries = 0;
    loop {
        match fs::read(path) {
            Ok(text) => return Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Replaced on the server between the look-up and the reading.
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && tries < 5 => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::crew::JobResult;
    use crate::run::protocol::Failure;

    #[test]
    fn files_are_replaced_whole_and_reports_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = report(dir.path());
        assert!(read::<Report>(&path).unwrap().is_none());
        let end = JobEnd {
            result: JobResult::Failed(Failure::stopped()),
            wall_s: 0.1,
            has_log: true,
            log_tail: Some("a line".to_owned()),
        };
        let first = Report { alive: 7, taken: 2, end: Some(end), ..Report::default() };
        write(&path, &first).unwrap();
        let back: Report = read(&path).unwrap().unwrap();
        assert_eq!(format!("{back:?}"), format!("{first:?}"));
        write(&path, &Report { gone: true, ..Report::default() }).unwrap();
        assert!(read::<Report>(&path).unwrap().unwrap().gone);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        fs::write(&path, "{").unwrap();
        assert!(read::<Report>(&path).is_err());
    }

    #[test]
    fn folders_of_nodes_name_their_job() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::at(dir.path());
        fs::create_dir_all(spool.node("12_3", 1)).unwrap();
        fs::create_dir_all(spool.nodes().join("strange")).unwrap();
        assert_eq!(spool.present(), [("12_3".to_owned(), 1)]);
    }
}
