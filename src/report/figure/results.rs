//! The results that figures show, from the view `seeds_summary`, and what tells them apart.

use super::super::database::{ReportError, failed, identity};
use super::super::setting::told_apart;
use super::Users;
use crate::metrics::statistics::Estimate;
use rusqlite::Connection;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

pub type Parameters = Map<String, Json>;

/// The results of one kind of stage under one combination of parameters, over its seeds.
pub struct Outcome {
    pub grid: String,
    pub kind: String,
    /// All but the seed.
    pub parameters: Parameters,
    /// Whose NDCG is shown.
    pub users: Users,
    values: BTreeMap<(String, String), Estimate>,
}

impl Outcome {
    /// Of the same stage, told apart by other parameters.
    pub fn without_values(of: &Self, parameters: Parameters) -> Self {
        let (grid, kind) = (of.grid.clone(), of.kind.clone());
        Self { grid, kind, parameters, users: of.users, values: BTreeMap::new() }
    }

    pub fn value(&self, split: &str, metric: &str) -> Option<Estimate> {
        self.values.get(&(split.to_owned(), metric.to_owned())).copied()
    }

    /// The values of splits such as `epoch/3`, by the number after the slash.
    pub fn curve(&self, metric: &str) -> Vec<(f64, Estimate)> {
        let named = self.values.iter().filter(|((_, name), _)| name == metric);
        let mut points: Vec<(f64, Estimate)> =
            named.filter_map(|((split, _), value)| Some((place(split)?, *value))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    pub fn dataset(&self) -> &str {
        text(&self.parameters, "dataset").unwrap_or_default()
    }

    pub fn ndcg(&self) -> Option<Estimate> {
        self.value(self.users.split(), "ndcg")
    }
}

/// The number after the slash of a split such as `epoch/3`.
pub fn place(split: &str) -> Option<f64> {
    split.split_once('/')?.1.parse().ok()
}

pub fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).and_then(Json::as_str)
}

pub fn number(parameters: &Parameters, name: &str) -> Option<f64> {
    parameters.get(name).and_then(Json::as_f64)
}

/// The id of the attack; `none` for clean results.
pub fn attack(parameters: &Parameters) -> &str {
    text(parameters, "attack").unwrap_or("none")
}

/// Which time steps are attacked.
pub fn timing(parameters: &Parameters) -> &str {
    text(parameters, "timing").unwrap_or("always")
}

/// Whether a parameter belongs to the attack, as opposed to the agent or the detector.
fn is_of_attack(name: &str) -> bool {
    match name.split_once('.') {
        Some((section, _)) => matches!(section, "transfer" | "adaptive"),
        None => !matches!(name, "dataset" | "defense" | "other"),
    }
}

/// The parameters of the attack, without those that `but` names.
pub fn of_attack(parameters: &Parameters, but: &[&str]) -> Parameters {
    let own = parameters.iter().filter(|(name, _)| is_of_attack(name) && !but.contains(&&***name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Results by their attack, whose parameters that `but` names do not count, in the order of the parameters.
pub fn by_attack<'a>(
    outcomes: impl Iterator<Item = &'a Outcome>,
    but: &[&str],
) -> Vec<(Parameters, Vec<&'a Outcome>)> {
    let mut found: BTreeMap<String, (Parameters, Vec<&Outcome>)> = BTreeMap::new();
    for outcome in outcomes {
        let own = of_attack(&outcome.parameters, but);
        let (_, key) = identity("", &own);
        found.entry(key).or_insert_with(|| (own, Vec::new())).1.push(outcome);
    }
    found.into_values().collect()
}

/// Whether the attack is crafted on another agent, or evades the detector.
pub fn is_special(parameters: &Parameters) -> bool {
    parameters.keys().any(|name| name.starts_with("transfer.") || name.starts_with("adaptive."))
}

/// Results that differ in nothing but the dataset, the attack and what `but` named: they can share a
/// figure.
pub struct Group<'a> {
    pub grid: &'a str,
    /// What tells the group from the others; empty where there is no other.
    pub label: String,
    /// What its figures' names end in; empty where there is no other.
    pub suffix: String,
    pub outcomes: Vec<&'a Outcome>,
}

impl Group<'_> {
    pub fn datasets(&self) -> BTreeSet<&str> {
        self.outcomes.iter().map(|o| o.dataset()).collect()
    }

    pub fn of<'b>(&'b self, dataset: &'b str) -> impl Iterator<Item = &'b Outcome> {
        self.outcomes.iter().copied().filter(move |o| o.dataset() == dataset)
    }

    /// NDCG without any attack.
    pub fn clean(&self, dataset: &str) -> Option<Estimate> {
        self.of(dataset).find(|o| attack(&o.parameters) == "none").and_then(Outcome::ndcg)
    }

    /// The caption with what tells the figure from others of its kind.
    pub fn caption(&self, text: &str) -> String {
        if self.label.is_empty() { text.to_owned() } else { format!("{text} ({})", self.label) }
    }
}

/// Sorts results into groups; only those for which `wanted` holds of one result count.
pub fn grouped<'a>(
    outcomes: impl Iterator<Item = &'a Outcome>,
    but: &[&str],
    wanted: impl Fn(&Group<'_>) -> bool,
) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(String, String), (Parameters, Vec<&Outcome>)> = BTreeMap::new();
    for outcome in outcomes {
        let shared: Parameters = outcome
            .parameters
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                // What is measured besides does not change what is measured here.
                let beside =
                    matches!(name, "dataset" | "other" | "rollout.direct" | "drift.compare");
                !is_of_attack(name) && !beside && !but.contains(&name)
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let key = identity(&outcome.grid, &shared);
        groups.entry(key).or_insert_with(|| (shared, Vec::new())).1.push(outcome);
    }
    let mut found: Vec<(Parameters, Group)> = groups
        .into_values()
        .map(|(shared, outcomes)| {
            let grid = outcomes[0].grid.as_str();
            (shared, Group { grid, label: String::new(), suffix: String::new(), outcomes })
        })
        .filter(|(_, group)| wanted(group))
        .collect();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(_, g)| g.grid.to_owned()).collect();
        let labels = told_apart(names.clone(), &found.iter().map(|(p, _)| p).collect::<Vec<_>>());
        for (at, label) in labels.into_iter().enumerate() {
            let before = names[..at].iter().filter(|name| **name == names[at]).count();
            let count = if before > 0 { format!("-{}", before + 1) } else { String::new() };
            found[at].1.suffix = format!("-{}{count}", file_name(&names[at]));
            found[at].1.label = label;
        }
    }
    found.into_iter().map(|(_, group)| group).collect()
}

/// The letters of a name that every file system takes.
pub fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.chars().map(plain).collect()
}

/// Reads the results of all kinds that figures show.
pub fn read(db: &Connection, grid: Option<&str>) -> Result<Vec<Outcome>, ReportError> {
    let what = "the view `seeds_summary`";
    let sql = "
        SELECT grid, kind, parameters, split, metric, value, lower, upper, n FROM seeds_summary
        WHERE (?1 IS NULL OR grid = ?1) AND (
            (kind = 'rollout' AND metric = 'realised_frequency' AND split = 'all')
            OR (kind = 'ranking' AND metric = 'ndcg' AND split IN ('valid', 'all_users'))
            OR (kind = 'drift' AND metric = 'mmd_biased' AND split = 'all')
            OR (kind = 'detection' AND metric IN ('roc_tpr', 'pr_precision', 'fpr_at_95_tpr', 'prevalence',
                'attention_clean', 'attention_attacked')))
        ORDER BY grid, kind, parameters";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut last = String::new();
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, kind, parameters): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let Some(mean) = row.get::<_, Option<f64>>(5)? else { return Ok(()) };
            let same = outcomes.last().is_some_and(|o| o.grid == grid && o.kind == kind);
            if !same || last != parameters {
                last = parameters;
                let parameters = serde_json::from_str(&last).unwrap_or_default();
                let (users, values) = (Users::default(), BTreeMap::new());
                outcomes.push(Outcome { grid, kind, parameters, users, values });
            }
            let (lower, upper): (Option<f64>, Option<f64>) = (row.get(6)?, row.get(7)?);
            let n = row.get::<_, i64>(8)?.unsigned_abs();
            let estimate = Estimate { mean, interval: lower.zip(upper), n };
            if let Some(outcome) = outcomes.last_mut() {
                outcome.values.insert((row.get(3)?, row.get(4)?), estimate);
            }
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(outcomes)
}
