//! The views `flags` and `drift` over a database that is written by hand.

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
        self.cell(id, params, &[&rank, &walk]);
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
            let sql = "INSERT INTO stage_inputs (stage_key, role, input_key) VALUES (?, ?, ?)";
            book.0.execute(sql, (key, role, format!("walk{cell}"))).unwrap();
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
