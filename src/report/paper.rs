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

/// The paper's Table 2 with the two blocks of its factor analysis.
#[derive(Clone, Debug, Deserialize)]
pub struct DetectionTable {
    pub paper: String,
    pub place: String,
    /// The attack that the detector is trained on: its readings and ε.
    pub trained_on: Vec<String>,
    pub trained_epsilon: f64,
    pub rows: Vec<DetectionRow>,
}

/// A row of the paper's Table 2, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRow {
    /// The paper's name of the dataset.
    pub dataset: String,
    /// What a dataset's name contains, in small letters, that the row compares with.
    pub dataset_part: String,
    /// What the paper calls the attack.
    pub data: String,
    /// The attack ids that are readings of it.
    pub attacks: Vec<String>,
    pub epsilon: Option<f64>,
    /// Share of the time steps that is attacked, where it is not all.
    pub frequency: Option<f64>,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Table 2 of the paper.
///
/// # Errors
/// If the file that the program carries is damaged, which its test excludes.
pub fn table2() -> Result<DetectionTable, serde_json::Error> {
    serde_json::from_str(include_str!("../../reports/paper_table2.json"))
}

impl DetectionTable {
    /// The row that the test of a detector stands beside. `frequency`: the asked one, `None` where
    /// every time step is attacked.
    pub fn row(
        &self,
        dataset: &str,
        attack: &str,
        epsilon: Option<f64>,
        frequency: Option<f64>,
    ) -> Option<&DetectionRow> {
        let dataset = dataset.to_lowercase();
        let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        };
        self.rows.iter().find(|row| {
            dataset.contains(&row.dataset_part)
                && row.attacks.iter().any(|a| a == attack)
                && (row.epsilon.is_none() || near(row.epsilon, epsilon))
                && near(row.frequency, frequency)
        })
    }

    /// Whether a detector is trained as the paper's.
    pub fn trains_on(&self, attack: &str, epsilon: Option<f64>) -> bool {
        self.trained_on.iter().any(|a| a == attack) && epsilon == Some(self.trained_epsilon)
    }

    /// The place of an attack in the order of the paper; attacks that it lacks come last.
    pub fn place_of(&self, attack: &str) -> usize {
        let place = self.rows.iter().position(|row| row.attacks.iter().any(|a| a == attack));
        place.unwrap_or(self.rows.len())
    }
}

impl DetectionRow {
    /// A measure by its name in the database.
    pub fn metric(&self, name: &str) -> Option<f64> {
        Some(match name {
            "precision" => self.precision,
            "recall" => self.recall,
            "f1" => self.f1,
            _ => return None,
        })
    }
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

    #[test]
    fn detections_are_found_by_dataset_attack_epsilon_and_frequency() {
        let paper = table2().unwrap();
        assert_eq!(paper.rows.len(), 18);
        let f1 = |dataset, attack, epsilon, frequency| {
            paper.row(dataset, attack, epsilon, frequency).map(|row| row.f1)
        };
        assert_eq!(f1("Amazon_Beauty", "fgsm_l1", Some(0.1), None), Some(0.904));
        assert_eq!(f1("beauty_words", "fgsm_l1", Some(0.3), None), Some(0.924));
        assert_eq!(f1("Amazon_Beauty", "fgsm_l1", Some(0.1), Some(0.118)), Some(0.543));
        assert_eq!(f1("Amazon_Beauty", "fgsm_l1", Some(0.3), Some(0.118)), None);
        assert_eq!(f1("Amazon_Beauty", "deepfool", None, None), Some(0.876));
        assert_eq!(f1("Amazon_Cellphones", "fgsm_l1", Some(1.0), None), Some(0.817));
        assert_eq!(f1("Amazon_Clothing", "jsma", None, None), None);
        // F1 is that of the row's precision and recall up to rounding, so no digit is mistyped.
        for row in &paper.rows {
            let f1 = 2.0 * row.precision * row.recall / (row.precision + row.recall);
            assert!((f1 - row.f1).abs() < 0.001, "{} {}: {f1}", row.dataset, row.data);
            assert!(row.attacks.iter().all(|attack| crate::attack::spec(attack).is_some()));
        }
    }
}
