//! Rules over NDCG: what attacks take, by size, share and choice of the attacked time steps.

use super::claims::{Claim, Reference, Rule};
use super::contrast::{Contrast, Outcome, Question, judge};
use super::evidence::{Evidence, Missing, Numbers, families, pairs, timed};
use super::trials::{Arm, Setting, Trial};

const NDCG: &str = "ndcg";

/// The comparisons that a rule over NDCG makes; `None` for other rules.
pub fn evidence(claim: &Claim, setting: &Setting, numbers: &Numbers) -> Option<Evidence> {
    let share = claim.margin.value;
    Some(match &claim.rule {
        Rule::Ranking { against: Reference::Clean, attacks } => {
            against_clean(claim, setting, numbers, attacks, Question::Below(share))
        }
        Rule::Equivalent { attacks } => {
            against_clean(claim, setting, numbers, attacks, Question::Within(share))
        }
        Rule::Ranking { against: Reference::Noise, attacks } => {
            Evidence::of_attacks(claim, attacks, |name| {
                let arm = numbers.ranked(setting, name).ok_or(None)?;
                let pairs = noise_of(setting, arm).ok_or(Some("no noise of an equal mean norm"))?;
                Ok(Contrast::new(arm.label(), &pairs, Question::Below(share)))
            })
        }
        Rule::Strongest { attack, attacks } => Evidence::of_attacks(claim, attacks, |name| {
            let find = |name: &str| numbers.ranked(setting, name).ok_or(None);
            let (own, other) = (find(attack)?, find(name)?);
            let paper = numbers.table1(setting, own).zip(numbers.table1(setting, other));
            let paper = paper.map(|(own, other)| [own.ndcg, other.ndcg]);
            let contrast =
                Contrast::new(other.label(), &pairs(own, other, NDCG), Question::Below(share));
            Ok(contrast.map(|contrast| contrast.beside(paper)))
        }),
        Rule::Strength => strength(claim, setting),
        Rule::Frequency => frequency(claim, setting),
        Rule::Strategic { lowest, highest } => {
            strategic(claim, setting, (*lowest, *highest), numbers.level)
        }
        Rule::Rules => rules(claim, setting),
        _ => return None,
    })
}

/// The clean agent, where it has results.
pub fn clean(setting: &Setting) -> Option<&Arm> {
    setting.arms.iter().find(|arm| arm.id() == "none" && arm.mean(NDCG).is_some())
}

fn against_clean(
    claim: &Claim,
    setting: &Setting,
    numbers: &Numbers,
    attacks: &[String],
    question: Question,
) -> Evidence {
    Evidence::of_attacks(claim, attacks, |name| {
        let arm = numbers.ranked(setting, name).ok_or(None)?;
        let clean = clean(setting).ok_or(Some("no result of the clean agent on the same users"))?;
        let paper = numbers.table1(setting, arm).zip(numbers.table1(setting, clean));
        let paper = paper.map(|(attacked, clean)| [attacked.ndcg, clean.ndcg]);
        let contrast = Contrast::new(arm.label(), &pairs(arm, clean, NDCG), question);
        Ok(contrast.map(|contrast| contrast.beside(paper)))
    })
}

/// NDCG under an attack and under noise whose mean norm is within 0.1 % of the attack's, as the view `flags`
/// has it. Of several kinds of noise the one that takes most.
fn noise_of(setting: &Setting, attacked: &Arm) -> Option<Vec<[f64; 2]>> {
    let equal = |a: &Trial, b: &Trial| {
        ["l1_mean", "l2_mean", "linf_mean"].iter().any(|norm| {
            let pair = a.values.get(norm).zip(b.values.get(norm));
            pair.is_some_and(|(a, b)| (a - b).abs() <= 0.001 * a)
        })
    };
    let noises =
        setting.arms.iter().filter(|arm| arm.id().starts_with("noise_") && arm.timing().is_none());
    let of_noise = noises.filter_map(|noise| {
        let same: Vec<[f64; 2]> = attacked
            .trials
            .iter()
            .filter_map(|(seed, trial)| {
                let other = noise.trials.get(seed).filter(|other| equal(trial, other))?;
                Some([*trial.values.get(NDCG)?, *other.values.get(NDCG)?])
            })
            .collect();
        let mean = same.iter().map(|[_, noise]| noise).sum::<f64>() / same.len() as f64;
        (!same.is_empty()).then_some((mean, same))
    });
    of_noise.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, pairs)| pairs)
}

fn strength(claim: &Claim, setting: &Setting) -> Evidence {
    Evidence::of_share(
        claim,
        families(&setting.arms, "epsilon", NDCG).iter().filter_map(|family| {
            let (_, weakest) = family.points.first()?;
            let (_, strongest) = family.points.last()?;
            let label = family.range(" ε=");
            Contrast::new(
                label,
                &pairs(strongest, weakest, NDCG),
                Question::Below(claim.margin.value),
            )
        }),
    )
}

fn frequency(claim: &Claim, setting: &Setting) -> Evidence {
    Evidence::of_share(
        claim,
        timed(&setting.arms, NDCG).iter().filter(|of| of.is_several()).filter_map(|family| {
            let (_, rarest) = family.points.first()?;
            let (_, most) = family.points.last()?;
            let label = family.range(", share of steps ");
            Contrast::new(label, &pairs(most, rarest, NDCG), Question::Below(claim.margin.value))
        }),
    )
}

/// What is compared: clean less strategic with clean less always. The difference has the share of the latter
/// that has to be reached, so that no ratio of two uncertain numbers is needed.
fn strategic(
    claim: &Claim,
    setting: &Setting,
    (lowest, highest): (f64, f64),
    level: f64,
) -> Evidence {
    let (share, mut evidence) = (claim.margin.value, Evidence::default());
    let Some(clean) = clean(setting) else { return evidence };
    for (at, family) in timed(&setting.arms, NDCG).into_iter().enumerate() {
        let full = family.points.iter().find(|(_, arm)| arm.timing().is_none());
        let within: Vec<&(f64, &Arm)> = family
            .points
            .iter()
            .filter(|(at, arm)| {
                arm.timing() == Some("strategic") && (lowest..=highest).contains(at)
            })
            .collect();
        let Some((_, full)) = full.filter(|_| !within.is_empty()) else { continue };
        let whole = Contrast::new("", &pairs(clean, full, NDCG), Question::Above(0.0));
        let mut whole: Vec<Contrast> = whole.into_iter().collect();
        judge(&mut whole, level);
        if whole.iter().all(|whole| whole.outcome != Outcome::Yes) {
            let why = Some("it is not certain that it takes anything at every time step");
            evidence.missing.push(Missing { attack: family.label, why });
            continue;
        }
        for (frequency, arm) in within {
            let taken: Vec<[f64; 2]> = clean
                .trials
                .iter()
                .filter_map(|(seed, trial)| {
                    let value = |arm: &Arm| arm.trials.get(seed)?.values.get(NDCG).copied();
                    let before = trial.values.get(NDCG)?;
                    Some([before - value(arm)?, before - value(full)?])
                })
                .collect();
            let differences: Vec<f64> = taken.iter().map(|[a, b]| a - share * b).collect();
            let label = format!("{} {frequency:.2}", family.label);
            let contrast = Contrast::weighed(label, &taken, &differences, Question::Above(0.0));
            evidence.contrasts.extend(contrast.map(|contrast| contrast.counting_for(at)));
        }
    }
    evidence.by_share(claim)
}

fn rules(claim: &Claim, setting: &Setting) -> Evidence {
    let timed = timed(&setting.arms, NDCG);
    let of_rule = |rule: &'static str| {
        let families = timed.iter().filter(move |family| family.rule.as_deref() == Some(rule));
        families.map(|family| {
            let chosen = family.points.iter().filter(|(_, arm)| arm.timing().is_some());
            (family, chosen.map(|(_, arm)| *arm).collect::<Vec<_>>())
        })
    };
    Evidence::of_share(
        claim,
        of_rule("strategic").filter_map(|(family, strategic)| {
            let (_, random) = of_rule("random").find(|(other, _)| other.attack == family.attack)?;
            let asked = |arm: &Arm| arm.number("frequency");
            let both: Vec<(&Arm, &Arm)> = strategic
                .iter()
                .filter_map(|arm| {
                    let other = random.iter().find(|other| asked(other) == asked(arm))?;
                    asked(arm).map(|_| (*arm, *other))
                })
                .collect();
            let seeds = both.first()?.0.trials.keys();
            let means: Vec<[f64; 2]> = seeds
                .filter_map(|seed| {
                    let value = |arm: &Arm| arm.trials.get(seed)?.values.get(NDCG).copied();
                    let values: Option<Vec<[f64; 2]>> =
                        both.iter().map(|(a, b)| Some([value(a)?, value(b)?])).collect();
                    let values = values?;
                    let mean = |side: usize| {
                        values.iter().map(|pair| pair[side]).sum::<f64>() / values.len() as f64
                    };
                    Some([mean(0), mean(1)])
                })
                .collect();
            let plural = if both.len() == 1 { "y" } else { "ies" };
            let label = format!("{}, {} frequenc{plural}", family.attack_label(), both.len());
            Contrast::new(label, &means, Question::Below(claim.margin.value))
        }),
    )
}
