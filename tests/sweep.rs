//! What a sweep does when things go wrong, on stages that do nothing but take time or fail.

mod lab;

use lab::{Lab, PATIENCE, alive, counts, kill, read, stop};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_second_sweep_does_nothing_and_says_so() {
    let lab = Lab::new();
    let (code, summary, stderr) = lab.sweep(&["--noop", "10", "--jobs", "2"]);
    assert_eq!((code, counts(&summary)), (0, [10, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["cells"], serde_json::json!({"total": 2, "done": 2}));
    assert!(stderr.contains("[10/10] noop "), "{stderr}");
    let again = lab.run(&["sweep", "--noop", "10"]);
    assert_eq!(again.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8(again.stderr).unwrap(), @r#"
    nothing to do: all 10 stages of grid noop-10 are done
    results: advrec.db (`advrec report` prints them, `advrec query` answers questions)
    "#);
    assert_eq!(lab.query("SELECT * FROM attempts").len(), 10);
}

#[test]
fn a_store_without_its_database_is_used_and_gone_on_from() {
    let lab = Lab::new();
    assert_eq!(lab.sweep(&["--noop", "5"]).0, 0);
    for file in ["advrec.db", "advrec.db-wal", "advrec.db-shm"] {
        let _ = std::fs::remove_file(lab.path(file));
    }
    let (code, summary, stderr) = lab.sweep(&["--noop", "10"]);
    assert_eq!((code, counts(&summary)), (0, [9, 1, 0, 0, 0]), "{stderr}");
    assert_eq!(lab.attempts(), ["done"; 10].join(" "));
}

#[test]
fn workers_and_order_change_no_metric() {
    let metrics = |args: &[&str]| {
        let lab = Lab::new();
        assert_eq!(lab.sweep(&[&["--noop", "40"], args].concat()).0, 0);
        lab.query("SELECT * FROM metrics ORDER BY stage_key")
    };
    let one = metrics(&["--jobs", "1"]);
    assert_eq!(one.len(), 40);
    assert_eq!(metrics(&["--jobs", "3", "--order-seed", "7"]), one);
}

#[test]
fn a_killed_worker_is_replaced_and_its_stage_tried_again() {
    let lab = Lab::new();
    let child = lab.start(&["--noop", "5", "--noop-params", r#"{"1": {"sleep_ms": 800}}"#]);
    kill(lab.worker_of(1), libc::SIGKILL);
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["lost_workers"], 1);
    assert_eq!(lab.attempts(), "done lost done done done done");
    let lost = lab.query("SELECT signal, exit_status, error FROM failures");
    assert_eq!(lost[0]["signal"], 9);
    insta::assert_snapshot!(lost[0]["error"].as_str().unwrap(),
        @"the worker was lost (killed by signal 9, SIGKILL: by hand or for want of memory)");
    assert!(stderr.contains("trying again"), "{stderr}");
}

#[test]
fn a_stage_that_takes_its_worker_down_every_time_fails_with_the_log() {
    let lab = Lab::new();
    let params = r#"{"1": {"crash": true}}"#;
    let (code, summary, _) = lab.sweep(&["--noop", "10", "--noop-params", params]);
    assert_eq!(code, 1);
    // The four stages that need it are blocked, the chain beside it is done.
    assert_eq!(counts(&summary), [5, 0, 1, 4, 0]);
    assert_eq!(summary["cells"]["done"], 1);
    assert_eq!(lab.query("SELECT * FROM failures WHERE state = 'lost'").len(), 3);
    let status = String::from_utf8(lab.run(&["status"]).stdout).unwrap();
    let settings = [(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"[0-9a-f]{12}", "KEY")];
    insta::with_settings!({filters => settings}, {
        insta::assert_snapshot!(status, @r"
        grid noop-10, last swept TIME: 1 of 2 cells done, 1 failed
          stages: 5 done, 1 failed, 4 blocked
          lost: noop KEY after 3 attempts
            for the cell index=9
            the worker was lost (killed by signal 6, SIGABRT)
            | about to crash
            | crashing on request
            log: .advrec/logs/KEY-3.log
        ");
    });
}

#[test]
fn a_failed_stage_leaves_the_rest_alone_and_is_tried_by_the_next_sweep() {
    let lab = Lab::new();
    std::fs::write(lab.path("obstacle"), "").unwrap();
    let args = ["--noop", "10", "--noop-params", r#"{"1": {"fail_while": "obstacle"}}"#];
    let (code, summary, stderr) = lab.sweep(&args);
    assert_eq!((code, counts(&summary)), (1, [5, 0, 1, 4, 0]), "{stderr}");
    assert!(stderr.contains("failed: failing on request"), "{stderr}");
    let log = &lab.query("SELECT log_path FROM failures")[0]["log_path"];
    let text = std::fs::read_to_string(lab.path(log.as_str().unwrap())).unwrap();
    assert_eq!(text, "failing on request\n");
    std::fs::remove_file(lab.path("obstacle")).unwrap();
    let (code, summary, _) = lab.sweep(&args);
    assert_eq!((code, counts(&summary)), (0, [5, 5, 0, 0, 0]));
}

#[test]
fn fail_fast_starts_nothing_after_a_failure() {
    let lab = Lab::new();
    let params = r#"{"0": {"fail": true}}"#;
    let (code, summary, _) =
        lab.sweep(&["--noop", "10", "--jobs", "1", "--fail-fast", "--noop-params", params]);
    assert_eq!((code, counts(&summary)), (1, [0, 0, 1, 4, 5]));
}

#[test]
fn panics_and_numbers_that_are_none_are_failures() {
    let lab = Lab::new();
    let params = r#"{"0": {"panic": true}, "1": {"nan": true}}"#;
    let (code, summary, _) = lab.sweep(&["--noop", "10", "--noop-params", params]);
    assert_eq!((code, counts(&summary)), (1, [0, 0, 2, 8, 0]));
    let errors = lab.query("SELECT error FROM failures ORDER BY error");
    let texts: Vec<_> = errors.iter().map(|r| r["error"].as_str().unwrap()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    metric index/all is not finite: NaN
    the stage panicked: panicking on request
    ");
}

#[test]
fn ctrl_c_stops_in_order_and_the_same_command_goes_on() {
    let lab = Lab::new();
    let args = ["--noop", "5", "--noop-params", r#"{"2": {"sleep_ms": 60000}}"#];
    let child = lab.start(&args);
    lab.worker_of(2);
    stop(&child, libc::SIGINT);
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert_eq!((code, counts(&summary)), (3, [2, 0, 0, 0, 3]), "{stderr}");
    assert_eq!(summary["ending"], "interrupted");
    assert_eq!(lab.attempts(), "done done interrupted");
    assert!(lab.query("SELECT 1 FROM stages WHERE state = 'running'").is_empty());
    let child = lab.start(&args);
    lab.worker_of(2);
    assert_eq!(lab.attempts(), "done done interrupted running");
    stop(&child, libc::SIGTERM);
    assert_eq!(read(child.wait_with_output().unwrap()).0, 3);
}

#[test]
fn stages_that_do_not_stop_are_killed_after_a_while_or_at_the_second_ctrl_c() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 60000, "stubborn": true}}"#;
    let child = lab.start(&["--noop", "5", "--grace", "300ms", "--noop-params", params]);
    let worker = lab.worker_of(0);
    stop(&child, libc::SIGINT);
    assert_eq!(read(child.wait_with_output().unwrap()).0, 3);
    assert!(!alive(worker));
    let child = lab.start(&["--noop", "5", "--grace", "50s", "--noop-params", params]);
    let worker = lab.worker_of(0);
    let start = Instant::now();
    stop(&child, libc::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    stop(&child, libc::SIGINT);
    assert_eq!(read(child.wait_with_output().unwrap()).0, 3);
    assert!(start.elapsed() < Duration::from_secs(20) && !alive(worker));
    assert_eq!(lab.attempts(), "interrupted interrupted");
}

#[test]
fn a_killed_orchestrator_leaves_no_worker_and_what_it_did_stays_done() {
    let lab = Lab::new();
    let args = ["--noop", "5", "--noop-params", r#"{"3": {"sleep_ms": 1500, "stubborn": true}}"#];
    let mut child = lab.start(&args);
    let worker = lab.worker_of(3);
    stop(&child, libc::SIGKILL);
    child.wait().unwrap();
    let start = Instant::now();
    while alive(worker) {
        assert!(start.elapsed() < Duration::from_secs(1), "worker {worker} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, summary, stderr) = lab.sweep(&args);
    assert_eq!((code, counts(&summary)), (0, [2, 3, 0, 0, 0]), "{stderr}");
    assert_eq!(lab.attempts(), "done done done interrupted done done");
}

#[test]
fn what_the_store_holds_is_recorded_again_in_a_new_database() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "10"]);
    let all = "SELECT m.*, s.state, a.wall_s, a.cpu_s, a.provenance FROM metrics m
               JOIN stages s ON s.key = m.stage_key JOIN attempts a ON a.stage_key = s.key
               ORDER BY 1";
    let before = lab.query(all);
    assert_eq!(before.len(), 10);
    for file in ["advrec.db", "advrec.db-wal", "advrec.db-shm"] {
        let _ = std::fs::remove_file(lab.path(file));
    }
    let (code, summary, _) = lab.sweep(&["--noop", "10"]);
    assert_eq!((code, counts(&summary)), (0, [0, 10, 0, 0, 0]));
    assert_eq!(lab.query(all), before);
}

#[test]
fn damaged_artefacts_are_reported_and_computed_anew() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "10"]);
    let artefacts = lab.artefacts();
    std::fs::write(artefacts[0].join("index.txt"), "damaged").unwrap();
    std::fs::remove_file(artefacts[1].join("index.txt")).unwrap();
    std::fs::remove_file(artefacts[2].join("manifest.json")).unwrap();
    std::fs::remove_dir_all(&artefacts[3]).unwrap();
    let (code, summary, stderr) = lab.sweep(&["--noop", "10"]);
    assert_eq!((code, counts(&summary)), (0, [4, 6, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["stages"]["damaged"], 3);
    assert_eq!(stderr.matches("is computed anew").count(), 3, "{stderr}");
    assert_eq!(counts(&lab.sweep(&["--noop", "10"]).1), [0, 10, 0, 0, 0]);
}

#[test]
fn an_artefact_that_is_damaged_during_the_sweep_is_computed_anew_before_it_is_read() {
    let lab = Lab::new();
    // One worker does 0, then 1 because longer chains wait for it, then 2, which needs 0.
    let params = r#"{"1": {"sleep_ms": 1200}}"#;
    let child = lab.start(&["--noop", "10", "--jobs", "1", "--noop-params", params]);
    lab.worker_of(1);
    lab.wait_for("SELECT 1 FROM stages WHERE state = 'done'");
    let first = lab.artefacts();
    assert_eq!(first.len(), 1);
    std::fs::write(first[0].join("index.txt"), "").unwrap();
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert_eq!((code, counts(&summary)), (0, [10, 0, 0, 0, 0]), "{stderr}");
    assert_eq!(summary["stages"]["damaged"], 1);
    assert!(stderr.contains("is computed anew: artefact"), "{stderr}");
    assert_eq!(lab.attempts().matches("done").count(), 11);
    let text = std::fs::read_to_string(first[0].join("index.txt")).unwrap();
    assert_eq!(text, "0\n");
}

#[test]
fn a_locked_database_delays_what_is_written_and_not_what_runs() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 700}}"#;
    let child = lab.start(&["--noop", "40", "--jobs", "2", "--noop-params", params]);
    lab.worker_of(0);
    let locked = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    locked.busy_timeout(PATIENCE).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    while lab.artefacts().len() < 40 {
        assert!(start.elapsed() < PATIENCE, "the sweep waits for the database");
        std::thread::sleep(Duration::from_millis(20));
    }
    let recorded = "SELECT count(*) FROM stages WHERE state = 'done'";
    let count: u64 = locked.query_row(recorded, [], |row| row.get(0)).unwrap();
    assert!(count < 40, "nothing can have been written");
    std::thread::sleep(Duration::from_millis(2500));
    locked.execute_batch("COMMIT").unwrap();
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert_eq!((code, counts(&summary)), (0, [40, 0, 0, 0, 0]), "{stderr}");
    assert!(stderr.contains("another process has locked the database"), "{stderr}");
    assert_eq!(lab.query(recorded)[0]["count(*)"], 40);
}

#[test]
fn a_reader_with_a_long_transaction_holds_nothing_up() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "4"]);
    let reader = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    let count = || -> u64 {
        reader.query_row("SELECT count(*) FROM attempts", [], |row| row.get(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(), 4);
    let (code, summary, stderr) = lab.sweep(&["--noop", "200", "--jobs", "2"]);
    // The first stage of both is the same.
    assert_eq!((code, counts(&summary)), (0, [199, 1, 0, 0, 0]), "{stderr}");
    assert_eq!(count(), 4, "the reader sees what was there when it began");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 203);
}

#[test]
fn a_full_disk_stops_the_sweep_which_goes_on_later() {
    let lab = Lab::new();
    std::fs::write(lab.path("full"), "").unwrap();
    let args = ["--noop", "10", "--jobs", "1", "--noop-params", r#"{"2": {"full_while": "full"}}"#];
    let output = lab.run(&[&["sweep"], &args[..]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("the disk is full"), "{stderr}");
    assert!(stderr.contains("it goes on from here"), "{stderr}");
    assert!(lab.query("SELECT 1 FROM stages WHERE state = 'failed'").is_empty());
    std::fs::remove_file(lab.path("full")).unwrap();
    let (code, summary, _) = lab.sweep(&args);
    assert_eq!((code, counts(&summary)[4]), (0, 0));
}

#[test]
fn a_second_sweep_at_the_same_time_is_refused() {
    let lab = Lab::new();
    let child = lab.start(&["--noop", "2", "--noop-params", r#"{"0": {"sleep_ms": 60000}}"#]);
    lab.worker_of(0);
    let (code, _, stderr) = lab.sweep(&["--noop", "3"]);
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("another sweep (process {} on ", child.id())), "{stderr}");
    assert!(stderr.contains("`advrec watch` shows how far it is"), "{stderr}");
    stop(&child, libc::SIGINT);
    child.wait_with_output().unwrap();
    assert_eq!(lab.sweep(&["--noop", "3"]).0, 0);
}

#[test]
fn a_stage_without_memory_is_tried_again_alone() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("room")).unwrap();
    // Two stages at a time need the same room; a third one runs beside them for long.
    let params = r#"{"0": {"room": "room", "sleep_ms": 300}, "1": {"room": "room", "sleep_ms": 300},
                     "2": {"sleep_ms": 600}}"#;
    let args = ["--noop", "15", "--jobs", "3", "--noop-params", params];
    let (code, summary, stderr) = lab.sweep(&args);
    assert_eq!((code, counts(&summary)), (0, [15, 0, 0, 0, 0]), "{stderr}");
    assert!(stderr.contains("it ran out of memory; trying again alone"), "{stderr}");
    let failed = lab.query("SELECT error FROM failures");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["error"], "Cannot allocate memory (os error 12)");
    // Nothing ran while the second attempt did.
    let beside = lab.query(
        "SELECT o.attempt FROM runs f JOIN runs a ON a.stage_key = f.stage_key AND a.state = 'done'
         JOIN runs o ON o.attempt <> a.attempt AND o.started < a.ended AND o.ended > a.started
         WHERE f.state = 'failed'",
    );
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn a_stage_without_memory_fails_when_it_was_alone() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("room")).unwrap();
    std::fs::write(lab.path("room/other"), "").unwrap();
    let params = r#"{"0": {"room": "room"}}"#;
    let (code, summary, stderr) =
        lab.sweep(&["--noop", "5", "--jobs", "1", "--noop-params", params]);
    assert_eq!((code, counts(&summary)), (1, [0, 0, 1, 4, 0]), "{stderr}");
    assert_eq!(lab.attempts(), "failed");
}

#[test]
fn a_worker_without_a_sign_of_life_is_killed_and_its_stage_tried_again() {
    let lab = Lab::new();
    std::fs::write(lab.path("freeze"), "").unwrap();
    let params = r#"{"2": {"freeze": "freeze"}}"#;
    let (code, summary, stderr) =
        lab.sweep(&["--noop", "5", "--stall-after", "1500ms", "--noop-params", params]);
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    insta::assert_snapshot!(lab.query("SELECT error FROM failures")[0]["error"].as_str().unwrap(),
        @"the worker was lost (it gave no sign of life for 1.5 s and was killed)");
}

#[test]
fn a_long_stage_that_is_alive_is_not_taken_for_stalled() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 3500}}"#;
    let (code, summary, stderr) =
        lab.sweep(&["--noop", "1", "--stall-after", "2500ms", "--noop-params", params]);
    assert_eq!((code, counts(&summary)), (0, [1, 0, 0, 0, 0]), "{stderr}");
}

#[test]
fn a_stage_that_runs_too_long_fails_and_the_rest_goes_on() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 60000, "stubborn": true}}"#;
    let args = ["--noop", "10", "--timeout", "1h", "--timeout", "noop=400ms"];
    let (code, summary, stderr) = lab.sweep(&[&args[..], &["--noop-params", params]].concat());
    assert_eq!((code, counts(&summary)), (1, [5, 0, 1, 4, 0]), "{stderr}");
    let failed = lab.query("SELECT state, signal, error FROM failures");
    insta::assert_snapshot!(Value::from(failed), @r#"[{"error":"it ran longer than 0.4 s, its limit (--timeout)","signal":9,"state":"failed"}]"#);
}

#[test]
fn workers_that_are_killed_while_they_start_are_started_again() {
    let lab = Lab::new();
    let program = assert_cmd::cargo::cargo_bin!("advrec");
    let script = format!(
        "#!/bin/sh\nif mkdir first 2>/dev/null; then kill -9 $$; fi\nexec {} sweep --noop-worker\n",
        program.display()
    );
    std::fs::write(lab.path("worker"), script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(lab.path("worker"), mode).unwrap();
    let args = ["sweep", "--output", "json", "--noop", "5", "--jobs", "1"];
    let sweep = |args: &[&str]| {
        read(lab.command(args).env("ADVREC_WORKER", lab.path("worker")).output().unwrap())
    };
    let (code, summary, stderr) = sweep(&args);
    assert_eq!((code, counts(&summary)), (0, [5, 0, 0, 0, 0]), "{stderr}");
    assert!(stderr.contains("killed by signal 9") && stderr.contains("trying again"), "{stderr}");
    // One that is killed each time ends the sweep.
    std::fs::write(lab.path("worker"), "#!/bin/sh\nkill -9 $$\n").unwrap();
    let (code, _, stderr) = sweep(&[&args[..4], &["9", "--back-off", "10ms"]].concat());
    assert_eq!(code, 1);
    assert_eq!(stderr.matches("ended before it was ready").count(), 3, "{stderr}");
    let ended = lab.query("SELECT ending FROM sweeps ORDER BY id DESC LIMIT 1");
    assert_eq!(ended[0]["ending"], "error");
}

#[test]
fn each_sweep_leaves_a_row_that_says_how_it_ended() {
    let lab = Lab::new();
    let params = r#"{"0": {"sleep_ms": 60000}}"#;
    let mut child = lab.start(&["--noop", "2", "--noop-params", params]);
    lab.worker_of(0);
    stop(&child, libc::SIGKILL);
    child.wait().unwrap();
    lab.sweep(&["--noop", "3", "--jobs", "1"]);
    let rows = lab.query(
        "SELECT name, process, launcher, slots, ending, total, run, reused, failed,
             ended >= heard AS lived, json_extract(arguments, '$[1]') AS argument
         FROM sweeps JOIN grids ON grids.id = grid_id ORDER BY sweeps.id",
    );
    assert_eq!(rows[0]["process"], child.id());
    let settings = [(r#""process":\d+"#, r#""process":PID"#)];
    insta::with_settings!({filters => settings}, {
        insta::assert_snapshot!(Value::from(rows), @r#"[{"argument":"--output","ending":"killed","failed":0,"launcher":"local","lived":1,"name":"noop-2","process":PID,"reused":0,"run":0,"slots":2,"total":2},{"argument":"--output","ending":"finished","failed":0,"launcher":"local","lived":1,"name":"noop-3","process":PID,"reused":0,"run":3,"slots":1,"total":3}]"#);
    });
    let runs = lab.query("SELECT slot, sweep_id FROM runs WHERE state = 'done'");
    assert!(runs.iter().all(|r| r["slot"] == 0 && r["sweep_id"] == 2), "{runs:?}");
}

#[test]
fn bad_devices_workers_and_databases_are_refused() {
    let lab = Lab::new();
    let (code, _, stderr) = lab.sweep(&["--noop", "1", "--device", "gpu"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr,
        @r#"error: unknown device "gpu"; use cpu, cuda, or cuda with a list such as cuda:0,1"#);
    assert!(!lab.path("advrec.db").exists());

    let mut command = lab.command(&["sweep", "--noop", "1"]);
    let output = command.env("ADVREC_WORKER", "/no/such/worker").output().unwrap();
    let (code, _, stderr) = read(output);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr,
        @"error: ADVREC_WORKER names /no/such/worker, which is no program; name an advrec-worker, or unset it to use the one beside advrec");

    std::fs::write(lab.path("other.db"), "not a database, only text\n".repeat(100)).unwrap();
    let (code, _, stderr) = lab.sweep(&["--noop", "1", "--db", "other.db"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr,
        @"error: other.db is not an SQLite database; choose another file with --db");
}

#[test]
fn cancel_stops_the_running_sweep_in_good_order() {
    let lab = Lab::new();
    let child = lab.start(&["--noop", "5", "--noop-params", r#"{"1": {"sleep_ms": 600000}}"#]);
    lab.worker_of(1);
    let cancelled = lab.run(&["cancel"]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let process = child.id().to_string();
    let stdout = String::from_utf8(cancelled.stdout).unwrap().replace(&process, "PID");
    let (asked, ended) = stdout.split_once('\n').unwrap();
    insta::assert_snapshot!(asked, @"asked process PID to stop; waiting for it");
    assert!(ended.contains(": interrupted after "), "{ended}");
    assert!(
        ended.ends_with("1 of 5 stages done, 4 pending; the same command goes on\n"),
        "{ended}"
    );
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert_eq!((code, summary["ending"].as_str()), (3, Some("interrupted")), "{stderr}");
    assert_eq!(lab.attempts(), "done interrupted");
    let nothing = lab.run(&["cancel"]);
    assert_eq!(nothing.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8(nothing.stdout).unwrap(), @"no sweep of advrec.db runs");
}
