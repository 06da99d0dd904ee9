//! Table 2: detection of attacked paths, from the view `table2`.

use super::database::{ReportError, check_grid, failed, relations};
use super::interval::Interval;
use super::paper::{self, DetectionRow, DetectionTable};
use super::setting::told_apart;
use super::table1::{Block, Estimate};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The paper's method.
const PAPER_METHOD: &str = "gru_attention";

/// Table 2, a block for each detector of each agent.
#[derive(Clone, Debug, Serialize)]
pub struct Table2 {
    pub blocks: Vec<DetectorBlock>,
    /// Where the paper's numbers come from.
    pub paper: String,
    /// What the intervals over seeds are.
    pub interval: Interval,
}

/// The tests of one detector.
#[derive(Clone, Debug, Serialize)]
pub struct DetectorBlock {
    #[serde(flatten)]
    pub place: Place,
    /// What the report calls the detector.
    pub label: String,
    #[serde(flatten)]
    pub detector: Detector,
    /// All of its parameters, by the catalogue's names.
    pub parameters: Map<String, Json>,
    pub rows: Vec<Detection>,
}

/// Whose paths are tested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub dataset: String,
    pub grid: String,
    /// Range of users, as in the grid.
    pub users: String,
    pub agent: String,
}

/// The parameters of a detector that the view shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detector {
    pub method: String,
    pub trained_on: String,
    pub trained_epsilon: Option<f64>,
    pub input: Option<String>,
    pub label_rule: Option<String>,
    pub negatives: Option<String>,
    pub data_split: Option<String>,
}

/// A test: the paths of one attack against clean ones.
#[derive(Clone, Debug, Serialize)]
pub struct Detection {
    /// What the table calls it.
    pub label: String,
    pub attack: String,
    pub epsilon: Option<f64>,
    pub timing: Option<String>,
    pub frequency: Option<f64>,
    pub threshold: Option<f64>,
    pub realised_frequency: Option<f64>,
    pub adaptive_lambda: Option<f64>,
    /// `none`, `reject` or `adversarial_training`.
    pub defense: String,
    /// By metric.
    pub values: BTreeMap<String, Estimate>,
    /// The paper's row that this one reproduces.
    pub paper: Option<DetectionRow>,
    pub parameters: Map<String, Json>,
    /// What chooses it in the view, once it is asked for.
    #[serde(skip)]
    pub(super) chosen: Option<Arc<str>>,
}

impl Table2 {
    /// Reads the detections of one grid, or of all; `None` where there are none.
    ///
    /// # Errors
    /// If the database cannot be read, or has no grid of this name.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Option<Self>, ReportError> {
        let known = relations(db)?;
        if let Some(name) = grid {
            check_grid(db, &known, name)?;
        }
        if !known.contains("table2") {
            return Ok(None);
        }
        let paper = paper::table2()?;
        let mut blocks = read_blocks(db, grid)?;
        for block in &mut blocks {
            let as_paper = block.detector.is_papers(&paper);
            for row in &mut block.rows {
                row.paper = row.paper_row(&paper, &block.place).filter(|_| as_paper).cloned();
            }
            block.rows.sort_by(|a, b| a.order(b, &paper));
            let labels = block.rows.iter().map(Detection::name).collect();
            let parameters: Vec<_> = block.rows.iter().map(|row| &row.parameters).collect();
            let labels = told_apart(labels, &parameters);
            block.rows.iter_mut().zip(labels).for_each(|(row, label)| row.label = label);
        }
        blocks.sort_by(|a, b| {
            a.place.cmp(&b.place).then_with(|| a.detector.order(&b.detector, &paper))
        });
        // Detectors that would be called alike at one place get what they differ in.
        for chunk in blocks.chunk_by_mut(|a, b| a.place == b.place) {
            let labels = chunk.iter().map(|block| block.detector.name()).collect();
            let parameters: Vec<_> = chunk.iter().map(|block| &block.parameters).collect();
            let labels = told_apart(labels, &parameters);
            chunk.iter_mut().zip(labels).for_each(|(block, label)| block.label = label);
        }
        let paper = format!("{}, {}", paper.paper, paper.place);
        Ok((!blocks.is_empty()).then_some(Self { blocks, paper, interval: Interval::T }))
    }
}

fn read_blocks(db: &Connection, grid: Option<&str>) -> Result<Vec<DetectorBlock>, ReportError> {
    let what = "the view `table2`";
    let sql =
        "SELECT * FROM table2 WHERE ?1 IS NULL OR grid = ?1 ORDER BY grid, parameters, metric";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut blocks: Vec<DetectorBlock> = Vec::new();
    let mut last: Option<(String, String, usize)> = None;
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let text =
                |name: &str| row.get::<_, Option<String>>(name).map(Option::unwrap_or_default);
            let (grid, parameters) = (text("grid")?, text("parameters")?);
            // A combination's metrics stand together.
            let same = last.as_ref().filter(|(g, p, _)| *g == grid && *p == parameters);
            let block = match same {
                Some((_, _, block)) => *block,
                None => {
                    let block = add_test(row, &grid, &parameters, &mut blocks)?;
                    last = Some((grid, parameters, block));
                    block
                }
            };
            let estimate = Estimate {
                mean: row.get("value")?,
                lower: row.get("lower")?,
                upper: row.get("upper")?,
                n: row.get::<_, i64>("n")?.unsigned_abs(),
                ambiguous: false,
                skewed: false,
            };
            if let Some(test) = blocks[block].rows.last_mut() {
                test.values.insert(text("metric")?, estimate);
            }
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(blocks)
}

/// Adds a test without values to its block, whose index is returned.
fn add_test(
    row: &rusqlite::Row,
    grid: &str,
    parameters: &str,
    blocks: &mut Vec<DetectorBlock>,
) -> rusqlite::Result<usize> {
    let text = |name: &str| row.get::<_, Option<String>>(name).map(Option::unwrap_or_default);
    let parameters: Map<String, Json> = serde_json::from_str(parameters).unwrap_or_default();
    let of_detector: Map<String, Json> = parameters
        .iter()
        .filter(|(name, _)| name.starts_with("detector."))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let place = Place {
        dataset: text("dataset")?,
        grid: grid.to_owned(),
        users: text("users")?,
        agent: text("agent")?,
    };
    let known = blocks.iter().position(|b| b.place == place && b.parameters == of_detector);
    let block = match known {
        Some(block) => block,
        None => {
            let detector = Detector {
                method: text("method")?,
                trained_on: text("trained_on")?,
                trained_epsilon: row.get("trained_epsilon")?,
                input: row.get("input")?,
                label_rule: row.get("label")?,
                negatives: row.get("negatives")?,
                data_split: row.get("data_split")?,
            };
            let (label, rows) = (String::new(), Vec::new());
            blocks.push(DetectorBlock { place, label, detector, parameters: of_detector, rows });
            blocks.len() - 1
        }
    };
    blocks[block].rows.push(Detection {
        label: String::new(),
        attack: text("attack")?,
        epsilon: row.get("epsilon")?,
        timing: row.get("timing")?,
        frequency: row.get("frequency")?,
        threshold: row.get("threshold")?,
        realised_frequency: row.get("realised_frequency")?,
        adaptive_lambda: row.get("adaptive_lambda")?,
        defense: text("defense")?,
        values: BTreeMap::new(),
        paper: None,
        parameters,
        chosen: None,
    });
    Ok(block)
}

impl Place {
    /// Whether it is that of a block of Table 1.
    pub(super) fn is_of(&self, block: &Block) -> bool {
        (&self.dataset, &self.grid, &self.users) == (&block.dataset, &block.grid, &block.users)
    }

    pub(super) fn title(&self) -> String {
        let Self { dataset, grid, users, agent } = self;
        let users = match users.as_str() {
            "" => String::new(),
            "all" => ", all users".to_owned(),
            range => format!(", users {range}"),
        };
        format!("{dataset} (grid `{grid}`{users}, {agent})")
    }
}

impl Detector {
    /// The attack in its training.
    pub(super) fn training(&self) -> String {
        match (self.trained_on.as_str(), self.trained_epsilon) {
            ("none", _) => "halves of clean paths".to_owned(),
            (attack, Some(epsilon)) => format!("{attack} ε={epsilon}"),
            (attack, None) => attack.to_owned(),
        }
    }

    /// What of its data is not the default.
    pub(super) fn data(&self) -> String {
        let said = |value: &Option<String>, default: &str, before: &str| match value.as_deref() {
            Some(value) if value != default => format!(", {before}{value}"),
            _ => String::new(),
        };
        said(&self.input, "entity", "input ")
            + &said(&self.label_rule, "any_step", "label ")
            + &said(&self.negatives, "clean", "negatives ")
            + &said(&self.data_split, "by_path", "split ")
    }

    fn name(&self) -> String {
        format!("{} trained on {}{}", self.method, self.training(), self.data())
    }

    /// Whether it is the paper's, as far as the paper says what that is.
    fn is_papers(&self, paper: &DetectionTable) -> bool {
        self.method == PAPER_METHOD
            && paper.trains_on(&self.trained_on, self.trained_epsilon)
            && self.negatives.as_deref().is_none_or(|negatives| negatives == "clean")
    }

    fn order(&self, other: &Self, paper: &DetectionTable) -> Ordering {
        let key = |d: &Self| {
            let place = paper.place_of(&d.trained_on);
            (d.data(), d.method != PAPER_METHOD, d.method.clone(), place, d.trained_on.clone())
        };
        let epsilon = |d: &Self| d.trained_epsilon.unwrap_or(0.0);
        key(self).cmp(&key(other)).then(epsilon(self).total_cmp(&epsilon(other)))
    }
}

impl Detection {
    /// Whether every time step is attacked, by an attack that evades nothing, on an agent that is not
    /// defended.
    pub(super) fn is_plain(&self) -> bool {
        self.is_continuous() && self.adaptive_lambda.is_none() && self.defense == "none"
    }

    fn is_continuous(&self) -> bool {
        self.timing.as_deref().is_none_or(|timing| timing == "always")
    }

    pub(super) fn estimate(&self, metric: &str) -> Option<&Estimate> {
        self.values.get(metric)
    }

    /// Number of seeds; a range where a measure is undefined for some.
    pub(super) fn seeds(&self) -> String {
        let counts = || self.values.values().map(|e| e.n);
        match (counts().min(), counts().max()) {
            (Some(least), Some(most)) if least < most => format!("{least}–{most}"),
            (Some(n), _) => n.to_string(),
            _ => "–".to_owned(),
        }
    }

    fn paper_row<'a>(&self, paper: &'a DetectionTable, place: &Place) -> Option<&'a DetectionRow> {
        let transferred = self.parameters.keys().any(|name| name.starts_with("transfer."));
        if self.adaptive_lambda.is_some() || self.defense != "none" || transferred {
            return None;
        }
        // The paper does not say which of its two rules chose the steps.
        let frequency = match self.timing.as_deref() {
            None | Some("always") => None,
            Some("random" | "strategic") => Some(self.frequency?),
            Some(_) => return None,
        };
        paper.row(&place.dataset, &self.attack, self.epsilon, frequency)
    }

    fn name(&self) -> String {
        let mut name = match self.attack.as_str() {
            "none" => "none (halves of clean paths)".to_owned(),
            attack => attack.to_owned(),
        };
        if let Some(epsilon) = self.epsilon {
            name += &format!(" ε={epsilon}");
        }
        if let Some(timing) = self.timing.as_deref().filter(|_| !self.is_continuous()) {
            name += &format!(", {timing}");
            match (self.frequency, self.threshold) {
                (Some(frequency), _) => name += &format!(" {frequency}"),
                (None, Some(threshold)) => name += &format!(" above {threshold}"),
                (None, None) => {}
            }
            if let Some(realised) = self.realised_frequency {
                name += &format!(", realised {realised:.3}");
            }
        }
        if let Some(lambda) = self.adaptive_lambda {
            name += &format!(", adaptive λ={lambda}");
        }
        if self.defense != "none" {
            name += &format!(", {}", self.defense.replace('_', " "));
        }
        name
    }

    /// In the order of the paper; then controls; clean paths last.
    fn order(&self, other: &Self, paper: &DetectionTable) -> Ordering {
        let key = |d: &Self| {
            let part = match d.attack.as_str() {
                "none" => 2,
                attack if attack.starts_with("noise_") => 1,
                _ => 0,
            };
            let rule = d.timing.clone().filter(|_| !d.is_continuous());
            (
                part,
                paper.place_of(&d.attack),
                d.attack.clone(),
                d.defense != "none",
                d.defense.clone(),
                rule,
            )
        };
        let numbers = |d: &Self| {
            let by = d.frequency.or(d.threshold).unwrap_or(1.0);
            [d.adaptive_lambda.unwrap_or(-1.0), d.epsilon.unwrap_or(0.0), -by]
        };
        let numbers = numbers(self).into_iter().zip(numbers(other));
        key(self).cmp(&key(other)).then_with(|| {
            numbers.map(|(a, b)| a.total_cmp(&b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        })
    }
}
