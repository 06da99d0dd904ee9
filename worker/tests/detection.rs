//! Detection by the built programs on the embedded dataset: what a trained detector finds, that nothing
//! leaks into its tests, attackers that evade it, and agents that defend themselves.

mod lab;

use lab::Lab;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// A seed of the quickstart's agent with detectors trained on fgsm_l1 and on two halves of the clean
/// paths, in both splits.
const GRID: &str = "\
name: detection
dataset: embedded
seeds: 1
embedding: {dimension: 50, epochs: 30}
agent: {epochs: 30, learning_rate: 3e-3, hidden: [128, 64], max_actions: 100}
rollout: {direct: false}
detector: {method: gru_attention, epochs: 6, batch: 256}
axes:
  attack: [none, {id: fgsm_l1, epsilon: 0.1}]
  detector.attack: [none, fgsm_l1]
  detector.split: [by_path, by_user]
";

/// Every kind of detector, adaptive attacks and both defences, on few users.
const EVERY: &str = "\
name: every
dataset: embedded
seeds: 1
embedding: {dimension: 20, epochs: 2}
agent: {epochs: 2, hidden: [32, 16], max_actions: 30}
rollout: {users: 0..90, direct: false}
detector: {epochs: 2}
axes:
  detector.method: [gru_attention, gru, logistic, kernel_density, mahalanobis, lid]
  attack: [none, {id: fgsm_l1, epsilon: 0.1}, {id: noise_l1, epsilon: 0.1, timing: random, frequency: 0.3}]
  defense: {values: [none, reject, adversarial_training], when: {detector.method: gru_attention}}
include:
  - {attack: fgsm_l1, epsilon: 0.1, detector: {method: gru_attention}, adaptive.lambda: [0.0, 5]}
  - {attack: pgd_linf, epsilon: 0.5, detector: {method: gru}, adaptive.lambda: [5]}
  - {attack: fgsm_l1, epsilon: 0.1, detector: {method: gru, negatives: clean_and_noise, input: both}}
  - {attack: fgsm_l1, epsilon: 0.1, detector: {method: gru, label: rollout}, timing: random, frequency: 0.3}
  - {attack: fgsm_l1, epsilon: 0.1, detector: {method: gru, label: any_step}, timing: random, frequency: 0.3}
";

/// What the tests read of a lab.
trait Results {
    fn test(&self, metric: &str, condition: &str) -> [f64; 3];
    fn ndcg(&self, condition: &str) -> f64;
}

impl Results for Lab {
    /// A metric with the ends of its bootstrap interval, where one row of `table2` meets a condition.
    fn test(&self, metric: &str, condition: &str) -> [f64; 3] {
        let rows = self.query(&format!(
            "SELECT value, test_lower, test_upper FROM table2
             WHERE metric = '{metric}' AND {condition}"
        ));
        assert_eq!(rows.len(), 1, "{condition}");
        ["value", "test_lower", "test_upper"].map(|name| rows[0][name].as_f64().unwrap_or(f64::NAN))
    }

    /// NDCG of all users, where one row of `table1` meets a condition.
    fn ndcg(&self, condition: &str) -> f64 {
        let rows = self.query(&format!(
            "SELECT value FROM table1 WHERE metric = 'ndcg' AND split = 'all_users' AND {condition}"
        ));
        assert_eq!(rows.len(), 1, "{condition}");
        rows[0]["value"].as_f64().unwrap()
    }
}

fn detected() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let lab = Lab::lasting("detection", GRID);
        lab.sweep(&[]);
        lab
    })
}

#[test]
fn a_detector_finds_fgsm_l1_and_nothing_between_two_halves() {
    let lab = detected();
    for split in ["by_path", "by_user"] {
        let of = |attack: &str, trained_on: &str| {
            let condition = format!(
                "attack = '{attack}' AND trained_on = '{trained_on}' AND data_split = '{split}'"
            );
            lab.test("auroc", &condition)
        };
        let [auroc, lower, _] = of("fgsm_l1", "fgsm_l1");
        assert!(auroc > 0.9 && lower > 0.9, "{split}: {auroc}, from {lower}");
        // A detector that knew the users or the paths of its test would tell the halves apart.
        for trained_on in ["none", "fgsm_l1"] {
            let [auroc, lower, upper] = of("none", trained_on);
            assert!(
                (lower - 0.005..upper + 0.005).contains(&0.5) && (0.47..0.53).contains(&auroc),
                "{split}, trained on {trained_on}: {auroc} in {lower}..{upper}"
            );
        }
    }
}

/// Whole numbers of a file of arrays, or of a tensor of four-byte ones.
fn integers(path: &Path, name: &str) -> Vec<u32> {
    advrec::data::arrays::ArrayFile::open(path).unwrap().read(name).unwrap()
}

#[test]
fn no_user_of_a_test_has_a_path_in_training() {
    let lab = detected();
    let rows = lab.query(
        "SELECT i.stage_key AS test, i.input_key AS detector
         FROM stage_inputs i JOIN stages s ON s.key = i.stage_key
         WHERE s.kind = 'detection' AND i.role = 'detector'",
    );
    assert_eq!(rows.len(), 8);
    for row in rows {
        let artefacts = lab.path(".advrec/artefacts");
        let file = |kind: &str, name: &str| {
            let key = row[name].as_str().unwrap();
            let found = fs::read_dir(artefacts.join(kind)).unwrap().map(|e| e.unwrap().path());
            found.into_iter().find(|path| path.to_string_lossy().contains(&key[..12])).unwrap()
        };
        let trained = integers(&file("detector", "detector").join("users.safetensors"), "users");
        let tested = integers(&file("detection", "test").join("scores.safetensors"), "users");
        assert!(trained.len() > 50 && tested.len() > 1000);
        assert!(tested.iter().all(|user| trained.binary_search(user).is_err()));
    }
}

#[test]
fn every_detector_attacker_and_defence_runs() {
    let lab = Lab::new(EVERY);
    lab.sweep(&[]);
    let methods = lab.query("SELECT DISTINCT method FROM table2 WHERE metric = 'auroc'");
    assert_eq!(methods.len(), 6);
    // λ = 0 is the attack that knows no detector, to the last bit.
    let own =
        "attack = 'fgsm_l1' AND agent = 'actor_critic' AND defense = 'none' AND timing = 'always'";
    let plain = lab.ndcg(&format!("{own} AND adaptive_lambda IS NULL"));
    assert_eq!(plain, lab.ndcg(&format!("{own} AND adaptive_lambda = 0")));
    assert_ne!(plain, lab.ndcg(&format!("{own} AND adaptive_lambda = 5")));
    // The rest of the sweep's promises, by the numbers.
    let rejected = lab.query("SELECT value FROM metrics WHERE name = 'rejected_share'");
    assert_eq!(rejected.len(), 3);
    let label = |label: &str| {
        let condition = format!("label = '{label}' AND timing = 'random' AND attack = 'fgsm_l1'");
        lab.test("prevalence", &condition)[0]
    };
    let (any_step, rollout) = (label("any_step"), label("rollout"));
    assert!(any_step < 0.5 && rollout == 0.5, "{any_step}, {rollout}");
    let output = lab.run(&["report"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["Table 2", "adaptive λ=5", "reject", "adversarial training", "mahalanobis"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
