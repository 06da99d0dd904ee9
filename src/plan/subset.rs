//! Some cells of a plan, with all that they need.

use super::{Plan, StageKind};

impl StageKind {
    /// Whether the stage's metrics are results of cells, and not what others are made from.
    pub const fn is_result(self) -> bool {
        matches!(self, Self::Ranking | Self::Direct | Self::Drift | Self::Detection | Self::Noop)
    }
}

impl Plan {
    /// The cells for which `chosen` is true, with every stage that they need: also those that stand in no
    /// cell, such as the rollouts that a detector is trained on. [`super::PlannedStage::cells`] still
    /// counts all cells of the grid.
    ///
    /// `chosen` has an entry for each cell.
    pub fn only(&self, chosen: &[bool]) -> Plan {
        let needed = self.needed(chosen);
        let mut places = vec![0; self.stages.len()];
        let mut stages = Vec::new();
        for (index, stage) in self.stages.iter().enumerate().filter(|(index, _)| needed[*index]) {
            places[index] = stages.len();
            let mut stage = stage.clone();
            // What a needed stage needs is needed, and has its place already.
            stage.needs.iter_mut().for_each(|need| *need = places[*need]);
            stages.push(stage);
        }
        let cells = self.cells.iter().zip(chosen).filter(|&(_, &chosen)| chosen);
        let cells = cells.map(|(cell, _)| {
            let mut cell = cell.clone();
            cell.stages.iter_mut().for_each(|stage| *stage = places[*stage]);
            cell
        });
        Plan { cells: cells.collect(), stages }
    }

    /// The stages to compute anew when the chosen cells are to be, whatever the store has: the cells'
    /// results, and what no other cell needs.
    ///
    /// `chosen` has an entry for each cell, the answer one for each stage.
    pub fn anew(&self, chosen: &[bool]) -> Vec<bool> {
        let needed = self.needed(chosen);
        let others: Vec<bool> = chosen.iter().map(|chosen| !chosen).collect();
        let shared = self.needed(&others);
        let mut anew: Vec<bool> = needed.iter().zip(&shared).map(|(n, s)| *n && !s).collect();
        for (cell, _) in self.cells.iter().zip(chosen).filter(|&(_, &chosen)| chosen) {
            let results = cell.stages.iter().filter(|&&s| self.stages[s].stage.kind.is_result());
            results.for_each(|&stage| anew[stage] = true);
        }
        anew
    }

    /// Which stages the chosen cells need, directly or not.
    fn needed(&self, chosen: &[bool]) -> Vec<bool> {
        let mut needed = vec![false; self.stages.len()];
        for (cell, _) in self.cells.iter().zip(chosen).filter(|&(_, &chosen)| chosen) {
            cell.stages.iter().for_each(|&stage| needed[stage] = true);
        }
        // Needs come before what needs them, so one pass from the end reaches all.
        for index in (0..needed.len()).rev() {
            if needed[index] {
                self.stages[index].needs.iter().for_each(|&need| needed[need] = true);
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::build::tests::{count, plan};
    use crate::plan::{Plan, StageKind};

    fn chosen(plan: &Plan, attack: &str) -> Vec<bool> {
        plan.cells.iter().map(|cell| cell.params["attack"] == attack).collect()
    }

    const DETECTED: &str = "dataset: d\ndetector: {method: gru}\naxes:\n  attack: [none, {id: \
                            fgsm_l1, epsilon: 0.1}, deepfool, jsma]\n";

    #[test]
    fn a_part_keeps_the_rollouts_that_a_detector_is_trained_on() {
        let whole = plan(DETECTED);
        let part = whole.only(&chosen(&whole, "deepfool"));
        assert_eq!(part.cells.len(), 1);
        // Its own, the clean one and the one under fgsm_l1.
        assert_eq!(count(&part, StageKind::Rollout), 3);
        assert_eq!(count(&part, StageKind::Ranking), 1);
        for (index, stage) in part.stages.iter().enumerate() {
            assert!(stage.needs.iter().all(|&need| need < index));
            let inputs: Vec<_> = stage.stage.inputs.iter().map(|i| &i.key).collect();
            assert!(stage.needs.iter().all(|&need| inputs.contains(&&part.stages[need].key)));
        }
        let keys = |plan: &Plan, cell: usize| -> Vec<String> {
            let stages = plan.cells[cell].stages.iter();
            stages.map(|&stage| plan.stages[stage].key.to_string()).collect()
        };
        assert_eq!(keys(&part, 0), keys(&whole, 2));
        assert_eq!(whole.only(&[true; 4]), whole);
    }

    #[test]
    fn only_results_and_what_nobody_else_needs_are_made_anew() {
        let whole = plan(DETECTED);
        let anew = |attack: &str| -> Vec<&str> {
            let anew = whole.anew(&chosen(&whole, attack));
            let stages = whole.stages.iter().zip(anew).filter(|(_, anew)| *anew);
            stages.map(|(stage, _)| stage.stage.kind.name()).collect()
        };
        // The rollouts of the others serve the detector, which every cell needs.
        let mut own = anew("jsma");
        own.sort_unstable();
        assert_eq!(own, ["detection", "direct", "ranking", "rollout"]);
        assert!(!anew("fgsm_l1").contains(&"rollout"));
        let all = whole.anew(&[true; 4]);
        assert!(all.iter().all(|anew| *anew));
    }
}
