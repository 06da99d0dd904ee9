//! What `advrec status` says of grids, cells and failures.

mod lab;

use lab::{Lab, stop};
use serde_json::{Value, json};

const FILTERS: [(&str, &str); 3] = [
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"[0-9a-f]{12}", "KEY"),
    (r"\(process \d+ on [^)]+\) for [\d.]+ s", "(process PID on HOST) for SECONDS"),
];

fn seen(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn failures_say_whom_they_concern_and_cells_how_they_are() {
    let lab = Lab::new();
    let params = r#"{"1": {"fail": true}, "5": {"crash": true}}"#;
    lab.sweep(&["--noop", "15", "--jobs", "1", "--back-off", "10ms", "--noop-params", params]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(seen(&lab, &["status", "--cells"]), @r"
        grid noop-15, last swept TIME: 1 of 3 cells done, 2 failed
          stages: 6 done, 2 failed, 7 blocked
               1 done    index=12
               2 failed  index=13
               3 failed  index=14
          failed: noop KEY after 1 attempt
            for the cell index=13
            failing on request
            | failing on request
            log: .advrec/logs/KEY-1.log
          lost: noop KEY after 3 attempts
            for the cell index=14
            the worker was lost (killed by signal 6, SIGABRT)
            | about to crash
            | crashing on request
            log: .advrec/logs/KEY-3.log
        ");
    });
    let text = seen(&lab, &["status", "--cells", "--output", "json"]);
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["sweep"], Value::Null);
    let grid = &status["grids"][0];
    assert_eq!(grid["cell_states"], json!({"done": 1, "failed": 2}));
    assert_eq!(
        grid["cell_list"][0],
        json!({"cell": 1, "state": "done", "label": "index=12", "params": {"index": 12}})
    );
    let failures = grid["failures"].as_array().unwrap();
    let crash = failures.iter().find(|f| f["state"] == "lost").unwrap();
    assert_eq!((&crash["signal"], &crash["attempts"]), (&6.into(), &3.into()));
    assert_eq!(crash["params"], json!({"index": 5, "crash": true}));
    assert_eq!(crash["log_tail"], "about to crash\ncrashing on request");
    assert_eq!(crash["jobs"], json!([]));
}

#[test]
fn a_running_sweep_is_told_below_the_grids() {
    let lab = Lab::new();
    let sweep = lab.start(&["--noop", "5", "--noop-params", r#"{"2": {"sleep_ms": 60000}}"#]);
    lab.worker_of(2);
    lab.wait_for("SELECT 1 FROM sweeps WHERE run = 2");
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(seen(&lab, &["status", "--cells"]), @r"
        grid noop-5, last swept TIME: 0 of 1 cells done, 1 running
          stages: 2 done, 1 running, 2 pending
               1 running index=4
        a sweep of grid noop-5 is running (process PID on HOST) for SECONDS: 2 of 5 stages done, 1 running, 2 pending; `advrec watch` shows more
        ");
    });
    stop(&sweep, libc::SIGINT);
    sweep.wait_with_output().unwrap();
    assert!(!seen(&lab, &["status"]).contains("running"));
}

#[test]
fn a_grid_that_is_not_there_is_told_with_the_nearest_name() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "5"]);
    let output = lab.run(&["status", "noop5"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: no grid noop5 in advrec.db (did you mean `noop-5`?); `advrec status` lists all");
}
