//! Conformance: which claims of the paper hold in this database, with the numbers.
//!
//! Every comparison is over the seeds that both sides have, and within a setting: one grid, one set of users,
//! one agent. Of several settings of a dataset the one with the most comparisons and seeds counts, whatever it
//! shows; attacks that it lacks are taken from settings of the same grid that differ in the users alone.

mod claims;
mod contrast;
mod database;
mod evidence;
mod paths;
mod ranking;
mod sql;
mod trials;
mod wording;

pub use claims::{Claim, Rule, claims};
pub use contrast::{Contrast, Outcome};
pub use evidence::Evidence;

use super::database::{ReportError, check_grid, relations, synthetic, unfinished};
use super::document::Document;
use super::paper;
use super::table1::Unfinished;
use evidence::Numbers;
use rusqlite::Connection;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use trials::{Detector, Setting};

/// All claims, judged on every dataset of the database.
#[derive(Clone, Debug, Serialize)]
pub struct Conformance {
    /// Whose claims they are.
    pub paper: String,
    pub datasets: Vec<Dataset>,
    pub claims: Vec<Judged>,
    /// Cells that are not finished, by grid.
    pub unfinished: Vec<Unfinished>,
}

/// A dataset with cells of the paper's agent.
#[derive(Clone, Debug, Serialize)]
pub struct Dataset {
    pub name: String,
    /// Whether it is made up, whole or in its review words: it can tell nothing of the paper's data.
    pub made_up: bool,
    /// Whether its name is that of one of the paper's three.
    pub of_paper: bool,
}

/// A claim with its judgements, in the order of the datasets.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    #[serde(flatten)]
    pub claim: Claim,
    pub judgements: Vec<Judgement>,
}

/// What a dataset says of a claim.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    pub dataset: String,
    pub verdict: Verdict,
    /// What the rule comes to; also on data that is made up, on which it decides nothing.
    pub rule: Outcome,
    /// Where the numbers are from: grid, users, and a detector.
    pub setting: String,
    #[serde(flatten)]
    pub evidence: Evidence,
    /// What the other settings of the dataset come to.
    pub others: Vec<Other>,
    /// The query that gives the numbers; nothing where there are none.
    pub sql: String,
}

/// A setting that was not judged by.
#[derive(Clone, Debug, Serialize)]
pub struct Other {
    pub setting: String,
    pub rule: Outcome,
}

/// Whether a claim holds in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    DoesNotHold,
    /// Intervals are too wide, comparisons are missing, or the data is made up.
    CannotBeTold,
    NoResults,
}

/// A setting, with the detector where the claim is about one, and its evidence.
struct Candidate<'a> {
    setting: &'a Setting,
    detector: Option<&'a Detector>,
    evidence: Evidence,
    outcome: Outcome,
    /// The ranges of users of the comparisons.
    users: Vec<&'a str>,
}

impl Conformance {
    /// Judges all claims by the results of one grid, or of all.
    ///
    /// # Errors
    /// If the database cannot be read, or has no grid of this name.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Self, ReportError> {
        let known = relations(db)?;
        if let Some(name) = grid {
            check_grid(db, &known, name)?;
        }
        let claims = claims()?;
        let numbers = Numbers {
            table1: paper::table1()?,
            table2: paper::table2()?,
            level: claims.level.value,
        };
        let settings = match known.contains("cell_results") {
            true => database::read(db, grid)?,
            false => Vec::new(),
        };
        let made_up = match known.contains("datasets") {
            true => synthetic(db)?,
            false => Vec::new(),
        };
        let names: BTreeSet<&str> = settings.iter().map(|s| s.dataset.as_str()).collect();
        let dataset = |name: &str| Dataset {
            name: name.to_owned(),
            // The program's own dataset is made by it, whether it is registered or not.
            made_up: name == "embedded" || made_up.iter().any(|made_up| made_up == name),
            of_paper: is_papers(name, &numbers),
        };
        let datasets: Vec<Dataset> = names.into_iter().map(dataset).collect();
        let judged = |claim: Claim| {
            let judgements = datasets.iter().map(|dataset| {
                let own = settings.iter().filter(|setting| setting.dataset == dataset.name);
                judge(&claim, dataset, own, &numbers)
            });
            let judgements = judgements.collect();
            Judged { claim, judgements }
        };
        let judged = claims.claims.into_iter().map(judged).collect();
        let unfinished = match known.contains("cells") && known.contains("latest_grids") {
            true => unfinished(db, grid)?,
            false => Vec::new(),
        };
        Ok(Self { paper: claims.paper, datasets, claims: judged, unfinished })
    }

    /// As tables and notes.
    pub fn document(&self) -> Document {
        wording::document(self)
    }
}

fn is_papers(dataset: &str, numbers: &Numbers) -> bool {
    let dataset = dataset.to_lowercase();
    numbers.table2.rows.iter().any(|row| dataset.contains(&row.dataset_part))
}

fn judge<'a>(
    claim: &Claim,
    dataset: &Dataset,
    settings: impl Iterator<Item = &'a Setting>,
    numbers: &Numbers,
) -> Judgement {
    let mut candidates: Vec<Candidate> =
        settings.flat_map(|setting| candidates(claim, setting, numbers)).collect();
    for candidate in &mut candidates {
        candidate.outcome = candidate.evidence.judge(numbers.level);
    }
    // By how much there is, never by what it shows; by its place where that is equal.
    candidates.sort_by_key(|candidate| {
        let (with_interval, compared, seeds) = candidate.evidence.weight();
        Reverse((with_interval, compared, seeds, candidate.setting.user_count()))
    });
    let others = candidates.split_off(candidates.len().min(1));
    let mut first = candidates.pop();
    if let Some(first) = &mut first {
        first.complete(&others);
        first.outcome = first.evidence.judge(numbers.level);
    }
    let others = others
        .iter()
        .filter(|other| !other.evidence.contrasts.is_empty())
        .map(|other| Other { setting: other.label(), rule: other.outcome })
        .collect();
    match first {
        Some(first) => Judgement {
            dataset: dataset.name.clone(),
            verdict: verdict(&first.evidence, first.outcome, dataset.made_up),
            rule: first.outcome,
            setting: first.label(),
            sql: first.sql(&claim.rule),
            evidence: first.evidence,
            others,
        },
        None => Judgement {
            dataset: dataset.name.clone(),
            verdict: Verdict::NoResults,
            rule: Outcome::Open,
            setting: String::new(),
            evidence: Evidence::default(),
            others,
            sql: String::new(),
        },
    }
}

fn candidates<'a>(claim: &Claim, setting: &'a Setting, numbers: &Numbers) -> Vec<Candidate<'a>> {
    let of = |detector, evidence| Candidate {
        setting,
        detector,
        evidence,
        outcome: Outcome::Open,
        users: vec![setting.users.as_str()],
    };
    if paths::is_of_detectors(&claim.rule) {
        let detectors = setting.detectors.iter().filter(|of| paths::is_papers(of, &numbers.table2));
        return detectors
            .map(|detector| of(Some(detector), paths::detection(claim, setting, detector, numbers)))
            .collect();
    }
    let evidence = ranking::evidence(claim, setting, numbers)
        .or_else(|| paths::drift(claim, setting, numbers));
    evidence.map(|evidence| of(None, evidence)).into_iter().collect()
}

/// The verdict that an outcome of the rule comes to.
fn verdict(evidence: &Evidence, outcome: Outcome, made_up: bool) -> Verdict {
    let explained = evidence.missing.iter().any(|missing| missing.why.is_some());
    match outcome {
        _ if evidence.contrasts.is_empty() && !explained => Verdict::NoResults,
        _ if evidence.contrasts.is_empty() || made_up => Verdict::CannotBeTold,
        Outcome::Yes => Verdict::Holds,
        Outcome::No => Verdict::DoesNotHold,
        Outcome::Open => Verdict::CannotBeTold,
    }
}

impl<'a> Candidate<'a> {
    /// Takes the attacks that it lacks, or why they lack, from candidates that differ in the users alone.
    fn complete(&mut self, others: &[Candidate<'a>]) {
        let like_this = |other: &&Candidate<'a>| {
            let detectors = [self.detector, other.detector].map(|of| of.map(|of| &of.parameters));
            other.setting.grid == self.setting.grid
                && other.setting.context == self.setting.context
                && detectors[0] == detectors[1]
        };
        let siblings: Vec<&Candidate> = others.iter().filter(like_this).collect();
        for mut missing in std::mem::take(&mut self.evidence.missing) {
            let found = siblings.iter().find_map(|sibling| {
                let mut contrasts = sibling.evidence.contrasts.iter();
                let found = contrasts.find(|contrast| contrast.family == missing.attack);
                found.map(|contrast| (sibling.setting, contrast.clone()))
            });
            if let Some((setting, contrast)) = found {
                self.evidence.contrasts.push(contrast.among(&setting.users_label()));
                if !self.users.contains(&setting.users.as_str()) {
                    self.users.push(&setting.users);
                }
                continue;
            }
            let mut elsewhere = siblings.iter().flat_map(|sibling| &sibling.evidence.missing);
            let reason = elsewhere.find_map(|of| of.why.filter(|_| of.attack == missing.attack));
            missing.why = missing.why.or(reason);
            self.evidence.missing.push(missing);
        }
    }

    fn label(&self) -> String {
        let detector = self.detector.map(Detector::label).unwrap_or_default();
        self.setting.label() + &detector
    }

    fn sql(&self, rule: &Rule) -> String {
        match self.evidence.contrasts.is_empty() {
            true => String::new(),
            false => sql::query(rule, self.setting, self.detector, &self.users),
        }
    }
}
