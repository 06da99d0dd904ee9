//! `advrec report --page`: one HTML file with the whole report.

mod browser;
mod database;
mod in_browser;
#[path = "../lab/mod.rs"]
mod lab;
mod markup;
#[path = "../swept/mod.rs"]
mod swept;

use advrec::plan::StageKind;
use advrec::report::Page;
use lab::Lab;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use std::collections::BTreeSet;
use std::fs;

/// The page of a folder's database, and what was said on standard error.
fn page(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let output = lab.run(&[&["report", "--page", "page.html"], arguments].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    (fs::read_to_string(lab.path("page.html")).unwrap(), stderr)
}

fn paged() -> Lab {
    let lab = Lab::new();
    database::sweep_everything(&lab.path(""));
    lab
}

/// The database with its views as tables of the same names, which answers many queries faster.
fn quick(lab: &Lab) -> Connection {
    let db = Connection::open(lab.path("advrec.db")).unwrap();
    for view in ["table1", "table2", "drift", "flags", "runs"] {
        db.execute_batch(&format!("CREATE TEMP TABLE {view} AS SELECT * FROM main.{view}"))
            .unwrap();
    }
    db
}

/// The rows that a query gives.
fn rows(db: &Connection, sql: &str) -> Vec<Vec<Sql>> {
    let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A value as a cell shows it: to as many decimals as the cell's text has.
fn shown(value: &Sql, text: &str) -> String {
    match value {
        Sql::Text(text) => text.clone(),
        Sql::Integer(number) => number.to_string(),
        Sql::Real(number) => {
            let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            format!("{number:.decimals$}")
        }
        other => panic!("no number: {other:?}"),
    }
}

#[test]
fn every_query_gives_the_number_that_it_is_behind() {
    let lab = paged();
    let (page, _) = page(&lab, &[]);
    let db = quick(&lab);
    let numbers = markup::numbers(&page);
    let mut views = BTreeSet::new();
    for number in &numbers {
        let found = rows(&db, &number.sql);
        assert_eq!(found.len(), 1, "{}: {}", number.text, number.sql);
        let values = &found[0];
        for (digits, value) in number.digits.iter().zip(values) {
            if let Some(digits) = digits {
                assert_eq!(*value, Sql::Real(*digits), "{}", number.sql);
            }
        }
        let text = number.text.split(" ±").next().unwrap().replace('−', "-").replace('+', "");
        let of_two = || format!("{}–{}", shown(&values[0], ""), shown(&values[1], ""));
        let fits = shown(&values[0], &text) == text || (text.contains('–') && of_two() == text);
        // What rounds to zero has no sign.
        let fits = fits || shown(&values[0], &text) == format!("-{text}");
        assert!(fits, "{} is not {values:?} of {}", number.text, number.sql);
        views.extend(
            ["table1", "table2", "drift", "flags", "runs", "cells"]
                .into_iter()
                .filter(|view| number.sql.contains(&format!(" FROM {view} "))),
        );
    }
    assert!(numbers.len() > 500, "{} numbers", numbers.len());
    assert_eq!(views.len(), 6, "{views:?}");
}

#[test]
fn the_page_has_a_place_for_everything() {
    let lab = paged();
    let (page, _) = page(&lab, &[]);
    let outline: Vec<String> = markup::text(&page)
        .lines()
        .filter(|line| {
            line.starts_with('#') || line.starts_with("Table: ") || line.starts_with("Figure: ")
        })
        .map(|line| line.chars().take(90).collect())
        .collect();
    insta::assert_snapshot!(outline.join("\n"), @r#"
    # Results of the grid paged
    ## Summary of findings
    ### Amazon_Beauty (grid paged, all users)
    ### O'Neill "toys" <&> (grid paged, all users)
    ### How far it is
    ## Table 1: ranking under attack
    ### Amazon_Beauty (grid paged, all users)
    Table: Amazon_Beauty (grid paged, all users)
    Table: change against the clean agent (valid, in percent of its number)
    Table: verdict on the paper's number
    Table: Attacks at chosen time steps
    Table: Drift between all attacks
    ### O'Neill "toys" <&> (grid paged, all users)
    Table: O'Neill "toys" <&> (grid paged, all users)
    Table: change against the clean agent (valid, in percent of its number)
    Table: Attacks at chosen time steps
    Table: Drift between all attacks
    ### Flags
    ### How to read it
    ## Table 2: detection of attacked paths
    ### Amazon_Beauty (grid paged, all users, actor_critic)
    Table: gru_attention trained on fgsm_l1 ε=0.1
    Table: gru_attention trained on fgsm_l1 ε=0.1: verdict on the paper's number
    Table: logistic trained on fgsm_l1 ε=0.1
    Table: F1 by method, trained on fgsm_l1 ε=0.1
    Table: AUROC by method, trained on fgsm_l1 ε=0.1
    ### O'Neill "toys" <&> (grid paged, all users, actor_critic)
    Table: gru_attention trained on fgsm_l1 ε=0.1
    Table: logistic trained on fgsm_l1 ε=0.1
    Table: F1 by method, trained on fgsm_l1 ε=0.1
    Table: AUROC by method, trained on fgsm_l1 ε=0.1
    ### How to read Table 2
    ## Conformance: which claims of the paper hold here
    Table: Verdicts
    ### 1. Attacks shift the paths
    Table: Amazon_Beauty: grid paged, all users
    Table: O'Neill "toys" <&>: grid paged, all users
    ### 2. Most attacks are effective
    Table: Amazon_Beauty: grid paged, all users
    Table: O'Neill "toys" <&>: grid paged, all users
    ### 3. Most attacks beat equal noise
    ### 4. Attack strength has an impact
    ### 5. Attack frequency has an impact
    Table: Amazon_Beauty: grid paged, all users
    Table: O'Neill "toys" <&>: grid paged, all users
    ### 6. A strategic 1/3 to 1/2 does as much
    ### 7. The detector finds other attacks
    ### 8. FGSM l2 does nothing that shows
    ### 9. FGSM l1 is the strongest attack
    Table: Amazon_Beauty: grid paged, all users
    Table: O'Neill "toys" <&>: grid paged, all users
    ### 10. Strategic timing beats random
    ### 11. Attacked paths are near each other
    Table: Amazon_Beauty: grid paged, all users
    Table: O'Neill "toys" <&>: grid paged, all users
    ### 12. Most paths under l2 are not found
    ### 13. Recall rises with the strength
    ### 14. Recall falls with the frequency
    Table: Amazon_Beauty: grid paged, all users, detector.batch=512, detector.decay="decoupled
    Table: O'Neill "toys" <&>: grid paged, all users, detector.batch=512, detector.decay="deco
    ### The queries that give the numbers
    ## Figures
    Figure: figure2 NDCG over users with a full list against the realised share of attacked ti
    Figure: mmd Maximum mean discrepancy (square root of the biased estimate) between the acti
    Figure: training-paged-Amazon_Beauty Trainings of the grid paged on Beauty: means over see
    Figure: training-paged-O-Neill--toys----- Trainings of the grid paged on O'Neill "toys" <&
    ### Not drawn
    ## Flags
    Table: Amazon_Beauty (grid paged, all users)
    Table: O'Neill "toys" <&> (grid paged, all users)
    ## Failures
    ## Missing
    ### Results without a number
    ## Provenance
    Table: What the results were made with
    ### Grid paged
    ## Queries
    "#);
    insta::assert_snapshot!(markup::section(&page, "summary"), @r#"
    ## Summary of findings
    ### Amazon_Beauty (grid paged, all users)
    - The clean agent reaches an NDCG of 5.08 ± 0.00 % over users with a full list of ten, 4.57 ± 0.00 % over all users (2 seeds).
    - The strongest attack is fgsm_l1 ε=0.1, value: NDCG −45.6 % over all users, −45.6 % over those with a full list.
    - Not to be told from noise of the same norm and ε (NDCG over all users is not below it, the 95 % intervals overlap, or there are none): fgsm_linf ε=0.5, policy.
    - Stronger than noise of the same norm and ε: fgsm_linf ε=0.5, value.
    - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value; jsma, random 0.5, realised 0.500; jsma, random 0.25, realised 0.250.
    - Best detected: fgsm_l1 ε=0.1 by logistic trained on fgsm_l1 ε=0.1, F1 0.717 ± 0.983, AUROC 0.250 ± 2.883.
    ### O'Neill "toys" <&> (grid paged, all users)
    - The clean agent reaches an NDCG of 5.03 ± 0.11 % over users with a full list of ten, 4.53 ± 0.10 % over all users (2 seeds).
    - The strongest attack is fgsm_l1 ε=0.1, value: NDCG −44.8 % over all users, −44.8 % over those with a full list.
    - Not to be told from noise of the same norm and ε (NDCG over all users is not below it, the 95 % intervals overlap, or there are none): fgsm_linf ε=0.5, policy.
    - Stronger than noise of the same norm and ε: fgsm_linf ε=0.5, value.
    - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value; jsma, random 0.5, realised 0.500; jsma, random 0.25, realised 0.250.
    - Best detected: fgsm_linf ε=0.5, objective="value" by logistic trained on fgsm_l1 ε=0.1, F1 0.580 ± 0.223, AUROC 0.872 ± 0.935.
    ### How far it is
    - Grid paged: 56 of 56 cells done, 0 failed, 0 still to come.
    - 4 flags of single seeds on 2 results, not to be taken at face value: which and why
    Dataset  Amazon_Beauty  O'Neill "toys" <&>
    Attack  none (clean)  fgsm_l1  fgsm_linf  jsma  noise_linf
    Show all
    "#);
    insta::assert_snapshot!(markup::section(&page, "missing"), @r#"
    ## Missing
    ### Results without a number
    What is undefined or not finite is never stored: a mean over fewer seeds, or none, stands in its place.
    - Amazon_Beauty (grid paged, all users, actor_critic), logistic trained on fgsm_l1 ε=0.1 on noise_linf ε=0.5: no precision.
    - O'Neill "toys" <&> (grid paged, all users, actor_critic), logistic trained on fgsm_l1 ε=0.1 on noise_linf ε=0.5: no precision.
    "#);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "provenance"), @r"
        ## Provenance
        Table: What the results were made with
        | advrec | commit | libtorch | CUDA | device | host | attempts | first | last |
        | 0.1.0 | KEY with uncommitted changes | 2.11.0 | – | a processor | h | 245 | TIME | TIME |
        ### Grid paged
        From grid.yaml, first swept TIME, last TIME; digest KEY.
        The grid as it was swept last
        name: paged dataset: embedded seeds: [1, 2] drift: {compare: all} axes:   embedding.dimension: [20, 21]   detector.method: [gru_attention, logistic]   attack:     - none     - {id: fgsm_l1, epsilon: 0.1}     - {id: fgsm_linf, epsilon: 0.5}     - {id: fgsm_linf, epsilon: 0.5, objective: policy}     - {id: noise_linf, epsilon: 0.5}     - {id: jsma, timing: random, frequency: 0.25}     - {id: jsma, timing: random, frequency: 0.5}
        ");
    });
    // A column and a row, with what the script needs.
    let column = page.lines().find(|line| line.contains("<col data-name=\"NDCG ours\"")).unwrap();
    let column = column.split_inclusive('>').find(|tag| tag.contains("NDCG ours")).unwrap();
    insta::assert_snapshot!(column, @r#"<col data-name="NDCG ours" data-view="table1" data-sql="SELECT value, lower, upper, n FROM table1 WHERE {} AND split = 'valid' AND metric = 'ndcg'">"#);
    let spaced = page.replace('\u{a0}', " ");
    let row = spaced.lines().find(|line| line.contains("<tr data-attack=\"fgsm_l1\"")).unwrap();
    insta::assert_snapshot!(row.split("</td>").take(3).collect::<Vec<_>>().join("</td>\n"), @r#"
    <tr data-attack="fgsm_l1" data-table1="grid = 'paged' AND dataset = 'Amazon_Beauty' AND agent = 'actor_critic' AND attack = 'fgsm_l1' AND epsilon = 0.1" data-drift="grid = 'paged' AND dataset = 'Amazon_Beauty' AND attack = 'fgsm_l1' AND epsilon = 0.1"><th scope="row">fgsm_l1 ε=0.1, value</th><td class="q">2</td>
    <td data-value="2.7628381780727858" data-lower="2.6642092548485534" data-upper="2.861467101297018" class="q">2.763 ± 0.099</td>
    <td data-value="2.695">2.695
    "#);
    // Without scripts nothing is there that would need one.
    let still = page.split("<script>").next().unwrap();
    assert_eq!(still.matches("<button").count(), 1);
    assert!(still.contains("<form id=\"filters\" aria-label=\"Filters\" hidden>"));
    // The same database gives the same page.
    let (again, _) = self::page(&lab, &["--format", "csv"]);
    assert!(page == again);
}

#[test]
fn what_runs_stands_first_and_each_page_is_of_its_own_moment() {
    let lab = Lab::new();
    lab.sweep(&["--noop", "6", "--jobs", "1"]);
    let reader = Connection::open(lab.path("advrec.db")).unwrap();
    let before =
        Page::read(&reader, None).unwrap().to_html(Some("<section id=\"live\"></section>\n"));
    assert!(
        before.contains(
            "<main id=\"main\" tabindex=\"-1\">\n<section id=\"live\"></section>\n<section"
        )
    );
    // It may ask the server that it came from, and the file may ask nobody.
    let asks = |page: &str| page.contains("connect-src 'self'");
    assert!(asks(&before) && !asks(&Page::read(&reader, None).unwrap().to_html(None)));
    let writer = Connection::open(lab.path("advrec.db")).unwrap();
    writer.execute("UPDATE grids SET name = 'another'", []).unwrap();
    let after = Page::read(&reader, None).unwrap().to_html(None);
    assert!(
        before.contains("Results of the grid noop-6")
            && after.contains("Results of the grid another")
    );
}

const FILTERS: [(&str, &str); 2] =
    [(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+Z| UTC)", "TIME"), (r"[0-9a-f]{12}", "KEY")];

#[test]
fn an_empty_database_says_what_to_type() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let (page, _) = page(&lab, &[]);
    let text = markup::text(&page);
    let missing = markup::section(&page, "missing");
    let figures = markup::section(&page, "figures");
    insta::assert_snapshot!(text.replace(&missing, "…").replace(&figures, "…"), @r#"
    # No results yet
    advrec 0.1.0
    - Summary of findings
    - Table 1: ranking under attack
    - Conformance: which claims of the paper hold here
    - Figures
    - Flags
    - Failures
    - Missing
    - Provenance
    - Queries
    ## Summary of findings
    No cell has a result yet, so there is nothing to say of results.
    ### How far it is
    - The database has no grid. Run advrec sweep GRID.yaml first.
    ## Table 1: ranking under attack
    No cell is finished, so there is nothing to show yet.
    The database has no grid. Run advrec sweep GRID.yaml first.
    ## Conformance: which claims of the paper hold here
    Table: Verdicts
    | claim | verdict |
    | of the abstract |
    | 1. Attacks shift the paths | no results |
    | 2. Most attacks are effective | no results |
    | 3. Most attacks beat equal noise | no results |
    | 4. Attack strength has an impact | no results |
    | 5. Attack frequency has an impact | no results |
    | 6. A strategic 1/3 to 1/2 does as much | no results |
    | 7. The detector finds other attacks | no results |
    | of the text |
    | 8. FGSM l2 does nothing that shows | no results |
    | 9. FGSM l1 is the strongest attack | no results |
    | 10. Strategic timing beats random | no results |
    | 11. Attacked paths are near each other | no results |
    | 12. Most paths under l2 are not found | no results |
    | 13. Recall rises with the strength | no results |
    | 14. Recall falls with the frequency | no results |
    - holds, does not hold: the claim's rule decides. cannot be told: intervals are too wide for either, there is one seed, or comparisons are missing. no results: nothing to compare.
    - Comparisons are paired by seed and have 95 % t intervals; p Holm is of the t test, corrected for the comparisons of the claim. NDCG is of all users, missing places counted as misses, so that both sides have the same users; the paper's numbers beside it are over users with a full list.
    - The database has no cell to judge by. Run advrec sweep GRID.yaml first.
    - The paper: Cao et al., Adversarial Attacks and Detection on Reinforcement Learning-Based Interactive Recommender Systems, SIGIR 2020.
    ### 1. Attacks shift the paths
    - Claim 1: "We first craft adversarial examples to show their diverse distributions" (abstract, sentence 3; section 3.2 and Table 1, MMD-org)
    - Rule: MMD between attacked and clean paths is above MMD between two halves of the clean paths. Margin 0.25: of the MMD of the halves: less above it is no difference; the smallest that Table 1 has among the attacks above it is 46 % (Deepfool, 0.177 against 0.121).
    - Needed: 3, most of the five attacks of Table 1.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 2. Most attacks are effective
    - Claim 2: "Our extensive experiments show that most adversarial attacks are effective" (abstract, sentence 5; section 3.2 and Table 1)
    - Rule: NDCG under the attack is below that of the clean agent. Margin 0.05: of the clean NDCG: less is no effect; the paper counts the 1.9 % that FGSM l2 takes as none, and the least that it counts is 29.5 % (Deepfool).
    - Needed: 3, most of the five attacks of Table 1.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 3. Most attacks beat equal noise
    - Claim 3: "Our extensive experiments show that most adversarial attacks are effective" (control of the claim before, which the paper lacks)
    - Rule: NDCG under the attack is below that under noise of an equal mean norm: otherwise an effect is only size. Margin 0.05: of the NDCG under noise, as against the clean agent.
    - Needed: 2, most of the three attacks of Table 1 whose size is set, which noise can have as well; JSMA and Deepfool stop where they succeed.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 4. Attack strength has an impact
    - Claim 4: "both attack strength and attack frequency impact the attack performance" (abstract, sentence 5; no number of ranking in the paper)
    - Rule: NDCG under the largest ε of an attack is below that under its smallest. Margin 0.05: of the NDCG under the smallest ε: less is no impact, as of attacks.
    - Needed: more than half of the attacks with several ε, for the statement is of all attacks; Table 2 varies the ε of l1 alone.
    - No results; run advrec sweep experiments/table2.yaml.
    ### 5. Attack frequency has an impact
    - Claim 5: "both attack strength and attack frequency impact the attack performance" (abstract, sentence 5; section 3.2 and Figure 2)
    - Rule: NDCG under the highest frequency of an attack is below that under its lowest. Margin 0.05: of the NDCG under the lowest frequency: less is no impact, as of attacks.
    - Needed: more than half of the attacks with several frequencies, under random and strategic timing.
    - No results; run advrec sweep experiments/timing.yaml.
    ### 6. A strategic 1/3 to 1/2 does as much
    - Claim 6: "The strategically-timed attack achieves comparative attack performance with only 1/3 to 1/2 attack frequency" (abstract, sentence 6; section 3.2 and Figure 2, which has no numbers in the text)
    - Rule: the NDCG that strategic timing takes at a realised frequency between 0.30 and 0.53 is at least 80 % of what the attack at every time step takes. Margin 0.8: the usual limit of equivalence, that of bioequivalence (80 % to 125 %); doing more is not held against it. A third to a half with 0.03 on either side, for the realised frequency misses the asked one by as much.
    - Needed: more than half of the attacks that take anything at every time step; each counts at that of its frequencies where it does best.
    - No results; run advrec sweep experiments/timing.yaml.
    ### 7. The detector finds other attacks
    - Claim 7: "our black-box detector trained with one crafting method has the generalization ability over several crafting methods" (abstract, sentence 7; section 3.3 and Table 2)
    - Rule: the F1 of gru_attention, trained on fgsm_l1 0.1, on paths of another attack is above that of flagging every path. Margin 0: what flagging every path gives, 2p/(1 + p) with a share p of attacked paths (0.667 of as many clean as attacked ones), is the F1 of knowing nothing; anything above it is detection.
    - Needed: 2, several is more than one; of the four attacks of Table 2 that are crafted by another method than the detector's training.
    - No results; run advrec sweep experiments/table2.yaml.
    ### 8. FGSM l2 does nothing that shows
    - Claim 8: "While FGSM l2 is less effective, where the metrics just fluctuates around the original baseline" (section 3.2 and Table 1)
    - Rule: NDCG under FGSM l2 is that of the clean agent. Margin 0.05: of the clean NDCG to either side: the interval of the difference has to lie within it.
    - Needed: 1, the statement is of this attack alone.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 9. FGSM l1 is the strongest attack
    - Claim 9: "FGSM l1 achieves the best performance" (section 3.2 and Table 1)
    - Rule: NDCG under FGSM l1 is below that under each other attack. Margin 0: the best is the best by however little; Table 1 has 2.695 beside 2.830.
    - Needed: 4, all four other attacks of Table 1.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 10. Strategic timing beats random
    - Claim 10: "the random attack performs worse than the strategically-timed attack" (section 3.2 and Figure 2)
    - Rule: NDCG under strategic timing, mean over the frequencies below 1, is below that under random timing at the same frequencies. Margin 0: worse is worse by however little.
    - Needed: more than half of the attacks with both rules.
    - No results; run advrec sweep experiments/timing.yaml.
    ### 11. Attacked paths are near each other
    - Claim 11: "the disturbed distributions are closed to each other regardless of the attack type" (section 3.2 and Table 1, MMD-l1 beside MMD-org)
    - Rule: MMD between an attack's paths and those under FGSM l1 is below MMD between them and the clean paths. Margin 0: closer is closer by however little.
    - Needed: 4, all four other attacks of Table 1: regardless of the attack type.
    - No results; run advrec sweep experiments/beauty.yaml.
    ### 12. Most paths under l2 are not found
    - Claim 12: "high precision and low recall show that most l2 adversarial examples are close to benign data" (section 3.3 and Table 2)
    - Rule: the recall of gru_attention, trained on fgsm_l1 0.1, on paths under FGSM l2 is below 0.5. Margin 0: most is more than half.
    - Needed: 1, the statement is of this attack alone.
    - No results; run advrec sweep experiments/table2.yaml.
    ### 13. Recall rises with the strength
    - Claim 13: "the attack are stronger, the model achieves better performance" (section 3.3 and Table 2, l1 0.02 to 0.3)
    - Rule: the recall of gru_attention, trained on fgsm_l1 0.1, at the largest ε of an attack is above that at its smallest. Margin 0: better is better by however little.
    - Needed: more than half of the attacks with several ε.
    - No results; run advrec sweep experiments/table2.yaml.
    ### 14. Recall falls with the frequency
    - Claim 14: "the detection accuracy decreases as the attack frequency drops" (section 3.3 and Table 2, frequencies 0.118 to 0.579)
    - Rule: the recall of gru_attention, trained on fgsm_l1 0.1, at the highest frequency of an attack is above that at its lowest. Margin 0: a decrease is one by however little.
    - Needed: more than half of the attacks with several frequencies, under random and strategic timing.
    - No results; run advrec sweep experiments/table2.yaml.
    …
    ## Flags
    There is no result yet that could have one.
    ## Failures
    No attempt failed or lost its worker.
    …
    ## Provenance
    No attempt has said yet what made it.
    ## Queries
    The numbers are means over seeds from the views of the database, whose columns docs/views.md lists. With scripts, a number that is underlined shows the query that gives it: click it, or reach the table with the tab key, move with the arrow keys and press Enter. Without scripts, or for other questions:
    advrec query "SELECT attack, epsilon, metric, value, lower, upper, n FROM table1 WHERE split = 'valid'" advrec query "SELECT method, trained_on, attack, metric, value FROM table2" advrec export table1 --help
    A query of this page gives the mean, the ends of its 95 % interval, and the number of seeds or stages that it is of.
    "#);
    insta::assert_snapshot!(missing, @r"
    ## Missing
    The database has no grid. Run advrec sweep GRID.yaml first; experiments/quickstart.yaml is the smallest.
    ");
}

#[test]
fn failures_alone_are_told_with_their_errors_and_logs() {
    let lab = Lab::new();
    let params = r#"{"0": {"fail": true}, "1": {"crash": true}}"#;
    lab.sweep(&["--noop", "6", "--jobs", "1", "--back-off", "10ms", "--noop-params", params]);
    let (page, _) = page(&lab, &[]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "summary"), @r"
        ## Summary of findings
        No cell has a result yet, so there is nothing to say of results.
        ### How far it is
        - Grid noop-6: 0 of 2 cells done, 2 failed, 0 still to come.
        - 0 flags on results.
        ");
        insta::assert_snapshot!(markup::section(&page, "failures"), @r"
        ## Failures
        Attempts that failed or lost their worker, by their numbers, the last first: 4.
        Type advrec why KEY for the history of a stage, advrec rerun --failed to try again what is still failed.
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-3.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-2.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY lost its worker, the stage is failed TIME
        the worker was lost (killed by signal 6, SIGABRT)
        Log: .advrec/logs/KEY-1.log
        Last lines of the log
        about to crash crashing on request
        - noop KEY failed, the stage is failed TIME
        failing on request
        Log: .advrec/logs/KEY-1.log
        Last lines of the log
        failing on request
        ");
        insta::assert_snapshot!(markup::section(&page, "missing"), @r"
        ## Missing
        - Grid noop-6: 0 of 2 cells done, 2 failed, 0 still to come.
        - advrec why NUMBER says why a cell of the grid noop-6 has no result, advrec rerun --failed tries the failed ones again, and advrec sweep does what is left.
        Table: Cells of noop-6 without a result, with their stages by state
        | cell | number | failed | blocked | running | pending |
        | index=4 | 1 | 1 | 2 | 0 | 0 |
        | index=5 | 2 | 1 | 2 | 0 | 0 |
        ");
    });
}

/// Ten results of one seed, of which one has no NDCG over users with a full list and one is not there yet.
#[test]
fn one_seed_and_numbers_that_are_missing_are_told() {
    let lab = Lab::new();
    let grid = "
        name: single
        dataset: embedded
        rollout: {direct: false}
        axes:
          attack: [none, {id: fgsm_l1, epsilon: 0.1}, {id: fgsm_linf, epsilon: 0.5}]
    ";
    let plan = database::sweep(&lab.path(""), grid);
    let db = Connection::open(lab.path("advrec.db")).unwrap();
    let of_cell = |cell: usize| {
        let stages = plan.cells[cell].stages.iter().map(|&at| &plan.stages[at]);
        let ranking = stages.clone().find(|stage| stage.stage.kind.name() == "ranking").unwrap();
        ranking.key.to_string()
    };
    let gone =
        db.execute("DELETE FROM metrics WHERE stage_key = ? AND split = 'valid'", [of_cell(1)]);
    assert_eq!(gone.unwrap(), 4);
    db.execute("DELETE FROM metrics WHERE stage_key = ?", [of_cell(2)]).unwrap();
    db.execute("UPDATE stages SET state = 'pending' WHERE key = ?", [of_cell(2)]).unwrap();
    let (page, _) = page(&lab, &["--grid", "single"]);
    insta::with_settings!({filters => FILTERS}, {
        insta::assert_snapshot!(markup::section(&page, "summary"), @r"
        ## Summary of findings
        ### embedded (grid single, all users)
        - The clean agent reaches an NDCG of 5.03 % over users with a full list of ten, 4.53 % over all users (one seed).
        - The strongest attack is fgsm_l1 ε=0.1, value: NDCG −46.3 % over all users, no number over those with a full list.
        - Held against no noise, for the grid has none of the same norm, ε and timing: fgsm_l1 ε=0.1, value.
        - There is one seed, so no mean has an interval over seeds; seeds: [1, 2, 3] in the grid gives some.
        ### How far it is
        - Grid single: 2 of 3 cells done, 0 failed, 1 still to come.
        - 0 flags on results.
        Attack  none (clean)  fgsm_l1
        Show all
        ");
        insta::assert_snapshot!(markup::section(&page, "missing"), @r"
        ## Missing
        - Grid single: 2 of 3 cells done, 0 failed, 1 still to come.
        - Run advrec sweep grid.yaml to go on with the grid single.
        Table: Cells of single without a result, with their stages by state
        | cell | number | failed | blocked | running | pending |
        | attack=fgsm_linf epsilon=0.5 seed=1 | 3 | 0 | 0 | 0 | 1 |
        ### Results without a number
        What is undefined or not finite is never stored: a mean over fewer seeds, or none, stands in its place.
        - embedded (grid single, all users), fgsm_l1 ε=0.1, value: no NDCG over users with a full list; where no user gets one, it is undefined.
        ### Intervals
        2 rows have a single seed, and so no interval; give the grid more seeds.
        ");
    });
    let db = quick(&lab);
    for number in markup::numbers(&page) {
        assert_eq!(rows(&db, &number.sql).len(), 1, "{}", number.sql);
    }
}

/// A cell without a ranking, which the tables leave out, has drift and flags of its own; another grid has the
/// same cells.
#[test]
fn queries_leave_out_what_their_table_leaves_out() {
    let lab = Lab::new();
    let grid = |name: &str| {
        format!(
            "
            name: {name}
            dataset: embedded
            drift: {{compare: all}}
            rollout: {{direct: false}}
            axes:
              agent.epochs: [5, 6]
              attack:
                - none
                - {{id: fgsm_linf, epsilon: 0.5}}
                - {{id: fgsm_linf, epsilon: 0.5, objective: policy}}
            "
        )
    };
    let plan = database::sweep(&lab.path(""), &grid("one"));
    database::sweep(&lab.path(""), &grid("two"));
    let db = Connection::open(lab.path("advrec.db")).unwrap();
    let policy = plan.cells.iter().filter(|cell| cell.params.text("objective") == Some("policy"));
    for stage in policy.flat_map(|cell| &cell.stages).map(|&at| &plan.stages[at]) {
        if stage.stage.kind == StageKind::Ranking {
            let key = stage.key.to_string();
            db.execute("UPDATE stages SET state = 'pending' WHERE key = ?", [key]).unwrap();
        }
    }
    let (page, _) = page(&lab, &[]);
    let db = quick(&lab);
    let numbers = markup::numbers(&page);
    for number in &numbers {
        let found = rows(&db, &number.sql);
        assert_eq!(found.len(), 1, "{}", number.sql);
        let value = number.digits[0].map(Sql::Real);
        assert!(value.is_none_or(|value| value == found[0][0]), "{}", number.sql);
    }
    // Each agent is held against the attacks on it.
    let summary = markup::section(&page, "summary");
    for epochs in [5, 6] {
        let clean = format!("The clean agent Original, agent.epochs={epochs} reaches");
        let strongest =
            format!("The strongest attack is fgsm_linf ε=0.5, value, agent.epochs={epochs}: ");
        assert_eq!(summary.matches(&clean).count(), 2, "{summary}");
        assert_eq!(summary.matches(&strongest).count(), 2, "{summary}");
    }
    let drift = numbers.iter().filter(|number| number.sql.contains(" FROM drift "));
    assert!(drift.clone().count() > 10 && drift.clone().any(|n| n.sql.contains("objective")));
}

#[test]
fn the_page_is_written_beside_what_else_is_asked_for() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let (_, stderr) = page(&lab, &[]);
    assert_eq!(stderr, "wrote page.html\n");
    assert!(!lab.path("advrec-report.md").exists());
    let (_, stderr) = page(&lab, &["--out", "report.tex", "--figures", "figures"]);
    insta::assert_snapshot!(stderr, @r"
    wrote report.tex, with every digit and all notes
    wrote page.html
    ");
    assert!(lab.path("report.tex").exists() && lab.path("figures").exists());
    let output = lab.run(&["report", "--page", "page.html", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["page"], "page.html");
}

#[test]
fn what_cannot_be_a_page_is_refused_and_leaves_nothing() {
    let lab = Lab::new();
    drop(advrec::store::Database::open(&lab.path("advrec.db")).unwrap());
    let refused = |args: &[&str]| {
        let output = lab.run(&[&["report", "--page"], args].concat());
        assert!(output.stdout.is_empty());
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), stderr)
    };
    let (code, stderr) = refused(&["absent/page.html", "--out", "report.md"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"2 error: there is no folder absent to write absent/page.html in; make it, or name another file");
    let (code, stderr) = refused(&["same.html", "--out", "same.html"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"2 error: --out and --page name the same file");
    let (code, stderr) = refused(&["page.html", "--grid", "beauty"]);
    insta::assert_snapshot!(format!("{code} {stderr}"), @"2 error: the database has no grid `beauty`; it has none; run `advrec sweep GRID.yaml` first");
    let (code, stderr) = refused(&["page.html", "--rows", "attack"]);
    insta::assert_snapshot!(format!("{code} {}", stderr.lines().next().unwrap()), @"2 error: the argument '--page <FILE>' cannot be used with '--rows <AXIS>'");
    for file in ["page.html", "report.md", "same.html", "absent", "advrec-report.md"] {
        assert!(!lab.path(file).exists(), "{file}");
    }
}
