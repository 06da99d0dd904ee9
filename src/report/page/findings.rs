//! The summary: what the numbers say, in sentences that are made from them.

use super::Section;
use super::cells::GridCells;
use super::sentence::{Sentence, list, of_grid};
use crate::report::table1::{Block, Estimate, ResultRow};
use crate::report::table2::{Detection, DetectorBlock};
use crate::report::{Table1, Table2};
use std::collections::HashMap;

/// Names that a sentence lists.
const LISTED: usize = 8;
/// Clean agents of a dataset that the summary speaks of.
const AGENTS: usize = 6;

/// Sentences on every dataset, and on how far the grids are.
pub fn section(
    table1: &Table1,
    table2: Option<&Table2>,
    grids: &[GridCells],
    grid: Option<&str>,
) -> Section {
    let mut body = String::new();
    if table1.blocks.is_empty() {
        body += "<p>No cell has a result yet, so there is nothing to say of results.</p>\n";
    }
    for block in &table1.blocks {
        let detectors = table2.into_iter().flat_map(|table| &table.blocks);
        let detectors: Vec<&DetectorBlock> =
            detectors.filter(|detector| detector.place.is_of(block)).collect();
        let mut sentences = of_block(block, &detectors);
        if table1.synthetic.contains(&block.dataset) {
            sentences.push(Sentence::new(
                "The dataset is made up, whole or in its review words: these are not results on Amazon \
                 reviews.",
            ));
        }
        let title = crate::report::format::html::marked_up(&block.title());
        body += &format!("<h3>{title}</h3>\n{}", list(&sentences));
    }
    let mut state: Vec<Sentence> = grids.iter().map(GridCells::sentence).collect();
    if grids.is_empty() {
        state.push(Sentence::new("The database has no grid. Run `advrec sweep GRID.yaml` first."));
    } else {
        state.push(flags(table1, grid));
    }
    body += &format!("<h3>How far it is</h3>\n{}", list(&state));
    Section::new("summary", "Summary of findings", body)
}

fn flags(table1: &Table1, grid: Option<&str>) -> Sentence {
    let rows = || table1.blocks.iter().flat_map(|block| &block.rows);
    let count = rows().flat_map(|row| &row.flags).map(|flag| flag.seeds).sum();
    let flagged = rows().filter(|row| !row.flags.is_empty()).count();
    let sql = format!("SELECT count(*) FROM flags{}", of_grid("WHERE", "grid", grid));
    Sentence::default()
        .count(count, "flags", &sql)
        .say(if count == 1 { " flag" } else { " flags" })
        .say(&match flagged {
            0 => " on results.".to_owned(),
            1 => " of single seeds on 1 result, not to be taken at face value: ".to_owned(),
            n => format!(" of single seeds on {n} results, not to be taken at face value: "),
        })
        .link("flags", if flagged == 0 { "" } else { "which and why" })
}

fn of_block(block: &Block, detectors: &[&DetectorBlock]) -> Vec<Sentence> {
    let is_clean = |row: &&ResultRow| {
        row.setting.attack == "none" && row.setting.is_plain() && row.setting.agent != "direct"
    };
    let mut attacked: HashMap<String, Vec<&ResultRow>> = HashMap::new();
    for row in block.rows.iter().filter(|row| row.setting.attack != "none") {
        attacked.entry(victim(row)).or_default().push(row);
    }
    let agents = block.rows.iter().filter(is_clean).map(|clean| {
        let attacked = attacked.get(&victim(clean)).map(Vec::as_slice).unwrap_or_default();
        (clean, attacked)
    });
    // What is attacked by nothing is a control.
    let agents = agents.filter(|(row, by)| row.setting.agent != "random_walk" || !by.is_empty());
    let agents: Vec<(&ResultRow, &[&ResultRow])> = agents.collect();
    let mut sentences = Vec::new();
    for (clean, attacked) in agents.iter().take(AGENTS) {
        sentences.push(clean_sentence(clean, agents.len() == 1));
        let noise = |row: &&&ResultRow| row.setting.attack.starts_with("noise_");
        let (noise, attacks): (Vec<&ResultRow>, Vec<&ResultRow>) = attacked.iter().partition(noise);
        if attacks.is_empty() {
            sentences.push(Sentence::new("No attack on it has a result yet."));
        } else {
            sentences.push(strongest(clean, &attacks));
            sentences.extend(against_noise(&attacks, &noise));
        }
    }
    if let Some(more) = agents.len().checked_sub(AGENTS).filter(|more| *more > 0) {
        sentences.push(
            Sentence::new(&format!("Of {more} more agents, see ")).link("table-1", "Table 1"),
        );
    }
    sentences.extend(best_detection(detectors));
    let ndcg = |row: &ResultRow| row.estimate("all_users", "ndcg").map(|ndcg| ndcg.n);
    if agents.iter().any(|(clean, _)| ndcg(clean) == Some(1)) {
        sentences.push(Sentence::new(
            "There is one seed, so no mean has an interval over seeds; `seeds: [1, 2, 3]` in the grid gives \
             some.",
        ));
    }
    sentences
}

/// What is attacked: all parameters that are not of the attack, in one text.
fn victim(row: &ResultRow) -> String {
    let of_attack = |name: &str| match name.split_once('.') {
        Some((section, _)) => matches!(section, "transfer" | "adaptive" | "detector"),
        None => !matches!(name, "dataset" | "defense"),
    };
    let own = row.setting.parameters.iter().filter(|(name, _)| !of_attack(name));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {:?} {}", row.setting.agent, row.setting.defense, own.join(" "))
}

/// `alone`: there is no other agent.
fn clean_sentence(row: &ResultRow, alone: bool) -> Sentence {
    let who = match alone && row.setting.agent == "actor_critic" {
        true => "The clean agent".to_owned(),
        false => format!("The clean agent `{}`", row.label),
    };
    let Some(ndcg) = row.estimate("valid", "ndcg") else {
        return Sentence::new(&who).say(" has no NDCG: no user got a full list of ten.");
    };
    let seeds = if ndcg.n == 1 { "one seed".to_owned() } else { format!("{} seeds", ndcg.n) };
    let sentence = Sentence::new(&who)
        .say(" reaches an NDCG of ")
        .number(&ndcg.text(2), "clean NDCG", row.source("valid", "ndcg").as_ref())
        .say(" % over users with a full list of ten");
    let sentence = match row.estimate("all_users", "ndcg") {
        Some(all) => sentence
            .say(", ")
            .number(
                &all.text(2),
                "clean NDCG of all users",
                row.source("all_users", "ndcg").as_ref(),
            )
            .say(" % over all users"),
        None => sentence,
    };
    sentence.say(&format!(" ({seeds})."))
}

/// The change of NDCG against the clean agent, in percent.
fn change(row: &ResultRow, clean: &ResultRow, split: &str) -> Option<f64> {
    let usable = |row: &ResultRow| row.estimate(split, "ndcg").filter(|e| !e.ambiguous).copied();
    let (ours, clean) = (usable(row)?, usable(clean).filter(|clean| clean.mean != 0.0)?);
    Some(100.0 * (ours.mean - clean.mean) / clean.mean)
}

fn signed(value: f64) -> String {
    format!("{value:+.1}").replace('-', "−")
}

/// The attack that takes most over all users: those with a full list may be a few, or nobody.
fn strongest(clean: &ResultRow, attacks: &[&ResultRow]) -> Sentence {
    let changes = attacks.iter().filter_map(|row| Some((*row, change(row, clean, "all_users")?)));
    let Some((row, lowest)) = changes.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Sentence::new("No attack has an NDCG over all users.");
    };
    let begun = match lowest < 0.0 {
        true => format!("The strongest attack is `{}`: NDCG ", row.label),
        false => {
            format!("No attack lowers it over all users; `{}` comes nearest: NDCG ", row.label)
        }
    };
    let about = "change of NDCG against the clean agent";
    let source = |split: &str| row.change_from(clean, split, "ndcg");
    let sentence = Sentence::new(&begun)
        .number(&signed(lowest), &format!("{about}, all users"), source("all_users").as_ref())
        .say(" % over all users");
    let sentence = match change(row, clean, "valid") {
        Some(valid) => sentence
            .say(", ")
            .number(
                &signed(valid),
                &format!("{about}, users with a full list"),
                source("valid").as_ref(),
            )
            .say(" % over those with a full list"),
        None => sentence.say(", no number over those with a full list"),
    };
    let marks: Vec<String> = row.flags.iter().map(|flag| format!("[{}]", flag.number())).collect();
    match marks.is_empty() {
        true => sentence.say("."),
        false => {
            sentence.say("; it has ").link("flags", &format!("flags {}", marks.concat())).say(".")
        }
    }
}

/// The noise that an attack is held against: of the same norm, size and timing.
fn noise_of<'a>(attack: &ResultRow, noise: &[&'a ResultRow]) -> Option<&'a ResultRow> {
    let norm = ["linf", "l1", "l2"]
        .into_iter()
        .find(|norm| attack.setting.attack.split('_').any(|part| part == *norm))?;
    noise.iter().copied().find(|row| {
        let (a, b) = (&attack.setting, &row.setting);
        b.attack == format!("noise_{norm}")
            && (b.epsilon, &b.timing, b.frequency) == (a.epsilon, &a.timing, a.frequency)
            && b.defense == a.defense
    })
}

/// Whether NDCG under an attack cannot be told from that under noise.
fn is_alike(attack: &Estimate, noise: &Estimate) -> bool {
    // Of a single seed nothing can be told apart.
    let overlap = attack.ends().zip(noise.ends()).is_none_or(|(a, b)| a.0 <= b.1 && b.0 <= a.1);
    overlap || attack.mean >= noise.mean
}

fn against_noise(attacks: &[&ResultRow], noise: &[&ResultRow]) -> Vec<Sentence> {
    let (mut alike, mut apart, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for attack in attacks {
        let ndcg = |row: &ResultRow| row.estimate("all_users", "ndcg").copied();
        let pair = noise_of(attack, noise).and_then(|noise| ndcg(attack).zip(ndcg(noise)));
        match pair {
            Some((ours, noise)) if is_alike(&ours, &noise) => alike.push(attack.label.as_str()),
            Some(_) => apart.push(attack.label.as_str()),
            None => alone.push(attack.label.as_str()),
        }
    }
    let rule = "NDCG over all users is not below it, the 95 % intervals overlap, or there are none";
    let mut sentences = Vec::new();
    if !alike.is_empty() {
        let text = format!(
            "Not to be told from noise of the same norm and ε ({rule}): {}.",
            listed(&alike)
        );
        sentences.push(Sentence::new(&text));
    }
    if !apart.is_empty() {
        let text = format!("Stronger than noise of the same norm and ε: {}.", listed(&apart));
        sentences.push(Sentence::new(&text));
    }
    if !alone.is_empty() {
        let text = format!(
            "Held against no noise, for the grid has none of the same norm, ε and timing: {}.",
            listed(&alone)
        );
        sentences.push(Sentence::new(&text));
    }
    sentences
}

/// Names as code, the first few.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn best_detection(detectors: &[&DetectorBlock]) -> Option<Sentence> {
    let tests = detectors.iter().flat_map(|block| block.rows.iter().map(move |row| (*block, row)));
    let attacked = |(_, test): &(&DetectorBlock, &Detection)| {
        test.is_plain() && test.attack != "none" && !test.attack.starts_with("noise_")
    };
    let measured = tests.filter(attacked).filter_map(|(b, t)| Some((b, t, t.estimate("f1")?)));
    let (block, test, f1) = measured.max_by(|a, b| a.2.mean.total_cmp(&b.2.mean))?;
    let sentence = Sentence::new(&format!(
        "Best detected: `{}` by {}, F1 ",
        test.label, block.label
    ))
    .number(&f1.text(3), "best F1", test.source("f1").as_ref());
    Some(match test.estimate("auroc") {
        Some(auroc) => sentence
            .say(", AUROC ")
            .number(&auroc.text(3), "its AUROC", test.source("auroc").as_ref())
            .say("."),
        None => sentence.say("."),
    })
}
