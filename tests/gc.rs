//! `advrec gc`: what goes, what stays, and what is never touched.

mod lab;

use lab::Lab;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

fn gc(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(&[&["gc"], args].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sizes of manifests differ from run to run.
const FILTERS: [(&str, &str); 2] = [(r" +\d+(\.\d)? (Ki)?B\b", " SIZE"), (r"[0-9a-f]{64}", "KEY")];

/// Two grids; then the database forgets the second.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.sweep(&["--noop", "10"]);
    lab.sweep(&["--noop", "5", "--noop-params", r#"{"0": {"sleep_ms": 1}}"#]);
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = 1; DELETE FROM grids WHERE name = 'noop-5'").unwrap();
    lab
}

#[test]
fn what_no_grid_needs_goes_and_the_rest_is_whole() {
    let lab = lab();
    let tmp = lab.path(".advrec/tmp");
    let host = advrec::store::lock::host();
    // No process has the largest number.
    fs::create_dir(tmp.join(format!("{host}-{}-0", i32::MAX))).unwrap();
    let before = lab.artefacts().len();
    let dry = gc(&lab, &["--dry-run"]);
    assert_eq!(lab.artefacts().len(), before);
    let really = gc(&lab, &[]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(dry, @r"
        would be removed
          what     count     size
          noop         5 SIZE
          scratch      1 SIZE
          all          6 SIZE
        would stay in .advrec: 10 artefacts, SIZE
        ");
        insta::assert_snapshot!(really, @r"
        removed
          what     count     size
          noop         5 SIZE
          scratch      1 SIZE
          all          6 SIZE
        stay in .advrec: 10 artefacts, SIZE
        ");
        insta::assert_snapshot!(gc(&lab, &[]), @r"
        nothing to remove
        stay in .advrec: 10 artefacts, SIZE
        ");
    });
    assert_eq!((before, lab.artefacts().len()), (15, 10));
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    // Numbers stay; what is asked for again is computed anew.
    assert_eq!(lab.query("SELECT * FROM metrics").len(), 15);
    assert_eq!(lab::counts(&lab.sweep(&["--noop", "10"]).1), [0, 10, 0, 0, 0]);
    let again = lab.sweep(&["--noop", "5", "--noop-params", r#"{"0": {"sleep_ms": 1}}"#]);
    assert_eq!(lab::counts(&again.1), [5, 0, 0, 0, 0]);
}

#[test]
fn inputs_of_inputs_and_checkpoints_of_unfinished_stages_stay() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "5", "--noop-params", r#"{"4": {"fail": true}}"#]);
    let keys = lab.query("SELECT key, state FROM stages");
    let checkpoints = lab.path(".advrec/checkpoints");
    for row in &keys {
        fs::create_dir_all(checkpoints.join(row["key"].as_str().unwrap())).unwrap();
    }
    fs::create_dir_all(checkpoints.join("ab".repeat(32))).unwrap();
    fs::write(lab.path(".advrec/logs/stray.log"), "nobody's").unwrap();
    let log = &lab.query("SELECT log_path FROM failures")[0]["log_path"];
    // The cell names its last stage alone, as cells do not name what a detector is trained on.
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute(
        "DELETE FROM cell_stages WHERE stage_key IN (SELECT input_key FROM stage_inputs)",
        [],
    )
    .unwrap();
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(gc(&lab, &[]), @r"
        removed
          what         count  size
          checkpoints      5 SIZE
          logs             1 SIZE
          all              6 SIZE
        stay in .advrec: 4 artefacts, SIZE
        ");
    });
    assert_eq!(lab.artefacts().len(), 4);
    let failed = keys.iter().find(|row| row["state"] == "failed").unwrap();
    let left: Vec<_> = fs::read_dir(checkpoints).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [failed["key"].as_str().unwrap()]);
    assert!(lab.path(log.as_str().unwrap()).exists());
    assert!(!lab.path(".advrec/logs/stray.log").exists());
}

#[test]
fn earlier_versions_of_a_grid_go_when_asked_for() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "5"]);
    lab.sweep(&["--noop", "5", "--noop-params", r#"{"2": {"sleep_ms": 1}}"#]);
    assert!(gc(&lab, &[]).starts_with("nothing to remove\n"));
    let kept = gc(&lab, &["--keep-latest", "--older-than", "1"]);
    assert!(kept.starts_with("nothing to remove\n"), "{kept}");
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(gc(&lab, &["--keep-latest"]), @r"
        removed
          what  count     size
          noop      3 SIZE
          all       3 SIZE
        stay in .advrec: 5 artefacts, SIZE
        numbers of earlier versions stay in the database; their stages are computed anew if a sweep asks for them
        ");
    });
    let text = gc(&lab, &["--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["kept"]["noop"]["count"], 5);
    assert_eq!(json["total"], serde_json::json!({"count": 0, "bytes": 0}));
}

#[test]
fn registered_datasets_and_imported_weights_stay_with_their_inputs() {
    use advrec::plan::{Stage, StageInput, StageKey, StageKind};
    use advrec::store::{ArtefactStore, Database, ImportRow};
    use serde_json::{Map, json};
    let lab = lab();
    let store = ArtefactStore::open(&lab.path(".advrec")).unwrap();
    let publish = |kind: StageKind, name: &str, inputs: Vec<StageInput>| {
        let params = Map::from_iter([("name".to_owned(), json!(name))]);
        let stage = Stage::new(kind, params, inputs);
        let (key, scratch) = (stage.key(), store.scratch().unwrap());
        store.publish(&scratch, &stage, &key, Vec::new(), Map::new()).unwrap();
        key
    };
    // As if of yesterday; what is younger may be about to be registered.
    let age = |kind: StageKind, key: &StageKey| {
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
        fs::File::open(store.path(kind, key)).unwrap().set_modified(yesterday).unwrap();
    };
    let dataset = publish(StageKind::Dataset, "beauty", Vec::new());
    let unregistered = publish(StageKind::Dataset, "toys", Vec::new());
    let graph = publish(StageKind::Graph, "of the import", Vec::new());
    let input = StageInput { role: "graph".to_owned(), key: graph.clone() };
    let embedding = publish(StageKind::Embedding, "imported", vec![input]);
    let agent = publish(StageKind::Agent, "imported", Vec::new());
    // Weights that an import has put there and not registered yet, with the graph that they need.
    let young_graph = publish(StageKind::Graph, "of weights to come", Vec::new());
    let input = StageInput { role: "graph".to_owned(), key: young_graph.clone() };
    let young = publish(StageKind::Embedding, "to come", vec![input]);
    for (kind, key) in [
        (StageKind::Dataset, &dataset),
        (StageKind::Dataset, &unregistered),
        (StageKind::Graph, &graph),
        (StageKind::Embedding, &embedding),
        (StageKind::Agent, &agent),
        (StageKind::Graph, &young_graph),
    ] {
        age(kind, key);
    }
    let mut db = Database::open(&lab.path("advrec.db")).unwrap();
    db.register_dataset("beauty", &dataset, "here", &json!({})).unwrap();
    db.register_import(&ImportRow {
        id: "golden".to_owned(),
        dataset: "beauty".to_owned(),
        embedding_key: embedding.clone(),
        agent_key: agent.clone(),
    })
    .unwrap();
    gc(&lab, &[]);
    assert!(!store.contains(StageKind::Dataset, &unregistered));
    for (kind, key) in [
        (StageKind::Dataset, &dataset),
        (StageKind::Graph, &graph),
        (StageKind::Embedding, &embedding),
        (StageKind::Agent, &agent),
        (StageKind::Graph, &young_graph),
        (StageKind::Embedding, &young),
    ] {
        store.verify(kind, key).unwrap();
    }
    age(StageKind::Embedding, &young);
    gc(&lab, &[]);
    assert!(!store.contains(StageKind::Embedding, &young));
    assert!(!store.contains(StageKind::Graph, &young_graph));
}

#[test]
fn what_is_put_there_again_while_garbage_is_looked_for_stays() {
    use advrec::plan::{Stage, StageKind};
    use advrec::store::{ArtefactStore, Database, Garbage, Keep};
    use serde_json::Map;
    let lab = Lab::new();
    lab.sweep(&["--noop", "2"]);
    let store = ArtefactStore::open(&lab.path(".advrec")).unwrap();
    let stage = Stage::new(StageKind::Dataset, Map::new(), Vec::new());
    let publish = || {
        let scratch = store.scratch().unwrap();
        store.publish(&scratch, &stage, &stage.key(), Vec::new(), Map::new()).unwrap();
    };
    publish();
    let folder = fs::File::open(store.path(StageKind::Dataset, &stage.key())).unwrap();
    folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let db = Database::open_readonly(&lab.path("advrec.db")).unwrap();
    let garbage = || Garbage::find(&db, &store, Keep::All, None).unwrap();
    let found = garbage();
    assert_eq!(found.items.len(), 1);
    publish();
    found.remove(&store).unwrap();
    assert!(store.contains(StageKind::Dataset, &stage.key()));
    assert!(garbage().items.is_empty(), "it may be about to be registered");
}

#[test]
fn nothing_outside_the_store_is_touched() {
    let lab = lab();
    let outside = lab.path("outside");
    for folder in ["kind", "artefact"] {
        fs::create_dir_all(outside.join(folder).join("ab".repeat(32))).unwrap();
        fs::write(outside.join(folder).join("precious"), "kept").unwrap();
    }
    let artefacts = lab.path(".advrec/artefacts");
    symlink(outside.join("kind"), artefacts.join("agent")).unwrap();
    symlink(outside.join("artefact"), artefacts.join("noop").join("cd".repeat(32))).unwrap();
    fs::create_dir(artefacts.join("notes")).unwrap();
    // A link within an artefact that goes.
    let gone = lab.query("SELECT key FROM stages WHERE json_extract(params, '$.sleep_ms') = 1");
    let gone = artefacts.join("noop").join(gone[0]["key"].as_str().unwrap());
    symlink(outside.join("kind"), gone.join("link")).unwrap();
    let text = gc(&lab, &[]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(text, @r"
        removed
          what  count     size
          noop      5 SIZE
          all       5 SIZE
        stay in .advrec: 10 artefacts, SIZE
        left alone: .advrec/artefacts/agent, which is a link or no artefact
        left alone: .advrec/artefacts/noop/KEY, which is a link or no artefact
        left alone: .advrec/artefacts/notes, which is a link or no artefact
        ");
    });
    assert!(!gone.exists());
    for folder in ["kind", "artefact"] {
        assert!(outside.join(folder).join("precious").exists());
        assert!(outside.join(folder).join("ab".repeat(32)).exists());
    }
}

#[test]
fn a_running_sweep_and_the_database_of_another_store_are_respected() {
    let lab = Lab::new();
    let output = lab.run(&["gc"]);
    assert_eq!(output.status.code(), Some(2));
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let output = lab.run(&["gc"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: no grid has been swept with advrec.db, so nothing in the store would be needed; name the database of this store with --db");
    let child = lab.start(&["--noop", "2", "--noop-params", r#"{"0": {"sleep_ms": 60000}}"#]);
    lab.worker_of(0);
    let output = lab.run(&["gc"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&format!("process {}", child.id())), "{stderr}");
    assert!(gc(&lab, &["--dry-run"]).contains("would stay"));
    lab::stop(&child, libc::SIGINT);
    child.wait_with_output().unwrap();
}
