//! `advrec report`: Table 2 from the database, below Table 1.

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A database with tables in place of the views: the report knows only their columns.
fn database(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("advrec.db")).unwrap();
    db.execute_batch(
        "PRAGMA application_id = 0x61647672;
         PRAGMA user_version = 5;
         CREATE TABLE table1 (grid, dataset, agent, attack, definition, epsilon, objective, timing,
             frequency, users, realised_frequency, split, metric, value, lower, upper, n, parameters,
             adaptive_lambda, defense);
         CREATE TABLE table2 (grid, dataset, users, agent, defense, attack, epsilon, timing, frequency,
             threshold, realised_frequency, adaptive_lambda, method, trained_on, trained_epsilon, input,
             label, negatives, data_split, split, metric, value, lower, upper, test_lower, test_upper,
             n, parameters);",
    )
    .unwrap();
    db
}

/// A detector: method, training attack with its ε, and parameters that are not the default.
type Detector<'a> = (&'a str, &'a str, Option<f64>, Value);

/// Writes all measures of a test, around `f1`.
fn insert(db: &Connection, dataset: &str, detector: &Detector, test: Value, f1: f64, seeds: u32) {
    let (method, trained_on, trained_epsilon, others) = detector;
    let mut parameters = json!({
        "dataset": dataset, "agent.algorithm": "actor_critic", "defense": "none",
        "rollout.users": "0..500", "timing": "always", "detector.method": method,
        "detector.attack": trained_on, "detector.epsilon": trained_epsilon, "detector.input": "entity",
        "detector.label": "any_step", "detector.negatives": "clean", "detector.split": "by_path",
    });
    for more in [&test, others] {
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    let measures = [
        ("precision", f1 + 0.01),
        ("recall", f1 - 0.01),
        ("f1", f1),
        ("auroc", 0.5 + f1 / 2.0),
        ("auprc", 0.4 + f1 / 2.0),
        ("fpr_at_95_tpr", 1.0 - f1),
        ("prevalence", 0.5),
    ];
    let (text, number) = (|n: &str| parameters[n].as_str(), |n: &str| parameters[n].as_f64());
    for (metric, value) in measures {
        let half = value / 50.0;
        db.execute(
            "INSERT INTO table2 VALUES ('g', ?, '0..500', 'actor_critic', ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?,
                 ?, ?, ?, ?, ?, 'all', ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                dataset,
                text("defense"),
                text("attack"),
                number("epsilon"),
                text("timing").filter(|_| text("attack") != Some("none")),
                number("frequency"),
                number("frequency").map_or(1.0, |f| f + 0.002),
                number("adaptive.lambda"),
                method,
                trained_on,
                trained_epsilon,
                text("detector.input"),
                text("detector.label"),
                text("detector.negatives"),
                text("detector.split"),
                metric,
                value,
                value - half,
                value + half,
                value - half / 2.0,
                value + half / 2.0,
                seeds,
                parameters.to_string(),
            ],
        )
        .unwrap();
    }
}

fn report(dir: &TempDir, arguments: &[&str]) -> String {
    let assert = assert_cmd::cargo::cargo_bin_cmd!("advrec")
        .current_dir(dir.path())
        .env_remove("ADVREC_DB")
        .arg("report")
        .args(arguments)
        .assert()
        .success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn attack(id: &str, epsilon: f64) -> Value {
    json!({"attack": id, "epsilon": epsilon, "objective": "value"})
}

fn with(mut test: Value, name: &str, value: Value) -> Value {
    test[name] = value;
    test
}

/// The text from a line that holds `from` on.
fn from_line<'a>(text: &'a str, from: &str) -> &'a str {
    &text[text.find(from).unwrap()..]
}

#[test]
fn table_2_stands_beside_the_papers_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    let paper: Detector = ("gru_attention", "fgsm_l1", Some(0.1), json!({}));
    // In another order than the table's.
    let random = with(attack("fgsm_l1", 0.1), "timing", "random".into());
    let beauty = |test, f1, seeds| insert(&db, "Amazon_Beauty", &paper, test, f1, seeds);
    beauty(json!({"attack": "none"}), 0.33, 3);
    beauty(attack("noise_l1", 0.1), 0.2, 3);
    beauty(with(attack("fgsm_l1", 0.1), "defense", "reject".into()), 0.9, 3);
    beauty(with(attack("fgsm_l1", 0.1), "adaptive.lambda", 1.0.into()), 0.4, 3);
    beauty(with(random.clone(), "frequency", 0.316.into()), 0.85, 3);
    beauty(with(random, "frequency", 0.4.into()), 0.86, 3);
    beauty(json!({"attack": "deepfool"}), 0.87, 1);
    beauty(attack("fgsm_linf", 0.5), 0.88, 3);
    beauty(attack("fgsm_l1", 0.02), 0.5, 3);
    beauty(attack("fgsm_l1", 0.1), 0.9, 3);
    beauty(with(attack("fgsm_linf", 0.5), "objective", "policy".into()), 0.7, 3);
    insert(&db, "Amazon_Clothing", &paper, attack("fgsm_l2", 1.0), 0.2, 1);
    drop(db);
    let terminal = report(&dir, &["--out", "table.md"]);
    insta::assert_snapshot!(from_line(&terminal, "Table 2"), @r#"
    Table 2: detection of attacked paths

    Amazon_Beauty (grid `g`, users 0..500, actor_critic)

    gru_attention trained on fgsm_l1 ε=0.1
      tested on                                P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.02                       0.510  0.490  0.500 ± 0.010  0.750 ± 0.015  0.650   0.500      3
        paper                              0.823  0.362          0.503
      fgsm_l1 ε=0.1                        0.910  0.890  0.900 ± 0.018  0.950 ± 0.019  0.850   0.100      3
        paper                              0.919  0.890          0.904
      fgsm_l1 ε=0.1, adaptive λ=1          0.410  0.390  0.400 ± 0.008  0.700 ± 0.014  0.600   0.600      3
      fgsm_l1 ε=0.1, random 0.4,           0.870  0.850  0.860 ± 0.017  0.930 ± 0.019  0.830   0.140      3
          realised 0.402
      fgsm_l1 ε=0.1, random 0.316,         0.860  0.840  0.850 ± 0.017  0.925 ± 0.018  0.825   0.150      3
          realised 0.318
        paper                              0.918  0.879          0.898
      fgsm_l1 ε=0.1, reject                0.910  0.890  0.900 ± 0.018  0.950 ± 0.019  0.850   0.100      3
      fgsm_linf ε=0.5, objective="policy"  0.710  0.690  0.700 ± 0.014  0.850 ± 0.017  0.750   0.300      3
        paper                              0.918  0.871          0.894
      fgsm_linf ε=0.5, objective="value"   0.890  0.870  0.880 ± 0.018  0.940 ± 0.019  0.840   0.120      3
        paper                              0.918  0.871          0.894
      deepfool                             0.880  0.860  0.870 ± 0.017  0.935 ± 0.019  0.835   0.130      1
        paper                              0.915  0.840          0.876
      noise_l1 ε=0.1                       0.210  0.190  0.200 ± 0.004  0.600 ± 0.012  0.500   0.800      3
      none (halves of clean paths)         0.340  0.320  0.330 ± 0.007  0.665 ± 0.013  0.565   0.670      3

    Amazon_Clothing (grid `g`, users 0..500, actor_critic)

    gru_attention trained on fgsm_l1 ε=0.1
      tested on        P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l2 ε=1  0.210  0.190  0.200 ± 0.004  0.600 ± 0.012  0.500   0.800      1
        paper      0.541  0.099          0.168

    - P, R, F1: precision, recall and F1 at 0.5; FPR@95: false-positive rate where 95 % of the
      attacked paths are found. ±: half of the 95 % t interval over seeds, of one seed half of its
      bootstrap interval over users.
    - "paper": the published numbers for the row above them.
    "#);
    let text = std::fs::read_to_string(dir.path().join("table.md")).unwrap();
    insta::assert_snapshot!(from_line(&text, "# Table 2"), @r#"
    # Table 2: detection of attacked paths

    ## Amazon_Beauty (grid `g`, users 0..500, actor_critic)

    ### gru_attention trained on fgsm_l1 ε=0.1

    | tested on                                   | seeds |             P | paper |             R | paper |            F1 | paper |         AUROC |         AUPRC |        FPR@95 |
    | ------------------------------------------- | ----: | ------------: | ----: | ------------: | ----: | ------------: | ----: | ------------: | ------------: | ------------: |
    | fgsm_l1 ε=0.02                              |     3 | 0.510 ± 0.010 | 0.823 | 0.490 ± 0.010 | 0.362 | 0.500 ± 0.010 | 0.503 | 0.750 ± 0.015 | 0.650 ± 0.013 | 0.500 ± 0.010 |
    | fgsm_l1 ε=0.1                               |     3 | 0.910 ± 0.018 | 0.919 | 0.890 ± 0.018 | 0.890 | 0.900 ± 0.018 | 0.904 | 0.950 ± 0.019 | 0.850 ± 0.017 | 0.100 ± 0.002 |
    | fgsm_l1 ε=0.1, adaptive λ=1                 |     3 | 0.410 ± 0.008 |       | 0.390 ± 0.008 |       | 0.400 ± 0.008 |       | 0.700 ± 0.014 | 0.600 ± 0.012 | 0.600 ± 0.012 |
    | fgsm_l1 ε=0.1, random 0.4, realised 0.402   |     3 | 0.870 ± 0.017 |       | 0.850 ± 0.017 |       | 0.860 ± 0.017 |       | 0.930 ± 0.019 | 0.830 ± 0.017 | 0.140 ± 0.003 |
    | fgsm_l1 ε=0.1, random 0.316, realised 0.318 |     3 | 0.860 ± 0.017 | 0.918 | 0.840 ± 0.017 | 0.879 | 0.850 ± 0.017 | 0.898 | 0.925 ± 0.018 | 0.825 ± 0.016 | 0.150 ± 0.003 |
    | fgsm_l1 ε=0.1, reject                       |     3 | 0.910 ± 0.018 |       | 0.890 ± 0.018 |       | 0.900 ± 0.018 |       | 0.950 ± 0.019 | 0.850 ± 0.017 | 0.100 ± 0.002 |
    | fgsm_linf ε=0.5, objective="policy"         |     3 | 0.710 ± 0.014 | 0.918 | 0.690 ± 0.014 | 0.871 | 0.700 ± 0.014 | 0.894 | 0.850 ± 0.017 | 0.750 ± 0.015 | 0.300 ± 0.006 |
    | fgsm_linf ε=0.5, objective="value"          |     3 | 0.890 ± 0.018 | 0.918 | 0.870 ± 0.017 | 0.871 | 0.880 ± 0.018 | 0.894 | 0.940 ± 0.019 | 0.840 ± 0.017 | 0.120 ± 0.002 |
    | deepfool                                    |     1 | 0.880 ± 0.018 | 0.915 | 0.860 ± 0.017 | 0.840 | 0.870 ± 0.017 | 0.876 | 0.935 ± 0.019 | 0.835 ± 0.017 | 0.130 ± 0.003 |
    | noise_l1 ε=0.1                              |     3 | 0.210 ± 0.004 |       | 0.190 ± 0.004 |       | 0.200 ± 0.004 |       | 0.600 ± 0.012 | 0.500 ± 0.010 | 0.800 ± 0.016 |
    | none (halves of clean paths)                |     3 | 0.340 ± 0.007 |       | 0.320 ± 0.006 |       | 0.330 ± 0.007 |       | 0.665 ± 0.013 | 0.565 ± 0.011 | 0.670 ± 0.013 |

    ## Amazon_Clothing (grid `g`, users 0..500, actor_critic)

    ### gru_attention trained on fgsm_l1 ε=0.1

    | tested on   | seeds |             P | paper |             R | paper |            F1 | paper |         AUROC |         AUPRC |        FPR@95 |
    | ----------- | ----: | ------------: | ----: | ------------: | ----: | ------------: | ----: | ------------: | ------------: | ------------: |
    | fgsm_l2 ε=1 |     1 | 0.210 ± 0.004 | 0.541 | 0.190 ± 0.004 | 0.099 | 0.200 ± 0.004 | 0.168 | 0.600 ± 0.012 | 0.500 ± 0.010 | 0.800 ± 0.016 |

    ## How to read Table 2

    - Positive is a path of the attacked rollout, by the detector's rule `label`; negative a clean path that no training saw. P, R, F1: precision, recall and F1 where a score of 0.5 or more says attacked; AUPRC: average precision; FPR@95: the false-positive rate at which 95 % of the attacked paths are found. P, F1 and AUPRC depend on the share of attacked paths, which is `prevalence` in the view `table2`.
    - Means over seeds ± half of their 95 % Student t interval; of one seed ± half of its 95 % bootstrap interval over users.
    - The test without an attack is of two halves of the clean paths: AUROC 0.5 is right there.
    - "paper" is the published number: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based Interactive Recommender Systems, SIGIR 2020, Table 2: detection result and factor analysis. The paper names neither the definition of its attacks nor the rule that chose the attacked steps; rows of more than one may stand beside the same number.
    "#);
    let json: Value = serde_json::from_str(&report(&dir, &["--output", "json"])).unwrap();
    assert!(json["blocks"].as_array().unwrap().is_empty(), "Table 1 stays where it was");
    let block = &json["table2"]["blocks"][0];
    assert_eq!(
        (&block["dataset"], &block["trained_epsilon"]),
        (&json!("Amazon_Beauty"), &json!(0.1))
    );
    assert_eq!(block["rows"][1]["values"]["f1"]["mean"], 0.9);
    assert_eq!(block["rows"][1]["paper"]["f1"], 0.904);
}

#[test]
fn detectors_are_compared_by_method_and_by_training() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    let detectors: [Detector; 5] = [
        ("gru_attention", "fgsm_linf", Some(0.5), json!({})),
        ("logistic", "fgsm_l1", Some(0.1), json!({})),
        ("gru_attention", "fgsm_l1", Some(0.1), json!({})),
        ("gru_attention", "fgsm_l1", Some(0.1), json!({"detector.split": "by_user"})),
        ("gru_attention", "none", None, json!({})),
    ];
    for (i, detector) in detectors.iter().enumerate() {
        insert(&db, "toy", detector, attack("fgsm_l1", 0.1), 0.5 + 0.1 * i as f64, 1);
        if i != 4 {
            insert(&db, "toy", detector, attack("fgsm_linf", 0.5), 0.4 + 0.1 * i as f64, 1);
        }
        let evading = with(attack("fgsm_l1", 0.1), "adaptive.lambda", 2.0.into());
        insert(&db, "toy", detector, evading, 0.1, 1);
    }
    // One block has to tell two objectives apart; the others' rows stand beside the right one.
    let policy = with(attack("fgsm_linf", 0.5), "objective", "policy".into());
    insert(&db, "toy", &detectors[2], policy, 0.3, 1);
    drop(db);
    let terminal = report(&dir, &["--out", "table.md"]);
    insta::assert_snapshot!(from_line(&terminal, "Table 2"), @r#"
    Table 2: detection of attacked paths

    toy (grid `g`, users 0..500, actor_critic)

    gru_attention trained on fgsm_l1 ε=0.1
      tested on                                P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                        0.710  0.690  0.700 ± 0.014  0.850 ± 0.017  0.750   0.300      1
      fgsm_l1 ε=0.1, adaptive λ=2          0.110  0.090  0.100 ± 0.002  0.550 ± 0.011  0.450   0.900      1
      fgsm_linf ε=0.5, objective="policy"  0.310  0.290  0.300 ± 0.006  0.650 ± 0.013  0.550   0.700      1
      fgsm_linf ε=0.5, objective="value"   0.610  0.590  0.600 ± 0.012  0.800 ± 0.016  0.700   0.400      1

    gru_attention trained on fgsm_linf ε=0.5
      tested on                        P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                0.510  0.490  0.500 ± 0.010  0.750 ± 0.015  0.650   0.500      1
      fgsm_l1 ε=0.1, adaptive λ=2  0.110  0.090  0.100 ± 0.002  0.550 ± 0.011  0.450   0.900      1
      fgsm_linf ε=0.5              0.410  0.390  0.400 ± 0.008  0.700 ± 0.014  0.600   0.600      1

    gru_attention trained on halves of clean paths
      tested on                        P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                0.910  0.890  0.900 ± 0.018  0.950 ± 0.019  0.850   0.100      1
      fgsm_l1 ε=0.1, adaptive λ=2  0.110  0.090  0.100 ± 0.002  0.550 ± 0.011  0.450   0.900      1

    logistic trained on fgsm_l1 ε=0.1
      tested on                        P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                0.610  0.590  0.600 ± 0.012  0.800 ± 0.016  0.700   0.400      1
      fgsm_l1 ε=0.1, adaptive λ=2  0.110  0.090  0.100 ± 0.002  0.550 ± 0.011  0.450   0.900      1
      fgsm_linf ε=0.5              0.510  0.490  0.500 ± 0.010  0.750 ± 0.015  0.650   0.500      1

    gru_attention trained on fgsm_l1 ε=0.1, split by_user
      tested on                        P      R             F1          AUROC  AUPRC  FPR@95  seeds
      fgsm_l1 ε=0.1                0.810  0.790  0.800 ± 0.016  0.900 ± 0.018  0.800   0.200      1
      fgsm_l1 ε=0.1, adaptive λ=2  0.110  0.090  0.100 ± 0.002  0.550 ± 0.011  0.450   0.900      1
      fgsm_linf ε=0.5              0.710  0.690  0.700 ± 0.014  0.850 ± 0.017  0.750   0.300      1

    F1 by method, trained on fgsm_l1 ε=0.1
      tested on                            gru_attention  logistic
      fgsm_l1 ε=0.1                                0.700     0.600
      fgsm_linf ε=0.5, objective="policy"          0.300         –
      fgsm_linf ε=0.5, objective="value"           0.600     0.500

    AUROC by method, trained on fgsm_l1 ε=0.1
      tested on                            gru_attention  logistic
      fgsm_l1 ε=0.1                                0.850     0.800
      fgsm_linf ε=0.5, objective="policy"          0.650         –
      fgsm_linf ε=0.5, objective="value"           0.800     0.750

    F1 of gru_attention by the attack that it is trained on
      tested on                            fgsm_l1 ε=0.1  fgsm_linf ε=0.5  halves of clean paths
      fgsm_l1 ε=0.1                                0.700            0.500                  0.900
      fgsm_linf ε=0.5, objective="policy"          0.300                –                      –
      fgsm_linf ε=0.5, objective="value"           0.600            0.400                      –

    AUROC of gru_attention by the attack that it is trained on
      tested on                            fgsm_l1 ε=0.1  fgsm_linf ε=0.5  halves of clean paths
      fgsm_l1 ε=0.1                                0.850            0.750                  0.950
      fgsm_linf ε=0.5, objective="policy"          0.650                –                      –
      fgsm_linf ε=0.5, objective="value"           0.800            0.700                      –

    - P, R, F1: precision, recall and F1 at 0.5; FPR@95: false-positive rate where 95 % of the
      attacked paths are found. ±: half of the 95 % t interval over seeds, of one seed half of its
      bootstrap interval over users.
    "#);
    let text = std::fs::read_to_string(dir.path().join("table.md")).unwrap();
    let crossed = from_line(&text, "### F1 by method");
    insta::assert_snapshot!(&crossed[..crossed.find("## How").unwrap()], @r#"
    ### F1 by method, trained on fgsm_l1 ε=0.1

    | tested on                           | gru_attention | logistic |
    | ----------------------------------- | ------------: | -------: |
    | fgsm_l1 ε=0.1                       |         0.700 |    0.600 |
    | fgsm_linf ε=0.5, objective="policy" |         0.300 |        – |
    | fgsm_linf ε=0.5, objective="value"  |         0.600 |    0.500 |

    ### AUROC by method, trained on fgsm_l1 ε=0.1

    | tested on                           | gru_attention | logistic |
    | ----------------------------------- | ------------: | -------: |
    | fgsm_l1 ε=0.1                       |         0.850 |    0.800 |
    | fgsm_linf ε=0.5, objective="policy" |         0.650 |        – |
    | fgsm_linf ε=0.5, objective="value"  |         0.800 |    0.750 |

    ### F1 of gru_attention by the attack that it is trained on

    | tested on                           | fgsm_l1 ε=0.1 | fgsm_linf ε=0.5 | halves of clean paths |
    | ----------------------------------- | ------------: | --------------: | --------------------: |
    | fgsm_l1 ε=0.1                       |         0.700 |           0.500 |                 0.900 |
    | fgsm_linf ε=0.5, objective="policy" |         0.300 |               – |                     – |
    | fgsm_linf ε=0.5, objective="value"  |         0.600 |           0.400 |                     – |

    ### AUROC of gru_attention by the attack that it is trained on

    | tested on                           | fgsm_l1 ε=0.1 | fgsm_linf ε=0.5 | halves of clean paths |
    | ----------------------------------- | ------------: | --------------: | --------------------: |
    | fgsm_l1 ε=0.1                       |         0.850 |           0.750 |                 0.950 |
    | fgsm_linf ε=0.5, objective="policy" |         0.650 |               – |                     – |
    | fgsm_linf ε=0.5, objective="value"  |         0.800 |           0.700 |                     – |
    "#);
}

#[test]
fn without_detections_there_is_no_table_2() {
    let dir = tempfile::tempdir().unwrap();
    drop(database(dir.path()));
    assert!(!report(&dir, &["--out", "table.md"]).contains("Table 2"));
    assert!(!std::fs::read_to_string(dir.path().join("table.md")).unwrap().contains("Table 2"));
    let json: Value = serde_json::from_str(&report(&dir, &["--output", "json"])).unwrap();
    assert!(json.get("table2").is_none());
}

#[test]
fn table_1_names_attacks_that_evade_and_agents_that_are_defended() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path());
    let row = |attack: &str, lambda: Option<f64>, defense: &str| {
        db.execute(
            "INSERT INTO table1 VALUES ('g', 'Amazon_Beauty', 'actor_critic', ?1, ?1, ?2, NULL, ?3, NULL,
                 '0..500', 1.0, 'valid', 'ndcg', 4.0, NULL, NULL, 1, '{}', ?4, ?5)",
            params![
                attack,
                (attack != "none").then_some(0.1),
                (attack != "none").then_some("always"),
                lambda,
                defense
            ],
        )
        .unwrap();
    };
    row("fgsm_l1", Some(1.0), "none");
    row("fgsm_l1", None, "reject");
    row("fgsm_l1", None, "none");
    row("none", None, "adversarial_training");
    row("none", None, "none");
    drop(db);
    let text = report(&dir, &[]);
    let end = text.find("\nall:").unwrap();
    insta::assert_snapshot!(&text[..end], @r"
    Table 1: ranking under attack

    Amazon_Beauty (grid `g`, users 0..500)

    valid: users with a full list of ten, as the paper averages
      agent or attack                 NDCG  Recall     HR  Precision  seeds
      Original                        4.00       –      –          –      1
        paper                         4.65    6.57  13.99       1.68
      Original, adversarial training  4.00       –      –          –      1
      fgsm_l1 ε=0.1                   4.00       –      –          –      1
        paper                         2.69    3.71   6.60       0.69
      fgsm_l1 ε=0.1, adaptive λ=1     4.00       –      –          –      1
      fgsm_l1 ε=0.1, reject           4.00       –      –          –      1
    ");
}
