//! Tests of several detectors against one another: the paper's beside the baselines, and what a detector
//! that is trained on one attack makes of the others.

use super::table2::{Detection, DetectorBlock, Table2};
use serde_json::{Map, Value as Json};

/// The measures that are crossed, by their names in the database and in the report.
const CROSSED: [(&str, &str); 2] = [("f1", "F1"), ("auroc", "AUROC")];

/// One measure, tested attacks by detectors.
pub(super) struct Crossed<'a> {
    pub title: String,
    /// By its name in the database.
    pub metric: &'static str,
    /// What tells the detectors apart.
    pub columns: Vec<String>,
    pub rows: Vec<CrossedRow<'a>>,
}

/// One tested attack.
pub(super) struct CrossedRow<'a> {
    pub label: String,
    /// Its id.
    pub attack: &'a str,
    /// Its test for each column, where there is one.
    pub tests: Vec<Option<&'a Detection>>,
}

impl Table2 {
    /// The blocks by place.
    pub(super) fn places(&self) -> impl Iterator<Item = &[DetectorBlock]> {
        self.blocks.chunk_by(|a, b| a.place == b.place)
    }
}

/// Comparisons of the detectors of one place: of methods that are trained alike, and of the attacks that
/// one method is trained on. Nothing where there is only one.
pub(super) fn crossed(blocks: &[DetectorBlock]) -> Vec<Crossed<'_>> {
    let by_method = groups(blocks, |a, b| {
        a.detector.training() == b.detector.training() && a.detector.data() == b.detector.data()
    });
    let methods = by_method.iter().filter(|group| {
        group.iter().any(|block| block.detector.method != group[0].detector.method)
    });
    let by_training = groups(blocks, |a, b| {
        a.detector.method == b.detector.method && a.detector.data() == b.detector.data()
    });
    let trainings = by_training.iter().filter(|group| {
        group.iter().any(|block| block.detector.training() != group[0].detector.training())
    });
    let mut tables = Vec::new();
    for group in methods {
        let of = &group[0].detector;
        for (metric, title) in CROSSED {
            tables.push(Crossed::new(
                format!("{title} by method, trained on {}{}", of.training(), of.data()),
                metric,
                group,
                |block| block.detector.method.clone(),
            ));
        }
    }
    for group in trainings {
        let of = &group[0].detector;
        for (metric, title) in CROSSED {
            tables.push(Crossed::new(
                format!(
                    "{title} of {}{} by the attack that it is trained on",
                    of.method,
                    of.data()
                ),
                metric,
                group,
                |block| block.detector.training(),
            ));
        }
    }
    tables
}

/// Blocks that belong together, in their order.
fn groups(
    blocks: &[DetectorBlock],
    alike: impl Fn(&DetectorBlock, &DetectorBlock) -> bool,
) -> Vec<Vec<&DetectorBlock>> {
    let mut groups: Vec<Vec<&DetectorBlock>> = Vec::new();
    for block in blocks {
        match groups.iter_mut().find(|group| alike(group[0], block)) {
            Some(group) => group.push(block),
            None => groups.push(vec![block]),
        }
    }
    groups
}

impl<'a> Crossed<'a> {
    fn new(
        title: String,
        metric: &'static str,
        blocks: &[&'a DetectorBlock],
        name: impl Fn(&DetectorBlock) -> String,
    ) -> Self {
        let names: Vec<String> = blocks.iter().map(|block| name(block)).collect();
        // Two detectors of one name differ in a parameter that their labels tell.
        let columns = names.iter().zip(blocks).map(|(name, block)| {
            let alone = names.iter().filter(|other| *other == name).count() == 1;
            if alone { name.clone() } else { block.label.clone() }
        });
        // By what is tested: a label also tells what is needed in its own block alone.
        let mut tested: Vec<Map<String, Json>> = Vec::new();
        let mut rows: Vec<CrossedRow> = Vec::new();
        for (column, block) in blocks.iter().enumerate() {
            for test in block.rows.iter().filter(|test| test.is_plain()) {
                let own = test.tested();
                let at = tested.iter().position(|known| *known == own).unwrap_or_else(|| {
                    tested.push(own);
                    let (label, tests) = (test.label.clone(), vec![None; blocks.len()]);
                    rows.push(CrossedRow { label, attack: &test.attack, tests });
                    rows.len() - 1
                });
                rows[at].tests[column] = Some(test);
            }
        }
        Self { title, metric, columns: columns.collect(), rows }
    }
}

impl Detection {
    /// The parameters but the detector's.
    fn tested(&self) -> Map<String, Json> {
        let mut tested = self.parameters.clone();
        tested.retain(|name, _| !name.starts_with("detector."));
        tested
    }
}
