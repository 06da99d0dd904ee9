//! What people read: a table of verdicts, and below it each claim with its words, its rule, its numbers and
//! the queries that give them.

use super::contrast::Contrast;
use super::{Conformance, Dataset, Judged, Judgement, Outcome, Rule, Verdict};
use crate::report::document::{Cell, Column, Document, Group, Notes, Part, Row, Table};
use crate::report::table1::{Estimate, Unfinished};

/// How many other settings are named.
const LISTED: usize = 5;
/// The paper's datasets, as it calls them.
const PAPERS: &str = "Amazon Beauty, Cellphones and Clothing";

pub fn document(conformance: &Conformance) -> Document {
    let mut parts = vec![Part::Table(verdicts(conformance)), Part::Notes(preface(conformance))];
    if !conformance.unfinished.is_empty() {
        let missing = conformance.unfinished.iter().map(Unfinished::sentence).collect();
        parts.push(Part::Notes(Notes::titled("Missing", missing)));
    }
    let queries = queries(conformance);
    for (number, judged) in conformance.claims.iter().enumerate() {
        let number = number + 1;
        parts.push(Part::Heading(format!("{number}. {}", judged.claim.title)));
        parts.push(Part::Notes(Notes::bare(rule(number, judged))));
        for (dataset, judgement) in conformance.datasets.iter().zip(&judged.judgements) {
            if has_numbers(judgement) {
                parts.push(Part::Table(numbers(judged, judgement)));
            }
            let query = queries.iter().position(|sql| *sql == judgement.sql);
            let reasons = reasons((number, judged), dataset, judgement, query);
            parts.push(Part::Notes(Notes::bare(reasons)));
        }
    }
    if !queries.is_empty() {
        let items =
            queries.iter().enumerate().map(|(at, sql)| format!("Query {}: `{sql}`", at + 1));
        parts.push(Part::Heading("The queries that give the numbers".to_owned()));
        parts.push(Part::Notes(Notes {
            title: None,
            intro: Some(
                "For `advrec query`: one row a seed and attack; of drift the means over seeds."
                    .to_owned(),
            ),
            items: items.collect(),
        }));
    }
    Document { title: "Conformance: which claims of the paper hold here".to_owned(), parts }
}

/// Each query once, in the order in which it is needed first.
fn queries(conformance: &Conformance) -> Vec<&str> {
    let mut queries: Vec<&str> = Vec::new();
    for judgement in conformance.claims.iter().flat_map(|judged| &judged.judgements) {
        if !judgement.sql.is_empty() && !queries.contains(&judgement.sql.as_str()) {
            queries.push(&judgement.sql);
        }
    }
    queries
}

fn verdicts(conformance: &Conformance) -> Table {
    let datasets = &conformance.datasets;
    let columns: Vec<Column> = match datasets.as_slice() {
        [] => vec![Column::alone("verdict")],
        several => several.iter().map(|dataset| Column::alone(dataset.name.clone())).collect(),
    };
    let row = |(number, judged): (usize, &Judged)| {
        let mut cells: Vec<Cell> = judged
            .judgements
            .iter()
            .zip(datasets)
            .map(|(judgement, dataset)| Cell::Text(verdict(judgement, dataset).to_owned()))
            .collect();
        if datasets.is_empty() {
            cells.push(Cell::Text("no results".to_owned()));
        }
        Row::new(format!("{}. {}", number + 1, judged.claim.title), cells)
    };
    let group = |label: &str, of_abstract: bool| Group {
        label: Some(label.to_owned()),
        rows: (conformance.claims.iter().enumerate())
            .filter(|(_, judged)| judged.claim.of_abstract == of_abstract)
            .map(row)
            .collect(),
    };
    Table {
        caption: Some("Verdicts".to_owned()),
        dataset: None,
        intro: None,
        stub: "claim".to_owned(),
        columns,
        groups: vec![group("of the abstract", true), group("of the text", false)],
    }
}

fn verdict(judgement: &Judgement, dataset: &Dataset) -> &'static str {
    match (judgement.verdict, judgement.rule) {
        (Verdict::Holds, _) => "holds",
        (Verdict::DoesNotHold, _) => "does not hold",
        (Verdict::NoResults, _) => "no results",
        (Verdict::CannotBeTold, Outcome::Yes) if dataset.made_up => "made up: rule met",
        (Verdict::CannotBeTold, Outcome::No) if dataset.made_up && has_numbers(judgement) => {
            "made up: rule not met"
        }
        (Verdict::CannotBeTold, _) => "cannot be told",
    }
}

/// Whether anything is compared.
fn has_numbers(judgement: &Judgement) -> bool {
    !judgement.evidence.contrasts.is_empty()
}

fn preface(conformance: &Conformance) -> Notes {
    let mut notes = vec![
        "holds, does not hold: the claim's rule decides. cannot be told: intervals are too wide for either, \
         there is one seed, or comparisons are missing. no results: nothing to compare."
            .to_owned(),
        "Comparisons are paired by seed and have 95 % t intervals; p Holm is of the t test, corrected for the \
         comparisons of the claim. NDCG is of all users, missing places counted as misses, so that both \
         sides have the same users; the paper's numbers beside it are over users with a full list."
            .to_owned(),
    ];
    let made_up: Vec<String> = conformance
        .datasets
        .iter()
        .filter(|d| d.made_up)
        .map(|d| format!("`{}`", d.name))
        .collect();
    if !made_up.is_empty() {
        let (is, it) = if made_up.len() == 1 { ("is", "it") } else { ("are", "they") };
        notes.push(format!(
            "{} {is} made up, whole or in the review words: whether a rule is met there says nothing of the \
             paper's data, so {it} cannot tell whether a claim holds.",
            made_up.join(", ")
        ));
    }
    let other: Vec<String> = conformance
        .datasets
        .iter()
        .filter(|d| !d.of_paper && !d.made_up)
        .map(|d| format!("`{}`", d.name))
        .collect();
    if !other.is_empty() {
        notes.push(format!("Not of the paper's datasets ({PAPERS}): {}.", other.join(", ")));
    }
    if conformance.datasets.is_empty() {
        notes.push(
            "The database has no cell to judge by. Run `advrec sweep GRID.yaml` first.".to_owned(),
        );
    } else if !conformance.datasets.iter().any(|dataset| dataset.of_paper && !dataset.made_up) {
        notes.push(format!("The database has no results on the paper's datasets ({PAPERS})."));
    }
    notes.push(format!("The paper: {}.", conformance.paper));
    Notes::bare(notes)
}

/// The claim's words and its rule. Formats that gather notes below all tables have the numbers to go by.
fn rule(number: usize, judged: &Judged) -> Vec<String> {
    let claim = &judged.claim;
    let mut notes = vec![
        format!("Claim {number}: \"{}\" ({})", claim.quote, claim.place),
        format!("Rule: {}. Margin {}: {}.", claim.says, claim.margin.value, claim.margin.reason),
        match claim.needed.value {
            count if count >= 1.0 => format!("Needed: {count}, {}.", claim.needed.reason),
            _ => format!("Needed: {}.", claim.needed.reason),
        },
    ];
    if judged.judgements.is_empty() {
        notes.push(format!("No results; run `advrec sweep {}`.", claim.run.join("`, `")));
    }
    notes
}

/// What is measured, what it is held against, and what decides.
fn titles(rule: &Rule) -> [&'static str; 3] {
    match rule {
        Rule::Ranking { against: super::claims::Reference::Noise, .. } => {
            ["NDCG", "under noise", "difference"]
        }
        Rule::Ranking { .. } | Rule::Equivalent { .. } => ["NDCG", "clean", "difference"],
        Rule::Strongest { .. } => ["NDCG, l1", "this", "difference"],
        Rule::Strength | Rule::RecallByStrength => ["largest ε", "smallest ε", "difference"],
        Rule::Frequency | Rule::RecallByFrequency => ["highest", "lowest", "difference"],
        Rule::Strategic { .. } => ["taken", "by always", "less 80 %"],
        Rule::Rules => ["strategic", "random", "difference"],
        Rule::Drift { .. } => ["MMD", "of halves", "difference"],
        Rule::Nearer { .. } => ["MMD-l1", "MMD-org", "difference"],
        Rule::Detection { .. } => ["F1", "flagging all", "difference"],
        Rule::Missed { .. } => ["recall", "half", "difference"],
    }
}

fn numbers(judged: &Judged, judgement: &Judgement) -> Table {
    let [measured, reference, difference] = titles(&judged.claim.rule);
    let with_paper = judgement.evidence.contrasts.iter().any(|c| c.paper.is_some());
    let mut columns = vec![
        Column::alone(measured),
        Column::alone(reference),
        Column::alone(difference),
        Column::alone("p Holm"),
        Column::alone("seeds"),
        Column::alone("shown"),
    ];
    if with_paper {
        columns.push(Column::under("paper", measured, "paper"));
        columns.push(Column::under("paper", reference, "beside"));
    }
    let row = |contrast: &Contrast| {
        let mut cells = vec![
            estimate(contrast.measured),
            estimate(contrast.reference),
            Cell::Estimate(contrast.difference, 3),
            match contrast.holm_p {
                Some(p) if p < 0.001 => Cell::Text("<0.001".to_owned()),
                p => Cell::number(p, 3),
            },
            Cell::Text(contrast.seeds().to_string()),
            Cell::Text(shown(contrast.outcome).to_owned()),
        ];
        if with_paper {
            let paper = |at: usize| Cell::number_or_blank(contrast.paper.map(|both| both[at]), 3);
            cells.extend([paper(0), paper(1)]);
        }
        Row::new(contrast.label.clone(), cells)
    };
    let rows = judgement.evidence.contrasts.iter().map(row).collect();
    let caption = format!("{}: {}", judgement.dataset, judgement.setting);
    Table::plain("attack", columns, rows).captioned(caption).of_dataset(&judgement.dataset)
}

/// A mean with its interval; what is the same for every seed is a number.
fn estimate(of: Estimate) -> Cell {
    match of.ends() {
        Some((lower, upper)) if lower == upper => Cell::Number(of.mean, 3),
        _ => Cell::Estimate(of, 3),
    }
}

fn shown(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Yes => "yes",
        Outcome::No => "no",
        Outcome::Open => "open",
    }
}

/// The verdict on a dataset, and why.
fn reasons(
    (number, judged): (usize, &Judged),
    dataset: &Dataset,
    judgement: &Judgement,
    query: Option<usize>,
) -> Vec<String> {
    let evidence = &judgement.evidence;
    let name = &dataset.name;
    let mut verdict = format!("Claim {number} on `{name}`: {}", verdict(judgement, dataset));
    if judgement.verdict == Verdict::NoResults {
        return vec![format!("{verdict}; {}.", to_run(judged, dataset))];
    }
    let ((yes, no), all) = (evidence.tally(), evidence.all);
    if has_numbers(judgement) {
        verdict +=
            &format!(". Shown by {yes} of {all}, refuted by {no}; needed {}", evidence.needed);
    }
    if evidence.contrasts.iter().any(|contrast| contrast.seeds() < 2) {
        verdict += ". A single seed has no interval: sweep with `seeds: [1, 2, 3]` or more";
    }
    let mut notes = vec![verdict + "."];
    if !evidence.missing.is_empty() {
        let missing = evidence.missing.iter().map(|missing| match missing.why {
            Some(why) => format!("{} ({why})", missing.attack),
            None => missing.attack.clone(),
        });
        let missing = missing.collect::<Vec<_>>().join(", ");
        let undecided = judgement.rule == Outcome::Open;
        let run = if undecided { format!("; {}", to_run(judged, dataset)) } else { String::new() };
        notes.push(format!("Not compared: {missing}{run}."));
    }
    if let (shown, count @ 1..) = evidence.paper_tally() {
        notes.push(format!(
            "The paper's own numbers show it, by the same margin and without intervals, for {shown} of \
             {count} of these."
        ));
    }
    if !judgement.others.is_empty() {
        let listed = judgement.others.iter().take(LISTED);
        let listed = listed.map(|other| format!("{} ({})", other.setting, rule_said(other.rule)));
        let more = match judgement.others.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let listed = listed.collect::<Vec<_>>().join("; ");
        notes.push(format!("Other settings, with fewer comparisons or seeds: {listed}{more}."));
    }
    if let Some(query) = query {
        notes.push(format!("Numbers of each seed: query {} at the end.", query + 1));
    }
    notes
}

/// What gives the numbers that are not there.
fn to_run(judged: &Judged, dataset: &Dataset) -> String {
    let grids = judged.claim.run.join("`, `");
    match dataset.of_paper {
        true => format!("run `advrec sweep {grids}`"),
        false => format!("run the attacks of `{grids}` with `dataset: {}`", dataset.name),
    }
}

fn rule_said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Yes => "rule met",
        Outcome::No => "rule not met",
        Outcome::Open => "open",
    }
}
