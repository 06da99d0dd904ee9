//! What `advrec plan` prints for good grids.

mod program;
mod swept;

use std::fs;
use std::path::Path;

/// Runs `advrec plan grid.yaml` with a grid in an otherwise empty folder.
fn plan(grid: &[u8], arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("grid.yaml"), grid).unwrap();
    let found = run(dir.path(), &[&["plan", "grid.yaml"], arguments].concat());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["grid.yaml"], "a plan writes nothing");
    found
}

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    program::run(assert_cmd::cargo::cargo_bin!("advrec"), dir, arguments)
}

/// What is printed for a grid that is accepted.
fn accepted(grid: &str, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = plan(grid.as_bytes(), arguments);
    assert_eq!(code, 0, "{stderr}");
    stdout
}

const SMALL: &str = "\
name: small
description: one agent under two attacks
dataset: embedded
seeds: 2
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}, {id: noise_linf, epsilon: 0.5}]
include:
  - {agent.algorithm: random_walk, attack: none}
";

#[test]
fn a_plan_shows_stages_and_cells() {
    insta::assert_snapshot!(accepted(SMALL, &[]), @r"
    grid small: 8 cells
    one agent under two attacks

    stages
      stage      total  shared  in the store  to run
      graph          1       1             0       1
      embedding      2       2             0       2
      agent          4       2             0       4
      rollout        8       0             0       8
      ranking        8       0             0       8
      direct         2       2             0       2
      all           25       7             0      25
      no prediction of time and disk: no such stage has been done with this database

    cells
      cell  attack      agent.algorithm  epsilon  seed
      1     none        actor_critic     -        1
      2     none        actor_critic     -        2
      3     fgsm_linf   actor_critic     0.5      1
      4     fgsm_linf   actor_critic     0.5      2
      5     noise_linf  actor_critic     0.5      1
      6     noise_linf  actor_critic     0.5      2
      7     none        random_walk      -        1
      8     none        random_walk      -        2
    ");
}

#[test]
fn long_lists_of_cells_are_cut_unless_asked_for() {
    let grid = "name: g\ndataset: embedded\nseeds: 25\n";
    let cut = accepted(grid, &[]);
    assert!(cut.contains("  and 5 more; --all prints them\n"), "{cut}");
    let all = accepted(grid, &["--all"]);
    assert_eq!(all.lines().count(), cut.lines().count() + 4);
}

#[test]
fn a_plan_as_json_names_every_stage() {
    let text = accepted(SMALL, &["--output", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cells = plan["cells"].as_array().unwrap();
    let stages = plan["stages"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    for cell in cells {
        for key in cell["stages"].as_array().unwrap() {
            assert!(stages.iter().any(|s| s["key"] == *key));
        }
    }
    let agents = plan["counts"].as_array().unwrap().iter().find(|c| c["kind"] == "agent");
    // Two algorithms times two seeds.
    assert_eq!(agents.unwrap()["total"], 4);
    assert_eq!(cells[0]["params"]["agent.learning_rate"], 1e-4);
}

#[test]
fn what_the_store_holds_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("grid.yaml"), SMALL).unwrap();
    let json = ["plan", "grid.yaml", "--output", "json"];
    let read = || -> serde_json::Value {
        let (code, stdout, stderr) = run(dir.path(), &json);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    };
    let store = dir.path().join(".advrec");
    fs::create_dir_all(store.join("tmp")).unwrap();
    let hold = |stage: &serde_json::Value| {
        let [kind, key] = ["kind", "key"].map(|name| stage[name].as_str().unwrap());
        let artefact = store.join("artefacts").join(kind).join(key);
        fs::create_dir_all(&artefact).unwrap();
        fs::write(artefact.join("manifest.json"), "{}").unwrap();
    };
    let before = read();
    let stages = before["stages"].as_array().unwrap();
    assert!(stages.iter().all(|s| s["to_run"] == true && s["stored"] == false));
    // With all results there, nothing runs, although the stages before them are gone.
    for stage in stages.iter().filter(|s| s["kind"] == "ranking" || s["kind"] == "direct") {
        hold(stage);
    }
    let after = read();
    assert!(after["stages"].as_array().unwrap().iter().all(|s| s["to_run"] == false));
}

#[test]
fn time_and_disk_are_predicted_from_what_was_done_before() {
    let dir = tempfile::tempdir().unwrap();
    // Agents take 100 s, rollouts under attack 30 s and clean ones 10 s, all else 1 s.
    let before = SMALL.replace("noise_linf", "deepfool").replace(", epsilon: 0.5}]", "}]");
    swept::sweep(dir.path(), &before, |stage| {
        let wall_s = match (stage.kind.name(), stage.params.get("attack").and_then(|a| a.as_str()))
        {
            ("agent", _) => 100.0,
            ("rollout", Some("none")) => 10.0,
            ("rollout", _) => 30.0,
            _ => 1.0,
        };
        let provenance = [("wall_s".to_owned(), serde_json::Value::from(wall_s))];
        (Vec::new(), provenance.into_iter().collect())
    });
    let grid = SMALL.replace("seeds: 2", "seeds: 4\ndetector: {method: gru}");
    let grid = grid.replace("attack: none}", "attack: none, detector.method: none}");
    fs::write(dir.path().join("grid.yaml"), grid).unwrap();
    let told = |args: &[&str]| {
        let (code, stdout, stderr) = run(dir.path(), &[&["plan", "grid.yaml"], args].concat());
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let two = told(&["--jobs", "2"]);
    insta::assert_snapshot!(two.split("\ncells\n").next().unwrap(), @r"
    grid small: 16 cells
    one agent under two attacks

    stages
      stage      total  shared  in the store  to run         time      disk
      graph          1       1             1       0            -         -
      embedding      4       4             2       2        2.0 s   2.0 KiB
      agent          8       4             4       4   6 min 40 s   3.9 KiB
      rollout       20       0             6      14   4 min 20 s  13.7 KiB
      detector       4       4             0       4      unknown   unknown
      detection     12       0             0      12      unknown   unknown
      ranking       16       0             6      10       10.0 s   9.8 KiB
      direct         4       4             2       2        2.0 s   2.0 KiB
      all           69      17            21      48  11 min 14 s  31.2 KiB
      prediction: 5 min 37 s with 2 workers (--jobs), 31.2 KiB on disk; from 24 stages done before
      without stages never done before: detector, detection
    ");
    assert!(told(&["--jobs", "200"]).contains("prediction: 2 min "), "the longest chain");
    let json: serde_json::Value =
        serde_json::from_str(&told(&["--jobs", "1", "--output", "json"])).unwrap();
    assert_eq!(json["prediction"]["unknown"], serde_json::json!(["detector", "detection"]));
    let agents = json["counts"].as_array().unwrap().iter().find(|c| c["kind"] == "agent").unwrap();
    assert_eq!((&agents["to_run"], &agents["predicted_s"]), (&4.into(), &400.0.into()));
}

#[test]
fn the_parameters_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run(dir.path(), &["plan", "--parameters"]);
    assert_eq!(code, 0);
    for name in ["epsilon", "agent.epochs", "rollout.users"] {
        assert!(stdout.lines().any(|l| l.trim_start().starts_with(name)), "{stdout}");
    }
}

#[test]
fn the_grids_of_the_project_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut grids = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let grid = advrec::grid::load(&path).unwrap_or_else(|e| panic!("{e}"));
            let cells = grid.expand().unwrap_or_else(|e| panic!("{e}"));
            assert!(!cells.is_empty());
            grids += 1;
        }
    }
    assert!(grids > 0);
}
