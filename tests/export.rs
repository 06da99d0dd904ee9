//! `advrec export`: a cell's bundle, and that its grid repeats the cell.

mod lab;
mod swept;

use advrec::plan::{Metric, Plan, StageKind};
use advrec::store::ArtefactStore;
use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const GRID: &str = "\
name: small
dataset: embedded
seeds: 2
detector: {method: gru, decay: coupled}
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}]
  agent.hidden: [[512, 256], [64, 32]]
";

/// A grid that was swept, with one metric a ranking; the rollouts' artefacts are gone.
fn swept_lab() -> (Lab, Plan) {
    let lab = Lab::new();
    let provenance = json!({"version": "0.1.0", "git_commit": "abc", "git_dirty": true,
        "libtorch": "2.11.0", "cuda": "13.0", "device": "cuda", "device_name": "a GPU",
        "host": "lab"});
    let plan = swept::sweep(&lab.path(""), GRID, |stage| {
        let metric = Metric { upper: Some(0.75), ..Metric::new("ndcg", "valid", 0.5, 9) };
        let metrics = if stage.kind == StageKind::Ranking { vec![metric] } else { Vec::new() };
        (metrics, provenance.as_object().unwrap().clone())
    });
    let store = ArtefactStore::at(&lab.path(".advrec"));
    for planned in plan.stages.iter().filter(|s| s.stage.kind == StageKind::Rollout) {
        store.remove(StageKind::Rollout, &planned.key).unwrap();
    }
    (lab, plan)
}

fn stderr(lab: &Lab, args: &[&str], code: i32) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_bundle_tells_all_and_its_grid_gives_the_same_keys() {
    let (lab, whole) = swept_lab();
    let args = ["export", "attack=fgsm_linf,seed=2,agent.hidden=[64,32]", "--out", "cell"];
    let output = lab.run(&args);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    cell 8 (attack=fgsm_linf epsilon=0.5 agent.hidden=[64,32] seed=2) of grid small: cell
    to repeat it: advrec sweep cell/grid.yaml
    ");
    let text = |name: &str| fs::read_to_string(lab.path("cell").join(name)).unwrap();
    let files: BTreeSet<_> =
        fs::read_dir(lab.path("cell")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files.len(), 4, "{files:?}");

    let (row, alone) = swept::plan(&text("grid.yaml"));
    assert_eq!((row.name.as_str(), alone.cells.len()), ("small-cell-8", 1));
    let cell = &whole.cells[7];
    assert_eq!(alone.cells[0].params, cell.params);
    let keys = |plan: &Plan, cell: usize| -> Vec<String> {
        plan.cells[cell].stages.iter().map(|&s| plan.stages[s].key.to_string()).collect()
    };
    assert_eq!(keys(&alone, 0), keys(&whole, 7));

    let provenance: Value = serde_json::from_str(&text("provenance.json")).unwrap();
    let stages = provenance["stages"].as_array().unwrap();
    let all: BTreeSet<&str> = stages.iter().map(|s| s["key"].as_str().unwrap()).collect();
    let planned: BTreeSet<&str> = alone.stages.iter().map(|s| s.key.as_str()).collect();
    assert_eq!(all, planned, "rollouts that the detector is trained on are among them");
    let made = &stages[0]["attempts"][0]["provenance"];
    for name in ["version", "git_commit", "git_dirty", "libtorch", "device", "host"] {
        assert!(!made[name].is_null(), "{name}");
    }
    assert_eq!(provenance["params"]["seed"], 2);
    assert_eq!(provenance["sources"][0]["role"], "dataset");
    assert!(provenance["exported_by"]["version"].is_string());

    let settings = [(r"[0-9a-f]{64}", "KEY"), (r"key [0-9a-f]{12}", "KEY")];
    insta::with_settings!({filters => settings}, {
        insta::assert_snapshot!(text("metrics.csv"), @r"
        stage,stage_key,metric,split,value,n,lower,upper
        ranking,KEY,ndcg,valid,0.5,9,,0.75
        ");
        insta::assert_snapshot!(text("README.txt"), @r"
        cell 8 (attack=fgsm_linf epsilon=0.5 agent.hidden=[64,32] seed=2) of grid small

        grid.yaml        a grid that makes this cell and no other
        provenance.json  the cell's parameters, and of every stage behind it: key, version, parameters,
                         keys of its inputs, attempts (program, commit, libtorch, device, host,
                         times) and metrics
        metrics.csv      the cell's numbers

        made by
          advrec 0.1.0 (commit abc, with changes that are not in it), libtorch 2.11.0 with CUDA 13.0, device cuda (a GPU), host lab

        to repeat it, with the program of that commit
          have dataset embedded (key KEY)
          advrec sweep grid.yaml
          equal keys of stages mean equal inputs; on the CPU of one machine the numbers are equal to the last bit
        ");
    });
}

#[test]
fn artefacts_are_copied_where_they_are_whole() {
    let (lab, whole) = swept_lab();
    let output = lab.run(&["export", "1", "--grid", "small", "--out", "cell", "--artefacts"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("left out, because it is missing or damaged: ").count(), 3, "{said}");
    let copies = ArtefactStore::at(&lab.path("cell"));
    for &stage in &whole.cells[0].stages {
        let (kind, key) = (whole.stages[stage].stage.kind, &whole.stages[stage].key);
        assert_eq!(copies.verify(kind, key).is_ok(), kind != StageKind::Rollout, "{kind}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_written() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "5"]);
    let noop = stderr(&lab, &["export", "1", "--out", "cell"], 2);
    let (lab, _) = swept_lab();
    fs::create_dir(lab.path("old")).unwrap();
    let refused = [
        &["export", "9", "--out", "cell"][..],
        &["export", "seed=2", "--out", "cell"],
        &["export", "attack=jsma", "--out", "cell"],
        &["export", "1", "--grid", "large", "--out", "cell"],
        &["export", "1", "--out", "old"],
        &["export", "1", "--out", "no/cell"],
    ]
    .map(|args| stderr(&lab, args, 2));
    insta::assert_snapshot!(noop + &refused.concat(), @r"
        error: cell 1 (index=4) of grid noop-5 is of no grid file: nothing repeats it
        error: there is no cell 9; grid small has 8, numbered from 1
        error: seed=2 means 4 cells; name one of them
          cell 2 (attack=none agent.hidden=[512,256] seed=2)
          cell 4 (attack=none agent.hidden=[64,32] seed=2)
          cell 6 (attack=fgsm_linf epsilon=0.5 agent.hidden=[512,256] seed=2)
          cell 8 (attack=fgsm_linf epsilon=0.5 agent.hidden=[64,32] seed=2)
        error: no cell has attack=jsma; there are none, fgsm_linf
        error: no grid large in advrec.db; `advrec status` lists all
        error: old is there already; name another folder with --out
        error: there is no folder no to write cell in; make it, or name another folder with --out
        ");
    assert!(!lab.path("cell").exists());
    assert_eq!(fs::read_dir(lab.path("old")).unwrap().count(), 0);
    let left: Vec<_> =
        fs::read_dir(lab.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}
