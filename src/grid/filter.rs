//! Cells chosen by their parameters: `attack=jsma|deepfool,seed=2`.

use super::catalogue::CATALOGUE;
use super::error::Fault;
use super::parameter::{Parameter, find, nearest, plain};
use super::{document, error::quoted};
use crate::plan::Cell;
use serde_json::Value;
use std::str::FromStr;
use thiserror::Error;

/// How many values a message lists.
const LISTED: usize = 12;

/// Why cells cannot be chosen.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    #[error("{0} is no `name=value`; write such as attack=jsma,seed=1|2")]
    Form(String),
    #[error("unknown parameter {name}{}", suggestion(near))]
    Unknown { name: String, near: Option<&'static str> },
    #[error("{0}")]
    Value(String),
    #[error("no cell has {missing}{given}; {there}")]
    NoCell { missing: String, given: String, there: String },
}

fn suggestion(near: &Option<&'static str>) -> String {
    match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; `advrec plan --parameters` lists all".to_owned(),
    }
}

/// A choice among the cells of a grid: those in which each parameter named has one of its values. Values
/// have the type of their parameter, so that 0.1 is 0.10.
#[derive(Clone, Debug, PartialEq)]
pub struct CellFilter(Vec<Condition>);

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    parameter: &'static Parameter,
    values: Vec<Value>,
}

impl Condition {
    fn holds(&self, cell: &Cell) -> bool {
        cell.params.get(self.parameter.name).is_some_and(|value| self.values.contains(value))
    }

    fn text(&self) -> String {
        let values: Vec<String> = self.values.iter().map(plain).collect();
        format!("{}={}", self.parameter.name, values.join("|"))
    }
}

impl FromStr for CellFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        split(text, ',').into_iter().map(condition).collect::<Result<_, _>>().map(Self)
    }
}

fn condition(text: &str) -> Result<Condition, FilterError> {
    let form = || FilterError::Form(quoted(text));
    let (name, values) = text.split_once('=').ok_or_else(form)?;
    let name = name.trim();
    let id = find(name).ok_or_else(|| FilterError::Unknown {
        name: quoted(name),
        near: nearest(name, CATALOGUE.iter().map(|p| p.name)),
    })?;
    let parameter = &CATALOGUE[id];
    let bad = |fault: Fault| {
        let help = fault.help.map_or(String::new(), |help| format!("; {help}"));
        FilterError::Value(format!("{}{help}", fault.message))
    };
    let value = |text: &str| {
        // What is empty or no YAML would be told of as a grid.
        let node = document::parse(text).map_err(|_| form())?;
        parameter.value(&node).map_err(bad)
    };
    let values = split(values, '|').into_iter().map(value).collect::<Result<_, _>>()?;
    Ok(Condition { parameter, values })
}

/// The parts between separators that stand outside brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == separator && depth <= 0
    });
    parts.map(str::trim).collect()
}

impl CellFilter {
    /// For each cell, whether it is among those chosen; at least one is.
    ///
    /// # Errors
    /// If none is: which parameter is to blame, and what values it has.
    pub fn choose(&self, cells: &[Cell]) -> Result<Vec<bool>, FilterError> {
        let mut chosen = vec![true; cells.len()];
        for (index, condition) in self.0.iter().enumerate() {
            let before = chosen.clone();
            for (chosen, cell) in chosen.iter_mut().zip(cells) {
                *chosen = *chosen && condition.holds(cell);
            }
            if !chosen.contains(&true) {
                let left = cells.iter().zip(before).filter(|(_, before)| *before);
                return Err(no_cell(condition, &self.0[..index], left.map(|(cell, _)| cell)));
            }
        }
        Ok(chosen)
    }
}

/// What to say when no cell of those `left` by the conditions `given` meets the next one.
fn no_cell<'a>(
    condition: &Condition,
    given: &[Condition],
    left: impl Iterator<Item = &'a Cell>,
) -> FilterError {
    let name = condition.parameter.name;
    let mut values: Vec<String> = Vec::new();
    for value in left.filter_map(|cell| cell.params.get(name)) {
        let value = plain(value);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let more = values.len().saturating_sub(LISTED);
    values.truncate(LISTED);
    let there = match (values.is_empty(), more) {
        (true, _) => format!("`{name}` concerns none of them"),
        (false, 0) => format!("there are {}", values.join(", ")),
        (false, more) => format!("there are {} and {more} more", values.join(", ")),
    };
    let given: Vec<String> = given.iter().map(Condition::text).collect();
    let given = match given.is_empty() {
        true => String::new(),
        false => format!(" where {}", given.join(",")),
    };
    FilterError::NoCell { missing: condition.text(), given, there }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid;
    use std::path::Path;

    fn cells() -> Vec<Cell> {
        let text = "dataset: d\nseeds: [1, 2]\naxes:\n  attack: [none, {id: fgsm_l1, epsilon: [0.1, \
                    0.3]}, deepfool]\n  rollout.topk: [[25, 5, 1], [10, 5, 1]]\n";
        grid::parse(Path::new("g.yaml"), &format!("name: g\n{text}")).unwrap().expand().unwrap()
    }

    fn labels(filter: &str) -> Result<String, String> {
        let cells = cells();
        let filter: CellFilter = filter.parse().map_err(|e: FilterError| e.to_string())?;
        let chosen = filter.choose(&cells).map_err(|e| e.to_string())?;
        let labels = cells.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        Ok(labels.map(|(cell, _)| cell.label()).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn cells_are_chosen_by_values_of_their_type() {
        insta::assert_snapshot!(
            labels("epsilon=0.10, seed=2, rollout.topk=[25,5,1]|[10, 5, 1]").unwrap(), @r"
        attack=fgsm_l1 epsilon=0.1 rollout.topk=[25,5,1] seed=2
        attack=fgsm_l1 epsilon=0.1 rollout.topk=[10,5,1] seed=2
        ");
        insta::assert_snapshot!(labels("attack=none|deepfool,seed=1,rollout.topk=[10,5,1]").unwrap(), @r"
        attack=none rollout.topk=[10,5,1] seed=1
        attack=deepfool rollout.topk=[10,5,1] seed=1
        ");
        assert_eq!(labels("rollout.users=all").unwrap().lines().count(), 16);
    }

    #[test]
    fn filters_that_are_none_or_match_nothing_are_explained() {
        let mut found = String::new();
        for text in [
            "",
            "attack",
            "attak=jsma",
            "weather=1",
            "attack=jmsa",
            "seed=one",
            "seed=",
            "epsilon=[",
            "attack=jsma",
            "attack=fgsm_l1,epsilon=0.2",
            "attack=none,epsilon=0.1",
        ] {
            found.push_str(&format!("{text} -> {}\n", labels(text).unwrap_err()));
        }
        // Not to be changed for every new attack.
        let attacks: Vec<&str> = crate::attack::ATTACKS.iter().map(|a| a.id).collect();
        let found = found.replace(&attacks.join(", "), "[every attack]");
        insta::assert_snapshot!(found, @r"
         -> `` is no `name=value`; write such as attack=jsma,seed=1|2
        attack -> `attack` is no `name=value`; write such as attack=jsma,seed=1|2
        attak=jsma -> unknown parameter `attak`; did you mean `attack`?
        weather=1 -> unknown parameter `weather`; `advrec plan --parameters` lists all
        attack=jmsa -> `attack` has no value `jmsa`; did you mean `jsma`? valid: none, [every attack]
        seed=one -> `seed` takes a whole number, not `one`
        seed= -> `seed=` is no `name=value`; write such as attack=jsma,seed=1|2
        epsilon=[ -> `epsilon=[` is no `name=value`; write such as attack=jsma,seed=1|2
        attack=jsma -> no cell has attack=jsma; there are none, fgsm_l1, deepfool
        attack=fgsm_l1,epsilon=0.2 -> no cell has epsilon=0.2 where attack=fgsm_l1; there are 0.1, 0.3
        attack=none,epsilon=0.1 -> no cell has epsilon=0.1 where attack=none; `epsilon` concerns none of them
        ");
    }
}
