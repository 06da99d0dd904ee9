//! A whole sweep by the built programs on the embedded dataset: what it stores, that the number of
//! workers and their order change no bit of it, and that a second one does nothing.

mod lab;

use lab::Lab;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Two seeds of a small agent: clean, and attacked at about half the time steps.
const GRID: &str = "\
name: small
dataset: embedded
seeds: 2
embedding: {dimension: 20, epochs: 2}
agent: {epochs: 1, hidden: [32, 16]}
rollout: {users: 0..130}
axes:
  attack:
    - none
    - {id: fgsm_l1, epsilon: 0.1}
    - {id: noise_linf, epsilon: 0.5, timing: random, frequency: 0.5}
";
/// Numbers in a state: four vectors of dimension 20.
const STATE: f64 = 80.0;

/// What the tests read of a lab.
trait Stored {
    fn numbers(&self) -> [Vec<Value>; 2];
    fn tensors(&self, kind: &str) -> BTreeMap<String, BTreeMap<String, Vec<usize>>>;
}

impl Stored for Lab {
    /// Every number that reports are made of, to the last digit.
    fn numbers(&self) -> [Vec<Value>; 2] {
        [
            self.query("SELECT * FROM metrics ORDER BY stage_key, name, split"),
            self.query("SELECT * FROM table1 ORDER BY agent, parameters, split, metric"),
        ]
    }

    /// Names and shapes of the tensors in each file of the artefacts of a kind.
    fn tensors(&self, kind: &str) -> BTreeMap<String, BTreeMap<String, Vec<usize>>> {
        let folder = self.path(".advrec/artefacts").join(kind);
        let mut found = BTreeMap::new();
        for artefact in fs::read_dir(folder).unwrap() {
            for file in fs::read_dir(artefact.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|e| e != "safetensors") {
                    continue;
                }
                let bytes = fs::read(&path).unwrap();
                let tensors = SafeTensors::deserialize(&bytes).unwrap();
                let shapes =
                    tensors.tensors().into_iter().map(|(name, t)| (name, t.shape().to_vec()));
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                found.insert(name, shapes.collect());
            }
        }
        found
    }
}

/// The sweep that the tests of what is stored look at.
fn swept() -> &'static (Lab, [Vec<Value>; 2]) {
    static SWEPT: OnceLock<(Lab, [Vec<Value>; 2])> = OnceLock::new();
    SWEPT.get_or_init(|| {
        let lab = Lab::lasting("sweep", GRID);
        lab.sweep(&["--jobs", "1"]);
        let numbers = lab.numbers();
        (lab, numbers)
    })
}

/// Metrics of the rollouts under an attack, by seed.
fn rollouts(attack: &str) -> Vec<BTreeMap<String, f64>> {
    let rows = swept().0.query(&format!(
        "SELECT json_extract(s.params, '$.seed') AS seed, m.name, m.value
         FROM stages s JOIN metrics m ON m.stage_key = s.key
         WHERE s.kind = 'rollout' AND m.split = 'all'
           AND json_extract(s.params, '$.attack') = '{attack}'"
    ));
    let of = |seed: u64| {
        let own = rows.iter().filter(move |row| row["seed"] == seed);
        own.map(|r| (r["name"].as_str().unwrap().to_owned(), r["value"].as_f64().unwrap()))
    };
    vec![of(1).collect(), of(2).collect()]
}

#[test]
fn workers_and_order_change_no_bit_and_a_second_sweep_does_nothing() {
    let (first, numbers) = swept();
    for args in [&["--jobs", "2"][..], &["--jobs", "2", "--order-seed", "7"]] {
        let lab = Lab::new(GRID);
        lab.sweep(args);
        for (found, expected) in lab.numbers().iter().zip(numbers) {
            assert_eq!(found.len(), expected.len(), "{args:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found, expected, "{args:?}");
            }
        }
    }
    let stderr = first.sweep(&[]);
    let sentence = stderr.lines().next().unwrap();
    assert!(sentence.starts_with("nothing to do: all "), "{stderr}");
    assert_eq!(&first.numbers(), numbers);
}

#[test]
fn artefacts_hold_what_their_layouts_name() {
    let lab = &swept().0;
    let list = |kind| -> String {
        let files = lab.tensors(kind);
        let line = |(file, tensors): (String, BTreeMap<String, Vec<usize>>)| {
            let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
            format!("{file}: {}", names.join(" "))
        };
        files.into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let kinds = ["dataset", "graph", "embedding", "agent", "rollout", "ranking", "direct"];
    insta::assert_snapshot!(kinds.map(|kind| format!("{kind}\n{}", list(kind))).join("\n"), @r#"
    dataset
    dataset.safetensors: also_bought.offsets also_bought.tails also_viewed.offsets also_viewed.tails belongs_to.offsets belongs_to.tails bought_together.offsets bought_together.tails counts has_words produced_by.offsets produced_by.tails test.products test.users test.word_offsets test.words train.products train.users train.word_offsets train.words
    graph
    graph.safetensors: counts offsets relations tails test.offsets test.products train.offsets train.products
    embedding
    embeddings.safetensors: also_bought also_viewed belongs_to bought_together brand category described_as mentions produced_by product purchase related_product user word
    agent
    policy.safetensors: actor.bias actor.weight critic.bias critic.weight l1.bias l1.weight l2.bias l2.weight
    rollout
    lists.safetensors: list_paths offsets products users
    rollout.safetensors: attacked nodes probabilities relations
    ranking

    direct
    "#);

    let embeddings = &lab.tensors("embedding")["embeddings.safetensors"];
    assert_eq!(embeddings["user"], [500, 20]);
    assert_eq!(embeddings["purchase"], [20]);
    let policy = &lab.tensors("agent")["policy.safetensors"];
    assert_eq!(policy["l1.weight"], [32, STATE as usize]);
    assert_eq!(policy["actor.bias"], [251]);
    let lists = &lab.tensors("rollout")["lists.safetensors"];
    assert_eq!((&lists["users"][..], &lists["products"][..]), (&[130][..], &[130, 10][..]));
}

#[test]
fn perturbations_have_the_sizes_of_their_definitions() {
    let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-4 * expected;
    for fgsm in rollouts("fgsm_l1") {
        let budget = 0.1 * STATE;
        for name in ["l1", "l2", "linf"] {
            for figure in ["mean", "median", "p95"] {
                let found = fgsm[&format!("{name}_{figure}")];
                assert!(near(found, budget), "{name}_{figure} {found}");
            }
        }
        assert_eq!((fgsm["l0_mean"], fgsm["unperturbed_share"]), (1.0, 0.0));
        assert_eq!(fgsm["realised_frequency"], 1.0);
        assert!(fgsm["flip_rate"] > 0.0 && fgsm["flip_rate"] <= 1.0, "{}", fgsm["flip_rate"]);
    }
    for noise in rollouts("noise_linf") {
        assert_eq!((noise["l0_mean"], noise["linf_mean"]), (STATE, 0.5));
        assert!(near(noise["l1_mean"], 0.5 * STATE) && near(noise["l2_mean"], 0.5 * STATE.sqrt()));
        // Five standard deviations of a share of independent draws.
        let tolerance = 2.5 / noise["states"].sqrt();
        let frequency = noise["realised_frequency"];
        assert!((frequency - 0.5).abs() < tolerance, "{frequency} over {} states", noise["states"]);
        assert!(noise["flip_rate"] > 0.0 && noise["flip_rate"] <= 1.0, "{}", noise["flip_rate"]);
    }
    for clean in rollouts("none") {
        assert_eq!(clean["realised_frequency"], 0.0);
        assert!(!clean.contains_key("flip_rate") && !clean.contains_key("l2_mean"));
        // At most 1, 25 and 125 states a user.
        assert!(clean["states"] <= 130.0 * 151.0 && clean["paths"] <= 130.0 * 125.0);
    }
}

#[test]
fn attacked_steps_are_marked_on_the_paths() {
    let folder = swept().0.path(".advrec/artefacts/rollout");
    let mut shares = Vec::new();
    for artefact in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(artefact.unwrap().path().join("rollout.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let marks = tensors.tensor("attacked").unwrap().data().to_vec();
        let steps: u32 = marks.iter().map(|byte| byte.count_ones()).sum();
        shares.push(f64::from(steps) / (3 * marks.len()) as f64);
    }
    shares.sort_by(f64::total_cmp);
    let [clean, other_clean, half, other_half, always, other_always] = shares[..] else {
        panic!("{shares:?}")
    };
    assert_eq!([clean, other_clean, always, other_always], [0.0, 0.0, 1.0, 1.0]);
    assert!(half > 0.4 && other_half < 0.6, "{shares:?}");
}

#[test]
fn seeds_differ_and_table1_averages_them() {
    let lab = &swept().0;
    for (metric, split) in [("train_loss", "epoch/2"), ("train_value_loss", "epoch/1")] {
        let rows = lab.query(&format!(
            "SELECT value FROM metrics WHERE name = '{metric}' AND split = '{split}'"
        ));
        assert_eq!(rows.len(), 2, "{metric}");
        assert_ne!(rows[0]["value"], rows[1]["value"], "{metric}");
    }
    let lists = |artefact: &Path| fs::read(artefact.join("lists.safetensors")).unwrap();
    let folder = fs::read_dir(lab.path(".advrec/artefacts/rollout")).unwrap();
    let mut found: Vec<Vec<u8>> = folder.map(|entry| lists(&entry.unwrap().path())).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 6, "three attacks under two seeds give six different sets of lists");

    let rows = lab.query(
        "SELECT agent, attack, epsilon, timing, frequency, users, realised_frequency, value, n
         FROM table1 WHERE metric = 'hr' AND split = 'all_users' ORDER BY agent, attack",
    );
    let words: Vec<String> = rows
        .iter()
        .map(|row| {
            let fields = ["agent", "attack", "epsilon", "timing", "frequency", "users", "n"];
            fields.map(|field| row[field].to_string().replace('"', "")).join(" ")
        })
        .collect();
    insta::assert_snapshot!(words.join("\n"), @r#"
    actor_critic fgsm_l1 0.1 always null 0..130 2
    actor_critic noise_linf 0.5 random 0.5 0..130 2
    actor_critic none null null null 0..130 2
    direct none null null null 0..130 2
    "#);
    let direct = rows.iter().find(|row| row["agent"] == "direct").unwrap();
    assert!(direct["value"].as_f64().unwrap() > 0.0, "{direct}");
}

#[test]
fn both_algorithms_learn_and_are_attacked_in_one_grid() {
    let lab = Lab::new(
        "\
name: algorithms
dataset: embedded
embedding: {dimension: 20, epochs: 2}
agent: {epochs: 1, hidden: [32, 16]}
rollout: {users: 0..40}
axes:
  agent.algorithm: [actor_critic, reinforce]
  attack: [none, {id: fgsm_linf, epsilon: 0.5}]
",
    );
    lab.sweep(&["--jobs", "1"]);
    let rows = lab.query(
        "SELECT DISTINCT agent, attack, objective FROM table1 WHERE agent <> 'direct'
         ORDER BY agent, attack",
    );
    let words: Vec<String> = rows
        .iter()
        .map(|row| ["agent", "attack", "objective"].map(|f| row[f].to_string()).join(" "))
        .collect();
    insta::assert_snapshot!(words.join("\n").replace('"', ""), @r"
    actor_critic fgsm_linf value
    actor_critic none null
    reinforce fgsm_linf value
    reinforce none null
    ");
    // One embedding, two agents, and the curves of both under the same names.
    let curves = lab.query(
        "SELECT json_extract(s.params, '$.algorithm') AS agent, group_concat(m.name, ' ') AS names
         FROM (SELECT * FROM metrics ORDER BY name) m JOIN stages s ON s.key = m.stage_key
         WHERE s.kind = 'agent' GROUP BY agent",
    );
    assert_eq!(curves.len(), 2);
    for curve in &curves {
        assert_eq!(curve["names"], "train_entropy train_policy_loss train_reward train_value_loss");
    }
    let folder = lab.path(".advrec/artefacts/agent");
    let with_baseline = fs::read_dir(folder).unwrap().filter(|agent| {
        let policy = agent.as_ref().unwrap().path().join("policy.safetensors");
        let bytes = fs::read(policy).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor("baseline_l1.weight").is_ok_and(|t| t.shape() == [32, STATE as usize])
    });
    assert_eq!(with_baseline.count(), 1);
    // The value gradient of the baseline moves every number of a state.
    let moved = lab.query("SELECT value FROM metrics WHERE name = 'linf_median'");
    assert_eq!(moved.len(), 2);
    assert!(moved.iter().all(|m| (m["value"].as_f64().unwrap() - 0.5).abs() < 1e-4), "{moved:?}");
}

/// Every timing rule, an attack by queries and one crafted on another agent, all compared for drift.
const TIMED: &str = "\
name: timed
dataset: embedded
embedding: {dimension: 20, epochs: 2}
agent: {epochs: 1, hidden: [32, 16]}
rollout: {users: 0..100}
drift: {compare: all, paths: 400, permutation_paths: 50, permutations: 99}
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}]
  timing: {values: [random, strategic, strategic_range, oracle], when: {attack: fgsm_linf}}
  frequency: {values: [0.3, 1.0], when: {attack: fgsm_linf}}
include:
  - {attack: fgsm_linf, epsilon: 0.5, timing: strategic, threshold: -1}
  - {attack: fgsm_linf, epsilon: 0.5, transfer.algorithm: reinforce}
  - {attack: spsa, epsilon: 0.1, iterations: 2, samples: 3}
  - {attack: fgsm_l2, epsilon: 0.0}
  - {attack: fgsm_l2, epsilon: 0.0, rollout.dropout_at_eval: true}
";

#[test]
fn timed_transferred_and_estimated_attacks_are_run_and_compared() {
    let lab = Lab::new(TIMED);
    lab.sweep(&[]);
    let rows = lab.query(
        "SELECT json_extract(c.params, '$.attack') AS attack,
                coalesce(json_extract(c.params, '$.timing'), '') AS timing,
                json_extract(c.params, '$.frequency') AS asked,
                json_extract(c.params, '$.\"transfer.algorithm\"') AS transfer,
                m.name, m.value
         FROM cells c JOIN cell_stages cs ON cs.cell_id = c.id JOIN stages s ON s.key = cs.stage_key
         JOIN metrics m ON m.stage_key = s.key
         WHERE s.kind IN ('rollout', 'ranking') AND m.split IN ('all', 'all_users')",
    );
    let value = |attack: &str, timing: &str, asked: Option<f64>, transfer: bool, name: &str| {
        let row = rows.iter().find(|r| {
            r["attack"] == attack
                && r["timing"] == timing
                && r["asked"].as_f64() == asked
                && r["transfer"].is_string() == transfer
                && r["name"] == name
        });
        row.unwrap_or_else(|| panic!("no {name} of {attack} {timing} {asked:?}"))["value"]
            .as_f64()
            .unwrap()
    };
    let timed = |timing: &str, asked, name: &str| value("fgsm_linf", timing, asked, false, name);
    for timing in ["random", "strategic", "strategic_range", "oracle"] {
        // The attack changes which states are walked, and so which scores are met.
        let realised = timed(timing, Some(0.3), "realised_frequency");
        assert!((realised - 0.3).abs() < 0.15, "{timing} {realised}");
        assert_eq!(timed(timing, Some(1.0), "realised_frequency"), 1.0);
        // At every time step all rules are the same attack.
        let ndcg = |timing| timed(timing, Some(1.0), "ndcg");
        assert_eq!(ndcg(timing), ndcg("random"), "{timing}");
    }
    let flips = |timing| timed(timing, Some(0.3), "flip_rate");
    assert!(flips("oracle") >= flips("random"), "{} {}", flips("oracle"), flips("random"));
    assert_eq!(timed("strategic", None, "realised_frequency"), 1.0);
    assert_eq!(timed("strategic", None, "threshold"), -1.0);

    // 2 iterations of 3 pairs of queries each.
    assert_eq!(value("spsa", "always", None, false, "queries_mean"), 12.0);
    assert_eq!(value("spsa", "always", None, false, "iterations_p95"), 2.0);
    assert_eq!(value("fgsm_linf", "always", None, true, "queries_median"), 1.0);
    let own = timed("random", Some(1.0), "linf_mean");
    assert!(
        (own - 0.5).abs() < 1e-6 && own == value("fgsm_linf", "always", None, true, "linf_mean")
    );
    // The baseline of a REINFORCE agent is another critic: another perturbation.
    assert_ne!(
        timed("random", Some(1.0), "flip_rate"),
        value("fgsm_linf", "always", None, true, "flip_rate")
    );

    let drift = lab.query(
        "SELECT attack, coalesce(timing, '') AS timing, coalesce(frequency, 2) AS frequency,
                other_attack, coalesce(other_timing, '') AS other_timing,
                coalesce(other_frequency, 2) AS other_frequency, parameters, metric, value
         FROM drift WHERE split = 'all'",
    );
    let of = |metric: &str| drift.iter().filter(|r| r["metric"] == metric).collect::<Vec<_>>();
    // 13 cells: each with every one, itself among them; the one with dropout with itself alone.
    assert_eq!(of("mmd_biased").len(), 13 * 13 + 1);
    for row in of("mmd_biased") {
        assert!((0.0..=2f64.sqrt()).contains(&row["value"].as_f64().unwrap()), "{row}");
    }
    // An attack that moves nothing leaves the clean paths: what is left is the draw of 400 of them.
    let still = of("mmd2_unbiased")
        .into_iter()
        .find(|r| r["attack"] == "none" && r["other_attack"] == "fgsm_l2");
    assert!(still.unwrap()["value"].as_f64().unwrap().abs() < 0.01, "{still:?}");
    let p =
        of("p_value").into_iter().find(|r| r["attack"] == "none" && r["other_attack"] == "fgsm_l2");
    assert!(p.unwrap()["value"].as_f64().unwrap() > 0.01, "{p:?}");

    let pictures = lab.query(
        "SELECT p.share_1, p.share_2, p.rollout_sequences AS sequences, json_array_length(p.rollout_points)
                AS points FROM stages s LEFT JOIN projections p ON p.stage_key = s.key
         WHERE s.kind = 'drift'",
    );
    assert_eq!(pictures.len(), 13 * 14 / 2 + 1);
    for row in &pictures {
        let number = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{row}"));
        assert!(number("share_1") >= number("share_2") && number("share_2") > 0.0, "{row}");
        assert!(number("share_1") < 1.0 && number("sequences") <= 400.0, "{row}");
        assert_eq!(number("points"), number("sequences").min(200.0), "{row}");
    }

    let report = lab.run(&["report", "--out", "r.md"]);
    assert_eq!(report.status.code(), Some(0));
    let text = fs::read_to_string(lab.path("r.md")).unwrap();
    // That one has no number beside any other in the matrix.
    let matrix = text.split("### Drift between all attacks").nth(1).unwrap();
    let line = matrix.lines().find(|l| l.starts_with("| fgsm_l2") && l.contains("=true")).unwrap();
    assert_eq!(line.matches('–').count(), 13, "{line}");
    for part in ["MMD-org", "### Drift between all attacks", "### Attacks at chosen time steps"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}
