//! What decides, and what does not.

use crate::lab::Lab;
use crate::reported::told;
use crate::swept;
use crate::world::{GRID, World, papers, sweep, verdicts};
use advrec::store::Database;
use serde_json::Value;

#[test]
fn each_rule_can_refute_and_can_leave_open() {
    insta::assert_snapshot!(verdicts(&papers(GRID, World::Contrary)), @r"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                     Amazon_Beauty
      of the abstract
        1. Attacks shift the paths              does not hold
        2. Most attacks are effective           does not hold
        3. Most attacks beat equal noise        does not hold
        4. Attack strength has an impact        does not hold
        5. Attack frequency has an impact       does not hold
        6. A strategic 1/3 to 1/2 does as much  does not hold
        7. The detector finds other attacks     does not hold
      of the text
        8. FGSM l2 does nothing that shows      does not hold
        9. FGSM l1 is the strongest attack      does not hold
        10. Strategic timing beats random       does not hold
        11. Attacked paths are near each other  does not hold
        12. Most paths under l2 are not found   does not hold
        13. Recall rises with the strength      does not hold
        14. Recall falls with the frequency     does not hold
    ");
    insta::assert_snapshot!(verdicts(&papers(GRID, World::Noisy)), @r"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                      Amazon_Beauty
      of the abstract
        1. Attacks shift the paths              cannot be told
        2. Most attacks are effective           cannot be told
        3. Most attacks beat equal noise        cannot be told
        4. Attack strength has an impact        cannot be told
        5. Attack frequency has an impact       cannot be told
        6. A strategic 1/3 to 1/2 does as much  cannot be told
        7. The detector finds other attacks     cannot be told
      of the text
        8. FGSM l2 does nothing that shows      cannot be told
        9. FGSM l1 is the strongest attack      cannot be told
        10. Strategic timing beats random       cannot be told
        11. Attacked paths are near each other   does not hold
        12. Most paths under l2 are not found   cannot be told
        13. Recall rises with the strength      cannot be told
        14. Recall falls with the frequency     cannot be told
    ");
}

#[test]
fn a_single_seed_tells_nothing() {
    let lab = papers(&GRID.replace("seeds: 3", "seeds: [7]"), World::Papers);
    insta::assert_snapshot!(verdicts(&lab), @r"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                      Amazon_Beauty
      of the abstract
        1. Attacks shift the paths              cannot be told
        2. Most attacks are effective           cannot be told
        3. Most attacks beat equal noise        cannot be told
        4. Attack strength has an impact        cannot be told
        5. Attack frequency has an impact       cannot be told
        6. A strategic 1/3 to 1/2 does as much  cannot be told
        7. The detector finds other attacks     cannot be told
      of the text
        8. FGSM l2 does nothing that shows      cannot be told
        9. FGSM l1 is the strongest attack      cannot be told
        10. Strategic timing beats random       cannot be told
        11. Attacked paths are near each other  cannot be told
        12. Most paths under l2 are not found   cannot be told
        13. Recall rises with the strength      cannot be told
        14. Recall falls with the frequency     cannot be told
    ");
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
      attack            NDCG  clean  difference  p Holm  seeds  shown  paper  beside
      fgsm_l1 ε=0.1    2.888  4.981      -2.092       –      1   open  2.695   4.654
      fgsm_l2 ε=1      4.992  4.981       0.012       –      1   open  4.567   4.654
      fgsm_linf ε=0.5  3.203  4.981      -1.778       –      1   open  2.830   4.654
      jsma             3.396  4.981      -1.585       –      1   open  2.984   4.654
      deepfool         3.787  4.981      -1.194       –      1   open  3.280   4.654

    - Claim 2 on `Amazon_Beauty`: cannot be told. Shown by 0 of 5, refuted by 0; needed 3. A single
      seed has no interval: sweep with `seeds: [1, 2, 3]` or more.
    - The paper's own numbers show it, by the same margin and without intervals, for 4 of 5 of these.
    - Numbers of each seed: query 2 at the end.
    "#);
}

#[test]
fn made_up_data_tells_nothing_of_the_papers() {
    let lab = Lab::new();
    sweep(&lab, GRID, World::Papers);
    insta::assert_snapshot!(verdicts(&lab), @r"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                                  embedded
      of the abstract
        1. Attacks shift the paths                  made up: rule met
        2. Most attacks are effective               made up: rule met
        3. Most attacks beat equal noise            made up: rule met
        4. Attack strength has an impact            made up: rule met
        5. Attack frequency has an impact           made up: rule met
        6. A strategic 1/3 to 1/2 does as much      made up: rule met
        7. The detector finds other attacks         made up: rule met
      of the text
        8. FGSM l2 does nothing that shows          made up: rule met
        9. FGSM l1 is the strongest attack          made up: rule met
        10. Strategic timing beats random           made up: rule met
        11. Attacked paths are near each other  made up: rule not met
        12. Most paths under l2 are not found       made up: rule met
        13. Recall rises with the strength          made up: rule met
        14. Recall falls with the frequency         made up: rule met
    ");
    let json = told(&lab, &["report", "--conformance", "--output", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let judged = &json["claims"][1]["judgements"][0];
    assert_eq!(json["datasets"][0]["made_up"], true);
    assert_eq!([&judged["verdict"], &judged["rule"]], ["cannot_be_told", "yes"]);
    assert_eq!(judged["contrasts"][0]["difference"]["n"], 3);
}

#[test]
fn a_database_without_results_says_what_to_run() {
    let lab = Lab::new();
    drop(Database::open(&lab.path("advrec.db")).unwrap());
    let text = told(&lab, &["report", "--conformance"]);
    insta::assert_snapshot!(text.split("\n2. ").next().unwrap(), @r#"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                        verdict
      of the abstract
        1. Attacks shift the paths              no results
        2. Most attacks are effective           no results
        3. Most attacks beat equal noise        no results
        4. Attack strength has an impact        no results
        5. Attack frequency has an impact       no results
        6. A strategic 1/3 to 1/2 does as much  no results
        7. The detector finds other attacks     no results
      of the text
        8. FGSM l2 does nothing that shows      no results
        9. FGSM l1 is the strongest attack      no results
        10. Strategic timing beats random       no results
        11. Attacked paths are near each other  no results
        12. Most paths under l2 are not found   no results
        13. Recall rises with the strength      no results
        14. Recall falls with the frequency     no results

    - holds, does not hold: the claim's rule decides. cannot be told: intervals are too wide for
      either, there is one seed, or comparisons are missing. no results: nothing to compare.
    - Comparisons are paired by seed and have 95 % t intervals; p Holm is of the t test, corrected for
      the comparisons of the claim. NDCG is of all users, missing places counted as misses, so that
      both sides have the same users; the paper's numbers beside it are over users with a full list.
    - The database has no cell to judge by. Run `advrec sweep GRID.yaml` first.
    - The paper: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based
      Interactive Recommender Systems, SIGIR 2020.

    1. Attacks shift the paths

    - Claim 1: "We first craft adversarial examples to show their diverse distributions" (abstract,
      sentence 3; section 3.2 and Table 1, MMD-org)
    - Rule: MMD between attacked and clean paths is above MMD between two halves of the clean paths.
      Margin 0.25: of the MMD of the halves: less above it is no difference; the smallest that Table 1
      has among the attacks above it is 46 % (Deepfool, 0.177 against 0.121).
    - Needed: 3, most of the five attacks of Table 1.
    - No results; run `advrec sweep experiments/beauty.yaml`.
    "#);
    // Cells that have failed, and nothing else.
    let (row, plan) = swept::plan(GRID);
    let mut db = Database::open(&lab.path("advrec.db")).unwrap();
    db.record_grid(&row, &plan).unwrap();
    drop(db);
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute("UPDATE stages SET state = 'failed'", []).unwrap();
    drop(db);
    let text = told(&lab, &["report", "--conformance"]);
    insta::assert_snapshot!(text.split("\n2. ").next().unwrap(), @r#"
    Conformance: which claims of the paper hold here

    Verdicts
      claim                                       embedded
      of the abstract
        1. Attacks shift the paths              no results
        2. Most attacks are effective           no results
        3. Most attacks beat equal noise        no results
        4. Attack strength has an impact        no results
        5. Attack frequency has an impact       no results
        6. A strategic 1/3 to 1/2 does as much  no results
        7. The detector finds other attacks     no results
      of the text
        8. FGSM l2 does nothing that shows      no results
        9. FGSM l1 is the strongest attack      no results
        10. Strategic timing beats random       no results
        11. Attacked paths are near each other  no results
        12. Most paths under l2 are not found   no results
        13. Recall rises with the strength      no results
        14. Recall falls with the frequency     no results

    - holds, does not hold: the claim's rule decides. cannot be told: intervals are too wide for
      either, there is one seed, or comparisons are missing. no results: nothing to compare.
    - Comparisons are paired by seed and have 95 % t intervals; p Holm is of the t test, corrected for
      the comparisons of the claim. NDCG is of all users, missing places counted as misses, so that
      both sides have the same users; the paper's numbers beside it are over users with a full list.
    - `embedded` is made up, whole or in the review words: whether a rule is met there says nothing of
      the paper's data, so it cannot tell whether a claim holds.
    - The database has no results on the paper's datasets (Amazon Beauty, Cellphones and Clothing).
    - The paper: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based
      Interactive Recommender Systems, SIGIR 2020.

    Missing
    - Grid `claims`: 57 of 57 cells have no result yet, 57 of them failed. `advrec status` shows why.

    1. Attacks shift the paths

    - Claim 1: "We first craft adversarial examples to show their diverse distributions" (abstract,
      sentence 3; section 3.2 and Table 1, MMD-org)
    - Rule: MMD between attacked and clean paths is above MMD between two halves of the clean paths.
      Margin 0.25: of the MMD of the halves: less above it is no difference; the smallest that Table 1
      has among the attacks above it is 46 % (Deepfool, 0.177 against 0.121).
    - Needed: 3, most of the five attacks of Table 1.

    - Claim 1 on `embedded`: no results; run the attacks of `experiments/beauty.yaml` with `dataset:
      embedded`.
    "#);
}
