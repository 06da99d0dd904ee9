//! `advrec report`: Table 1 from the database, and what it says when there is little or nothing.

use rusqlite::{Connection, params};
use std::path::Path;
use tempfile::TempDir;

/// A database with a table in place of the view `table1`: the report knows only its columns.
fn database(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("advrec.db")).unwrap();
    db.execute_batch(
        "PRAGMA application_id = 0x61647672;
         PRAGMA user_version = 5;
         CREATE TABLE table1 (grid, dataset, agent, attack, definition, epsilon, objective, timing,
             frequency, users, realised_frequency, split, metric, value, lower, upper, n);
         CREATE TABLE datasets (name PRIMARY KEY, key, source, summary, created);
         CREATE TABLE grids (id PRIMARY KEY, name, digest, yaml, path, created);
         CREATE VIEW latest_grids AS SELECT id, name FROM grids;
         CREATE TABLE cells (id PRIMARY KEY, grid_id, ordinal, params, axes);
         CREATE TABLE cell_stages (cell_id, stage_key);
         CREATE TABLE stages (key PRIMARY KEY, kind, version, params, state);",
    )
    .unwrap();
    db
}

#[derive(Clone, Copy)]
struct Setting<'a> {
    dataset: &'a str,
    agent: &'a str,
    attack: &'a str,
    epsilon: Option<f64>,
    objective: Option<&'a str>,
    /// Frequency of random timing, and the realised one.
    random: Option<(f64, f64)>,
}

const CLEAN: Setting = Setting {
    dataset: "Amazon_Beauty",
    agent: "actor_critic",
    attack: "none",
    epsilon: None,
    objective: None,
    random: None,
};

/// Writes all metrics of a setting: `valid` around `ndcg`, `all_users` a tenth lower.
fn insert(db: &Connection, setting: Setting, ndcg: f64, left_out: f64, seeds: u32) {
    let timing = (setting.attack != "none").then_some(if setting.random.is_some() {
        "random"
    } else {
        "always"
    });
    let row = |split: &str, metric: &str, value: f64| {
        let half = (seeds > 1).then_some(value / 20.0);
        db.execute(
            "INSERT INTO table1 VALUES ('beauty', ?, ?, ?, ?, ?, ?, ?, ?, '0..500', ?, ?, ?, ?, ?, ?, ?)",
            params![
                setting.dataset,
                setting.agent,
                setting.attack,
                setting.attack,
                setting.epsilon,
                setting.objective,
                timing,
                setting.random.map(|r| r.0),
                timing.map(|_| setting.random.map_or(1.0, |r| r.1)),
                split,
                metric,
                value,
                half.map(|h| value - h),
                half.map(|h| value + h),
                seeds
            ],
        )
        .unwrap();
    };
    for (metric, factor) in [("ndcg", 1.0), ("recall", 1.4), ("hr", 3.0), ("precision", 0.36)] {
        row("valid", metric, ndcg * factor);
        row("all_users", metric, ndcg * factor * 0.9);
    }
    row("all", "users_left_out", left_out);
}

fn report(dir: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    assert_cmd::cargo::cargo_bin_cmd!("advrec")
        .current_dir(dir.path())
        .env_remove("ADVREC_DB")
        .arg("report")
        .args(arguments)
        .assert()
}

fn stdout(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn table_1_stands_beside_the_papers_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    let attack = |attack, epsilon| Setting {
        attack,
        epsilon: Some(epsilon),
        objective: attack.starts_with("fgsm").then_some("value"),
        ..CLEAN
    };
    // In another order than the table's.
    insert(&db, Setting { agent: "direct", ..CLEAN }, 5.5, 0.0, 3);
    insert(&db, Setting { agent: "random_walk", ..CLEAN }, 0.4, 7.0, 3);
    insert(&db, attack("noise_linf", 0.5), 4.1, 1.5, 3);
    insert(&db, attack("fgsm_linf", 0.5), 2.9, 20.0, 3);
    insert(&db, Setting { random: Some((0.5, 0.4978)), ..attack("fgsm_linf", 0.5) }, 3.3, 9.0, 3);
    insert(&db, attack("fgsm_l1", 0.2), 2.0, 410.0, 1);
    insert(&db, attack("fgsm_l1", 0.1), 2.7, 400.0, 1);
    insert(&db, attack("fgsm_l2", 1.0), 4.5, 2.0, 3);
    insert(&db, CLEAN, 4.6, 2.0, 3);
    insert(&db, Setting { agent: "imported:theirs", ..CLEAN }, 4.4, 3.0, 1);
    insert(&db, Setting { dataset: "toy_words", ..CLEAN }, 30.0, 0.0, 1);
    let words = r#"{"users": 40, "synthetic_words": true}"#;
    let real = r#"{"users": 500, "synthetic": false}"#;
    for (name, summary) in [("toy_words", words), ("Amazon_Beauty", real)] {
        db.execute("INSERT INTO datasets VALUES (?, 'k', 'import', ?, '')", [name, summary])
            .unwrap();
    }
    drop(db);

    let result = report(&dir, &["--out", "table.md"]).success();
    let text = std::fs::read_to_string(dir.path().join("table.md")).unwrap();
    insta::assert_snapshot!(stderr(&result), @"wrote table.md, with every digit and all notes");
    insta::assert_snapshot!(stdout(&result), @r#"
    Table 1: ranking under attack

    Amazon_Beauty (grid `beauty`, users 0..500)

    valid: users with a full list of ten, as the paper averages
      agent or attack                      NDCG       Recall            HR    Precision  seeds
      Original                      4.60 ± 0.23  6.44 ± 0.32  13.80 ± 0.69  1.66 ± 0.08      3
        paper                              4.65         6.57         13.99         1.68
      fgsm_l1 ε=0.1, value                 2.70         3.78          8.10         0.97      1
        paper                              2.69         3.71          6.60         0.69
      fgsm_l1 ε=0.2, value                 2.00         2.80          6.00         0.72      1
      fgsm_l2 ε=1, value            4.50 ± 0.22  6.30 ± 0.32  13.50 ± 0.68  1.62 ± 0.08      3
        paper                              4.57         6.55         13.75         1.65
      fgsm_linf ε=0.5, value        2.90 ± 0.15  4.06 ± 0.20   8.70 ± 0.44  1.04 ± 0.05      3
        paper                              2.83         3.91          7.35         0.79
      noise_linf ε=0.5              4.10 ± 0.21  5.74 ± 0.29  12.30 ± 0.62  1.48 ± 0.07      3
      random walk                   0.40 ± 0.02  0.56 ± 0.03   1.20 ± 0.06  0.14 ± 0.01      3
      imported:theirs                      4.40         6.16         13.20         1.58      1
        paper                              4.65         6.57         13.99         1.68
      direct recommender (ceiling)  5.50 ± 0.28  7.70 ± 0.38  16.50 ± 0.82  1.98 ± 0.10      3

    all: every user with test items, missing places counted as misses
      agent or attack                      NDCG       Recall            HR    Precision  left out
      Original                      4.14 ± 0.21  5.80 ± 0.29  12.42 ± 0.62  1.49 ± 0.07         2
      fgsm_l1 ε=0.1, value                 2.43         3.40          7.29         0.87       400
      fgsm_l1 ε=0.2, value                 1.80         2.52          5.40         0.65       410
      fgsm_l2 ε=1, value            4.05 ± 0.20  5.67 ± 0.28  12.15 ± 0.61  1.46 ± 0.07         2
      fgsm_linf ε=0.5, value        2.61 ± 0.13  3.65 ± 0.18   7.83 ± 0.39  0.94 ± 0.05        20
      noise_linf ε=0.5              3.69 ± 0.18  5.17 ± 0.26  11.07 ± 0.55  1.33 ± 0.07       1.5
      random walk                   0.36 ± 0.02  0.50 ± 0.03   1.08 ± 0.05  0.13 ± 0.01         7
      imported:theirs                      3.96         5.54         11.88         1.43         3
      direct recommender (ceiling)  4.95 ± 0.25  6.93 ± 0.35  14.85 ± 0.74  1.78 ± 0.09         0

    attacks at chosen time steps
      attack           timing  asked  realised   NDCG valid     NDCG all  seeds
      fgsm_linf ε=0.5  random    0.5     0.498  3.30 ± 0.17  2.97 ± 0.15      3

    toy_words (grid `beauty`, users 0..500)

    valid: users with a full list of ten, as the paper averages
      agent or attack   NDCG  Recall     HR  Precision  seeds
      Original         30.00   42.00  90.00      10.80      1

    all: every user with test items, missing places counted as misses
      agent or attack   NDCG  Recall     HR  Precision  left out
      Original         27.00   37.80  81.00       9.72         0

    Missing
    - 4 rows have a single seed, and so no interval; give the grid more `seeds`.

    - Top 10, in percent; means over seeds ± half of their 95 % t interval. "left out": users without
      a full list of ten.
    - "paper": the published number for the row above it.
    - The dataset `toy_words` is made up, whole or in its review words: its numbers are not results on
      Amazon reviews.
    "#);
    insta::assert_snapshot!(text, @r#"
    # Table 1: ranking under attack

    ## Amazon_Beauty (grid `beauty`, users 0..500)

    | agent or attack              | seeds |          NDCG | paper |        Recall | paper |             HR |  paper |     Precision | paper |      NDCG all |    Recall all |         HR all | Precision all | left out |
    | ---------------------------- | ----: | ------------: | ----: | ------------: | ----: | -------------: | -----: | ------------: | ----: | ------------: | ------------: | -------------: | ------------: | -------: |
    | Original                     |     3 | 4.600 ± 0.230 | 4.654 | 6.440 ± 0.322 | 6.572 | 13.800 ± 0.690 | 13.993 | 1.656 ± 0.083 | 1.675 | 4.140 ± 0.207 | 5.796 ± 0.290 | 12.420 ± 0.621 | 1.490 ± 0.075 |        2 |
    | fgsm_l1 ε=0.1, value         |     1 |         2.700 | 2.695 |         3.780 | 3.714 |          8.100 |  6.599 |         0.972 | 0.693 |         2.430 |         3.402 |          7.290 |         0.875 |      400 |
    | fgsm_l1 ε=0.2, value         |     1 |         2.000 |       |         2.800 |       |          6.000 |        |         0.720 |       |         1.800 |         2.520 |          5.400 |         0.648 |      410 |
    | fgsm_l2 ε=1, value           |     3 | 4.500 ± 0.225 | 4.567 | 6.300 ± 0.315 | 6.555 | 13.500 ± 0.675 | 13.751 | 1.620 ± 0.081 | 1.653 | 4.050 ± 0.202 | 5.670 ± 0.284 | 12.150 ± 0.607 | 1.458 ± 0.073 |        2 |
    | fgsm_linf ε=0.5, value       |     3 | 2.900 ± 0.145 | 2.830 | 4.060 ± 0.203 | 3.909 |  8.700 ± 0.435 |  7.351 | 1.044 ± 0.052 | 0.787 | 2.610 ± 0.131 | 3.654 ± 0.183 |  7.830 ± 0.391 | 0.940 ± 0.047 |       20 |
    | noise_linf ε=0.5             |     3 | 4.100 ± 0.205 |       | 5.740 ± 0.287 |       | 12.300 ± 0.615 |        | 1.476 ± 0.074 |       | 3.690 ± 0.184 | 5.166 ± 0.258 | 11.070 ± 0.553 | 1.328 ± 0.066 |      1.5 |
    | random walk                  |     3 | 0.400 ± 0.020 |       | 0.560 ± 0.028 |       |  1.200 ± 0.060 |        | 0.144 ± 0.007 |       | 0.360 ± 0.018 | 0.504 ± 0.025 |  1.080 ± 0.054 | 0.130 ± 0.006 |        7 |
    | imported:theirs              |     1 |         4.400 | 4.654 |         6.160 | 6.572 |         13.200 | 13.993 |         1.584 | 1.675 |         3.960 |         5.544 |         11.880 |         1.426 |        3 |
    | direct recommender (ceiling) |     3 | 5.500 ± 0.275 |       | 7.700 ± 0.385 |       | 16.500 ± 0.825 |        | 1.980 ± 0.099 |       | 4.950 ± 0.247 | 6.930 ± 0.346 | 14.850 ± 0.742 | 1.782 ± 0.089 |        0 |

    ### Attacks at chosen time steps

    | attack          | timing | asked | realised |          NDCG |      NDCG all |            HR |        HR all | left out | seeds |
    | --------------- | -----: | ----: | -------: | ------------: | ------------: | ------------: | ------------: | -------: | ----: |
    | fgsm_linf ε=0.5 | random |   0.5 |    0.498 | 3.300 ± 0.165 | 2.970 ± 0.148 | 9.900 ± 0.495 | 8.910 ± 0.445 |        9 |     3 |

    ## toy_words (grid `beauty`, users 0..500)

    | agent or attack | seeds |   NDCG | Recall |     HR | Precision | NDCG all | Recall all | HR all | Precision all | left out |
    | --------------- | ----: | -----: | -----: | -----: | --------: | -------: | ---------: | -----: | ------------: | -------: |
    | Original        |     1 | 30.000 | 42.000 | 90.000 |    10.800 |   27.000 |     37.800 | 81.000 |         9.720 |        0 |

    ## Missing

    - 4 rows have a single seed, and so no interval; give the grid more `seeds`.

    ## How to read it

    - All metrics are of the top 10 and in percent: means over seeds ± half of their 95 % Student t interval. One seed has no interval.
    - NDCG, Recall, HR and Precision are `valid`: averaged, as the paper's program does, over the users who get a full list of ten. "left out" is the mean number of users who do not.
    - The columns "all" are `all_users`: averaged over every user with test items, missing places counted as misses. Where many users are left out, `valid` averages a handful of survivors; read "all" then.
    - "paper" is the published number: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based Interactive Recommender Systems, SIGIR 2020, Table 1: adversarial attack results, MMD between benign and adversarial distribution on Amazon Beauty. The paper does not define its attacks to the last detail; rows of more than one definition may stand beside the same number.
    - The dataset `toy_words` is made up, whole or in its review words: its numbers are not results on Amazon reviews.
    "#);
}

#[test]
fn json_holds_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    insert(&database(dir.path()), CLEAN, 4.6, 2.0, 3);
    let result = report(&dir, &["--output", "json"]).success();
    let json: serde_json::Value = serde_json::from_str(&stdout(&result)).unwrap();
    let row = &json["blocks"][0]["rows"][0];
    assert_eq!(row["values"]["valid"]["ndcg"]["mean"], 4.6);
    assert_eq!(row["values"]["all"]["users_left_out"]["n"], 3);
    assert_eq!(row["paper"]["ndcg"], 4.654);
    assert!(dir.path().join("advrec-report.md").is_file());
}

#[test]
fn combinations_that_the_view_cannot_tell_apart_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    insert(&db, CLEAN, 4.6, 2.0, 3);
    insert(&db, CLEAN, 3.6, 2.0, 3);
    report(&dir, &[]).success();
    let text = std::fs::read_to_string(dir.path().join("advrec-report.md")).unwrap();
    let row = text.lines().find(|line| line.contains("Original")).unwrap();
    assert!(row.contains(" several ") && !row.contains("4.600") && !row.contains("3.600"), "{row}");
    assert!(text.contains("query the view `runs`"), "{text}");
    // With the parameters they have a row each, named by what differs.
    db.execute_batch(
        r#"ALTER TABLE table1 ADD COLUMN parameters;
           UPDATE table1 SET parameters = json_object('agent.epochs', CASE WHEN rowid < 10 THEN 10 ELSE 50 END,
                                                      'agent.batch', 32);"#,
    )
    .unwrap();
    report(&dir, &[]).success();
    let text = std::fs::read_to_string(dir.path().join("advrec-report.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|l| l.contains("Original")).collect();
    assert!(rows[0].starts_with("| Original, agent.epochs=10 |     3 | 4.600 ± 0.230 |"), "{text}");
    assert!(rows[1].starts_with("| Original, agent.epochs=50 |     3 | 3.600 ± 0.180 |"), "{text}");
    assert!(!text.contains("several"), "{text}");
}

#[test]
fn unfinished_cells_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    db.execute_batch(
        "INSERT INTO grids VALUES (1, 'beauty', '', '', '', '');
         INSERT INTO cells VALUES (1, 1, 0, '{}', '[]'), (2, 1, 1, '{}', '[]'), (3, 1, 2, '{}', '[]');
         INSERT INTO stages VALUES ('a', 'agent', 1, '{}', 'done'), ('b', 'ranking', 1, '{}', 'failed'),
                                   ('c', 'ranking', 1, '{}', 'pending'), ('d', 'ranking', 1, '{}', 'done');
         INSERT INTO cell_stages VALUES (1, 'a'), (1, 'b'), (2, 'a'), (2, 'c'), (3, 'a'), (3, 'd');",
    )
    .unwrap();
    insta::assert_snapshot!(stdout(&report(&dir, &[]).success()), @r"
    Table 1: ranking under attack

    No cell is finished, so there is nothing to show yet.

    Missing
    - Grid `beauty`: 2 of 3 cells have no result yet, 1 of them failed. `advrec status` shows why.
    ");
    insta::assert_snapshot!(stderr(&report(&dir, &["--grid", "beuaty"]).code(2)), @"error: the database has no grid `beuaty`; it has `beauty`");
}

#[test]
fn nothing_to_report_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let absent = stderr(&report(&dir, &[]).code(2));
    insta::assert_snapshot!(absent, @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    std::fs::write(dir.path().join("advrec.db"), "").unwrap();
    assert_eq!(stderr(&report(&dir, &[]).code(2)), absent);
    std::fs::write(dir.path().join("advrec.db"), "no database at all, just text").unwrap();
    insta::assert_snapshot!(stderr(&report(&dir, &[]).code(2)), @"error: advrec.db is not an SQLite database; choose another file with --db");
    std::fs::remove_file(dir.path().join("advrec.db")).unwrap();
    drop(database(dir.path()));
    insta::assert_snapshot!(stderr(&report(&dir, &["--out", "missing/report.md"]).code(2)), @"error: there is no folder missing to write missing/report.md in; make it, or name another file");
    insta::assert_snapshot!(stdout(&report(&dir, &[]).success()), @r"
    Table 1: ranking under attack

    No cell is finished, so there is nothing to show yet.

    The database has no grid. Run `advrec sweep GRID.yaml` first.
    ");
}
