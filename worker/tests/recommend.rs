//! Weights of another program on the golden set, through the command line: imported, asked for
//! recommendations, attacked; and every way in which they can be refused.

#[path = "../../tests/program/mod.rs"]
mod program;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tiny").canonicalize().unwrap()
}

/// The orchestrator, which lies beside the worker.
fn advrec() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_advrec-worker")).with_file_name("advrec");
    assert!(program.is_file(), "there is no {}: run cargo build first", program.display());
    program
}

/// A folder with a database and a store that know the golden set as `tiny`.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        lab.done(&[
            "data",
            "import",
            "--format",
            "pgpr",
            tiny().to_str().unwrap(),
            "--name",
            "tiny",
        ]);
        lab
    }

    fn with_weights() -> Self {
        let lab = Self::new();
        let [embeddings, policy] = [lab.golden("embeddings"), lab.golden("policy")];
        lab.done(&lab.import("tiny", &embeddings, &policy));
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        program::command(&advrec(), self.0.path(), args).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    fn done<S: AsRef<str>>(&self, args: &[S]) -> String {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let output = self.run(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must be refused; its message.
    fn refused<S: AsRef<str>>(&self, args: &[S]) -> String {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let output = self.run(&args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
        stderr.replace(tiny().to_str().unwrap(), "GOLDEN")
    }

    /// A golden file by its name.
    fn golden(&self, name: &str) -> String {
        tiny().join(format!("{name}.safetensors")).to_str().unwrap().to_owned()
    }

    /// A copy of a golden file in which one tensor is left out, or cut to its first rows.
    fn changed(&self, name: &str, tensor: &str, rows: Option<usize>) -> String {
        let bytes = fs::read(self.golden(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut views = Vec::new();
        for (found, view) in file.tensors() {
            match (found == tensor, rows) {
                (true, None) => continue,
                (true, Some(rows)) => {
                    let mut shape = view.shape().to_vec();
                    let row = view.data().len() / shape[0];
                    shape[0] = rows;
                    let data = &view.data()[..rows * row];
                    let dtype = view.dtype();
                    views.push((found, data.to_vec(), dtype, shape));
                }
                (false, _) => {
                    views.push((found, view.data().to_vec(), view.dtype(), view.shape().to_vec()));
                }
            }
        }
        assert!(rows.is_none() || views.iter().any(|v| v.0 == tensor), "no tensor {tensor}");
        let views = views.iter().map(|(name, data, dtype, shape)| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        let changed = format!("{name}.safetensors");
        fs::write(self.path(&changed), safetensors::serialize(views, None).unwrap()).unwrap();
        changed
    }

    fn import(&self, dataset: &str, embeddings: &str, policy: &str) -> Vec<String> {
        let words = ["import", "weights", "--dataset", dataset, "--embeddings", embeddings];
        let more = ["--policy", policy, "--name", "pgpr"];
        words.into_iter().chain(more).map(str::to_owned).collect()
    }

    /// `recommend` with what the test adds.
    fn recommend(&self, more: &[&str]) -> Vec<String> {
        let words = ["recommend", "--dataset", "tiny", "--topk", "12,5,1", "--out", "out.jsonl"];
        words.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }
}

#[test]
fn golden_lists_paths_and_metrics() {
    let lab = Lab::with_weights();
    let args = lab.recommend(&["--agent", "pgpr", "--users", "0..40", "--max-actions", "20"]);
    let printed = lab.done(&args);
    let expected: Value =
        serde_json::from_slice(&fs::read(tiny().join("expected.json")).unwrap()).unwrap();
    let lines = fs::read_to_string(lab.path("out.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 40);
    let mut paths = Vec::new();
    for (user, line) in lines.iter().enumerate() {
        assert_eq!(line["user"], user);
        assert_eq!(line["top10"], expected["top10"][user.to_string()], "user {user}");
        let own = line["paths"].as_array().unwrap();
        let probabilities = line["probabilities"].as_array().unwrap();
        assert_eq!(own.len(), probabilities.len());
        let total: f64 = probabilities.iter().map(|p| p.as_f64().unwrap()).sum();
        assert!(total > 0.0 && total <= 1.0 + 1e-6, "user {user}: {total}");
        paths.extend(own.iter().map(Value::to_string));
    }
    let golden: Vec<String> =
        expected["paths"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(paths.len(), golden.len());
    assert_eq!(BTreeSet::from_iter(paths), BTreeSet::from_iter(golden));

    for split in ["valid", "all_users"] {
        for (name, value) in expected["metrics"][split].as_object().unwrap() {
            let words = |line: &str| -> Vec<String> {
                line.split_whitespace().map(str::to_owned).collect()
            };
            let line = printed.lines().map(words).find(|w| w[0] == split && w[1] == *name).unwrap();
            let found: f64 = line[2].parse().unwrap();
            let value = value.as_f64().unwrap();
            assert!((found - value).abs() < 1.01e-4, "{split} {name}: {found}, not {value}");
        }
    }

    // Once more from the store, as JSON, for a part of the users.
    let again = lab.done(&args);
    assert_eq!(again, printed);
    let args = lab.recommend(&["--agent", "pgpr", "--users", "3", "--output", "json"]);
    let metrics: Value = serde_json::from_str(&lab.done(&args)).unwrap();
    assert!(metrics.as_array().unwrap().iter().any(|m| m["name"] == "users_left_out"));
    let part = fs::read_to_string(lab.path("out.jsonl")).unwrap();
    let part: Vec<Value> = part.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(part.len(), 3);
    assert!(part.iter().zip(&lines).all(|(a, b)| a["top10"] == b["top10"]));
}

#[test]
fn weights_that_do_not_fit_are_refused_and_leave_nothing() {
    let lab = Lab::new();
    let [embeddings, policy] = [lab.golden("embeddings"), lab.golden("policy")];
    let with_policy =
        |policy: String| fault(&lab.refused(&lab.import("tiny", &embeddings, &policy)));
    let with_embeddings = |file: String| fault(&lab.refused(&lab.import("tiny", &file, &policy)));

    insta::assert_snapshot!(with_policy(lab.changed("policy", "l2.weight", Some(255))), @"tensor `l2.bias` has shape [256], expected [255]");
    insta::assert_snapshot!(with_policy(lab.changed("policy", "actor.bias", Some(20))), @"tensor `actor.bias` has shape [20], expected [21]");
    insta::assert_snapshot!(with_policy(lab.changed("policy", "critic.weight", None)), @"tensor `critic.weight` is missing; a policy has l1.weight, l1.bias, l2.weight, l2.bias, actor.weight, actor.bias, critic.weight, critic.bias");
    insta::assert_snapshot!(with_policy(embeddings.clone()), @"tensor `l1.weight` is missing; a policy has l1.weight, l1.bias, l2.weight, l2.bias, actor.weight, actor.bias, critic.weight, critic.bias");
    insta::assert_snapshot!(with_embeddings(lab.changed("embeddings", "word", Some(89))), @"tensor `word` in embeddings.safetensors has shape [89, 100]; the dataset needs [90, 100]");
    insta::assert_snapshot!(with_embeddings(lab.changed("embeddings", "brand", None)), @"embeddings.safetensors has no tensor `brand`; the dataset needs one of shape [7, 100]");
    insta::assert_snapshot!(with_embeddings("nowhere.safetensors".to_owned()), @"could not read nowhere.safetensors: No such file or directory (os error 2)");
    // Embeddings of another dimension than the network's states are made of.
    insta::assert_snapshot!(with_embeddings(narrow(&lab)), @"tensor `l1.weight` takes states of 400 numbers; with embeddings of dimension 50 a state has 100, 200 or 300 (history 0, 1 or 2)");
    // The embedded dataset has other numbers of entities.
    insta::assert_snapshot!(fault(&lab.refused(&lab.import("embedded", &embeddings, &policy))), @"tensor `user` in GOLDEN/embeddings.safetensors has shape [40, 100]; the dataset needs [500, 100]");
    insta::assert_snapshot!(lab.refused(&lab.import("beauty", &embeddings, &policy)), @"error: there is no dataset `beauty` (known: embedded, tiny); import it with `advrec data import DIR --name beauty`, or say with --data-root where its folder is");

    let known = lab.done(&["query", "--format", "json", "SELECT count(*) AS n FROM imports"]);
    assert_eq!(serde_json::from_str::<Value>(&known).unwrap()[0]["n"], 0);
    for kind in ["embedding", "agent"] {
        let folder = lab.path(".advrec/artefacts").join(kind);
        assert!(fs::read_dir(folder).into_iter().flatten().next().is_none(), "{kind} left");
    }
}

/// What is wrong with a file, without the file's name in front.
fn fault(message: &str) -> String {
    let message = message.trim_start_matches("error: ");
    match message.split_once(": ") {
        Some((file, fault)) if file.ends_with(".safetensors") && !file.contains(' ') => {
            fault.into()
        }
        _ => message.to_owned(),
    }
}

/// The golden embeddings with vectors of half the length.
fn narrow(lab: &Lab) -> String {
    let bytes = fs::read(lab.golden("embeddings")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let halves: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let mut shape = view.shape().to_vec();
            *shape.last_mut().unwrap() /= 2;
            let data: Vec<u8> =
                view.data().chunks(400).flat_map(|row| &row[..200]).copied().collect();
            (name, view.dtype(), shape, data)
        })
        .collect();
    let views = halves.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(lab.path("narrow.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    "narrow.safetensors".to_owned()
}

#[test]
fn what_recommend_refuses() {
    let lab = Lab::with_weights();
    let refused = |more: &[&str]| {
        let message = lab.refused(&lab.recommend(more));
        assert!(!lab.path("out.jsonl").exists());
        message
    };
    insta::assert_snapshot!(refused(&["--agent", "pgpr", "--max-actions", "250"]), @"error: --max-actions 250: the agent's network was made for 20");
    insta::assert_snapshot!(refused(&["--agent", "ppgr"]), @r#"error: --agent ppgr: neither imported weights (known: pgpr) nor the start of a trained agent's key (at least 6 digits; see `advrec query "SELECT key FROM stages WHERE kind = 'agent'"`)"#);
    insta::assert_snapshot!(refused(&["--agent", "pgpr", "--users", "5..5"]), @r#"error: --users "5..5": expected A..B with A < B, a number, or all"#);
    let other = ["recommend", "--dataset", "embedded", "--agent", "pgpr", "--out", "out.jsonl"];
    insta::assert_snapshot!(
        lab.refused(&other),
        @"error: --agent pgpr: its weights belong to dataset tiny, not embedded"
    );
    let flat =
        ["recommend", "--dataset", "tiny", "--agent", "pgpr", "--topk", "25,0,1", "--out", "x"];
    insta::assert_snapshot!(lab.refused(&flat), @"error: --topk: three numbers of at least 1, such as 25,5,1");

    let beyond = lab.recommend(&["--agent", "pgpr", "--users", "0..41"]);
    let output = lab.run(&beyond.iter().map(String::as_str).collect::<Vec<_>>());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{stderr}");
    assert!(stderr.contains("users 0..41 are asked for"), "{stderr}");
    assert!(!lab.path("out.jsonl").exists());
}

#[test]
fn a_grid_attacks_imported_weights() {
    let lab = Lab::with_weights();
    let grid = "\
name: imported
dataset: tiny
agent: {imported: pgpr}
rollout: {topk: [12, 5, 1]}
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}, {id: fgsm_l2, epsilon: 1.0, objective: policy}]
";
    fs::write(lab.path("grid.yaml"), grid).unwrap();
    lab.done(&["sweep", "grid.yaml"]);
    let rows = lab.done(&[
        "query",
        "--format",
        "json",
        "SELECT agent, attack, objective, value FROM table1
         WHERE metric = 'hr' AND split = 'all_users' AND agent <> 'direct' ORDER BY attack",
    ]);
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    let words: Vec<String> =
        rows.iter().map(|r| format!("{} {} {}", r["agent"], r["attack"], r["objective"])).collect();
    insta::assert_snapshot!(words.join("\n"), @r#"
    "imported:pgpr" "fgsm_l2" "policy"
    "imported:pgpr" "fgsm_linf" "value"
    "imported:pgpr" "none" null
    "#);
    // The clean row is the golden one.
    assert_eq!(rows[2]["value"], 30.0);
    let flips = lab.done(&[
        "query",
        "--format",
        "json",
        "SELECT value FROM metrics WHERE name = 'flip_rate' AND split = 'all'",
    ]);
    let flips: Vec<Value> = serde_json::from_str(&flips).unwrap();
    assert_eq!(flips.len(), 2);
    assert!(flips.iter().all(|f| f["value"].as_f64().unwrap() > 0.0), "{flips:?}");
}
