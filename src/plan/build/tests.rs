//! Tests of plans.

use super::*;
use crate::plan::{ImportedAgent, NamedSources};
use std::path::Path;

pub(in crate::plan) fn cells(text: &str) -> Vec<Cell> {
    let text = format!("name: g\n{text}");
    let grid = crate::grid::parse(Path::new("g"), &text);
    grid.and_then(|g| g.expand()).unwrap_or_else(|e| panic!("{e}"))
}

pub(in crate::plan) fn sources() -> NamedSources {
    let mut sources = NamedSources::default();
    for name in ["d", "e"] {
        sources.datasets.insert(name.to_owned(), StageKey::of_bytes(name.as_bytes()));
    }
    let import = ImportedAgent {
        dataset: "d".to_owned(),
        embedding: StageKey::of_bytes(b"embedding"),
        agent: StageKey::of_bytes(b"agent"),
    };
    sources.imports.insert("pgpr".to_owned(), import);
    sources
}

pub(in crate::plan) fn plan(text: &str) -> Plan {
    Plan::build(cells(text), &sources()).unwrap()
}

pub(in crate::plan) fn count(plan: &Plan, kind: StageKind) -> usize {
    plan.stages.iter().filter(|s| s.stage.kind == kind).count()
}

fn counts(plan: &Plan) -> [usize; 6] {
    use StageKind::{Agent, Direct, Embedding, Graph, Ranking, Rollout};
    [Graph, Embedding, Agent, Rollout, Ranking, Direct].map(|kind| count(plan, kind))
}

#[test]
fn cells_share_what_they_have_in_common() {
    let plan = plan(
        "dataset: d\nseeds: 3\naxes:\n  attack: [none, {id: fgsm_l2, epsilon: [1, 2]}]\n  \
         agent.epochs: [5, 10]\n",
    );
    assert_eq!(plan.cells.len(), 18);
    assert_eq!(counts(&plan), [1, 3, 6, 18, 18, 3]);
    assert_eq!(plan.stages.iter().find(|s| s.stage.kind == StageKind::Graph).unwrap().cells, 18);
}

#[test]
fn stages_come_after_what_they_need() {
    let plan = plan("dataset: d\nseeds: 2\naxes: {agent.gamma: [0.5, 1]}\n");
    for (i, stage) in plan.stages.iter().enumerate() {
        assert_eq!(stage.key, stage.stage.key());
        assert!(stage.needs.iter().all(|need| *need < i));
        let made: Vec<_> = stage.needs.iter().map(|n| &plan.stages[*n].key).collect();
        let inputs = stage.stage.inputs.iter().filter(|i| i.role != "dataset");
        for input in inputs {
            assert!(made.contains(&&input.key), "{} of {}", input.role, stage.stage.kind);
        }
    }
    for cell in &plan.cells {
        assert_eq!(plan.stages[cell.stages[0]].stage.kind, StageKind::Ranking);
        assert_eq!(plan.stages[cell.stages[1]].stage.kind, StageKind::Direct);
        assert_eq!(cell.stages.len(), 6);
    }
}

#[test]
fn stages_take_their_own_parameters() {
    let plan = plan(
        "dataset: d\nrollout: {users: 5}\nattack: fgsm_l1\nepsilon: 1\ntiming: random\n\
         frequency: 0.5\n",
    );
    let text: Vec<String> = plan
        .stages
        .iter()
        .map(|s| {
            let roles: Vec<_> = s.stage.inputs.iter().map(|i| i.role.as_str()).collect();
            let params = serde_json::to_string(&s.stage.params).unwrap();
            format!("{} {params} {}", s.stage.kind, roles.join(" "))
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    graph {"max_word_frequency":5000,"purchase_needs_words":"auto","tfidf_threshold":0.1,"word_filter":"keep_high"} dataset
    embedding {"batch":64,"clip":5.0,"dimension":100,"epochs":30,"learning_rate":0.5,"method":"transe","negative_bias":"positive_tail","negatives":5,"optimizer":"sgd","seed":1,"subsample":0.0001} dataset graph
    agent {"action_dropout":0.5,"algorithm":"actor_critic","batch":32,"dropout":0.5,"entropy_weight":0.001,"epochs":50,"gamma":0.99,"hidden":[512,256],"history":1,"learning_rate":0.0001,"max_actions":250,"reward":"scaled_dot","seed":1} embedding graph
    rollout {"attack":"fgsm_l1","dropout_at_eval":false,"epsilon":1.0,"frequency":0.5,"objective":"value","seed":1,"timing":"random","topk":[25,5,1],"users":"0..5"} agent embedding graph
    ranking {"cutoff":10} graph rollout
    direct {"cutoff":10,"users":"0..5"} embedding graph
    "#);
}

#[test]
fn a_random_walk_shares_the_embedding_alone() {
    let plan = plan("dataset: d\ninclude:\n  - {agent.algorithm: random_walk}\n");
    assert_eq!(counts(&plan), [1, 1, 2, 2, 2, 1]);
    let walk = plan.stages.iter().rfind(|s| s.stage.kind == StageKind::Agent).unwrap();
    let params = serde_json::to_string(&walk.stage.params).unwrap();
    insta::assert_snapshot!(params, @r#"
    {"algorithm":"random_walk","history":1,"max_actions":250,"seed":1}
    "#);
}

#[test]
fn imported_weights_are_not_trained() {
    let plan = plan("dataset: d\nagent: {imported: pgpr}\n");
    assert_eq!(counts(&plan), [1, 0, 0, 1, 1, 1]);
    let rollout = plan.stages.iter().find(|s| s.stage.kind == StageKind::Rollout).unwrap();
    assert_eq!(rollout.stage.input("agent"), Some(&StageKey::of_bytes(b"agent")));
    let keys: Vec<&str> = plan.cells[0].params.keys().collect();
    assert!(keys.contains(&"agent.imported"));
    assert!(!keys.iter().any(|k| k.starts_with("embedding.") || *k == "agent.epochs"));
}

#[test]
fn what_is_not_known_is_refused() {
    let refused = |text: &str| Plan::build(cells(text), &sources()).unwrap_err().to_string();
    insta::assert_snapshot!(refused("dataset: dd\n"), @"unknown dataset `dd`; did you mean `d`?; known: d, e");
    insta::assert_snapshot!(refused("dataset: d\nagent: {imported: pgrp}\n"), @"unknown import `pgrp`; did you mean `pgpr`?; known: pgpr");
    insta::assert_snapshot!(refused("dataset: e\nagent: {imported: pgpr}\n"), @"import `pgpr` was made for dataset `d`, not for `e`; name that dataset");
    let none = Plan::build(cells("dataset: d\n"), &NamedSources::default()).unwrap_err();
    insta::assert_snapshot!(none, @"unknown dataset `d`; there is none yet: import one first");
}

#[test]
fn cells_read_from_elsewhere_give_the_same_plan() {
    let cells = cells("dataset: d\nseeds: 2\naxes: {agent.epochs: [1, 2]}\n");
    let plan = Plan::build(cells.clone(), &sources()).unwrap();
    // Values that are not shared between cells, as after reading from the database.
    let apart: Vec<Cell> =
        cells.into_iter().map(|c| Cell { params: c.params.to_map().into(), ..c }).collect();
    assert_eq!(Plan::build(apart, &sources()).unwrap(), plan);
}

#[test]
fn direct_can_be_left_out() {
    let plan = plan("dataset: d\nrollout: {direct: false}\n");
    assert_eq!(counts(&plan), [1, 1, 1, 1, 1, 0]);
}

#[test]
fn only_what_results_need_runs() {
    let plan = plan("dataset: d\naxes: {attack: [none, {id: fgsm_l2, epsilon: 1}]}\n");
    let of = |kinds: &[StageKind]| -> Vec<bool> {
        plan.stages.iter().map(|s| kinds.contains(&s.stage.kind)).collect()
    };
    let running = |stored: &[bool]| plan.to_run(stored).iter().filter(|r| **r).count();
    assert_eq!(running(&of(&[])), plan.stages.len());
    assert_eq!(running(&of(&[StageKind::Ranking, StageKind::Direct])), 0);
    // The rollouts are there: two rankings and the direct recommender with graph and embedding.
    assert_eq!(running(&of(&[StageKind::Rollout])), 2 + 1 + 2);
}

pub(in crate::plan) fn stages_of(plan: &Plan, kind: StageKind) -> Vec<&PlannedStage> {
    plan.stages.iter().filter(|s| s.stage.kind == kind).collect()
}

#[test]
fn a_frequency_of_a_rule_that_scores_takes_its_threshold_from_a_calibration() {
    let plan = plan(
        "dataset: d\nepsilon: 1\naxes:\n  attack: [fgsm_l2, fgsm_linf]\n  \
         timing: [random, strategic, oracle]\n  frequency: [0.1, 0.5, 1.0]\n",
    );
    // One for all frequencies; the strategic one for both attacks, the oracle's for each.
    let calibrations = stages_of(&plan, StageKind::Calibration);
    assert_eq!(calibrations.len(), 3);
    let strategic = calibrations[0];
    let params = serde_json::to_string(&strategic.stage.params).unwrap();
    insta::assert_snapshot!(params, @r#"{"dropout_at_eval":false,"seed":1,"timing":"strategic","topk":[25,5,1],"users":"all"}"#);
    assert!(calibrations[1..].iter().all(|c| c.stage.params.contains_key("attack")));
    let with: Vec<&str> = stages_of(&plan, StageKind::Rollout)
        .iter()
        .filter(|s| s.stage.input("calibration").is_some())
        .map(|s| s.stage.params["timing"].as_str().unwrap())
        .collect();
    assert_eq!(with.len(), 12);
    assert!(!with.contains(&"random"));
}

#[test]
fn a_given_threshold_needs_no_calibration() {
    let plan = plan("dataset: d\nattack: fgsm_l2\nepsilon: 1\ntiming: strategic\nthreshold: 0.2\n");
    assert_eq!(count(&plan, StageKind::Calibration), 0);
    let rollout = stages_of(&plan, StageKind::Rollout)[0];
    assert_eq!(rollout.stage.params["threshold"], serde_json::json!(0.2));
    assert!(!rollout.stage.params.contains_key("frequency"));
}

#[test]
fn a_transferred_attack_is_crafted_on_another_agent_of_the_same_embedding() {
    let plan = plan(
        "dataset: d\nattack: fgsm_l2\nepsilon: 1\ntransfer: {algorithm: reinforce}\n\
         axes: {agent.algorithm: [actor_critic]}\n",
    );
    assert_eq!((count(&plan, StageKind::Embedding), count(&plan, StageKind::Agent)), (1, 2));
    let rollout = stages_of(&plan, StageKind::Rollout)[0];
    let surrogate = rollout.stage.input("surrogate").unwrap();
    let made = plan.stages.iter().find(|s| s.key == *surrogate).unwrap();
    assert_eq!(made.stage.params["algorithm"], "reinforce");
    assert!(!rollout.stage.params.contains_key("algorithm"));
    let own = "dataset: d\nattack: fgsm_l2\nepsilon: 1\ntransfer: {seed: 1}\n";
    let refused = Plan::build(cells(own), &sources()).unwrap_err();
    insta::assert_snapshot!(refused, @"`transfer` names the agent that is attacked itself (1); name another, or exclude the cells where the two are the same");
}

#[test]
fn cells_are_compared_within_their_own_seed_and_agent() {
    let grid = |compare: &str| {
        format!(
            "dataset: d\nseeds: 2\ndrift: {{compare: {compare}}}\naxes:\n  attack: [none, \
             {{id: fgsm_l1, epsilon: 0.1}}, {{id: fgsm_l2, epsilon: 1}}, deepfool]\n",
        )
    };
    // With the clean and the l1 cell, themselves among them: 4 + 3 of the 10 pairs a seed.
    let references = plan(&grid("references"));
    assert_eq!(count(&references, StageKind::Drift), 14);
    let all = plan(&grid("all"));
    assert_eq!(count(&all, StageKind::Drift), 20);
    for stage in stages_of(&all, StageKind::Drift) {
        let [one, other] = ["rollout", "other"].map(|role| stage.stage.input(role).unwrap());
        assert!(one <= other, "one order of each pair");
        let cells = if one == other { 1 } else { 2 };
        assert_eq!(stage.cells, cells);
    }
    let running = all.to_run(&vec![false; all.stages.len()]);
    assert!(running.iter().all(|runs| *runs));
}
