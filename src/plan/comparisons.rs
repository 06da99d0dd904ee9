//! Which rollouts of a grid are compared with one another for drift (SPEC section 7).

use super::Cell;
use super::build::{Builder, Input};
use super::parts::Pair;
use super::stage::{StageKey, StageKind};
use crate::grid::plain;
use std::collections::BTreeMap;

/// A cell that asks to be compared.
struct Compared {
    /// Index of the cell.
    cell: usize,
    /// Index of its rollout.
    rollout: usize,
    /// Whether it is one of the two sets that the paper compares with.
    reference: bool,
    /// Whether it is compared with every other, not with the references alone.
    with_all: bool,
}

impl Builder<'_> {
    /// Adds the comparisons that the cells ask for: of cells that differ in nothing but the attack and
    /// the range of users. Each pair is one stage of both cells; a cell's comparison with itself is of
    /// two halves of its paths.
    pub(super) fn compare(&mut self, cells: &mut [Cell]) {
        let mut groups: BTreeMap<Vec<(String, String)>, Vec<Compared>> = BTreeMap::new();
        for (index, cell) in cells.iter().enumerate() {
            let compare = cell.params.text("drift.compare").unwrap_or("nothing");
            let rollout =
                cell.stages.iter().find(|s| self.stages[**s].stage.kind == StageKind::Rollout);
            let (false, Some(&rollout)) = (compare == "nothing", rollout) else { continue };
            let attack = cell.params.text("attack").unwrap_or("none");
            let always = cell.params.text("timing").is_none_or(|t| t == "always");
            let of_the_attack =
                |name: &str| name.starts_with("transfer.") || name.starts_with("adaptive.");
            let special = cell.params.keys().any(of_the_attack);
            let reference = attack == "none" || (attack == "fgsm_l1" && always && !special);
            let same = |name: &str| match name.split_once('.') {
                Some(_) => {
                    !of_the_attack(name) && name != "rollout.users" && name != "drift.compare"
                }
                None => matches!(name, "dataset" | "seed" | "defense"),
            };
            let group = cell.params.iter().filter(|(name, _)| same(name));
            let group = group.map(|(name, value)| (name.to_owned(), plain(value))).collect();
            let with_all = compare == "all";
            let compared = Compared { cell: index, rollout, reference, with_all };
            groups.entry(group).or_default().push(compared);
        }
        for group in groups.into_values() {
            for (i, one) in group.iter().enumerate() {
                for other in &group[i..] {
                    if one.with_all || other.with_all || one.reference || other.reference {
                        self.pair(cells, one, other);
                    }
                }
            }
        }
    }

    fn pair(&mut self, cells: &mut [Cell], one: &Compared, other: &Compared) {
        let params = cells[one.cell].params.clone();
        let pairs: Vec<Pair<'_>> = params
            .shared_iter()
            .filter(|(name, _)| {
                *name == "seed" || (name.starts_with("drift.") && *name != "drift.compare")
            })
            .collect();
        // Drift has no direction: the pair is one stage whichever comes first.
        let (mut first, mut second) = (one.rollout, other.rollout);
        if self.stages[second].key < self.stages[first].key {
            (first, second) = (second, first);
        }
        let given: Vec<(String, StageKey)> = self.stages[first]
            .stage
            .inputs
            .iter()
            .filter(|input| matches!(input.role.as_str(), "graph" | "embedding"))
            .map(|input| (input.role.clone(), input.key.clone()))
            .collect();
        let given: Vec<(String, Input)> =
            given.into_iter().map(|(role, key)| (role, self.made(key))).collect();
        let (first, second) = (Input::Planned(first), Input::Planned(second));
        let mut inputs: Vec<(&str, &Input)> =
            given.iter().map(|(role, input)| (role.as_str(), input)).collect();
        inputs.extend([("rollout", &first), ("other", &second)]);
        let stage = self.stage(StageKind::Drift, &pairs, &inputs);
        for cell in [one.cell, other.cell] {
            if !cells[cell].stages.contains(&stage) {
                // After the ranking, before what results are made from.
                cells[cell].stages.insert(1, stage);
            }
        }
    }
}
