//! A parameter of the grid language: its kind, range and default, and how its values are read.

use super::catalogue::{CATALOGUE, from_to};
use super::document::{Content, Meaning, Node};
use super::error::{Fault, Place, quoted};
use crate::attack;
use crate::plan::StageKind;
use serde_json::Value;
use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// What a parameter's values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One of some words.
    Choice(&'static [&'static str]),
    /// `none` or the id of one of [`attack::ATTACKS`].
    Attack,
    /// A whole number.
    Int(Range),
    /// A number, finite.
    Float(Range),
    Bool,
    /// The name of a dataset or of imported weights: letters, digits, `_`, `-` and `.`, not
    /// beginning with `.`, since names become folders.
    Name,
    /// Whole numbers, so many of them, each at least 1.
    Ints(usize),
    /// `all`, a count N, or `A..B` without B.
    Users,
}

/// Least and greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: Bound<f64>,
    pub high: Bound<f64>,
}

/// A value in the catalogue itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    Text(&'static str),
    Int(i64),
    Float(f64),
    Bool(bool),
    Ints(&'static [i64]),
}

/// Which cells a parameter concerns; it is dropped from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    Every,
    /// Cells whose weights are not imported.
    Trained,
    /// Of those, cells whose agent has a network: not `random_walk`.
    Network,
    /// Cells with imported weights.
    Imported,
    /// Cells under attack.
    Attacked,
    /// Cells whose attack lists the parameter among its own.
    AttackParameter,
    /// Cells whose timing goes by a frequency: `random`, and rules that score without a `threshold`.
    Frequency,
    /// Cells whose timing rule scores, where it is given.
    Threshold,
    /// Cells under attack whose agent is trained, where it is given.
    Transfer,
    /// Cells that are compared with others.
    Drift,
    /// Cells with a detector.
    Detector,
    /// Of those, cells whose detector is a network over sequences.
    Sequential,
    /// Cells whose detector is trained on an attack that lists the parameter (by its last name).
    DetectorAttack,
    /// Cells under an attack with an objective, with a detector that it can evade, where it is given.
    Adaptive,
    /// Cells whose agent is trained on attacked states.
    Hardened,
    /// Of those, cells that train on an attack that lists the parameter (by its last name).
    HardeningAttack,
}

/// A parameter of the grid language.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Such as `agent.epochs`: the section, then the name by which the stage knows it.
    pub name: &'static str,
    pub kind: Kind,
    /// `None`: required in every cell that it concerns.
    pub default: Option<Literal>,
    /// The stage whose parameters it is among; `None` where it acts otherwise.
    pub stage: Option<StageKind>,
    pub concern: Concern,
    /// One line for people.
    pub doc: &'static str,
}

/// Index of a parameter in [`CATALOGUE`].
pub type ParameterId = usize;

/// The parameter with this name.
pub fn find(name: &str) -> Option<ParameterId> {
    CATALOGUE.iter().position(|p| p.name == name)
}

impl Parameter {
    /// The name without its section: what a stage calls the parameter.
    pub fn last_name(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, last)| last)
    }

    /// What the parameter takes, for people: the kind, and the range of a number.
    pub fn values(&self) -> String {
        match self.kind {
            Kind::Int(range) | Kind::Float(range)
                if (range.low, range.high) != (Unbounded, Unbounded) =>
            {
                format!("{}, {range}", self.kind)
            }
            kind => kind.to_string(),
        }
    }

    /// The default as JSON.
    pub fn default_value(&self) -> Option<Value> {
        self.default.map(|default| match default {
            Literal::Text(text) => Value::from(text),
            Literal::Int(int) => Value::from(int),
            Literal::Float(float) => Value::from(float),
            Literal::Bool(bool) => Value::from(bool),
            Literal::Ints(ints) => Value::from(ints),
        })
    }

    /// Whether a value is a list, so that a list of alternatives is a list of lists.
    pub fn takes_list(&self) -> bool {
        matches!(self.kind, Kind::Ints(_))
    }

    /// The value of a node as JSON of the parameter's type: floats stay floats, user ranges become
    /// `all` or `A..B`.
    ///
    /// # Errors
    /// If the node has another type or the value is out of range.
    pub fn value(&self, node: &Node) -> Result<Value, Fault> {
        let wrong_type = || {
            let fault = Fault::new(
                node.place,
                format!("`{}` takes {}, not {}", self.name, self.kind, node.describe()),
            );
            match (&node.content, self.default_value()) {
                (Content::List(_), _) if !self.takes_list() => {
                    fault.help("a list of values belongs under `axes`")
                }
                _ if node.is_range() => fault.help("a range belongs under `axes`, or into a list"),
                (Content::Map(_), _) => {
                    fault.help("a mapping of parameters belongs under `axes` or `include`")
                }
                (_, Some(default)) => fault.help(format!("the default is {}", plain(&default))),
                _ => fault,
            }
        };
        if let (Kind::Ints(count), Content::List(items)) = (self.kind, &node.content) {
            return self.ints(count, items, node.place);
        }
        let Content::Scalar { text, meaning } = &node.content else { return Err(wrong_type()) };
        match (self.kind, *meaning) {
            (Kind::Bool, Meaning::Bool(bool)) => Ok(Value::from(bool)),
            (Kind::Bool, Meaning::Text) if matches!(text.as_str(), "yes" | "no" | "on" | "off") => {
                Err(wrong_type().help("write `true` or `false`"))
            }
            (Kind::Int(range), Meaning::Int(int)) => {
                self.within(range, int as f64, text, node.place)?;
                Ok(Value::from(int))
            }
            (Kind::Int(_), Meaning::Float(float)) if float.fract() == 0.0 && float.abs() < 1e15 => {
                Err(wrong_type().help(format!("write {}", float as i64)))
            }
            (Kind::Float(range), Meaning::Int(int)) => {
                self.within(range, int as f64, text, node.place)?;
                Ok(Value::from(int as f64))
            }
            (Kind::Float(range), Meaning::Float(float)) if float.is_finite() => {
                self.within(range, float, text, node.place)?;
                // There is one zero.
                Ok(Value::from(if float == 0.0 { 0.0 } else { float }))
            }
            (Kind::Choice(choices), _) => match choices.iter().find(|c| *c == text) {
                Some(choice) => Ok(Value::from(*choice)),
                None => Err(self.no_such(text, choices, node.place)),
            },
            (Kind::Attack, _) => match attack::spec(text) {
                Some(spec) => Ok(Value::from(spec.id)),
                None if text == "none" => Ok(Value::from("none")),
                None => Err(self.no_such(text, &attack_ids(), node.place)),
            },
            (Kind::Name, _) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
                    return Err(Fault::new(
                        node.place,
                        format!("{} is no name for `{}`", quoted(text), self.name),
                    )
                    .help("names are made of letters, digits, `_`, `-` and `.`"));
                }
                Ok(Value::from(text.as_str()))
            }
            (Kind::Users, Meaning::Int(count)) => {
                users(0, count).ok_or_else(|| no_users(text, node.place))
            }
            (Kind::Users, Meaning::Text) if text == "all" => Ok(Value::from("all")),
            (Kind::Users, Meaning::Text) => match text.split_once("..") {
                Some((from, to)) => match (from.trim().parse(), to.trim().parse()) {
                    (Ok(from), Ok(to)) => users(from, to).ok_or_else(|| no_users(text, node.place)),
                    _ => Err(wrong_type()),
                },
                None => Err(wrong_type()),
            },
            _ => Err(wrong_type()),
        }
    }

    fn within(&self, range: Range, value: f64, text: &str, place: Place) -> Result<(), Fault> {
        let low = match range.low {
            Included(low) => value >= low,
            Excluded(low) => value > low,
            Unbounded => true,
        };
        let high = match range.high {
            Included(high) => value <= high,
            Excluded(high) => value < high,
            Unbounded => true,
        };
        if low && high {
            return Ok(());
        }
        Err(Fault::new(
            place,
            format!("`{}` is {}, which is out of range", self.name, quoted(text)),
        )
        .help(format!("it must be {range}")))
    }

    fn no_such(&self, text: &str, choices: &[&str], place: Place) -> Fault {
        let fault = Fault::new(place, format!("`{}` has no value {}", self.name, quoted(text)));
        let valid = format!("valid: {}", choices.join(", "));
        match nearest(text, choices.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`? {valid}")),
            None => fault.help(valid),
        }
    }

    fn ints(&self, count: usize, items: &[Node], place: Place) -> Result<Value, Fault> {
        if items.len() != count {
            return Err(Fault::new(
                place,
                format!("`{}` takes {}, not {}", self.name, self.kind, items.len()),
            ));
        }
        let mut ints = Vec::with_capacity(count);
        for item in items {
            match &item.content {
                Content::Scalar { meaning: Meaning::Int(int), text } => {
                    self.within(from_to(1.0, 1e6), *int as f64, text, item.place)?;
                    ints.push(*int);
                }
                _ => {
                    return Err(Fault::new(
                        item.place,
                        format!("`{}` takes {}, not {}", self.name, self.kind, item.describe()),
                    ));
                }
            }
        }
        Ok(Value::from(ints))
    }
}

fn users(from: i64, to: i64) -> Option<Value> {
    (0 <= from && from < to && to <= i64::from(u32::MAX)).then(|| format!("{from}..{to}").into())
}

fn no_users(text: &str, place: Place) -> Fault {
    Fault::new(place, format!("`rollout.users` is {}, which names no user", quoted(text)))
        .help("write `all`, a count, or `A..B` for the users from A up to but not including B")
}

/// `none` and the ids of all attacks.
pub(super) fn attack_ids() -> Vec<&'static str> {
    std::iter::once("none").chain(attack::ATTACKS.iter().map(|a| a.id)).collect()
}

/// A value as a person would write it: text without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The candidate that is a few typing errors away from `word`; the first of equally near ones.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a long word so; and the comparison is quadratic.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Kind::Attack => f.write_str("`none` or the id of an attack"),
            Kind::Int(_) => f.write_str("a whole number"),
            Kind::Float(_) => f.write_str("a number"),
            Kind::Bool => f.write_str("`true` or `false`"),
            Kind::Name => f.write_str("a name"),
            Kind::Ints(count) => write!(f, "{count} whole numbers"),
            Kind::Users => f.write_str("`all`, a count, or a range `A..B`"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low {
            Included(low) => write!(f, "at least {low}")?,
            Excluded(low) => write!(f, "above {low}")?,
            Unbounded => {}
        }
        if self.low != Unbounded && self.high != Unbounded {
            f.write_str(" and ")?;
        }
        match self.high {
            Included(high) => write!(f, "at most {high}"),
            Excluded(high) => write!(f, "below {high}"),
            Unbounded => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::SECTIONS;
    use super::super::document;
    use super::*;
    use serde_json::json;

    fn value(name: &str, text: &str) -> Result<Value, String> {
        let node = document::parse(text).unwrap();
        CATALOGUE[find(name).unwrap()].value(&node).map_err(|f| match f.help {
            Some(help) => format!("{}; {help}", f.message),
            None => f.message,
        })
    }

    #[test]
    fn the_catalogue_is_sound() {
        for (id, parameter) in CATALOGUE.iter().enumerate() {
            assert_eq!(find(parameter.name), Some(id), "{} twice", parameter.name);
            if let Some((section, _)) = parameter.name.split_once('.') {
                assert!(SECTIONS.contains(&section), "{section}");
            }
            if let Some(default) = parameter.default_value() {
                let node = document::parse(&plain(&default)).unwrap();
                assert_eq!(parameter.value(&node).unwrap(), default, "{}", parameter.name);
            }
        }
        for attack in attack::ATTACKS {
            for name in attack.parameters {
                let parameter = &CATALOGUE[find(name).unwrap()];
                assert_eq!(parameter.concern, Concern::AttackParameter, "{name} of {}", attack.id);
            }
        }
    }

    #[test]
    fn values_get_the_type_of_their_parameter() {
        assert_eq!(value("epsilon", "1"), Ok(json!(1.0)));
        assert_eq!(value("epsilon", "-0.0"), Ok(json!(0.0)));
        assert_eq!(value("embedding.subsample", "1e-4"), Ok(json!(0.0001)));
        assert_eq!(value("agent.epochs", "10"), Ok(json!(10)));
        assert_eq!(value("rollout.users", "0..10000"), Ok(json!("0..10000")));
        assert_eq!(value("rollout.users", "500"), Ok(json!("0..500")));
        assert_eq!(value("rollout.users", "all"), Ok(json!("all")));
        assert_eq!(value("rollout.topk", "[25, 5, 1]"), Ok(json!([25, 5, 1])));
        assert_eq!(value("graph.purchase_needs_words", "true"), Ok(json!("true")));
        assert_eq!(value("rollout.direct", "false"), Ok(json!(false)));
        assert_eq!(value("dataset", "2018"), Ok(json!("2018")));
    }

    #[test]
    fn values_out_of_range_or_of_another_type_are_refused() {
        let mut found = String::new();
        for (name, text) in [
            ("agent.epochs", "ten"),
            ("agent.epochs", "1e3"),
            ("agent.epochs", "-1"),
            ("agent.gamma", "1.5"),
            ("agent.action_dropout", "1"),
            ("graph.tfidf_threshold", "0"),
            ("epsilon", ".nan"),
            ("rollout.users", "5..5"),
            ("rollout.users", "0"),
            ("rollout.users", "x..y"),
            ("rollout.topk", "[25, 5]"),
            ("rollout.topk", "[25, 5, 0]"),
            ("rollout.direct", "yes"),
            ("attack", "fgsm_inf"),
            ("timing", "sometimes"),
            ("dataset", "../secret"),
            ("dataset", "~"),
            ("agent.hidden", "512"),
        ] {
            found.push_str(&format!("{name}: {text} -> {}\n", value(name, text).unwrap_err()));
        }
        // Not to be changed for every new attack.
        let found = found.replace(&attack_ids().join(", "), "none, [every attack]");
        insta::assert_snapshot!(found, @r"
        agent.epochs: ten -> `agent.epochs` takes a whole number, not `ten`; the default is 50
        agent.epochs: 1e3 -> `agent.epochs` takes a whole number, not `1e3`; write 1000
        agent.epochs: -1 -> `agent.epochs` is `-1`, which is out of range; it must be at least 0
        agent.gamma: 1.5 -> `agent.gamma` is `1.5`, which is out of range; it must be at least 0 and at most 1
        agent.action_dropout: 1 -> `agent.action_dropout` is `1`, which is out of range; it must be at least 0 and below 1
        graph.tfidf_threshold: 0 -> `graph.tfidf_threshold` is `0`, which is out of range; it must be above 0 and at most 1
        epsilon: .nan -> `epsilon` takes a number, not `.nan`
        rollout.users: 5..5 -> `rollout.users` is `5..5`, which names no user; write `all`, a count, or `A..B` for the users from A up to but not including B
        rollout.users: 0 -> `rollout.users` is `0`, which names no user; write `all`, a count, or `A..B` for the users from A up to but not including B
        rollout.users: x..y -> `rollout.users` takes `all`, a count, or a range `A..B`, not `x..y`; the default is all
        rollout.topk: [25, 5] -> `rollout.topk` takes 3 whole numbers, not 2
        rollout.topk: [25, 5, 0] -> `rollout.topk` is `0`, which is out of range; it must be at least 1 and at most 1000000
        rollout.direct: yes -> `rollout.direct` takes `true` or `false`, not `yes`; write `true` or `false`
        attack: fgsm_inf -> `attack` has no value `fgsm_inf`; did you mean `fgsm_linf`? valid: none, [every attack]
        timing: sometimes -> `timing` has no value `sometimes`; valid: always, random, strategic, strategic_range, oracle
        dataset: ../secret -> `../secret` is no name for `dataset`; names are made of letters, digits, `_`, `-` and `.`
        dataset: ~ -> `dataset` takes a name, not nothing
        agent.hidden: 512 -> `agent.hidden` takes 2 whole numbers, not `512`; the default is [512,256]
        ");
    }

    #[test]
    fn the_nearest_name_is_a_few_errors_away() {
        let names = || CATALOGUE.iter().map(|p| p.name);
        assert_eq!(nearest("epsilno", names()), Some("epsilon"));
        assert_eq!(nearest("Timing", names()), Some("timing"));
        assert_eq!(nearest("agent.epoch", names()), Some("agent.epochs"));
        assert_eq!(nearest("weather", names()), None);
        assert_eq!(nearest("", names()), None);
    }
}
