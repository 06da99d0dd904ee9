//! A folder in which the built programs sweep a grid.

#![allow(dead_code)] // Each test program uses a part.

#[path = "../../../tests/program/mod.rs"]
mod program;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The orchestrator, which lies beside the worker.
fn advrec() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_advrec-worker")).with_file_name("advrec");
    assert!(program.is_file(), "there is no {}: run cargo build first", program.display());
    program
}

/// A folder with a grid, a database and a store.
pub struct Lab(TempDir);

impl Lab {
    pub fn new(grid: &str) -> Self {
        Self::within(tempfile::tempdir().unwrap(), grid)
    }

    /// A lab for a static, which nobody drops: its folder goes when the next run begins. One of each name.
    pub fn lasting(name: &str, grid: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self::within(tempfile::tempdir_in(folder).unwrap(), grid)
    }

    fn within(folder: TempDir, grid: &str) -> Self {
        let lab = Self(folder);
        fs::write(lab.path("grid.yaml"), grid).unwrap();
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The orchestrator in the lab's folder, in an environment without settings of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        program::command(&advrec(), self.0.path(), args)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the sweep; standard error.
    pub fn sweep(&self, args: &[&str]) -> String {
        let output = self.run(&[&["sweep", "grid.yaml"], args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stderr
    }

    /// Rows of which there must be some.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let rows = self.rows(sql);
        assert!(!rows.is_empty(), "no rows: {sql}");
        rows
    }

    pub fn rows(&self, sql: &str) -> Vec<Value> {
        let output = self.run(&["query", "--format", "json", sql]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}
