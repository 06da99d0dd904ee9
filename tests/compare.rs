//! `advrec compare`: two cells over the same seeds, and over the same users where their lists are there.

mod lab;
mod reported;
mod swept;

use advrec::agent::rollout::{CUTOFF, MISSING, Rollout};
use advrec::kg::{Graph, GraphParams};
use advrec::plan::{Plan, StageKind};
use advrec::store::ArtefactStore;
use lab::Lab;
use reported::{GRID, refused, sweep, told};

#[test]
fn metrics_are_compared_over_the_same_seeds() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    insta::assert_snapshot!(told(&lab, &["compare", "attack=none", "attack=jsma"]), @r"
    Two cells compared

    A: cell 1 (attack=none seed=1), seeds 1, 2, 3, 4, 5, 6

    B: cell 19 (attack=jsma seed=1), seeds 1, 2, 3, 4, 5, 6

    over 6 seeds, paired
      metric                  A       B           B − A      d  p perm.  p Wilcoxon  p Holm
      ndcg (valid)        5.000   3.500  -1.500 ± 0.294  -5.35    0.031       0.031   0.125
      recall (valid)      7.000   4.900  -2.100 ± 0.412  -5.35    0.031       0.031   0.125
      hr (valid)         15.000  10.500  -4.500 ± 0.883  -5.35    0.031       0.031   0.125
      precision (valid)   2.000   1.400  -0.600 ± 0.118  -5.35    0.031       0.031   0.125

    - B − A: mean ± half of its 95 % t interval. d: Cohen's d of paired samples. p perm.: permutation
      test of the signs, exact for up to 12 pairs. p Holm: that p corrected for the number of metrics.
    - Only seeds are compared: the store does not have the lists of both.
    ");
    // A cell by its number stands for its seeds.
    let by_number = told(&lab, &["compare", "2", "attack=jsma"]);
    assert_eq!(by_number, told(&lab, &["compare", "attack=none", "attack=jsma"]));
    insta::assert_snapshot!(
        told(&lab, &["compare", "attack=none", "epsilon=0.1,seed=1|2|3", "--metric", "ndcg", "--split", "all_users"]), @r"
    Two cells compared

    A: cell 1 (attack=none seed=1), seeds 1, 2, 3, 4, 5, 6

    B: cell 7 (attack=fgsm_linf epsilon=0.1 seed=1), seeds 1, 2, 3

    over 3 seeds, paired
      metric                A      B           B − A      d  p perm.  p Wilcoxon  p Holm
      ndcg (all_users)  4.545  4.203  -0.342 ± 0.224  -3.80    0.250       0.250   0.250

    - B − A: mean ± half of its 95 % t interval. d: Cohen's d of paired samples. p perm.: permutation
      test of the signs, exact for up to 12 pairs. p Holm: that p corrected for the number of metrics.
    - Of 3 seeds no p-value can be below 0.25.
    - Only seeds are compared: the store does not have the lists of both.
    ");
    let json = told(&lab, &["compare", "1", "attack=jsma", "--metric", "ndcg", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    // Of six differences of one sign two of 64 assignments are as extreme.
    assert_eq!(json["seeds"][0]["permutation_p"], 0.03125);
    assert_eq!(json["seeds"][0]["wilcoxon_p"], 0.03125);
    assert_eq!(json["seeds"][0]["difference"]["n"], 6);
    assert_eq!(json["users"], serde_json::Value::Null);
}

#[test]
fn cells_that_are_none_or_several_are_explained() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    insta::assert_snapshot!(refused(&lab, &["compare", "attack=none", "attack=fgsm_linf"]), @"error: attack=fgsm_linf means 12 cells that differ in `epsilon`; add a value of it, such as attack=none,epsilon=…");
    insta::assert_snapshot!(refused(&lab, &["compare", "1", "2"]), @"error: 1 and 2 are the same cells");
    insta::assert_snapshot!(refused(&lab, &["compare", "1", "100"]), @"error: there is no cell 100; grid small has 24, numbered from 1");
    insta::assert_snapshot!(refused(&lab, &["compare", "1", "attack=jsma", "--metric", "f1"]), @"error: no result has the metric `f1`; there are hr, ndcg, precision, recall, users_left_out");
}

#[test]
fn single_seeds_that_do_not_meet_are_said_to_have_no_pairs() {
    let lab = Lab::new();
    sweep(&lab, GRID);
    let text = told(&lab, &["compare", "attack=none,seed=1", "attack=jsma,seed=2"]);
    assert!(text.contains("No seed has a result of both"), "{text}");
}

/// Gives the rollouts of a plan lists: what each user looks for, first, but nothing for every other user of
/// an attacked agent. Returns how many users look for something, and how many of these are attacked.
fn leave_lists(lab: &Lab, plan: &Plan) -> (usize, usize) {
    let dataset = advrec::data::read_named("embedded", std::path::Path::new(".")).unwrap().dataset;
    let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
    let store = ArtefactStore::open(&lab.path(".advrec")).unwrap();
    for planned in &plan.stages {
        let (stage, key) = (&planned.stage, &planned.key);
        if !matches!(stage.kind, StageKind::Graph | StageKind::Rollout) {
            continue;
        }
        store.remove(stage.kind, key).unwrap();
        let scratch = store.scratch().unwrap();
        if stage.kind == StageKind::Graph {
            graph.save(&scratch).unwrap();
        } else {
            let attacked = stage.params.contains_key("attack")
                && stage.params["attack"] != serde_json::json!("none");
            let mut rollout = Rollout::new();
            for user in 0..graph.test_products.len() as u32 {
                let wanted = graph.test_products.row(user as usize);
                let mut list: Vec<u32> = wanted.iter().copied().take(CUTOFF).collect();
                if attacked && user % 2 == 0 {
                    list.clear();
                }
                list.resize(CUTOFF, MISSING);
                rollout.users.push(user);
                rollout.offsets.push(0);
                rollout.products.extend(list);
                rollout.list_paths.extend([MISSING; CUTOFF]);
            }
            rollout.save(&scratch).unwrap();
        }
        store.publish(&scratch, stage, key, Vec::new(), serde_json::Map::new()).unwrap();
    }
    let looking: Vec<usize> = (0..graph.test_products.len())
        .filter(|&user| !graph.test_products.row(user).is_empty())
        .collect();
    (looking.len(), looking.iter().filter(|user| *user % 2 == 0).count())
}

#[test]
fn users_are_compared_where_the_store_has_their_lists() {
    let lab = Lab::new();
    let plan = sweep(&lab, GRID);
    let (users, attacked) = leave_lists(&lab, &plan);
    assert!(attacked > 50, "{attacked} of {users}");
    let compare = &["compare", "attack=none", "attack=jsma", "--output", "json"];
    let json: serde_json::Value = serde_json::from_str(&told(&lab, compare)).unwrap();
    let of_users = &json["users"];
    assert_eq!(of_users["difference"]["n"], users);
    assert_eq!(of_users["means"][0], 100.0);
    let left = 100.0 * (users - attacked) as f64 / users as f64;
    assert!((of_users["means"][1].as_f64().unwrap() - left).abs() < 1e-9, "{of_users}");
    // None of 9,999 random signs is as extreme.
    assert_eq!(of_users["permutation_p"], 0.0001);
    assert!(of_users["wilcoxon_p"].as_f64().unwrap() < 1e-9, "{of_users}");
    let text = told(&lab, &["compare", "attack=none", "attack=jsma"]);
    assert!(text.contains(&format!("over {users} users, paired")), "{text}");
    assert!(!text.contains("Only seeds are compared"), "{text}");
}
