//! The queries behind the numbers of Table 2.

use super::document::Cell;
use super::source::{Keys, Source, conditions};
use super::table2::{Detection, DetectorBlock, Table2};
use serde_json::{Value as Json, json};

impl Table2 {
    /// The same with the query behind every number.
    pub(super) fn with_sources(mut self) -> Self {
        let rows = self.blocks.iter().flat_map(|b| b.rows.iter().map(move |row| keys(b, row)));
        let chosen = conditions(&rows.collect::<Vec<_>>());
        let rows = self.blocks.iter_mut().flat_map(|block| &mut block.rows);
        rows.zip(chosen).for_each(|(row, chosen)| row.chosen = Some(chosen));
        self
    }
}

fn keys<'a>(block: &DetectorBlock, row: &'a Detection) -> Keys<'a> {
    let (place, detector) = (&block.place, &block.detector);
    // The reader gives an empty text for NULL.
    let text = |text: &str| if text.is_empty() { Json::Null } else { text.into() };
    Keys {
        named: vec![
            ("grid", text(&place.grid)),
            ("dataset", text(&place.dataset)),
            ("agent", text(&place.agent)),
            ("method", text(&detector.method)),
            ("trained_on", text(&detector.trained_on)),
            ("attack", text(&row.attack)),
        ],
        others: vec![
            ("epsilon", json!(row.epsilon), true),
            ("trained_epsilon", json!(detector.trained_epsilon), false),
            ("users", text(&place.users), false),
            ("defense", text(&row.defense), false),
            ("timing", json!(row.timing), false),
            ("frequency", json!(row.frequency), false),
            ("threshold", json!(row.threshold), false),
            ("adaptive_lambda", json!(row.adaptive_lambda), false),
            ("input", json!(detector.input), false),
            ("label", json!(detector.label_rule), false),
            ("negatives", json!(detector.negatives), false),
            ("data_split", json!(detector.data_split), false),
        ],
        parameters: &row.parameters,
    }
}

impl Detection {
    /// Where a measure comes from; nothing where it is missing.
    pub(super) fn source(&self, metric: &str) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        self.estimate(metric)?;
        Some(Source::estimate("table2", chosen, &format!("metric = '{metric}'")))
    }

    /// A measure with its source.
    pub(super) fn sourced(&self, metric: &str) -> (Cell, Option<Source>) {
        (Cell::estimate(self.estimate(metric), 3), self.source(metric))
    }

    /// The number of seeds with its source.
    pub(super) fn sourced_seeds(&self) -> (Cell, Option<Source>) {
        let chosen = self.chosen.as_ref();
        let source = chosen.map(|of| Source::of_view("table2", "min(n), max(n)", of, ""));
        (Cell::Text(self.seeds()), source)
    }
}
