//! Which results of a dataset count, and how they are written.

use crate::lab::Lab;
use crate::reported::{refused, told};
use crate::world::{GRID, World, as_claimed, papers, rename, sweep};
use serde_json::Value;

#[test]
fn settings_are_chosen_by_their_size_alone() {
    // Another grid with fewer attacks, in which nothing holds.
    let lab = Lab::new();
    sweep(&lab, GRID, World::Papers);
    let smaller = "name: other\ndataset: embedded\nseeds: 4\nrollout: {users: 0..100}\naxes:\n  attack: [none, \
        {id: fgsm_l1, epsilon: 0.1}, {id: fgsm_linf, epsilon: 0.5}]\n";
    sweep(&lab, smaller, World::Contrary);
    rename(&lab);
    let text = told(&lab, &["report", "--conformance"]);
    let of_attacks = text.split("\n2. ").nth(1).unwrap().split("\n3. ").next().unwrap();
    insta::assert_snapshot!(of_attacks, @r#"
    Most attacks are effective

    - Claim 2: "Our extensive experiments show that most adversarial attacks are effective" (abstract,
      sentence 5; section 3.2 and Table 1)
    - Rule: NDCG under the attack is below that of the clean agent. Margin 0.05: of the clean NDCG:
      less is no effect; the paper counts the 1.9 % that FGSM l2 takes as none, and the least that it
      counts is 29.5 % (Deepfool).
    - Needed: 3, most of the five attacks of Table 1.

    Amazon_Beauty: grid `claims`, all users
      attack                    NDCG          clean      difference  p Holm  seeds  shown  paper  beside
      fgsm_l1 ε=0.1    2.897 ± 0.017  5.013 ± 0.018  -2.115 ± 0.027  <0.001      3    yes  2.695   4.654
      fgsm_l2 ε=1      5.003 ± 0.027  5.013 ± 0.018  -0.009 ± 0.045   0.463      3     no  4.567   4.654
      fgsm_linf ε=0.5  3.204 ± 0.025  5.013 ± 0.018  -1.808 ± 0.008  <0.001      3    yes  2.830   4.654
      jsma             3.388 ± 0.008  5.013 ± 0.018  -1.625 ± 0.018  <0.001      3    yes  2.984   4.654
      deepfool         3.804 ± 0.023  5.013 ± 0.018  -1.209 ± 0.036  <0.001      3    yes  3.280   4.654

    - Claim 2 on `Amazon_Beauty`: holds. Shown by 4 of 5, refuted by 1; needed 3.
    - The paper's own numbers show it, by the same margin and without intervals, for 4 of 5 of these.
    - Other settings, with fewer comparisons or seeds: grid `other`, users 0..100 (open).
    - Numbers of each seed: query 2 at the end.
    "#);
    let alone = told(&lab, &["report", "--conformance", "--grid", "other"]);
    assert!(alone.contains("Amazon_Beauty: grid `other`, users 0..100"), "{alone}");
}

#[test]
fn attacks_on_other_users_are_compared_with_the_clean_agent_on_these() {
    let some = "name: some\ndataset: embedded\nseeds: 3\nrollout: {users: 0..100}\naxes:\n  attack: [none, \
        {id: fgsm_l1, epsilon: 0.1}, {id: fgsm_linf, epsilon: 0.5}]\ninclude:\n  \
        - {attack: [none, jsma], rollout.users: 0..30}\n  - {attack: deepfool, rollout.users: 0..50}\n";
    let lab = papers(some, World::Papers);
    let text = told(&lab, &["report", "--conformance"]);
    let of_attacks = text.split("\n2. ").nth(1).unwrap().split("\n3. ").next().unwrap();
    insta::assert_snapshot!(of_attacks, @r#"
    Most attacks are effective

    - Claim 2: "Our extensive experiments show that most adversarial attacks are effective" (abstract,
      sentence 5; section 3.2 and Table 1)
    - Rule: NDCG under the attack is below that of the clean agent. Margin 0.05: of the clean NDCG:
      less is no effect; the paper counts the 1.9 % that FGSM l2 takes as none, and the least that it
      counts is 29.5 % (Deepfool).
    - Needed: 3, most of the five attacks of Table 1.

    Amazon_Beauty: grid `some`, users 0..100
      attack                      NDCG          clean      difference  p Holm  seeds  shown  paper  beside
      fgsm_l1 ε=0.1      2.908 ± 0.029  5.013 ± 0.028  -2.105 ± 0.041  <0.001      3    yes  2.695   4.654
      fgsm_linf ε=0.5    3.195 ± 0.024  5.013 ± 0.028  -1.818 ± 0.008  <0.001      3    yes  2.830   4.654
      jsma, users 0..30  3.385 ± 0.011  4.996 ± 0.033  -1.612 ± 0.037  <0.001      3    yes  2.984   4.654

    - Claim 2 on `Amazon_Beauty`: holds. Shown by 3 of 5, refuted by 0; needed 3.
    - Not compared: FGSM l2, Deepfool (no result of the clean agent on the same users).
    - The paper's own numbers show it, by the same margin and without intervals, for 3 of 3 of these.
    - Other settings, with fewer comparisons or seeds: grid `some`, users 0..30 (open).
    - Numbers of each seed: query 1 at the end.
    "#);
    let json = told(&lab, &["report", "--conformance", "--output", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let rows = lab.query(json["claims"][1]["judgements"][0]["sql"].as_str().unwrap());
    assert_eq!(rows.iter().filter(|row| row["attack"] == "jsma").count(), 3);
}

#[test]
fn every_format_has_the_document() {
    let lab = as_claimed();
    for (format, sign) in [
        ("markdown", "| 2. Most attacks are effective"),
        ("csv", "2. Most attacks are effective"),
        ("latex", "{}2. Most attacks are effective & holds"),
        ("html", "2. Most attacks are effective"),
    ] {
        let text = told(lab, &["report", "--conformance", "--format", format]);
        assert!(text.contains(sign), "{format}: {text}");
    }
    let message = refused(lab, &["report", "--conformance", "--rows", "attack"]);
    assert!(message.contains("cannot be used with"), "{message}");
    let message = refused(lab, &["report", "--conformance", "--grid", "claim"]);
    insta::assert_snapshot!(message, @"error: the database has no grid `claim`; it has `claims`");
}
