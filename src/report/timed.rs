//! Attacks at chosen time steps: metrics against the realised frequency, the data of the paper's Figure 2.

use super::markdown;
use super::table1::{Block, ResultRow};

impl ResultRow {
    /// Attack, timing rule, and the asked and realised frequency.
    pub(super) fn timing(&self) -> [String; 4] {
        let setting = &self.setting;
        let epsilon = setting.epsilon.map(|e| format!(" ε={e}")).unwrap_or_default();
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let beyond: String = setting.beyond().iter().map(|b| format!(", {b}")).collect();
        [
            format!("{}{epsilon}{beyond}", self.setting.attack),
            setting.timing.clone().unwrap_or_default(),
            setting.frequency.map_or("–".to_owned(), |f| f.to_string()),
            number(self.realised_frequency),
        ]
    }
}

impl Block {
    /// The rows with chosen time steps as Markdown; nothing where there are none.
    pub(super) fn timed_markdown(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .timed()
            .map(|row| {
                let mut cells = row.timing().to_vec();
                for (split, metric) in
                    [("valid", "ndcg"), ("all_users", "ndcg"), ("valid", "hr"), ("all_users", "hr")]
                {
                    let estimate = row.estimate(split, metric);
                    cells.push(estimate.map_or("–".to_owned(), |e| e.text(3)));
                }
                cells.extend([row.left_out(), row.seeds()]);
                cells
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let header = [
            "attack", "timing", "asked", "realised", "NDCG", "NDCG all", "HR", "HR all",
            "left out", "seeds",
        ];
        format!(
            "\n### Attacks at chosen time steps\n\n{}",
            markdown::table(&header.map(str::to_owned), &rows)
        )
    }
}
