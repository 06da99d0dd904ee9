//! The paper's published numbers, as data with their place in the paper.

use super::drift::Reference;
use serde::{Deserialize, Serialize};

/// A published table.
#[derive(Clone, Debug, Deserialize)]
pub struct PaperTable {
    pub paper: String,
    pub place: String,
    pub dataset: String,
    pub rows: Vec<PaperRow>,
}

/// A row of the paper's Table 1; ranking metrics in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaperRow {
    /// What the paper calls it.
    pub data: String,
    /// The attack ids that are readings of it, the likeliest first; `none` for the clean agent.
    pub attacks: Vec<String>,
    pub epsilon: Option<f64>,
    pub ndcg: f64,
    pub recall: f64,
    pub hr: f64,
    pub precision: f64,
    /// Drift from the clean set and from the l1 attack's.
    pub mmd_org: f64,
    pub mmd_l1: f64,
}

/// Table 1 of the paper.
///
/// # Errors
/// If the file that the program carries is damaged, which its test excludes.
pub fn table1() -> Result<PaperTable, serde_json::Error> {
    serde_json::from_str(include_str!("../../reports/paper_table1.json"))
}

impl PaperTable {
    /// The row that an attack on this dataset stands beside. The dataset's name need only contain
    /// the last part of the paper's (`beauty`), so that variants are compared as well.
    pub fn row(&self, dataset: &str, attack: &str, epsilon: Option<f64>) -> Option<&PaperRow> {
        let own = self.dataset.rsplit('_').next().unwrap_or_default().to_lowercase();
        if !dataset.to_lowercase().contains(&own) {
            return None;
        }
        self.rows.iter().find(|row| {
            row.attacks.iter().any(|a| a == attack)
                && (row.epsilon.is_none() || row.epsilon == epsilon)
        })
    }

    /// The place of an attack in the order of the paper; attacks that it lacks come last.
    pub fn place_of(&self, attack: &str) -> usize {
        let place = self.rows.iter().position(|row| row.attacks.iter().any(|a| a == attack));
        place.unwrap_or(self.rows.len())
    }
}

impl PaperRow {
    /// The published MMD.
    pub(super) fn drift(&self, reference: Reference) -> f64 {
        match reference {
            Reference::Clean => self.mmd_org,
            Reference::L1 => self.mmd_l1,
        }
    }

    /// A ranking metric by its name in the database.
    pub fn metric(&self, name: &str) -> Option<f64> {
        Some(match name {
            "ndcg" => self.ndcg,
            "recall" => self.recall,
            "hr" => self.hr,
            "precision" => self.precision,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_dataset_attack_and_epsilon() {
        let paper = table1().unwrap();
        assert_eq!(paper.rows.len(), 6);
        let ndcg = |dataset, attack, epsilon| paper.row(dataset, attack, epsilon).map(|r| r.ndcg);
        assert_eq!(ndcg("Amazon_Beauty", "none", None), Some(4.654));
        assert_eq!(ndcg("beauty_words", "fgsm_l1", Some(0.1)), Some(2.695));
        assert_eq!(ndcg("beauty", "fgsm_l1", Some(0.5)), None);
        assert_eq!(ndcg("beauty", "deepfool", None), Some(3.28));
        assert_eq!(ndcg("Amazon_Clothing", "none", None), None);
        // Only attacks that the program knows, or will know under these names.
        for attack in paper.rows.iter().flat_map(|row| &row.attacks) {
            let later = ["none", "jsma", "deepfool"].contains(&attack.as_str());
            assert!(later || crate::attack::spec(attack).is_some(), "{attack}");
        }
    }
}
