//! Cells of a grid run again from the database alone: `advrec rerun`; and the command that hears of the
//! end: `--on-finish`.

mod lab;

use lab::{Lab, counts, read};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Three attacks and two seeds: cells 1 and 2 are clean, 3 and 4 under fgsm_l1, 5 and 6 under jsma.
const GRID: &str = "\
name: small
dataset: embedded
seeds: 2
axes:
  attack: [none, {id: fgsm_l1, epsilon: 0.1}, jsma]
";
/// Stages of the grid: a graph, and of each seed an embedding, an agent, `direct`, three rollouts, and
/// their rankings.
const STAGES: u64 = 19;

/// A worker that computes nothing. Stages in whose description it finds the text of the file `bad` fail.
const WORKER: &str = r#"#!/bin/sh
echo '{"hello":{"version":"VERSION"}}'
while read -r line; do
    case $line in '{"exit"'*) exit 0 ;; esac
    if [ -f LAB/bad ] && printf %s "$line" | grep -qF "$(cat LAB/bad)"; then
        echo '{"failed":{"error":"it is bad"}}'
        continue
    fi
    echo x > "$(printf %s "$line" | sed 's/.*"scratch":"\([^"]*\)".*/\1/')/file"
    echo '{"done":{"metrics":[{"name":"m","split":"all","value":1,"n":1}],"provenance":{},"wall_s":0.1,"cpu_s":0.1,"peak_mib":1}}'
done
"#;

/// A lab with the grid swept; the stages with a certain text in their description have failed. The grid's
/// file is gone.
fn swept(bad: &str) -> Lab {
    let lab = Lab::new();
    let worker = WORKER.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let worker = worker.replace("LAB", lab.path("").to_str().unwrap().trim_end_matches('/'));
    std::fs::write(lab.path("worker"), worker).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path("worker"), mode).unwrap();
    std::fs::write(lab.path("grid.yaml"), GRID).unwrap();
    std::fs::write(lab.path("bad"), bad).unwrap();
    let (code, summary, stderr) = run(&lab, &["sweep", "grid.yaml"]);
    assert_eq!(code, i32::from(summary["stages"]["failed"] != 0), "{stderr}");
    assert_eq!(summary["stages"]["total"], STAGES);
    std::fs::remove_file(lab.path("grid.yaml")).unwrap();
    std::fs::remove_file(lab.path("bad")).unwrap();
    lab
}

fn command(lab: &Lab, args: &[&str]) -> Command {
    let mut command = lab.command(&[&["--output", "json"], args].concat());
    command.env("ADVREC_WORKER", lab.path("worker"));
    command
}

fn run(lab: &Lab, args: &[&str]) -> (i32, Value, String) {
    read(command(lab, args).output().unwrap())
}

/// The first line of what a command says.
fn first(lab: &Lab, args: &[&str]) -> (i32, String) {
    let (code, _, stderr) = run(lab, args);
    (code, stderr.lines().next().unwrap_or_default().to_owned())
}

/// How often each stage was done, by kind.
fn done(lab: &Lab) -> Value {
    let sql = "SELECT kind, count(*) AS n FROM runs WHERE state = 'done' GROUP BY kind";
    let rows = lab.query(sql);
    rows.into_iter()
        .map(|row| (row["kind"].as_str().unwrap().to_owned(), row["n"].clone()))
        .collect()
}

#[test]
fn failed_cells_run_again_without_the_file() {
    let lab = swept(r#""attack":"jsma""#);
    assert_eq!(lab.query("SELECT 1 FROM stages WHERE state = 'failed'").len(), 2);
    let (code, summary, stderr) = run(&lab, &["rerun", "--failed"]);
    assert_eq!((code, counts(&summary)), (0, [4, 7, 0, 0, 0]), "{stderr}");
    assert!(stderr.starts_with("grid small: 2 of 6 cells\n"), "{stderr}");
    // The other cells are still the grid's.
    assert_eq!(summary["cells"], serde_json::json!({"total": 6, "done": 6}));
    let (code, summary, _) = run(&lab, &["rerun", "--failed"]);
    assert_eq!((code, counts(&summary)), (0, [0; 5]));
    assert_eq!(summary["cells"], serde_json::json!({"total": 6, "done": 6}));
    let nothing = command(&lab, &["rerun", "--failed", "--output", "human"]).output().unwrap();
    let nothing = String::from_utf8(nothing.stderr).unwrap();
    let expected =
        "nothing to do: no cell of grid small that is meant has failed; 6 of 6 cells are done\n";
    assert!(nothing.starts_with(expected), "{nothing}");
    // Both choices: those meant by both.
    let lab = swept(r#""attack":"jsma""#);
    let (code, summary, _) = run(&lab, &["rerun", "small", "--failed", "--cells", "seed=2"]);
    assert_eq!((code, counts(&summary)), (0, [2, 4, 0, 0, 0]));
    assert_eq!(summary["cells"], serde_json::json!({"total": 6, "done": 5}));
}

#[test]
fn a_failure_that_many_cells_share_is_mended_for_all() {
    let lab = swept(r#""kind":"graph""#);
    let (code, summary, stderr) = run(&lab, &["rerun", "--cells", "seed=1,attack=none"]);
    assert_eq!((code, summary["stages"]["total"].as_u64()), (0, Some(6)), "{stderr}");
    // The others wait for nothing that failed any more.
    let rows = lab.query("SELECT state, count(*) AS n FROM stages GROUP BY state ORDER BY state");
    assert_eq!(
        rows,
        [
            serde_json::json!({"state": "done", "n": 6}),
            serde_json::json!({"state": "pending", "n": STAGES - 6})
        ]
    );
    let (_, summary, stderr) = run(&lab, &["rerun", "--failed"]);
    assert_eq!(counts(&summary), [0; 5], "{stderr}");
    let (_, summary, stderr) = run(&lab, &["rerun", "--cells", "seed=1|2"]);
    assert_eq!(counts(&summary), [STAGES - 6, 6, 0, 0, 0], "{stderr}");
}

#[test]
fn cells_that_are_done_run_again_by_force_alone() {
    let lab = swept("nothing is bad");
    let before = done(&lab);
    let (code, summary, stderr) = run(&lab, &["rerun", "--cells", "attack=jsma,seed=2"]);
    assert_eq!((code, counts(&summary)), (0, [0, 6, 0, 0, 0]), "{stderr}");
    assert_eq!(done(&lab), before);
    let (code, summary, stderr) = run(&lab, &["rerun", "--cells", "attack=jsma,seed=2", "--force"]);
    assert_eq!((code, counts(&summary)), (0, [3, 3, 0, 0, 0]), "{stderr}");
    insta::assert_snapshot!(stderr.lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    grid small: 1 of 6 cells
    3 stages are computed anew, 3 metrics are replaced
    ");
    // `direct` is shared, and is a result of the cell; the agent is only shared.
    insta::assert_snapshot!(done(&lab), @r#"{"agent":2,"direct":3,"embedding":2,"graph":1,"ranking":7,"rollout":7}"#);
    let (_, summary, _) = run(&lab, &["rerun", "--cells", "seed=2", "--force"]);
    assert_eq!(counts(&summary), [9, 1, 0, 0, 0]);
    assert_eq!(lab.query("SELECT 1 FROM cells").len(), 6);
}

#[test]
fn nothing_is_removed_by_force_for_a_worker_that_is_not_there() {
    let lab = swept("nothing is bad");
    std::fs::remove_file(lab.path("worker")).unwrap();
    let (code, _, stderr) = run(&lab, &["rerun", "--cells", "seed=2", "--force"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("which is no program"), "{stderr}");
    assert_eq!(lab.query("SELECT 1 FROM stages WHERE state = 'done'").len() as u64, STAGES);
    assert_eq!(std::fs::read_dir(lab.path(".advrec/artefacts/ranking")).unwrap().count(), 6);
}

#[test]
fn what_cannot_be_run_again_is_explained() {
    let lab = swept("nothing is bad");
    let mut said = String::new();
    for args in [
        &["--cells", "attak=jsma"][..],
        &["--cells", "attack=jmsa2"],
        &["--cells", "seed=7"],
        &["--cells", "epsilon=0.10,seed=3"],
        &["--cells", "attack"],
        &["smal", "--failed"],
        &["--failed", "--device", "gpu"],
    ] {
        let (code, text) = first(&lab, &[&["rerun"], args].concat());
        assert_eq!(code, 2, "{text}");
        said.push_str(text.split("valid:").next().unwrap());
        said.push('\n');
    }
    lab.sweep(&["--noop", "5"]);
    let (code, text) = first(&lab, &["rerun", "--failed"]);
    assert_eq!(code, 2);
    said.push_str(&text);
    insta::assert_snapshot!(said, @r#"
    error: unknown parameter `attak`; did you mean `attack`?
    error: `attack` has no value `jmsa2`; 
    error: no cell has seed=7; there are 1, 2
    error: no cell has seed=3 where epsilon=0.1; there are 1, 2
    error: `attack` is no `name=value`; write such as attack=jsma,seed=1|2
    error: no grid smal in advrec.db (did you mean `small`?); `advrec status` lists all
    error: unknown device "gpu"; use cpu, cuda, or cuda with a list such as cuda:0,1
    error: grid noop-5 was made without a file, so advrec.db does not hold what to run again; name another grid
    "#);
    // Neither choice.
    assert_eq!(run(&lab, &["rerun"]).0, 2);
    assert_eq!(lab.query("SELECT 1 FROM sweeps").len(), 2);
}

#[test]
fn a_command_hears_how_the_sweep_ended() {
    let lab = swept(r#""attack":"jsma""#);
    let told = r#"echo "$ADVREC_GRID $ADVREC_ENDING $ADVREC_EXIT_CODE $ADVREC_CELLS_DONE/$ADVREC_CELLS" \
                  "$ADVREC_FAILED $ADVREC_SUMMARY" >> told; test -f "$ADVREC_DB""#;
    std::fs::write(lab.path("bad"), r#""seed":1"#).unwrap();
    assert_eq!(run(&lab, &["rerun", "--failed", "--on-finish", told]).0, 1);
    std::fs::remove_file(lab.path("bad")).unwrap();
    assert_eq!(run(&lab, &["rerun", "--failed", "--on-finish", told]).0, 0);
    assert_eq!(run(&lab, &["rerun", "--cells", "seed=1", "--on-finish", told]).0, 0);
    // Its own sweep is let in; what it prints is no result; that it fails is no failure.
    let (code, summary, stderr) = {
        let nested = "echo heard; $ADVREC sweep --noop 5 >/dev/null && exit 3";
        let args = ["rerun", "--cells", "seed=1", "--on-finish", nested];
        let mut command = command(&lab, &args);
        let program = command.get_program().to_owned();
        read(
            command
                .env("ADVREC", program)
                .env_remove("ADVREC_WORKER")
                .env("ADVREC_WORKER", lab.path("worker"))
                .output()
                .unwrap(),
        )
    };
    assert_eq!((code, counts(&summary)[0]), (0, 0), "{stderr}");
    assert!(stderr.contains("\nheard\n"), "{stderr}");
    assert!(stderr.contains("ended with exit status 3"), "{stderr}");
    // An error ends a sweep, too.
    std::fs::write(lab.path("worker"), "#!/bin/sh\nexit 1\n").unwrap();
    let force = ["rerun", "small", "--cells", "seed=1", "--force", "--on-finish", told];
    assert_eq!(run(&lab, &force).0, 1);
    let text = std::fs::read_to_string(lab.path("told")).unwrap();
    let filters = [(r" in [\d.]+ s;", " in SECONDS;"), (r"/[^ ]*/worker", "LAB/worker")];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(text, @r"
    small failed 1 5/6 1 grid small: 2 stages run, 7 reused, 1 failed, 1 blocked by them in SECONDS; 5 of 6 cells done
    small done 0 6/6 0 grid small: 2 stages run, 4 reused in SECONDS; 6 of 6 cells done
    small done 0 6/6 0 nothing to do: all 10 stages of grid small are done
    small error 1 3/6 0 the worker LAB/worker ended before it was ready (exit status 1)
    "); });
}

#[test]
fn ctrl_c_ends_the_command_that_hears_of_the_end() {
    let lab = Lab::new();
    let child = lab.start(&["--noop", "2", "--on-finish", "touch heard; sleep 60"]);
    let start = Instant::now();
    while !lab.path("heard").exists() {
        assert!(start.elapsed() < lab::PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    // It listens before it starts to wait.
    std::thread::sleep(Duration::from_millis(200));
    lab::stop(&child, libc::SIGINT);
    let (code, summary, stderr) = read(child.wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(40));
    assert_eq!((code, counts(&summary)), (0, [2, 0, 0, 0, 0]));
    assert!(stderr.contains("it was killed when ctrl-c was pressed"), "{stderr}");
}

#[test]
fn a_sweep_to_which_nobody_listens_ends_like_any_other() {
    let lab = Lab::new();
    let mut command = lab.command(&["sweep", "--noop", "5", "--on-finish", "touch heard"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lab.path("heard").exists());
    assert_eq!(lab.query("SELECT 1 FROM stages WHERE state = 'done'").len(), 5);
}

#[test]
fn a_grid_whose_text_means_something_else_now_is_refused() {
    let lab = swept("no such text");
    // As after a version of the program whose presets are others: the digest covers their content.
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute("UPDATE grids SET digest = replace(digest, 'a', 'b')", []).unwrap();
    drop(db);
    let (code, _, stderr) = run(&lab, &["rerun", "--cells", "seed=1"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: grid small extends a preset that this version of advrec has with other settings; sweep it from its file grid.yaml, or use the version that swept it");
    // The cells are recorded, not expanded anew.
    let (code, why, stderr) = run(&lab, &["why", "3"]);
    assert_eq!((code, &why["cell"]["params"]["attack"]), (0, &"fgsm_l1".into()), "{stderr}");
    let stages = why["stages"].as_array().unwrap();
    assert!(stages.iter().all(|stage| stage["state"] == "done"), "{stages:?}");
    let (code, _, stderr) = run(&lab, &["export", "3", "--out", "bundle"]);
    assert_eq!(code, 0, "{stderr}");
    let grid = std::fs::read_to_string(lab.path("bundle/grid.yaml")).unwrap();
    assert!(grid.contains("attack: fgsm_l1\n") && !grid.contains("extends"), "{grid}");
}
