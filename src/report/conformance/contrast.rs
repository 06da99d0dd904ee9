//! One paired comparison over seeds, and how several of them decide.

use crate::metrics::paired::{holm, t_test};
use crate::report::interval::Interval;
use crate::report::table1::Estimate;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a comparison has to show of the difference, which is measured less reference. A margin is a share
/// of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Question {
    /// It is above 0, by the margin or more on the mean.
    Above(f64),
    /// It is below 0, likewise.
    Below(f64),
    /// It is no further from 0 than the margin.
    Within(f64),
}

/// What a comparison shows, or several together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Yes,
    No,
    /// The interval is too wide for either, or there is none.
    Open,
}

/// A number of ours against another, over the seeds that have both.
#[derive(Clone, Debug, Serialize)]
pub struct Contrast {
    /// Whose number it is.
    pub label: String,
    /// What it counts for; the best of several counts.
    #[serde(skip)]
    pub family: String,
    pub measured: Estimate,
    pub reference: Estimate,
    /// What decides, with its paired 95 % interval.
    pub difference: Estimate,
    /// Of Student's t test that the difference is 0, and corrected for the number of comparisons.
    pub p: Option<f64>,
    pub holm_p: Option<f64>,
    /// Of the t test that the difference is the margin, where it is short of it; corrected likewise.
    pub short_p: Option<f64>,
    pub outcome: Outcome,
    /// The paper's two numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<[f64; 2]>,
    /// `short_p` before it is corrected: a comparison may be judged again among others.
    #[serde(skip)]
    short: Option<f64>,
    #[serde(skip)]
    question: Question,
}

impl Contrast {
    /// Of each seed's two numbers; `None` without seeds.
    pub fn new(label: impl Into<String>, pairs: &[[f64; 2]], question: Question) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|[a, b]| a - b).collect();
        Self::weighed(label, pairs, &differences, question)
    }

    /// The same with differences of its own.
    pub fn weighed(
        label: impl Into<String>,
        pairs: &[[f64; 2]],
        differences: &[f64],
        question: Question,
    ) -> Option<Self> {
        let side = |at: usize| {
            let values: Vec<f64> = pairs.iter().map(|pair| pair[at]).collect();
            Interval::T.estimate(&values, "")
        };
        let label = label.into();
        let reference = side(1)?;
        Some(Self {
            family: label.clone(),
            label,
            measured: side(0)?,
            reference,
            difference: Interval::T.estimate(differences, "")?,
            p: t_test(differences),
            holm_p: None,
            short_p: None,
            short: question.short(differences, reference.mean.abs()),
            outcome: Outcome::Open,
            paper: None,
            question,
        })
    }

    /// One of several for a family, of which the best counts.
    pub fn counting_for(self, family: impl ToString) -> Self {
        Self { family: family.to_string(), ..self }
    }

    /// Over other users than the comparisons beside it.
    pub fn among(self, users: &str) -> Self {
        Self { label: format!("{}, {users}", self.label), ..self }
    }

    /// With the numbers that the paper has.
    pub fn beside(self, paper: Option<[f64; 2]>) -> Self {
        Self { paper, ..self }
    }

    /// What the paper's two numbers show by themselves, without intervals.
    pub fn paper_outcome(&self) -> Option<Outcome> {
        let [measured, reference] = self.paper?;
        let difference = measured - reference;
        let shown = match self.question {
            Question::Above(share) => difference > 0.0 && difference >= share * reference,
            Question::Below(share) => difference < 0.0 && -difference >= share * reference,
            Question::Within(share) => difference.abs() <= share * reference,
        };
        Some(if shown { Outcome::Yes } else { Outcome::No })
    }

    /// Seeds that have both numbers.
    pub fn seeds(&self) -> u64 {
        self.difference.n
    }

    fn judge(&mut self, level: f64) {
        let Some((lower, upper)) = self.difference.ends() else { return };
        let mean = self.difference.mean;
        let (shown, margin) = match self.question {
            Question::Above(share) => (lower > 0.0, share * self.reference.mean.abs()),
            Question::Below(share) => (upper < 0.0, share * self.reference.mean.abs()),
            Question::Within(share) => {
                let margin = share * self.reference.mean.abs();
                self.outcome = match () {
                    () if -margin <= lower && upper <= margin => Outcome::Yes,
                    () if upper < -margin || margin < lower => Outcome::No,
                    () => Outcome::Open,
                };
                return;
            }
        };
        let certain = |p: Option<f64>| p.is_some_and(|p| p < level);
        self.outcome = match () {
            () if shown && mean.abs() >= margin && certain(self.holm_p) => Outcome::Yes,
            () if certain(self.short_p) => Outcome::No,
            () => Outcome::Open,
        };
    }

    fn is_tested(&self) -> bool {
        !matches!(self.question, Question::Within(_)) && self.p.is_some()
    }
}

impl Question {
    /// The p-value of the t test that the difference is the margin, where it is short of it; 1 where it is
    /// not. `None` for questions without a direction and for a single difference.
    fn short(self, differences: &[f64], reference: f64) -> Option<f64> {
        let (sign, share) = match self {
            Self::Above(share) => (1.0, share),
            Self::Below(share) => (-1.0, share),
            Self::Within(_) => return None,
        };
        let over: Vec<f64> = differences.iter().map(|d| sign * d - share * reference).collect();
        let p = t_test(&over)?;
        match over.iter().sum::<f64>() {
            short if short < 0.0 => Some(p),
            // No seed differs: 0 is not above 0.
            _ if over.iter().all(|value| *value == 0.0) && share == 0.0 => Some(0.0),
            _ => Some(1.0),
        }
    }
}

/// Corrects the p-values of a claim's comparisons for their number, then judges each.
pub fn judge(contrasts: &mut [Contrast], level: f64) {
    let p_values: Vec<f64> =
        contrasts.iter().filter(|c| c.is_tested()).filter_map(|c| c.p).collect();
    let tested = contrasts.iter_mut().filter(|c| c.is_tested());
    tested.zip(holm(&p_values)).for_each(|(contrast, p)| contrast.holm_p = Some(p));
    let uncorrected: Vec<f64> = contrasts.iter().filter_map(|c| c.short).collect();
    let short = contrasts.iter_mut().filter(|c| c.short.is_some());
    short.zip(holm(&uncorrected)).for_each(|(contrast, p)| contrast.short_p = Some(p));
    contrasts.iter_mut().for_each(|contrast| contrast.judge(level));
}

/// How many families show what they have to, and how many show that they do not.
pub fn tally<'a>(outcomes: impl Iterator<Item = (&'a str, Outcome)>) -> (usize, usize) {
    let mut families: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    outcomes.for_each(|(family, outcome)| families.entry(family).or_default().push(outcome));
    let yes = families.values().filter(|of| of.contains(&Outcome::Yes)).count();
    let no = families.values().filter(|of| of.iter().all(|o| *o == Outcome::No)).count();
    (yes, no)
}

/// Whether `needed` of `all` show what they have to, where some are open or missing.
pub fn decide((yes, no): (usize, usize), needed: usize, all: usize) -> Outcome {
    match () {
        () if yes >= needed => Outcome::Yes,
        () if all.saturating_sub(no) < needed => Outcome::No,
        () => Outcome::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(differences: &[f64], question: Question) -> Contrast {
        let pairs: Vec<[f64; 2]> = differences.iter().map(|d| [10.0 + d, 10.0]).collect();
        Contrast::new("a", &pairs, question).unwrap()
    }

    fn outcome(differences: &[f64], question: Question) -> Outcome {
        let mut all = [contrast(differences, question)];
        judge(&mut all, 0.05);
        all[0].outcome
    }

    #[test]
    fn a_shift_is_shown_refuted_or_open() {
        let below = Question::Below(0.05);
        assert_eq!(outcome(&[-1.0, -1.1, -0.9], below), Outcome::Yes);
        // Below 0 for certain, and by too little to count.
        assert_eq!(outcome(&[-0.1, -0.11, -0.09], below), Outcome::No);
        assert_eq!(outcome(&[0.1, 0.0, -0.1], below), Outcome::No);
        assert_eq!(outcome(&[1.0, 1.1, 0.9], below), Outcome::No);
        assert_eq!(outcome(&[-3.0, 0.1, -0.2], below), Outcome::Open);
        // A single seed has no interval.
        assert_eq!(outcome(&[-5.0], below), Outcome::Open);
        let above = Question::Above(0.0);
        assert_eq!(outcome(&[1.0, 1.1, 0.9], above), Outcome::Yes);
        assert_eq!(outcome(&[-1.0, -1.1, -0.9], above), Outcome::No);
        assert_eq!(outcome(&[1.0, -1.1, 0.3], above), Outcome::Open);
        assert_eq!(outcome(&[0.0, 0.0, 0.0], above), Outcome::No);
    }

    #[test]
    fn equality_needs_the_whole_interval_within_the_margin() {
        let within = Question::Within(0.05);
        assert_eq!(outcome(&[0.1, 0.0, -0.1], within), Outcome::Yes);
        assert_eq!(outcome(&[-2.0, -2.1, -1.9], within), Outcome::No);
        assert_eq!(outcome(&[0.4, -0.9, 0.8], within), Outcome::Open);
    }

    #[test]
    fn the_number_of_comparisons_is_corrected_for() {
        // p = 0.0299 alone, and three times that among three.
        let marginal = [-1.0, -1.5, -0.75];
        let alone = contrast(&marginal, Question::Below(0.0));
        let p = alone.p.unwrap();
        assert!((0.025..0.05).contains(&p), "{p}");
        assert_eq!(outcome(&marginal, Question::Below(0.0)), Outcome::Yes);
        let mut three = [alone.clone(), alone.clone(), alone];
        judge(&mut three, 0.05);
        assert!(three.iter().all(|c| c.outcome == Outcome::Open), "{three:?}");
        // The same of what refutes.
        let alone = contrast(&marginal, Question::Above(0.0));
        assert_eq!(outcome(&marginal, Question::Above(0.0)), Outcome::No);
        let mut three = [alone.clone(), alone.clone(), alone];
        judge(&mut three, 0.05);
        assert!(three.iter().all(|c| c.outcome == Outcome::Open), "{three:?}");
    }

    #[test]
    fn what_is_missing_decides_nothing() {
        use Outcome::{No, Open, Yes};
        assert_eq!(decide((3, 0), 3, 5), Yes);
        assert_eq!(decide((2, 2), 3, 5), Open);
        assert_eq!(decide((0, 3), 3, 5), No);
        assert_eq!(decide((2, 3), 3, 5), No);
        assert_eq!(decide((0, 0), 3, 5), Open);
        let outcomes = [("a", No), ("a", Yes), ("b", No), ("b", No), ("c", No), ("c", Open)];
        assert_eq!(tally(outcomes.into_iter()), (1, 1));
    }

    #[test]
    fn the_papers_numbers_go_by_the_same_margin() {
        let of = |paper, question| {
            contrast(&[0.0], question).beside(Some(paper)).paper_outcome().unwrap()
        };
        assert_eq!(of([4.567, 4.654], Question::Below(0.05)), Outcome::No);
        assert_eq!(of([4.567, 4.654], Question::Within(0.05)), Outcome::Yes);
        assert_eq!(of([2.695, 4.654], Question::Below(0.05)), Outcome::Yes);
        assert_eq!(of([0.177, 0.121], Question::Above(0.25)), Outcome::Yes);
        assert_eq!(of([0.016, 0.121], Question::Above(0.25)), Outcome::No);
    }
}
