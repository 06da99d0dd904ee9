//! A grid with everything that the page shows, as if it had been swept: two datasets, attacks on every step and
//! at chosen ones, noise, drift, two detectors.

use crate::swept;
use advrec::plan::{Metric, Stage, StageKind};
use rusqlite::Connection;
use serde_json::json;
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

/// A number from 0 to 1 that a stage always has.
fn chance(stage: &Stage, more: &str) -> f64 {
    let hash = blake3::hash(format!("{}{more}", stage.key()).as_bytes());
    f64::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) / 65535.0
}

fn result(stage: &Stage) -> Vec<Metric> {
    let all = |names: &[&str]| -> Vec<Metric> {
        names.iter().map(|name| Metric::new(*name, "all", chance(stage, name), 100)).collect()
    };
    match stage.kind {
        StageKind::Rollout => {
            let frequency = stage.params.get("frequency").and_then(|value| value.as_f64());
            let mut metrics = all(&["linf_mean"]);
            metrics.push(Metric::new("realised_frequency", "all", frequency.unwrap_or(1.0), 100));
            if stage.params.get("objective").and_then(|value| value.as_str()) == Some("policy") {
                metrics.push(Metric::new("zero_gradient_share", "all", 0.5, 100));
            }
            metrics
        }
        StageKind::Ranking | StageKind::Direct => {
            let mut metrics = vec![Metric::new("users_left_out", "all", 20.0, 120)];
            for name in ["ndcg", "recall", "hr", "precision"] {
                for split in ["valid", "all_users"] {
                    let value = 1.0 + 9.0 * chance(stage, &format!("{name} {split}"));
                    metrics.push(Metric::new(name, split, value, 100));
                }
            }
            metrics
        }
        StageKind::Drift => all(&["mmd_biased", "p_value"]),
        StageKind::Detection => {
            let mut metrics = all(&["precision", "recall", "f1", "auroc", "auprc", "fpr_at_95_tpr"]);
            metrics.retain(|metric| metric.name != "precision" || metric.value > 0.3);
            metrics
        }
        StageKind::Embedding => {
            let epochs = (1..=5).map(f64::from);
            epochs.map(|e| Metric::new("train_loss", format!("epoch/{e}"), 9.0 / e, 100)).collect()
        }
        _ => Vec::new(),
    }
}

/// Records the grid in a folder.
pub fn sweep(folder: &Path) {
    swept::sweep(folder, GRID, |stage| {
        let provenance = json!({
            "version": "0.1.0", "git_commit": "0123456789abcdef0123", "git_dirty": true, "libtorch": "2.11.0",
            "cuda": null, "device": "cpu", "device_name": "a processor", "host": "h",
        });
        (result(stage), provenance.as_object().unwrap().clone())
    });
    let db = Connection::open(folder.join("advrec.db")).unwrap();
    db.execute_batch(
        r#"UPDATE cells SET params = json_set(params, '$.dataset', CASE
               json_extract(params, '$."embedding.dimension"') WHEN 20 THEN 'Amazon_Beauty'
               ELSE 'O''Neill "toys" <&>' END, '$."embedding.dimension"', 20)"#,
    )
    .unwrap();
}
