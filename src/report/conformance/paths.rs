//! Rules over the paths themselves: how far their distributions lie apart, and which a detector finds.

use super::claims::{Claim, Rule};
use super::contrast::{Contrast, Question};
use super::evidence::{Evidence, Family, Numbers, families, pairs, reading, timed};
use super::trials::{Arm, Detector, Setting};
use crate::report::paper::DetectionTable;
use serde_json::Value as Json;

const F1: &str = "f1";
const RECALL: &str = "recall";
/// What the paper calls the attack that its detector is trained on.
const L1: &str = "FGSM l1";

/// The comparisons that a rule over drift makes; `None` for other rules.
pub fn drift(claim: &Claim, setting: &Setting, numbers: &Numbers) -> Option<Evidence> {
    let compared = |arm: &Arm, other: &Arm| -> Vec<[f64; 1]> {
        let of_seed = |(seed, trial): (&u64, &super::trials::Trial)| {
            Some([setting.mmd(trial, other.trials.get(seed)?)?])
        };
        arm.trials.iter().filter_map(of_seed).collect()
    };
    // MMD of an arm from two others, or of the second from itself, by seed.
    let both = |arm: &Arm, to: &Arm, from: [&Arm; 2]| -> Vec<[f64; 2]> {
        let of_seed = |(seed, trial): (&u64, &super::trials::Trial)| {
            let [first, second] = from.map(|arm| arm.trials.get(seed));
            let measured = setting.mmd(trial, to.trials.get(seed)?)?;
            Some([measured, setting.mmd(first?, second?)?])
        };
        arm.trials.iter().filter_map(of_seed).collect()
    };
    let clean = setting.arms.iter().find(|arm| arm.id() == "none");
    let clean_for = |arm: &Arm| {
        let clean = clean.ok_or(Some("no clean paths of the same users"))?;
        match compared(arm, clean).is_empty() {
            true => Err(None),
            false => Ok(clean),
        }
    };
    let find = |name: &str| {
        let has = |arm: &Arm| arm.trials.values().any(|trial| setting.is_compared(trial));
        numbers.reading(setting, name, has).ok_or(None)
    };
    let share = claim.margin.value;
    Some(match &claim.rule {
        Rule::Drift { attacks } => Evidence::of_attacks(claim, attacks, |name| {
            let arm = find(name)?;
            let clean = clean_for(arm)?;
            let pairs = both(arm, clean, [clean, clean]);
            let paper = numbers.table1(setting, arm).zip(numbers.table1(setting, clean));
            let paper = paper.map(|(own, clean)| [own.mmd_org, clean.mmd_org]);
            let contrast = Contrast::new(arm.label(), &pairs, Question::Above(share));
            let contrast =
                contrast.ok_or(Some("two halves of the clean paths were not compared"))?;
            Ok(Some(contrast.beside(paper)))
        }),
        Rule::Nearer { attacks } => Evidence::of_attacks(claim, attacks, |name| {
            let arm = find(name)?;
            let clean = clean_for(arm)?;
            let l1 = find(L1)?;
            let pairs = both(arm, l1, [arm, clean]);
            let paper = numbers.table1(setting, arm).map(|own| [own.mmd_l1, own.mmd_org]);
            let contrast = Contrast::new(arm.label(), &pairs, Question::Below(share));
            Ok(contrast.map(|contrast| contrast.beside(paper)))
        }),
        _ => return None,
    })
}

/// Whether a rule is about detectors.
pub fn is_of_detectors(rule: &Rule) -> bool {
    matches!(
        rule,
        Rule::Detection { .. }
            | Rule::Missed { .. }
            | Rule::RecallByStrength
            | Rule::RecallByFrequency
    )
}

/// Whether a detector is the paper's, as far as the paper says what that is.
pub fn is_papers(detector: &Detector, paper: &DetectionTable) -> bool {
    let text = |name: &str| detector.parameters.get(name).and_then(Json::as_str);
    let epsilon = detector.parameters.get("detector.epsilon").and_then(Json::as_f64);
    text("detector.method") == Some("gru_attention")
        && paper.trains_on(text("detector.attack").unwrap_or("fgsm_l1"), epsilon)
        && matches!(text("detector.negatives"), None | Some("clean"))
}

/// The comparisons that a rule over detection makes with one detector.
pub fn detection(
    claim: &Claim,
    setting: &Setting,
    detector: &Detector,
    numbers: &Numbers,
) -> Evidence {
    let share = claim.margin.value;
    let paper = |arm: &Arm| numbers.table2(setting, arm);
    let find = |name: &str| {
        let row = numbers.table2.rows.iter().find(|row| row.data == name).ok_or(None)?;
        let has = |arm: &Arm| arm.mean(F1).is_some() || arm.mean(RECALL).is_some();
        reading(&detector.arms, &row.attacks, row.epsilon, has).ok_or(None)
    };
    let by_range = |found: Vec<Family>, what: &str| {
        let several = found.iter().filter(|family| family.is_several());
        Evidence::of_share(
            claim,
            several.filter_map(|family| {
                let (_, least) = family.points.first()?;
                let (_, most) = family.points.last()?;
                let paper = paper(most).zip(paper(least)).map(|(a, b)| [a.recall, b.recall]);
                let label = family.range(what);
                let pairs = pairs(most, least, RECALL);
                Some(Contrast::new(label, &pairs, Question::Above(share))?.beside(paper))
            }),
        )
    };
    match &claim.rule {
        Rule::Missed { attacks } => Evidence::of_attacks(claim, attacks, |name| {
            let arm = find(name)?;
            let recalls = arm.trials.values().filter_map(|trial| trial.values.get(RECALL));
            let pairs: Vec<[f64; 2]> = recalls.map(|recall| [*recall, 0.5]).collect();
            let contrast = Contrast::new(arm.label(), &pairs, Question::Below(share));
            let paper = paper(arm).map(|row| [row.recall, 0.5]);
            Ok(contrast.map(|contrast| contrast.beside(paper)))
        }),
        Rule::RecallByStrength => by_range(families(&detector.arms, "epsilon", RECALL), " ε="),
        Rule::RecallByFrequency => by_range(timed(&detector.arms, RECALL), ", share of steps "),
        Rule::Detection { attacks } => Evidence::of_attacks(claim, attacks, |name| {
            let arm = find(name)?;
            let of_seed = |trial: &super::trials::Trial| {
                let share = trial.values.get("prevalence")?;
                Some([*trial.values.get(F1)?, flagging_all(*share)])
            };
            let pairs: Vec<[f64; 2]> = arm.trials.values().filter_map(of_seed).collect();
            let contrast = Contrast::new(arm.label(), &pairs, Question::Above(share));
            let paper = paper(arm).map(|row| [row.f1, flagging_all(0.5)]);
            Ok(contrast.map(|contrast| contrast.beside(paper)))
        }),
        _ => Evidence::default(),
    }
}

/// F1 where every path is called attacked, of which this share is.
fn flagging_all(share: f64) -> f64 {
    2.0 * share / (1.0 + share)
}
