//! The paper's claims as data, each with its words, its place and the rule by which it is judged.

use serde::{Deserialize, Serialize};

/// All claims, in the order of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub paper: String,
    /// The level of all tests.
    pub level: Threshold,
    pub claims: Vec<Claim>,
}

/// A statement of the paper.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub id: String,
    pub title: String,
    /// Where in the paper it and its numbers stand.
    pub place: String,
    /// Whether the abstract makes it.
    #[serde(rename = "abstract")]
    pub of_abstract: bool,
    /// The paper's words.
    pub quote: String,
    pub rule: Rule,
    /// The rule in words: what each comparison has to show.
    pub says: String,
    /// How many comparisons have to show it; below 1, more than that share of those that there are.
    pub needed: Threshold,
    /// What a comparison is held against.
    pub margin: Threshold,
    /// The grids of `experiments/` that give the numbers.
    pub run: Vec<String>,
}

/// A number with the reason for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub value: f64,
    pub reason: String,
}

/// What is compared. Attacks are named as the paper's tables name them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// NDCG under each attack with the clean agent's, or with that under noise of its size.
    Ranking { against: Reference, attacks: Vec<String> },
    /// NDCG under each attack with the clean agent's, to either side.
    Equivalent { attacks: Vec<String> },
    /// NDCG under one attack with that under each other.
    Strongest { attack: String, attacks: Vec<String> },
    /// NDCG under the largest and the smallest ε.
    Strength,
    /// NDCG under the highest and the lowest frequency.
    Frequency,
    /// What strategic timing takes at frequencies in a range with what the whole attack takes.
    Strategic { lowest: f64, highest: f64 },
    /// NDCG under strategic and under random timing.
    Rules,
    /// MMD from the clean paths with that between two halves of them.
    Drift { attacks: Vec<String> },
    /// MMD from the paths under FGSM l1 with that from the clean paths.
    Nearer { attacks: Vec<String> },
    /// F1 on each attack with that of flagging every path.
    Detection { attacks: Vec<String> },
    /// Recall on each attack with a half.
    Missed { attacks: Vec<String> },
    /// Recall at the largest and the smallest ε.
    RecallByStrength,
    /// Recall at the highest and the lowest frequency.
    RecallByFrequency,
}

/// What the ranking under an attack is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    Clean,
    Noise,
}

/// The claims that the program carries.
///
/// # Errors
/// If the file is damaged, which its test excludes.
pub fn claims() -> Result<Claims, serde_json::Error> {
    serde_json::from_str(include_str!("../../../reports/paper_claims.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paper;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_claim_has_words_a_place_reasons_and_an_experiment() {
        let claims = claims().unwrap();
        assert_eq!(claims.level.value, 0.05);
        let ids: BTreeSet<&str> = claims.claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(ids.len(), claims.claims.len());
        for claim in &claims.claims {
            let id = &claim.id;
            assert!(claim.quote.split(' ').count() >= 5, "{id}");
            let place = ["abstract", "section", "control"];
            assert!(place.iter().any(|start| claim.place.starts_with(start)), "{id}");
            assert!(!claim.needed.reason.is_empty() && !claim.margin.reason.is_empty(), "{id}");
            let needed = claim.needed.value;
            assert!(needed == 0.5 || (needed >= 1.0 && needed.fract() == 0.0), "{id}");
            assert!((0.0..1.0).contains(&claim.margin.value), "{id}");
            assert!(!claim.run.is_empty(), "{id}");
            // Beside three datasets the table of verdicts is to fit a terminal.
            assert!(claim.title.len() <= 35, "{id}");
            for grid in &claim.run {
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(grid).is_file(), "{id}: {grid}");
            }
        }
    }

    #[test]
    fn the_paper_has_these_words() {
        // The paper is not part of the program; where it lies beside it, it is asked.
        let paper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/paper/paper.txt");
        let Ok(paper) = std::fs::read_to_string(paper) else { return };
        // Words broken at the end of a line are one, with or without their hyphen.
        let plain = |text: &str| text.replace(['-', '\n', ' '], "");
        for claim in claims().unwrap().claims {
            assert!(plain(&paper).contains(&plain(&claim.quote)), "{}", claim.id);
        }
    }

    #[test]
    fn rules_name_attacks_of_the_papers_tables() {
        let (table1, table2) = (paper::table1().unwrap(), paper::table2().unwrap());
        let in_table1 = |name: &String| table1.rows.iter().any(|row| row.data == *name);
        let in_table2 = |name: &String| table2.rows.iter().any(|row| row.data == *name);
        for claim in claims().unwrap().claims {
            let known = match &claim.rule {
                Rule::Ranking { attacks, .. }
                | Rule::Equivalent { attacks }
                | Rule::Drift { attacks }
                | Rule::Nearer { attacks } => attacks.iter().all(in_table1),
                Rule::Strongest { attack, attacks } => {
                    in_table1(attack) && attacks.iter().all(in_table1)
                }
                Rule::Detection { attacks } | Rule::Missed { attacks } => {
                    attacks.iter().all(in_table2)
                }
                _ => true,
            };
            assert!(known, "{}", claim.id);
        }
    }
}
