//! What another terminal sees of a sweep: `advrec watch`.

mod lab;

use lab::{Lab, kill, read, stop};
use serde_json::Value;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What differs from run to run.
const FILTERS: [(&str, &str); 8] = [
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"process \d+ on [^ ,]+", "process PID on HOST"),
    (r"[0-9a-f]{12}", "KEY"),
    (r"\d+/60000", "MS/60000"),
    (r"\d+\.\d stages a minute", "N stages a minute"),
    (r"\b(\d+ min )?\d+(\.\d)? s\b", "SECONDS"),
    (r"(\S) {2,}", "$1  "),
    (r"(?m)^  [01]  noop", "  SLOT  noop"),
];

/// A sweep of ten stages on two workers that does one half, fails in the middle of the other, and then
/// sleeps for a minute.
fn start(lab: &Lab) -> Child {
    let params = r#"{"3": {"fail": true}, "8": {"sleep_ms": 60000}}"#;
    let child = lab.start(&["--noop", "10", "--jobs", "2", "--noop-params", params]);
    lab.worker_of(8);
    // Progress and counts are written every two seconds.
    lab.wait_for("SELECT 1 FROM sweeps WHERE failed = 1 AND run = 5");
    lab.wait_for("SELECT 1 FROM runs WHERE progress_done > 0 AND state = 'running'");
    child
}

fn seen(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A watcher of the running sweep that has looked at it: with the first letter of what it says.
fn watching(lab: &Lab) -> (Child, char) {
    let mut watch = lab.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    watch.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    (watch, char::from(first[0]))
}

#[test]
fn one_picture_shows_stages_slots_and_failures() {
    let lab = Lab::new();
    let child = start(&lab);
    let picture = seen(&lab, &["watch", "--once"]);
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(picture, @r"
    grid noop-10: process PID on HOST, running for SECONDS
    ####################-------------------- 50 %
    5 of 10 stages done, 1 running, 1 failed, 3 blocked by them
    N stages a minute of late, about SECONDS left

    1 of 2 slots busy
      slot  stage  for  progress  device
      SLOT  noop KEY  SECONDS  MS/60000 asleep  cpu

    last failures
      failed: noop KEY
        failing on request
        | failing on request
    "); });
    let json: Value =
        serde_json::from_str(&seen(&lab, &["watch", "--once", "--output", "json"])).unwrap();
    let sweep = &json["sweep"];
    assert_eq!((&sweep["state"], &sweep["process"]), (&"running".into(), &child.id().into()));
    assert_eq!(sweep["counts"]["run"], 5);
    assert_eq!(sweep["running"][0]["params"]["index"], 8);
    assert_eq!(sweep["failures"][0]["error"], "failing on request");
    let status: Value = serde_json::from_str(&seen(&lab, &["status", "--output", "json"])).unwrap();
    assert_eq!(status["sweep"]["process"], child.id());

    stop(&child, libc::SIGINT);
    child.wait_with_output().unwrap();
    let picture = seen(&lab, &["watch", "--once"]);
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(picture, @r"
    no sweep is running; the last one:
    grid noop-10: process PID on HOST, started TIME
    ####################-------------------- 50 %
    grid noop-10: interrupted after SECONDS, 5 of 10 stages done, 1 pending, 1 failed, 3 blocked by them; the same command goes on

    last failures
      failed: noop KEY
        failing on request
        | failing on request
    "); });
    let sentence = seen(&lab, &["watch"]);
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(sentence, @"no sweep is running; the last one: grid noop-10: interrupted after SECONDS, 5 of 10 stages done, 1 pending, 1 failed, 3 blocked by them; the same command goes on"); });
}

#[test]
fn without_a_terminal_there_is_a_line_a_change_until_the_sweep_ends() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 5000}, "1": {"sleep_ms": 6000}, "3": {"fail": true}}"#;
    let sweep = lab.start(&["--noop", "10", "--jobs", "2", "--noop-params", params]);
    lab.worker_of(1);
    let watch = |args: &[&str]| {
        let mut command = lab.command(&[&["watch"], args].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (lines, objects) = (watch(&[]), watch(&["--output", "json"]));
    assert_eq!(read(sweep.wait_with_output().unwrap()).0, 1);
    let lines = lines.wait_with_output().unwrap();
    assert_eq!(lines.status.code(), Some(1));
    let text = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(String::from_utf8(lines.stderr).unwrap(), "");
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(text, @r"
    grid noop-10: 0 of 10 stages done, 2 running, 8 pending
    [1/10] noop KEY done in SECONDS
    [2/10] noop KEY done in SECONDS
    [3/10] noop KEY done in SECONDS
    [4/10] noop KEY done in SECONDS
    [5/10] noop KEY done in SECONDS
    [6/10] noop KEY done in SECONDS
    [6/10] noop KEY failed: failing on request
    grid noop-10: finished after SECONDS, 6 of 10 stages done, 1 failed, 3 blocked by them
    "); });
    let objects = objects.wait_with_output().unwrap();
    assert_eq!(objects.status.code(), Some(1));
    let objects: Vec<Value> = String::from_utf8(objects.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(objects.len() > 2, "{}", objects.len());
    assert_eq!(objects[0]["sweep"]["state"], "running");
    assert_eq!(objects.last().unwrap()["sweep"]["state"], "finished");
}

#[test]
fn watching_ends_as_the_sweep_does() {
    let lab = Lab::new();
    let sweep = lab.start(&["--noop", "5", "--noop-params", r#"{"2": {"sleep_ms": 60000}}"#]);
    lab.worker_of(2);
    lab.wait_for("SELECT 1 FROM sweeps WHERE run = 2");
    let (watch, first) = watching(&lab);
    stop(&sweep, libc::SIGINT);
    assert_eq!(read(sweep.wait_with_output().unwrap()).0, 3);
    let watch = watch.wait_with_output().unwrap();
    assert_eq!(watch.status.code(), Some(3));
    let text = format!("{first}{}", String::from_utf8(watch.stdout).unwrap());
    // What had ended before is counted and not told.
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(text, @r"
    grid noop-5: 2 of 5 stages done, 1 running, 2 pending
    [2/5] noop KEY interrupted after SECONDS
    grid noop-5: interrupted after SECONDS, 2 of 5 stages done, 3 pending; the same command goes on
    "); });
}

#[test]
fn a_killed_sweep_is_found_dead_after_a_while() {
    let lab = Lab::new();
    let mut sweep = lab.start(&["--noop", "5", "--noop-params", r#"{"2": {"sleep_ms": 60000}}"#]);
    lab.worker_of(2);
    lab.wait_for("SELECT 1 FROM sweeps WHERE run = 2");
    let (watch, first) = watching(&lab);
    kill(sweep.id() as i32, libc::SIGKILL);
    sweep.wait().unwrap();
    // Silence alone is no death, nor is one that is not heard of for a few seconds.
    assert!(seen(&lab, &["watch", "--once"]).contains("running for"));
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    let early = "UPDATE sweeps SET heard = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-40 seconds')";
    db.execute(early, []).unwrap();
    let watch = watch.wait_with_output().unwrap();
    assert_eq!(watch.status.code(), Some(3));
    let text = format!("{first}{}", String::from_utf8(watch.stdout).unwrap());
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(text, @r"
    grid noop-5: 2 of 5 stages done, 1 running, 2 pending
    grid noop-5: killed after SECONDS, 2 of 5 stages done, 3 pending; the same command goes on
    "); });
    let status = seen(&lab, &["status"]);
    insta::with_settings!({filters => FILTERS}, { insta::assert_snapshot!(status, @r"
    grid noop-5, last swept TIME: 0 of 1 cells done, 1 running
      stages: 2 done, 1 running, 2 pending
    the last sweep of grid noop-5: killed after SECONDS, 2 of 5 stages done, 3 pending; the same command goes on
    "); });
}

#[test]
fn watching_a_locked_database_waits_and_never_locks_it() {
    let lab = Lab::new();
    let sweep = lab.start(&["--noop", "2", "--noop-params", r#"{"1": {"sleep_ms": 60000}}"#]);
    lab.worker_of(1);
    stop(&sweep, libc::SIGINT);
    sweep.wait_with_output().unwrap();
    // As on a shared file system, where whoever writes keeps readers out.
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).unwrap();
    let again = "UPDATE sweeps SET ended = NULL, ending = NULL, process = ?1,
                     heard = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
    db.execute(again, [std::process::id()]).unwrap();
    let mut watch = lab.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(watch.try_wait().unwrap().is_none());
    db.execute_batch("COMMIT").unwrap();
    // A reader that held its lock from look to look would now refuse every write.
    let start = Instant::now();
    db.busy_timeout(Duration::from_millis(500)).unwrap();
    for _ in 0..20 {
        db.execute("UPDATE sweeps SET heard = heard", []).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    db.execute("UPDATE sweeps SET ended = heard, ending = 'finished'", []).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[test]
fn nothing_to_watch_is_said() {
    let lab = Lab::new();
    let output = lab.run(&["watch"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    // A database without a sweep: that of a dataset.
    assert!(lab.run(&["data", "synth", "--name", "d", "--users", "20"]).status.success());
    insta::assert_snapshot!(seen(&lab, &["watch"]), @"no sweep is running, and none has ever run");
    insta::assert_snapshot!(seen(&lab, &["watch", "--once", "--output", "json"]), @r#"{"sweep":null}"#);
}
