//! A grid with everything that the page shows, as if it had been swept: two datasets, attacks on every step and
//! at chosen ones, noise, drift, two detectors.

use crate::swept;
use advrec::plan::{Cell, Metric, Plan, Stage, StageKind};
use rusqlite::Connection;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// The embedded dataset stands in for two: two dimensions of its embedding become the two names.
const GRID: &str = "
name: paged
dataset: embedded
seeds: [1, 2]
drift: {compare: all}
axes:
  embedding.dimension: [20, 21]
  detector.method: [gru_attention, logistic]
  attack:
    - none
    - {id: fgsm_l1, epsilon: 0.1}
    - {id: fgsm_linf, epsilon: 0.5}
    - {id: fgsm_linf, epsilon: 0.5, objective: policy}
    - {id: noise_linf, epsilon: 0.5}
    - {id: jsma, timing: random, frequency: 0.25}
    - {id: jsma, timing: random, frequency: 0.5}
";

/// A number from 0 to 1 that a cell always has.
fn chance(cell: &str, name: &str) -> f64 {
    let hash = blake3::hash(format!("{cell} {name}").as_bytes());
    f64::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) / 65535.0
}

/// What a stage of a cell comes to.
fn result(stage: &Stage, cell: &Cell) -> Vec<Metric> {
    let label = cell.label();
    let all = |names: &[&str]| -> Vec<Metric> {
        let metric = |name: &&str| Metric::new(*name, "all", chance(&label, name), 100);
        names.iter().map(metric).collect()
    };
    let is = |name: &str, value: &str| cell.params.text(name) == Some(value);
    match stage.kind {
        StageKind::Rollout => {
            let frequency = cell.params.get("frequency").and_then(|value| value.as_f64());
            let mut metrics = all(&["linf_mean"]);
            metrics.push(Metric::new("realised_frequency", "all", frequency.unwrap_or(1.0), 100));
            if is("objective", "policy") {
                metrics.push(Metric::new("zero_gradient_share", "all", 0.5, 100));
            }
            metrics
        }
        StageKind::Ranking | StageKind::Direct => {
            let taken = match cell.params.text("attack") {
                Some("fgsm_l1") => 2.3,
                Some("fgsm_linf") if is("objective", "policy") => 0.1,
                Some("fgsm_linf") => 2.0,
                Some("jsma") => 0.6,
                _ => 0.0,
            };
            let ndcg = 5.0 - taken + 0.1 * chance(&label, "ndcg");
            let mut metrics = vec![Metric::new("users_left_out", "all", 20.0, 120)];
            for (name, factor) in [("ndcg", 1.0), ("recall", 1.4), ("hr", 3.0), ("precision", 0.4)]
            {
                metrics.push(Metric::new(name, "valid", factor * ndcg, 100));
                metrics.push(Metric::new(name, "all_users", 0.9 * factor * ndcg, 120));
            }
            metrics
        }
        StageKind::Drift => all(&["mmd_biased", "p_value"]),
        // Precision is undefined where nothing is said to be attacked.
        StageKind::Detection if is("detector.method", "logistic") && is("attack", "noise_linf") => {
            all(&["recall", "f1", "auroc", "auprc", "fpr_at_95_tpr"])
        }
        StageKind::Detection => {
            all(&["precision", "recall", "f1", "auroc", "auprc", "fpr_at_95_tpr"])
        }
        StageKind::Embedding => {
            let epochs = (1..=5).map(f64::from);
            epochs.map(|e| Metric::new("train_loss", format!("epoch/{e}"), 9.0 / e, 100)).collect()
        }
        _ => Vec::new(),
    }
}

/// Records a grid in a folder, as if it had been swept.
pub fn sweep(folder: &Path, grid: &str) -> Plan {
    let (_, plan) = swept::plan(grid);
    let mut cells: HashMap<String, &Cell> = HashMap::new();
    for cell in &plan.cells {
        for &stage in &cell.stages {
            cells.entry(plan.stages[stage].key.to_string()).or_insert(cell);
        }
    }
    let provenance = json!({
        "version": "0.1.0", "git_commit": "0123456789abcdef0123", "git_dirty": true, "libtorch": "2.11.0",
        "cuda": null, "device": "cpu", "device_name": "a processor", "host": "h",
    });
    swept::sweep(folder, grid, |stage| {
        let cell = cells.get(&stage.key().to_string());
        let metrics = cell.map_or(Vec::new(), |cell| result(stage, cell));
        (metrics, provenance.as_object().unwrap().clone())
    })
}

/// Records the grid with everything in a folder.
pub fn sweep_everything(folder: &Path) {
    sweep(folder, GRID);
    let db = Connection::open(folder.join("advrec.db")).unwrap();
    db.execute_batch(
        r#"UPDATE cells SET params = json_set(params, '$.dataset', CASE
               json_extract(params, '$."embedding.dimension"') WHEN 20 THEN 'Amazon_Beauty'
               ELSE 'O''Neill "toys" <&>' END, '$."embedding.dimension"', 20)"#,
    )
    .unwrap();
}
