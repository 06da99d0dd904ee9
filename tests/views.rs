//! The views of results over a database that is written by hand.

use rusqlite::Connection;
use serde_json::{Value, json};

/// Metrics of a stage: name, split, value, n.
type Metrics<'a> = &'a [(&'a str, &'a str, f64, i64)];

struct Book(Connection);

impl Book {
    fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        for sql in [
            include_str!("../migrations/0001_initial.sql"),
            include_str!("../migrations/0002_drift_and_flags.sql"),
            include_str!("../migrations/0003_detection.sql"),
            include_str!("../migrations/0004_sweeps.sql"),
            include_str!("../migrations/0005_results_and_projections.sql"),
        ] {
            db.execute_batch(sql).unwrap();
        }
        db.execute(
            "INSERT INTO grids (id, name, digest, yaml, path) VALUES (1, 'g', 'd', '', '')",
            [],
        )
        .unwrap();
        Self(db)
    }

    fn stage(&self, key: &str, kind: &str, metrics: Metrics) {
        let sql =
            "INSERT INTO stages (key, kind, version, params, state) VALUES (?, ?, 1, '{}', 'done')";
        self.0.execute(sql, [key, kind]).unwrap();
        for (name, split, value, n) in metrics {
            let sql =
                "INSERT INTO metrics (stage_key, name, split, value, n) VALUES (?, ?, ?, ?, ?)";
            self.0.execute(sql, (key, name, split, value, n)).unwrap();
        }
    }

    /// A cell with its stages.
    fn cell(&self, id: i64, params: Value, stages: &[&str]) {
        let sql =
            "INSERT INTO cells (id, grid_id, ordinal, params, axes) VALUES (?1, 1, ?1, ?2, '[]')";
        self.0.execute(sql, (id, params.to_string())).unwrap();
        for stage in stages {
            let sql = "INSERT INTO cell_stages (cell_id, stage_key) VALUES (?, ?)";
            self.0.execute(sql, (id, stage)).unwrap();
        }
    }

    /// An attacked or clean cell of 100 users: NDCG, users left out, and metrics of its rollout.
    fn run(&self, id: i64, params: Value, ndcg: f64, left_out: f64, rollout: Metrics) {
        let (walk, rank) = (format!("walk{id}"), format!("rank{id}"));
        self.stage(&walk, "rollout", rollout);
        let ranking = [("ndcg", "all_users", ndcg, 100), ("users_left_out", "all", left_out, 100)];
        self.stage(&rank, "ranking", &ranking);
        self.input(&rank, "rollout", &walk);
        self.cell(id, params, &[&rank, &walk]);
    }

    fn input(&self, stage: &str, role: &str, input: &str) {
        let sql = "INSERT INTO stage_inputs (stage_key, role, input_key) VALUES (?, ?, ?)";
        self.0.execute(sql, [stage, role, input]).unwrap();
    }

    /// A detector, or a test of one with the ends of its interval half of `spread` away.
    fn measured(&self, key: &str, kind: &str, metric: &str, value: f64, spread: f64) {
        let split = if kind == "detector" { "epoch/1" } else { "all" };
        self.stage(key, kind, &[(metric, split, value, 100)]);
        let sql = "UPDATE metrics SET lower = value - ?2, upper = value + ?2 WHERE stage_key = ?1";
        self.0.execute(sql, (key, spread / 2.0)).unwrap();
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

fn params(attack: &str, seed: u64) -> Value {
    let timing = if attack == "none" { Value::Null } else { "always".into() };
    json!({
        "dataset": "d", "seed": seed, "attack": attack, "timing": timing, "agent.epochs": 5,
        "rollout.users": "0..100",
    })
}

const FLAGS: &str =
    "SELECT attack || ' ' || seed || ' ' || flag || ' ' || value || ' ' || reference
    FROM flags ORDER BY attack, seed, flag";

#[test]
fn each_flag_is_raised_by_its_own_cause_and_held_against_its_own_seed() {
    let book = Book::new();
    let linf = |length: f64| [("linf_mean", "all", length, 300)];
    book.run(1, params("none", 1), 5.0, 1.0, &[]);
    book.run(2, params("none", 2), 5.0, 30.0, &[]);
    book.run(3, params("noise_linf", 1), 4.0, 1.0, &linf(0.5));
    // Weaker than the noise of its length; with the users of the clean agent, or one apart.
    book.run(4, params("weak", 1), 4.0, 2.0, &linf(0.5));
    book.run(5, params("strong", 1), 3.9, 2.0, &linf(0.5));
    book.run(6, params("longer", 1), 4.5, 2.0, &linf(0.6));
    // 29 users apart from seed 1's clean agent, none from its own.
    book.run(7, params("same_users", 2), 1.0, 30.0, &linf(0.5));
    book.run(8, params("other_users", 1), 1.0, 30.0, &linf(0.5));
    let figures = [
        ("randomised_victim", "all", 1.0, 300),
        ("zero_gradient_share", "all", 0.02, 300),
        ("budget_used_max", "all", 1.01, 300),
        // Of one hop alone: not what the flags go by.
        ("zero_gradient_share", "hop/1", 1.0, 100),
    ];
    book.run(9, params("unsafe", 1), 1.0, 1.0, &figures);
    let within = [
        ("randomised_victim", "all", 0.0, 300),
        ("zero_gradient_share", "all", 0.01, 300),
        ("budget_used_max", "all", 1.00001, 300),
    ];
    book.run(10, params("safe", 1), 1.0, 1.0, &within);
    insta::assert_snapshot!(book.rows(FLAGS).join("\n"), @r"
    other_users 1 users_changed 30.0 1.0
    unsafe 1 off_budget 1.01 1.0
    unsafe 1 randomised_victim 1.0 0.0
    unsafe 1 zero_gradients 0.02 0.01
    weak 1 weaker_than_noise 4.0 4.0
    ");
}

#[test]
fn drift_stands_on_both_sides_of_a_pair_and_once_on_the_diagonal() {
    let book = Book::new();
    for (id, attack) in [(1, "none"), (2, "fgsm_l1")] {
        for seed in [1, 2] {
            book.run(10 * seed + id, params(attack, seed as u64), 1.0, 0.0, &[]);
        }
    }
    for (key, one, other, mmd) in
        [("s1", 11, 12, 0.4), ("s2", 21, 22, 0.6), ("d1", 11, 11, 0.1), ("d2", 21, 21, 0.3)]
    {
        book.stage(key, "drift", &[("mmd_biased", "all", mmd, 50)]);
        for (role, cell) in [("rollout", one), ("other", other)] {
            book.input(key, role, &format!("walk{cell}"));
            let sql = "INSERT OR IGNORE INTO cell_stages (cell_id, stage_key) VALUES (?, ?)";
            book.0.execute(sql, (cell, key)).unwrap();
        }
    }
    let sql = "SELECT attack || ' from ' || other_attack || ' ' || value || ' of ' || n FROM drift
        ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    fgsm_l1 from none 0.5 of 2
    none from fgsm_l1 0.5 of 2
    none from none 0.2 of 2
    ");
}

/// A cell's parameters with a detector that is trained on an attack of size `trained`.
fn detected(attack: &str, seed: u64, trained: f64) -> Value {
    let mut params = params(attack, seed);
    let detector = json!({
        "detector.method": "gru_attention", "detector.attack": "fgsm_l1", "detector.epsilon": trained,
        "detector.input": "entity", "detector.label": "any_step", "detector.negatives": "clean",
        "detector.split": "by_path", "defense": "none", "agent.hidden": [512, 256], "on": true,
    });
    params.as_object_mut().unwrap().extend(detector.as_object().unwrap().clone());
    params
}

/// Two seeds, two detectors, the clean agent and an attack: every combination a cell, and those that
/// differ in the detector share rollout and ranking.
fn two_detectors() -> Book {
    let book = Book::new();
    for seed in [1, 2] {
        for (at, attack) in [(0, "none"), (1, "fgsm_l2")] {
            let id = 100 * seed as i64 + 10 * at;
            let figures = [
                ("realised_frequency", "all", 0.5 + 0.1 * seed as f64, 100),
                ("zero_gradient_share", "all", 0.5 * at as f64, 100),
            ];
            // Other users than the clean agent's are left out.
            book.run(id, detected(attack, seed, 0.1), 5.0, 30.0 * at as f64, &figures);
            book.cell(
                id + 1,
                detected(attack, seed, 0.2),
                &[&format!("walk{id}"), &format!("rank{id}")],
            );
            for (cell, trained) in [(id, 1), (id + 1, 2)] {
                let (detector, test) = (format!("net{seed}{trained}"), format!("test{cell}"));
                if at == 0 {
                    book.measured(&detector, "detector", "train_loss", trained as f64, 0.0);
                }
                let f1 = 0.1 * (seed + trained + 4 * at as u64) as f64;
                book.measured(&test, "detection", "f1", f1, 0.02 * seed as f64);
                for stage in [detector, test] {
                    let sql = "INSERT INTO cell_stages (cell_id, stage_key) VALUES (?, ?)";
                    book.0.execute(sql, (cell, stage)).unwrap();
                }
            }
        }
    }
    book
}

#[test]
fn cells_that_differ_in_the_detector_alone_are_one_row_of_table_1_and_one_flag() {
    let book = two_detectors();
    let sql =
        "SELECT attack || ' ' || split || ' ' || metric || ' ' || value || ' of ' || n || ' at '
        || realised_frequency || ' ' || defense FROM table1 WHERE metric = 'ndcg' ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    fgsm_l2 all_users ndcg 5.0 of 2 at 0.65 none
    none all_users ndcg 5.0 of 2 at 0.65 none
    ");
    insta::assert_snapshot!(book.rows(FLAGS).join("\n"), @r"
    fgsm_l2 1 users_changed 30.0 0.0
    fgsm_l2 1 zero_gradients 0.5 0.01
    fgsm_l2 2 users_changed 30.0 0.0
    fgsm_l2 2 zero_gradients 0.5 0.01
    ");
    // What names a row is the same text in both views, its arrays and truths as they were.
    let named = "SELECT DISTINCT parameters FROM table1 WHERE attack <> 'none'
        UNION SELECT parameters FROM flags";
    insta::assert_snapshot!(book.rows(named).join("\n"), @r#"{"agent.epochs":5,"agent.hidden":[512,256],"attack":"fgsm_l2","dataset":"d","defense":"none","on":true,"rollout.users":"0..100","timing":"always"}"#);
    let rollouts = "SELECT DISTINCT parameters FROM seeds_summary WHERE kind = 'rollout'
        AND parameters LIKE '%detector%'";
    assert!(book.rows(rollouts).is_empty());
}

#[test]
fn detectors_are_summed_up_once_and_their_tests_are_table_2() {
    let book = two_detectors();
    let sql =
        "SELECT json_extract(parameters, '$.\"detector.epsilon\"') || ' ' || value || ' of ' || n
        || ' ' || parameters FROM seeds_summary WHERE kind = 'detector' ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r#"
    0.1 1.0 of 2 {"agent.epochs":5,"agent.hidden":[512,256],"dataset":"d","detector.attack":"fgsm_l1","detector.epsilon":0.1,"detector.input":"entity","detector.label":"any_step","detector.method":"gru_attention","detector.negatives":"clean","detector.split":"by_path","rollout.users":"0..100"}
    0.2 2.0 of 2 {"agent.epochs":5,"agent.hidden":[512,256],"dataset":"d","detector.attack":"fgsm_l1","detector.epsilon":0.2,"detector.input":"entity","detector.label":"any_step","detector.method":"gru_attention","detector.negatives":"clean","detector.split":"by_path","rollout.users":"0..100"}
    "#);
    let sql = "SELECT printf('%s/%s %s by %s on %s %s: %s %.3f (%.3f to %.3f) of %d, tests %.3f to %.3f, at %.2f',
            dataset, users, attack, method, trained_on, trained_epsilon, metric, value, lower, upper, n,
            test_lower, test_upper, realised_frequency)
        FROM table2 ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    d/0..100 fgsm_l2 by gru_attention on fgsm_l1 0.1: f1 0.650 (0.015 to 1.285) of 2, tests 0.635 to 0.665, at 0.65
    d/0..100 fgsm_l2 by gru_attention on fgsm_l1 0.2: f1 0.750 (0.115 to 1.385) of 2, tests 0.735 to 0.765, at 0.65
    d/0..100 none by gru_attention on fgsm_l1 0.1: f1 0.250 (-0.385 to 0.885) of 2, tests 0.235 to 0.265, at 0.65
    d/0..100 none by gru_attention on fgsm_l1 0.2: f1 0.350 (-0.285 to 0.985) of 2, tests 0.335 to 0.365, at 0.65
    ");
    // One seed has the interval of its test.
    book.0.execute_batch("UPDATE stages SET state = 'pending' WHERE key LIKE 'test2%'").unwrap();
    let sql = "SELECT printf('%s %s %.3f (%.3f to %.3f) of %d', attack, trained_epsilon, value, lower, upper, n)
        FROM table2 ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    fgsm_l2 0.1 0.600 (0.590 to 0.610) of 1
    fgsm_l2 0.2 0.700 (0.690 to 0.710) of 1
    none 0.1 0.200 (0.190 to 0.210) of 1
    none 0.2 0.300 (0.290 to 0.310) of 1
    ");
}

#[test]
fn attacks_that_evade_a_detector_and_defended_agents_keep_its_parameters() {
    let book = Book::new();
    let with = |mut params: Value, name: &str, value: Value| {
        params[name] = value;
        params
    };
    let clean = |id, defense: &str, left_out| {
        let params = with(detected("none", 1, 0.1), "defense", defense.into());
        book.run(id, params, 5.0, left_out, &[]);
    };
    clean(1, "none", 1.0);
    clean(2, "reject", 40.0);
    let attacked = |trained| detected("fgsm_l2", 1, trained);
    book.run(3, with(attacked(0.1), "defense", "reject".into()), 4.0, 41.0, &[]);
    book.run(4, with(attacked(0.1), "adaptive.lambda", 1.0.into()), 3.0, 1.0, &[]);
    book.run(5, with(attacked(0.2), "adaptive.lambda", 1.0.into()), 2.0, 50.0, &[]);
    let sql =
        "SELECT attack || ' ' || value || ' ' || defense || ' λ=' || coalesce(adaptive_lambda, '-')
        || ' ' || coalesce(json_extract(parameters, '$.\"detector.epsilon\"'), '-')
        FROM table1 WHERE metric = 'ndcg' ORDER BY value DESC, defense";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    none 5.0 none λ=- -
    none 5.0 reject λ=- 0.1
    fgsm_l2 4.0 reject λ=- 0.1
    fgsm_l2 3.0 none λ=1.0 0.1
    fgsm_l2 2.0 none λ=1.0 0.2
    ");
    // Each against the clean agent under its own defense.
    insta::assert_snapshot!(book.rows(FLAGS).join("\n"), @"fgsm_l2 1 users_changed 50.0 1.0");
}

#[test]
fn drift_between_cells_that_share_rollouts_has_one_row_a_side() {
    let book = two_detectors();
    // Of the comparison of the clean with the attacked cell, by both detectors' cells; and an attack
    // that evades the first detector.
    let mut evading = detected("fgsm_l2", 1, 0.1);
    evading["adaptive.lambda"] = 2.into();
    book.run(150, evading, 1.0, 0.0, &[]);
    for (key, other, cells) in
        [("far", 110, vec![100, 101, 110, 111]), ("evaded", 150, vec![100, 150])]
    {
        book.stage(key, "drift", &[("mmd_biased", "all", 0.4, 50)]);
        book.input(key, "rollout", "walk100");
        book.input(key, "other", &format!("walk{other}"));
        for cell in cells {
            let sql = "INSERT INTO cell_stages (cell_id, stage_key) VALUES (?, ?)";
            book.0.execute(sql, (cell, key)).unwrap();
        }
    }
    let sql =
        "SELECT attack || ' ' || n || ' from ' || json_extract(parameters, '$.other') FROM drift
        ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r#"
    fgsm_l2 1 from {"attack":"none","on":true,"rollout.users":"0..100","timing":null}
    fgsm_l2 1 from {"attack":"none","on":true,"rollout.users":"0..100","timing":null}
    none 1 from {"adaptive.lambda":2,"attack":"fgsm_l2","detector.attack":"fgsm_l1","detector.epsilon":0.1,"detector.input":"entity","detector.label":"any_step","detector.method":"gru_attention","detector.negatives":"clean","detector.split":"by_path","on":true,"rollout.users":"0..100","timing":"always"}
    none 1 from {"attack":"fgsm_l2","on":true,"rollout.users":"0..100","timing":"always"}
    "#);
}

#[test]
fn points_of_a_comparison_belong_to_the_cells_on_their_side() {
    let book = Book::new();
    for (id, attack) in [(1, "none"), (2, "fgsm_l1")] {
        book.run(id, params(attack, 7), 1.0, 0.0, &[]);
    }
    for (key, one, other) in [("pair", 2, 1), ("halves", 1, 1)] {
        book.stage(key, "drift", &[]);
        for (role, cell) in [("rollout", one), ("other", other)] {
            book.input(key, role, &format!("walk{cell}"));
            let sql = "INSERT OR IGNORE INTO cell_stages (cell_id, stage_key) VALUES (?, ?)";
            book.0.execute(sql, (cell, key)).unwrap();
        }
    }
    book.0
        .execute_batch(
            "INSERT INTO projections VALUES
                ('pair', 0.5, 0.25, 9, 8, '[[1.5, -2.0], [3.0, 4.0]]', '[[5.0, 6.0]]'),
                ('halves', 0.75, 0.125, 4, 4, '[[7.0, 8.0]]', '[[9.0, 10.0]]')",
        )
        .unwrap();
    let sql = "SELECT printf('%s %s %d %s %d: %g, %g of %g, %g', stage_key, attack, seed, side, point, x, y,
            share_1, share_2)
        FROM projected_sequences ORDER BY 1";
    insta::assert_snapshot!(book.rows(sql).join("\n"), @r"
    halves none 7 other 0: 9, 10 of 0.75, 0.125
    halves none 7 rollout 0: 7, 8 of 0.75, 0.125
    pair fgsm_l1 7 rollout 0: 1.5, -2 of 0.5, 0.25
    pair fgsm_l1 7 rollout 1: 3, 4 of 0.5, 0.25
    pair none 7 other 0: 5, 6 of 0.5, 0.25
    ");
    book.0.execute("UPDATE stages SET state = 'pending' WHERE key = 'pair'", []).unwrap();
    assert_eq!(book.rows("SELECT DISTINCT stage_key FROM projected_sequences"), ["halves"]);
    // With its stage goes what was found out by it.
    book.0.execute_batch("PRAGMA foreign_keys = ON; DELETE FROM cell_stages").unwrap();
    book.0.execute("DELETE FROM stages WHERE key = 'pair'", []).unwrap();
    assert_eq!(book.rows("SELECT stage_key FROM projections"), ["halves"]);
    let twice = "INSERT INTO projections SELECT * FROM projections";
    assert!(book.0.execute(twice, []).is_err(), "a stage has one projection");
}
