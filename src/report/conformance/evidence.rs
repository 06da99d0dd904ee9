//! The comparisons behind a verdict, and how their attacks are found among the trials.

use super::claims::Claim;
use super::contrast::{Contrast, Outcome, decide, judge, tally};
use super::trials::{Arm, Parameters, Setting};
use crate::report::paper::{DetectionRow, DetectionTable, PaperRow, PaperTable};
use crate::report::setting::told_apart;
use serde::Serialize;
use std::collections::BTreeSet;

/// Why there is no comparison; `None` where there is no result at all.
pub type Why = Option<&'static str>;

/// An attack without a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    pub attack: String,
    pub why: Why,
}

/// Comparisons of one setting, and what there is no comparison for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evidence {
    pub contrasts: Vec<Contrast>,
    pub missing: Vec<Missing>,
    /// How many have to show it, and of how many.
    pub needed: usize,
    pub all: usize,
}

impl Evidence {
    /// A comparison for each attack of a list, or why there is none.
    pub fn of_attacks(
        claim: &Claim,
        attacks: &[String],
        of: impl Fn(&str) -> Result<Option<Contrast>, Why>,
    ) -> Self {
        let needed = claim.needed.value as usize;
        let mut evidence = Self { needed, all: attacks.len(), ..Self::default() };
        for attack in attacks {
            match of(attack).and_then(|contrast| contrast.ok_or(Some("no seed has both numbers"))) {
                Ok(contrast) => evidence.contrasts.push(contrast.counting_for(attack)),
                Err(why) => evidence.missing.push(Missing { attack: attack.clone(), why }),
            }
        }
        evidence
    }

    /// Of which more than a share has to show it.
    pub fn of_share(claim: &Claim, contrasts: impl Iterator<Item = Contrast>) -> Self {
        let counted = contrasts.enumerate();
        let contrasts = counted.map(|(at, contrast)| contrast.counting_for(at)).collect();
        Self { contrasts, ..Self::default() }.by_share(claim)
    }

    /// The same of several comparisons a family.
    pub fn by_share(mut self, claim: &Claim) -> Self {
        let families: BTreeSet<&str> = self.contrasts.iter().map(|c| c.family.as_str()).collect();
        self.all = families.len();
        self.needed = (self.all as f64 * claim.needed.value) as usize + 1;
        self
    }

    /// Judges the comparisons, and what they come to.
    pub fn judge(&mut self, level: f64) -> Outcome {
        judge(&mut self.contrasts, level);
        if self.contrasts.is_empty() {
            return Outcome::Open;
        }
        decide(self.tally(), self.needed, self.all)
    }

    /// How many show it, and how many show that it is not so.
    pub fn tally(&self) -> (usize, usize) {
        tally(self.contrasts.iter().map(|c| (c.family.as_str(), c.outcome)))
    }

    /// The same of the paper's numbers, with how many comparisons have them.
    pub fn paper_tally(&self) -> (usize, usize) {
        let own = || self.contrasts.iter().filter_map(Contrast::paper_outcome);
        (own().filter(|outcome| *outcome == Outcome::Yes).count(), own().count())
    }

    /// How much there is to judge by, without regard to what it shows.
    pub fn weight(&self) -> (usize, usize, u64) {
        let with_interval = self.contrasts.iter().filter(|c| c.seeds() > 1).count();
        let seeds = self.contrasts.iter().map(Contrast::seeds).sum();
        (with_interval, self.contrasts.len(), seeds)
    }
}

/// The paper's tables, and the level of tests.
pub struct Numbers {
    pub table1: PaperTable,
    pub table2: DetectionTable,
    pub level: f64,
}

impl Numbers {
    /// The arm whose attack at every time step is a reading of a row of Table 1, the likeliest first, and
    /// which has a ranking.
    pub fn ranked<'a>(&self, setting: &'a Setting, name: &str) -> Option<&'a Arm> {
        self.reading(setting, name, |arm| arm.mean("ndcg").is_some())
    }

    /// The same where `has` holds.
    pub fn reading<'a>(
        &self,
        setting: &'a Setting,
        name: &str,
        has: impl Fn(&Arm) -> bool,
    ) -> Option<&'a Arm> {
        let row = self.table1.rows.iter().find(|row| row.data == name)?;
        reading(&setting.arms, &row.attacks, row.epsilon, has)
    }

    /// The paper's row beside an arm.
    pub fn table1(&self, setting: &Setting, arm: &Arm) -> Option<&PaperRow> {
        self.table1.row(&setting.dataset, arm.id(), arm.number("epsilon"))
    }

    /// The same of Table 2.
    pub fn table2(&self, setting: &Setting, arm: &Arm) -> Option<&DetectionRow> {
        let frequency = arm.timing().and_then(|_| arm.number("frequency"));
        if arm.timing().is_some_and(|rule| !matches!(rule, "random" | "strategic")) {
            return None;
        }
        self.table2.row(&setting.dataset, arm.id(), arm.number("epsilon"), frequency)
    }
}

/// The arm of the first attack that has one, of this ε where one is given; of several readings that against
/// the agent's value, which is the paper's.
pub fn reading<'a>(
    arms: &'a [Arm],
    attacks: &[String],
    epsilon: Option<f64>,
    has: impl Fn(&Arm) -> bool,
) -> Option<&'a Arm> {
    attacks.iter().find_map(|attack| {
        let fits = |arm: &&Arm| {
            arm.id() == attack
                && arm.timing().is_none()
                && (epsilon.is_none() || arm.number("epsilon") == epsilon)
                && has(arm)
        };
        let other =
            |arm: &&Arm| arm.text("objective").is_some_and(|objective| objective != "value");
        arms.iter().filter(fits).min_by_key(other)
    })
}

/// A metric of both arms, over the seeds that have both.
pub fn pairs(a: &Arm, b: &Arm, metric: &str) -> Vec<[f64; 2]> {
    let pair = |(seed, trial): (&u64, &super::trials::Trial)| {
        let other = b.trials.get(seed)?.values.get(metric)?;
        Some([*trial.values.get(metric)?, *other])
    };
    a.trials.iter().filter_map(pair).collect()
}

/// Arms that differ in one number.
pub struct Family<'a> {
    pub label: String,
    /// What they share.
    pub attack: Parameters,
    /// Which time steps are attacked, where not all are.
    pub rule: Option<String>,
    /// By the number, from the least.
    pub points: Vec<(f64, &'a Arm)>,
}

impl Family<'_> {
    /// The label with the least and the greatest number.
    pub fn range(&self, what: &str) -> String {
        let number = |point: Option<&(f64, &Arm)>| match point {
            Some((value, _)) => format!("{}", (value * 1000.0).round() / 1000.0),
            None => String::new(),
        };
        let [least, most] = [self.points.first(), self.points.last()].map(number);
        format!("{}{what}{least}–{most}", self.label)
    }

    /// The label without the rule.
    pub fn attack_label(&self) -> String {
        let rule = self.rule.as_deref().map(|rule| format!(", {rule}")).unwrap_or_default();
        self.label.replacen(&rule, "", 1)
    }

    /// Whether the number differs.
    pub fn is_several(&self) -> bool {
        match (self.points.first(), self.points.last()) {
            (Some((least, _)), Some((most, _))) => least < most,
            _ => false,
        }
    }

    fn sorted(mut self) -> Self {
        self.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        self
    }
}

/// Attacks, without noise, that have the metric.
fn attacks<'a>(arms: &'a [Arm], metric: &str) -> impl Iterator<Item = &'a Arm> {
    let has = arms.iter().filter(move |arm| arm.mean(metric).is_some());
    has.filter(|arm| arm.id() != "none" && !arm.id().starts_with("noise_"))
}

/// Attacks at every time step that differ in the number `name` alone.
pub fn families<'a>(arms: &'a [Arm], name: &str, metric: &str) -> Vec<Family<'a>> {
    let mut found: Vec<Family> = Vec::new();
    for arm in attacks(arms, metric).filter(|arm| arm.timing().is_none()) {
        let Some(value) = arm.number(name) else { continue };
        // `always` and a frequency of 1 are one.
        let attack = arm.without(&[name, "timing", "frequency", "threshold"]);
        match found.iter_mut().find(|family| family.attack == attack) {
            Some(family) => family.points.push((value, arm)),
            None => found.push(Family {
                label: arm.id().to_owned(),
                attack,
                rule: None,
                points: vec![(value, arm)],
            }),
        }
    }
    named(found).into_iter().filter(Family::is_several).collect()
}

/// Attacks under random or strategic timing by their share of time steps, each with the attack at all of
/// them, where there is one.
pub fn timed<'a>(arms: &'a [Arm], metric: &str) -> Vec<Family<'a>> {
    let mut found: Vec<Family> = Vec::new();
    let steps = ["timing", "frequency", "threshold"];
    for arm in attacks(arms, metric) {
        let Some(rule) = arm.timing().filter(|rule| matches!(*rule, "random" | "strategic")) else {
            continue;
        };
        let Some(share) = arm.mean("realised_frequency").or(arm.number("frequency")) else {
            continue;
        };
        let attack = arm.without(&steps);
        let known =
            |family: &&mut Family| family.attack == attack && family.rule.as_deref() == Some(rule);
        match found.iter_mut().find(known) {
            Some(family) => family.points.push((share, arm)),
            None => {
                let epsilon = arm.number("epsilon").map(|epsilon| format!(" ε={epsilon}"));
                let label = format!("{}{}, {rule}", arm.id(), epsilon.unwrap_or_default());
                let rule = Some(rule.to_owned());
                found.push(Family { label, attack, rule, points: vec![(share, arm)] });
            }
        }
    }
    for family in &mut found {
        let whole = attacks(arms, metric)
            .find(|arm| arm.timing().is_none() && arm.without(&steps) == family.attack);
        family.points.extend(whole.map(|arm| (1.0, arm)));
    }
    named(found)
}

/// In order, with labels that tell them apart.
fn named(families: Vec<Family<'_>>) -> Vec<Family<'_>> {
    let labels = families.iter().map(|family| family.label.clone()).collect();
    let labels = told_apart(labels, &families.iter().map(|of| &of.attack).collect::<Vec<_>>());
    let named = families.into_iter().zip(labels);
    named.map(|(family, label)| Family { label, ..family.sorted() }).collect()
}
