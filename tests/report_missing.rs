//! Reports of databases that lack what a report is made of: each says what is missing, in every format.

mod lab;
mod reported;
mod swept;

use advrec::plan::{Metric, StageKind};
use advrec::store::Database;
use lab::Lab;
use reported::told;
use rusqlite::Connection;
use serde_json::Map;

const GRID: &str = "\
name: small
dataset: embedded
seeds: [1, 2]
rollout: {direct: false}
axes:
  attack: [none, {id: fgsm_l1, epsilon: 0.1}]
";

/// A database in which this grid is recorded and nothing done.
fn recorded() -> Lab {
    let lab = Lab::new();
    let (row, plan) = swept::plan(GRID);
    let mut db = Database::open(&lab.path("advrec.db")).unwrap();
    db.record_grid(&row, &plan).unwrap();
    lab
}

fn change(lab: &Lab, sql: &str) {
    Connection::open(lab.path("advrec.db")).unwrap().execute_batch(sql).unwrap();
}

/// What each format says, and the page; what comes on standard error belongs to it.
fn all_formats(lab: &Lab) -> Vec<String> {
    let mut all = Vec::new();
    for format in ["terminal", "markdown", "csv", "latex", "html"] {
        for interval in ["t", "bootstrap"] {
            let output = lab.run(&["report", "--format", format, "--interval", interval]);
            assert_eq!(output.status.code(), Some(0), "{format}");
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
            all.push(said.concat());
        }
    }
    told(lab, &["report", "--page", "page.html"]);
    let page = std::fs::read_to_string(lab.path("page.html")).unwrap();
    all.push(page.split("<script>").next().unwrap().to_owned());
    all
}

#[test]
fn a_database_without_grids() {
    let lab = Lab::new();
    drop(Database::open(&lab.path("advrec.db")).unwrap());
    insta::assert_snapshot!(told(&lab, &["report", "--figures", "figures"]), @r"
    Table 1: ranking under attack

    No cell is finished, so there is nothing to show yet.

    The database has no grid. Run `advrec sweep GRID.yaml` first.

    Figures
      figure2: not drawn; it needs NDCG under an attack with `timing: random` or `strategic` at two frequencies or more
      attack-strength: not drawn; it needs NDCG under an attack on every time step with two values of `epsilon` or more
      strength-frequency: not drawn; it needs NDCG under an attack with two values or more of both `epsilon` and `frequency`
      roc: not drawn; it needs the test of a detector (`detector.method`)
      transfer: not drawn; it needs NDCG under an attack that is crafted on another agent (`transfer.algorithm`, `transfer.seed`)
      mmd: not drawn; it needs drift between cells (`drift.compare: references` or `all`)
      pca: not drawn; it needs drift between clean and attacked cells (`drift.compare: references` or `all`), compared by this version
      training: not drawn; it needs a trained embedding, agent or detector with two epochs or more
      seeds: not drawn; it needs NDCG of three seeds or more, clean and under an attack on every time step
      timeline: not drawn; it needs a sweep with attempts that ended
      attention: not drawn; it needs the test of a detector with `detector.method: gru_attention`
    ");
    for text in all_formats(&lab) {
        assert!(
            text.contains("Run `advrec sweep GRID.yaml` first") || text.contains("advrec sweep"),
            "{text}"
        );
    }
}

#[test]
fn a_database_with_failures_alone() {
    let lab = recorded();
    change(
        &lab,
        "UPDATE stages SET state = CASE kind WHEN 'graph' THEN 'failed' ELSE 'blocked' END;
         INSERT INTO attempts (stage_key, worker, state, error)
             SELECT key, 'lab/1/cpu', 'failed', 'no memory' FROM stages WHERE kind = 'graph'",
    );
    insta::assert_snapshot!(told(&lab, &["report"]), @r"
    Table 1: ranking under attack

    No cell is finished, so there is nothing to show yet.

    Missing
    - Grid `small`: 4 of 4 cells have no result yet, 4 of them failed. `advrec status` shows why.
    ");
    for text in all_formats(&lab) {
        assert!(text.contains("4 of them failed") || text.contains("4 failed"), "{text}");
    }
}

/// Sweeps the grid as if its rankings had come to something, with these seeds.
fn results(lab: &Lab, seeds: &str) {
    swept::sweep(&lab.path(""), &GRID.replace("[1, 2]", seeds), |stage| {
        let ranking = stage.kind == StageKind::Ranking;
        let names = ["ndcg", "recall", "hr", "precision"].into_iter().filter(|_| ranking);
        let metric = |name: &str| Metric::new(name, "valid", 4.0, 100);
        (names.map(metric).collect(), Map::new())
    });
}

#[test]
fn a_single_seed_has_no_interval() {
    let lab = Lab::new();
    results(&lab, "[1]");
    insta::assert_snapshot!(told(&lab, &["report"]), @r#"
    Table 1: ranking under attack

    embedded (grid `small`, all users)

    valid: users with a full list of ten, as the paper averages
      agent or attack       NDCG  Recall    HR  Precision  seeds
      Original              4.00    4.00  4.00       4.00      1
      fgsm_l1 ε=0.1, value  4.00    4.00  4.00       4.00      1

    all: every user with test items, missing places counted as misses
      agent or attack       NDCG  Recall  HR  Precision  left out
      Original                 –       –   –          –         –
      fgsm_l1 ε=0.1, value     –       –   –          –         –

    Missing
    - 2 rows have a single seed, and so no interval; give the grid more `seeds`.

    - Top 10, in percent; means over seeds ± half of their 95 % t interval. "left out": users without
      a full list of ten.
    "#);
    for text in all_formats(&lab) {
        assert!(text.contains("a single seed"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }
}

#[test]
fn results_that_are_no_numbers_are_missing() {
    let lab = Lab::new();
    results(&lab, "[1, 2]");
    // A stage that comes to such a number fails, and leaves no metrics.
    change(
        &lab,
        "UPDATE stages SET state = 'failed' WHERE kind = 'ranking' AND key IN (
             SELECT stage_key FROM result_stages
             WHERE kind = 'ranking' AND json_extract(parameters, '$.attack') = 'fgsm_l1');
         DELETE FROM metrics WHERE stage_key IN (SELECT key FROM stages WHERE state = 'failed');
         INSERT INTO attempts (stage_key, worker, state, error)
             SELECT key, 'lab/1/cpu', 'failed', 'metric ndcg/valid is not finite: NaN'
             FROM stages WHERE state = 'failed'",
    );
    insta::assert_snapshot!(told(&lab, &["report"]), @r#"
    Table 1: ranking under attack

    embedded (grid `small`, all users)

    valid: users with a full list of ten, as the paper averages
      agent or attack         NDCG       Recall           HR    Precision  seeds
      Original         4.00 ± 0.00  4.00 ± 0.00  4.00 ± 0.00  4.00 ± 0.00      2

    all: every user with test items, missing places counted as misses
      agent or attack  NDCG  Recall  HR  Precision  left out
      Original            –       –   –          –         –

    Missing
    - Grid `small`: 2 of 4 cells have no result yet, 2 of them failed. `advrec status` shows why.

    - Top 10, in percent; means over seeds ± half of their 95 % t interval. "left out": users without
      a full list of ten.
    "#);
    for text in all_formats(&lab) {
        assert!(text.contains("2 of them failed") || text.contains("not finite: NaN"), "{text}");
    }
}

#[test]
fn a_stage_that_reports_no_number_fails_by_name() {
    let lab = Lab::new();
    let (code, _, _) = lab.sweep(&["--noop", "5", "--noop-params", r#"{"4": {"nan": true}}"#]);
    assert_eq!(code, 1);
    let failures = lab.query("SELECT error FROM failures");
    assert_eq!(failures[0]["error"], "metric index/all is not finite: NaN");
}
