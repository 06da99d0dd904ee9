//! A folder with a database and a store of its own, and sweeps in it of stages that do nothing.

#![allow(dead_code)] // Each test program uses a part.

#[path = "../program/mod.rs"]
mod program;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for something to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a database and a store of its own.
pub struct Lab(TempDir);

impl Lab {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let program = assert_cmd::cargo::cargo_bin!("advrec");
        let mut command = program::command(program, self.0.path(), args);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a sweep to its end: exit code, JSON summary, standard error.
    pub fn sweep(&self, args: &[&str]) -> (i32, Value, String) {
        read(self.run(&[&["sweep", "--output", "json"], args].concat()))
    }

    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(&[&["sweep", "--output", "json"], args].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn query(&self, sql: &str) -> Vec<Value> {
        let output = self.run(&["query", "--format", "json", sql]);
        match serde_json::from_slice(&output.stdout) {
            Ok(Value::Array(rows)) => rows,
            _ => Vec::new(),
        }
    }

    /// Waits until a query has an answer.
    pub fn wait_for(&self, sql: &str) -> Value {
        let start = Instant::now();
        loop {
            if let Some(row) = self.query(sql).into_iter().next() {
                return row;
            }
            assert!(start.elapsed() < PATIENCE, "in vain: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Process number of the worker that runs the stage with this index.
    pub fn worker_of(&self, index: u32) -> i32 {
        let row = self.wait_for(&format!(
            "SELECT worker FROM runs JOIN stages ON key = stage_key
             WHERE runs.state = 'running' AND json_extract(params, '$.index') = {index}"
        ));
        row["worker"].as_str().unwrap().split('/').nth(1).unwrap().parse().unwrap()
    }

    /// States of all attempts in the order in which they began.
    pub fn attempts(&self) -> String {
        let rows = self.query("SELECT state FROM runs ORDER BY attempt");
        rows.iter().map(|r| r["state"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    pub fn artefacts(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.path(".advrec/artefacts/noop")).into_iter().flatten();
        folder.map(|entry| entry.unwrap().path()).collect()
    }
}

pub fn read(output: Output) -> (i32, Value, String) {
    let stderr = String::from_utf8(output.stderr).unwrap();
    let summary = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap_or(-1), summary, stderr)
}

pub fn stop(child: &Child, signal: i32) {
    kill(child.id() as i32, signal);
}

pub fn kill(pid: i32, signal: i32) {
    // SAFETY: a signal to a process that this test has started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

pub fn alive(pid: i32) -> bool {
    // A zombie is dead, too: it only waits to be reaped.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Which parts of a summary the tests look at.
pub fn counts(summary: &Value) -> [u64; 5] {
    ["run", "reused", "failed", "blocked", "not_run"]
        .map(|name| summary["stages"][name].as_u64().unwrap())
}
