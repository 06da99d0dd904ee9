//! `advrec why`: what changed, what failed, what is waited for.

mod lab;
mod swept;

use advrec::plan::Plan;
use advrec::store::{AttemptStart, Database, SweepStart};
use lab::Lab;
use serde_json::Map;
use std::fs;

/// Standard output of a command that succeeds.
fn told(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that refuses its arguments.
fn refused(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

/// What differs from run to run; the keys of real stages do not.
const FILTERS: [(&str, &str); 4] = [
    (r"attempt \d+", "attempt N"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r" in \d+\.\d s", " in SOME s"),
    (r" on \S+/\d+/cpu", " on WORKER"),
];

const GRID: &str = "\
name: small
dataset: embedded
seeds: 2
agent: {epochs: 50}
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}]
";

/// Records a grid as swept, all of it done.
fn sweep(lab: &Lab, text: &str) -> Plan {
    swept::sweep(&lab.path(""), text, |_| (Vec::new(), Map::new()))
}

#[test]
fn a_changed_parameter_is_named_from_every_stage_that_it_reaches() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    fs::write(lab.path("grid.yaml"), GRID.replace("50", "60")).unwrap();
    let why = |target: &str| told(&lab, &["why", target, "grid.yaml"]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(why("4"), @r"
        cell 4 (attack=fgsm_linf epsilon=0.5 seed=2) of grid small: 3 of 6 stages are in the store
        graph 7149e8eea2dc: done at TIME by attempt N
        embedding 428e2735e8d2: done at TIME by attempt N
        agent b0ad1878773c: will run; changed since agent 28d0df485538, done at TIME, in
            agent.epochs: 50 → 60
        direct 9a121b302675: done at TIME by attempt N
        rollout c79014403ce5: will run; changed since rollout f91e8685f6b1, done at TIME, in
            agent.epochs: 50 → 60 (by way of agent)
            waits for agent b0ad1878773c (planned)
        ranking 1621c9035eda: will run; changed since ranking 606cfd21575e, done at TIME, in
            agent.epochs: 50 → 60 (by way of rollout, agent)
            waits for rollout c79014403ce5 (planned)
        ");
    });
    assert_eq!(why("attack=fgsm_linf,seed=2"), why("4"));
    let json = told(&lab, &["why", "4", "grid.yaml", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ranking = json["stages"].as_array().unwrap().iter().find(|s| s["kind"] == "ranking");
    let change = &ranking.unwrap()["nearest"]["changes"];
    assert_eq!(
        change,
        &serde_json::json!([
        {"what": "agent.epochs", "old": 50, "new": 60, "by": ["rollout", "agent"]}])
    );
}

#[test]
fn a_changed_version_and_a_new_cell_are_named() {
    let lab = Lab::new();
    let plan = sweep(&lab, GRID);
    let newer = GRID.replace("epsilon: 0.5", "epsilon: [0.5, 0.25]");
    fs::write(lab.path("grid.yaml"), newer).unwrap();
    let why = |target: &str| told(&lab, &["why", target, "grid.yaml"]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(why("epsilon=0.25,seed=1"), @r"
        cell 5 (attack=fgsm_linf epsilon=0.25 seed=1) of grid small: 4 of 6 stages are in the store
        graph 7149e8eea2dc: done at TIME by attempt N
        embedding ccd7eba787c8: done at TIME by attempt N
        agent 605360c64f87: done at TIME by attempt N
        direct f4e1a037524e: done at TIME by attempt N
        rollout f8f8c3543824: will run; new; of this grid it is nearest to rollout 6125f5a9f6ab, done at TIME, but for
            epsilon: 0.5 → 0.25
        ranking f9aee7146798: will run; new; of this grid it is nearest to ranking f66a78e7e7cd, done at TIME, but for
            epsilon: 0.5 → 0.25 (by way of rollout)
            waits for rollout f8f8c3543824 (planned)
        ");
    });
    // As a program wrote it that computed agents otherwise.
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute("UPDATE stages SET version = 7 WHERE kind = 'agent'", []).unwrap();
    let agent = plan.stages.iter().find(|s| s.stage.kind.name() == "agent").unwrap();
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(told(&lab, &["why", agent.key.short()]), @r"
        agent 605360c64f87: done at TIME by attempt N
            recorded by another version of agent; the next sweep computes it anew
        ");
    });
}

#[test]
fn missing_and_damaged_artefacts_are_told_apart() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "10"]);
    let key = |index: u32| {
        let sql = format!("SELECT key FROM stages WHERE json_extract(params, '$.index') = {index}");
        lab.query(&sql)[0]["key"].as_str().unwrap().to_owned()
    };
    let artefact = |index: u32| lab.path(".advrec/artefacts/noop").join(key(index));
    fs::remove_dir_all(artefact(8)).unwrap();
    fs::remove_dir_all(artefact(6)).unwrap();
    fs::write(artefact(4).join("index.txt"), "damaged").unwrap();
    let json = told(&lab, &["why", &key(8)[..12], "--output", "json"]);
    assert!(json.contains(r#""state":"gone""#), "{json}");
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(told(&lab, &["why", "1"]), @r"
        cell 1 (index=8) of grid noop-10: 2 of 5 stages are in the store
        noop 2bbd1e309f78: done at TIME by attempt N in SOME s
        noop 6f7cca2556d4: done at TIME by attempt N in SOME s
        noop 6637aebdf4f3: will run; artefact .advrec/artefacts/noop/6637aebdf4f301ff726b068653754b7af80d98adc15fca7ce07ab03c5554a898/index.txt is damaged: 7 bytes where 2 were written
        noop 4f07e7451331: will run; it was done at TIME, and its artefact is gone
            waits for noop 6637aebdf4f3 (damaged)
        noop a6eea3fc3eea: will run; it was done at TIME, and its artefact is gone
            waits for noop 4f07e7451331 (its artefact is gone)
        ");
    });
}

#[test]
fn what_fails_and_what_waits_for_it() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "10", "--noop-params", r#"{"3": {"fail": true}}"#]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(told(&lab, &["why", "2"]), @r"
        cell 2 (index=9) of grid noop-10: 1 of 5 stages are in the store
        noop b17eb6d4d251: done at TIME by attempt N in SOME s
        noop 8d460347cc48: failed after 1 attempt; the next sweep tries it again
            attempt N failed at TIME on WORKER: failing on request
            log: .advrec/logs/8d460347cc48-1.log
        noop 5deca0c2ea8f: will run; new; of this grid it is nearest to noop b17eb6d4d251, done at TIME, but for
            noop.index: 1 → 5
            input noop: none → 8d460347cc48
            waits for noop 8d460347cc48 (failed: failing on request)
        noop c51b048f124d: will run; new; of this grid it is nearest to noop b17eb6d4d251, done at TIME, but for
            noop.index: 1 → 7
            input noop: none → 5deca0c2ea8f
            waits for noop 8d460347cc48 (failed: failing on request)
            waits for noop 5deca0c2ea8f (blocked)
        noop 974020f5278d: will run; new; of this grid it is nearest to noop b17eb6d4d251, done at TIME, but for
            noop.index: 1 → 9
            input noop: none → c51b048f124d
            waits for noop 8d460347cc48 (failed: failing on request)
            waits for noop c51b048f124d (blocked)
        ");
    });
    let child = lab.start(&[
        "--jobs",
        "1",
        "--noop",
        "5",
        "--noop-params",
        r#"{"2": {"sleep_ms": 60000}}"#,
    ]);
    lab.worker_of(2);
    let running = told(&lab, &["why", "1"]);
    lab::stop(&child, libc::SIGINT);
    child.wait_with_output().unwrap();
    let stopped = told(&lab, &["why", "1"]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(running, @r"
        cell 1 (index=4) of grid noop-5: 2 of 5 stages are in the store
        noop 2bbd1e309f78: done at TIME by attempt N in SOME s
        noop c9ff6de3872a: done at TIME by attempt N in SOME s
        noop ebe874dec407: is running since TIME on WORKER
        noop af15db104599: will run; changed since noop b17eb6d4d251, done at TIME, in
            noop.index: 1 → 3
            input noop: none → ebe874dec407
            waits for noop ebe874dec407 (running)
        noop a2efc6a1d221: will run; changed since noop b17eb6d4d251, done at TIME, in
            noop.index: 1 → 4
            input noop: none → af15db104599
            waits for noop ebe874dec407 (running)
            waits for noop af15db104599 (pending)
        ");
        insta::assert_snapshot!(stopped, @r"
        cell 1 (index=4) of grid noop-5: 2 of 5 stages are in the store
        noop 2bbd1e309f78: done at TIME by attempt N in SOME s
        noop c9ff6de3872a: done at TIME by attempt N in SOME s
        noop ebe874dec407: will run; it was begun and not done
            attempt N interrupted at TIME on WORKER: the sweep was stopped
            changed since noop 6637aebdf4f3, done at TIME, in
            noop.index: 4 → 2
            noop.sleep_ms: none → 60000
            noop.index: 2 → 1 (by way of noop)
        noop af15db104599: will run; changed since noop b17eb6d4d251, done at TIME, in
            noop.index: 1 → 3
            input noop: none → ebe874dec407
            waits for noop ebe874dec407 (pending)
        noop a2efc6a1d221: will run; changed since noop b17eb6d4d251, done at TIME, in
            noop.index: 1 → 4
            input noop: none → af15db104599
            waits for noop af15db104599 (pending)
        ");
    });
}

#[test]
fn a_stage_left_running_by_a_killed_sweep_does_not_run() {
    let lab = Lab::new();
    let (row, plan) = swept::plan(GRID);
    let mut db = Database::open(&lab.path("advrec.db")).unwrap();
    db.record_grid(&row, &plan).unwrap();
    let sweep = db.batch(|b| b.start_sweep(&SweepStart::default())).unwrap();
    let id = db.next_attempt().unwrap();
    let key = plan.stages[0].key.clone();
    db.batch(|batch| {
        batch.start_attempt(&AttemptStart {
            id,
            sweep,
            key: key.clone(),
            worker: "host/1/cpu".to_owned(),
            slot: 0,
            job: None,
            log: "log".into(),
            started: "2026-01-31T12:00:00.000Z".to_owned(),
        })
    })
    .unwrap();
    let why = || told(&lab, &["why", "graph"]);
    assert!(why().contains("is running since"), "{}", why());
    let connection = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    connection.execute("UPDATE sweeps SET heard = '2020-01-01T00:00:00.000Z'", []).unwrap();
    assert!(why().contains("will run; it was begun and not done"), "{}", why());
}

#[test]
fn names_of_nothing_and_of_several_things_are_refused() {
    let lab = Lab::new();
    insta::assert_snapshot!(refused(&lab, &["why", "1"]), @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    sweep(&lab, GRID);
    let ask = |target: &str| refused(&lab, &["why", target]);
    insta::assert_snapshot!(
        ["9", "detector", "rolout", "attack=jsma", "seed", "abcdef01", "12345678", "rollout", "seed=1"]
            .map(ask).concat(), @r"
    error: there is no cell 9; grid small has 4, numbered from 1
    error: grid small has no detector stage
    error: `rolout` is no cell and no stage (did you mean `rollout`?); name a cell by number or by values (attack=jsma,seed=2), a stage by its kind or by 4 or more digits of its key
    error: no cell has attack=jsma; there are none, fgsm_linf
    error: `seed` is no cell and no stage; name a cell by number or by values (attack=jsma,seed=2), a stage by its kind or by 4 or more digits of its key
    error: no stage of grid small has a key that begins with abcdef01
    error: no stage of grid small has a key that begins with 12345678
    error: rollout means 4 stages; name one of them
      rollout 4d8cd31109b8 of cell 1 (attack=none seed=1)
      rollout 6ec80c297b1b of cell 2 (attack=none seed=2)
      rollout 6125f5a9f6ab of cell 3 (attack=fgsm_linf epsilon=0.5 seed=1)
      rollout f91e8685f6b1 of cell 4 (attack=fgsm_linf epsilon=0.5 seed=2)
    error: seed=1 means 2 cells; name one of them
      cell 1 (attack=none seed=1)
      cell 3 (attack=fgsm_linf epsilon=0.5 seed=1)
    ");
    fs::write(lab.path("bad.yaml"), "name: g\n").unwrap();
    assert!(refused(&lab, &["why", "1", "bad.yaml"]).contains("dataset"));
}
