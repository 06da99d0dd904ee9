//! A report over 200,000 numbers is there before anybody has looked away.

mod swept;

use advrec::plan::StageKind;
use advrec::store::Database;
use rusqlite::{Connection, params};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// 2,244 cells of four seeds: attacks of many sizes at many frequencies, with drift and a detector.
const GRID: &str = "\
name: large
dataset: embedded
seeds: 4
drift: {compare: references}
rollout: {direct: false}
detector: {method: gru_attention}
axes:
  attack: [none, {id: [fgsm_l1, fgsm_l2, fgsm_linf, noise_l1, noise_linf], epsilon: [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]}]
  timing: {values: [random, strategic], when: {attack: [fgsm_l1, fgsm_l2, fgsm_linf, noise_l1, noise_linf]}}
  frequency: {values: [0.05, 0.1, 0.2, 0.33, 0.5, 0.66, 0.8, 1.0], when: {attack: [fgsm_l1, fgsm_l2, fgsm_linf, noise_l1, noise_linf]}}
";

/// What the stages of a kind report: as many numbers as the real ones, under their names.
fn metrics(kind: StageKind) -> Vec<(String, String)> {
    let pairs = |names: &[&str], splits: &[&str]| -> Vec<(String, String)> {
        let of = |name: &&str| {
            splits.iter().map(|split| (name.to_string(), split.to_string())).collect::<Vec<_>>()
        };
        names.iter().flat_map(of).collect()
    };
    let counted = |name: &str, split: &str, n: usize| -> Vec<(String, String)> {
        (1..=n).map(|at| (name.to_owned(), format!("{split}/{}", at as f64 / n as f64))).collect()
    };
    match kind {
        StageKind::Ranking => [
            pairs(&["ndcg", "recall", "hr", "precision"], &["valid", "all_users"]),
            pairs(&["users_left_out"], &["all"]),
        ]
        .concat(),
        StageKind::Rollout => [
            pairs(&["realised_frequency", "flip_rate"], &["all", "hop/1", "hop/2", "hop/3"]),
            pairs(
                &[
                    "l0_mean",
                    "l0_median",
                    "l0_p95",
                    "l1_mean",
                    "l1_median",
                    "l1_p95",
                    "l2_mean",
                    "l2_median",
                    "l2_p95",
                    "linf_mean",
                    "linf_median",
                    "linf_p95",
                    "budget_used_max",
                    "budget_used_mean",
                    "paths",
                    "states",
                    "zero_gradient_share",
                    "unperturbed_share",
                    "randomised_victim",
                ],
                &["all"],
            ),
        ]
        .concat(),
        StageKind::Drift => {
            pairs(&["mmd_biased", "mmd2_unbiased", "p_value", "bandwidth"], &["all"])
        }
        StageKind::Detection => [
            pairs(
                &["precision", "recall", "f1", "auroc", "auprc", "fpr_at_95_tpr", "prevalence"],
                &["all"],
            ),
            counted("roc_tpr", "fpr", 26),
            counted("pr_precision", "recall", 20),
            counted("attention_clean", "step", 4),
            counted("attention_attacked", "step", 4),
        ]
        .concat(),
        _ => Vec::new(),
    }
}

/// Writes the database; returns the number of metrics.
fn write(folder: &Path) -> i64 {
    let (row, plan) = swept::plan(GRID);
    let file = folder.join("advrec.db");
    Database::open(&file).unwrap().record_grid(&row, &plan).unwrap();
    let mut db = Connection::open(&file).unwrap();
    let batch = db.transaction().unwrap();
    batch.execute("UPDATE stages SET state = 'done'", []).unwrap();
    for planned in &plan.stages {
        let chance = planned.key.to_string().bytes().map(f64::from).sum::<f64>() / 10_000.0;
        for (name, split) in metrics(planned.stage.kind) {
            batch
                .execute(
                    "INSERT INTO metrics (stage_key, name, split, value, n) VALUES (?1, ?2, ?3, ?4, 100)",
                    params![planned.key.to_string(), name, split, chance],
                )
                .unwrap();
        }
    }
    batch.commit().unwrap();
    db.query_row("SELECT count(*) FROM metrics", [], |row| row.get(0)).unwrap()
}

#[test]
fn two_hundred_thousand_numbers_are_reported_within_three_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = write(folder.path());
    assert!(numbers >= 200_000, "{numbers} metrics");
    // The page has all tables, claims and figures.
    let reports: [(&[&str], u64); 4] = [
        (&["report"], 3),
        (&["report", "--interval", "bootstrap"], 5),
        (&["report", "--conformance"], 3),
        (&["report", "--page", "page.html"], 6),
    ];
    for (arguments, limit) in reports {
        let began = Instant::now();
        let advrec = assert_cmd::cargo::cargo_bin!("advrec");
        let output =
            Command::new(advrec).args(arguments).current_dir(folder.path()).output().unwrap();
        let took = began.elapsed();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{arguments:?}: {:.2} s for {numbers} metrics", took.as_secs_f64());
        // Without optimisation the limit is not the program's.
        if !cfg!(debug_assertions) {
            assert!(took < Duration::from_secs(limit), "{arguments:?} took {took:?}");
        }
    }
}
