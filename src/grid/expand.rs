//! From a grid to its cells: the product of the axes, conditions, extra and dropped combinations.

use super::catalogue::{CATALOGUE, COUNT, SEED};
use super::error::{Fault, Place};
use super::parameter::ParameterId;
use super::spec::{Choice, MAX_COMBINATIONS, Setting, Spec, Test, ValueId, too_many};
use crate::attack::AttackSpec;
use crate::plan::{Cell, Params, params::Names};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// The values of a cell, 0 where it has none.
pub(super) type Row = [ValueId; COUNT];

/// A parameter as it stands while a combination is made.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) setting: Setting,
    /// See [`Choice::group`].
    pub(super) group: usize,
    /// [`PRESET`], [`FIXED`], then the axes from [`AXES`] on, then the entries of `include`.
    pub(super) source: usize,
}

/// The source of what presets set: like defaults, it gives way to everything and may concern no cell.
pub(super) const PRESET: usize = 0;
/// The source of parameters that are fixed for all cells: only `include` goes over them.
pub(super) const FIXED: usize = 1;
pub(super) const AXES: usize = 2;

pub(super) type Slots = [Option<Slot>; COUNT];

// A set of parameters is a number with a bit for each.
const _: () = assert!(COUNT <= 128);

/// Expands a grid into its cells, in order: the first axis varies slowest, seeds fastest; the
/// product first, then the entries of `include`. Identical cells are merged into the first.
///
/// # Errors
/// Every fault found, in no order.
pub fn expand(spec: &Spec) -> Result<Vec<Cell>, Vec<Fault>> {
    // Axes without a condition multiply in any case; so much can be refused without counting.
    let certain = spec.axes.iter().filter(|a| a.when.is_empty()).map(|a| a.choices.len());
    let least = certain.fold(spec.seeds.len(), usize::saturating_mul);
    if least > MAX_COMBINATIONS {
        let place = spec.axes.first().map_or(spec.seeds_place, |a| a.place);
        return Err(vec![too_many(place)]);
    }
    let mut expander = Expander::new(spec);
    let mut slots: Slots = [None; COUNT];
    for setting in spec.base.values() {
        slots[setting.parameter] = Some(Slot { setting: *setting, group: 0, source: PRESET });
    }
    for setting in &spec.fixed.settings {
        slots[setting.parameter] = Some(Slot { setting: *setting, group: 0, source: FIXED });
    }
    expander.product(0, &mut slots);
    expander.includes(&slots);
    if expander.faults.is_empty() {
        expander.check_whole();
    }
    if !expander.faults.is_empty() {
        return Err(expander.faults);
    }
    Ok(expander.cells())
}

pub(super) struct Expander<'a> {
    pub(super) spec: &'a Spec,
    pub(super) rows: Vec<Row>,
    /// The rows by their hash, or by the next free number after it.
    pub(super) seen: HashMap<u64, usize>,
    pub(super) hasher: RandomState,
    pub(super) faults: Vec<Fault>,
    pub(super) told: HashSet<(Place, String)>,
    /// Combinations made, with the seeds, before any are dropped or merged.
    pub(super) made: usize,
    /// Values of axes tried.
    pub(super) steps: usize,
    /// For each exclude, whether a product cell matched.
    pub(super) matched: Vec<bool>,
    /// For each axis, whether a product cell had it.
    pub(super) had: Vec<bool>,
    /// For each source, whether a cell that stays takes the parameter from it.
    pub(super) used: Vec<[bool; COUNT]>,
    pub(super) attacks: HashMap<ValueId, Option<&'static AttackSpec>>,
}

impl<'a> Expander<'a> {
    fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            rows: Vec::new(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            faults: Vec::new(),
            told: HashSet::new(),
            made: 0,
            steps: 0,
            matched: vec![false; spec.exclude.len()],
            had: vec![false; spec.axes.len()],
            used: vec![[false; COUNT]; AXES + spec.axes.len() + spec.include.len()],
            attacks: HashMap::new(),
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.told.insert((fault.place, fault.message.clone())) {
            self.faults.push(fault);
        }
    }

    /// Goes through the values of the axes from `at` on. The depth is the number of axes.
    fn product(&mut self, at: usize, slots: &mut Slots) {
        // What is at fault makes no combinations, and could be tried for ever.
        let in_vain = self.steps > MAX_COMBINATIONS && !self.faults.is_empty();
        if self.made > MAX_COMBINATIONS || in_vain {
            return;
        }
        let Some(axis) = self.spec.axes.get(at) else {
            return self.combination(slots, true);
        };
        if !self.passes(&axis.when, slots) {
            return self.product(at + 1, slots);
        }
        self.had[at] = true;
        for choice in &axis.choices {
            self.steps += 1;
            let parameters = choice.settings.iter().map(|setting| setting.parameter);
            let before: Vec<_> = parameters.map(|id| (id, slots[id])).collect();
            if self.set(choice, AXES + at, slots, PRESET) {
                self.product(at + 1, slots);
            }
            before.into_iter().for_each(|(id, slot)| slots[id] = slot);
        }
    }

    fn passes(&self, when: &[Test], slots: &Slots) -> bool {
        when.iter().all(|test| {
            let value = match slots[test.parameter] {
                Some(slot) => slot.setting.value,
                None => self.spec.defaults[test.parameter],
            };
            test.passes(value)
        })
    }

    /// Whether the choice could be made over what has a source up to `over`; if not, a fault is noted.
    fn set(&mut self, choice: &Choice, source: usize, slots: &mut Slots, over: usize) -> bool {
        for setting in &choice.settings {
            if let Some(other) = slots[setting.parameter]
                && other.source > over
            {
                let name = CATALOGUE[setting.parameter].name;
                let line = other.setting.place.line;
                let message =
                    format!("`{name}` is set twice for one cell: here and on line {line}");
                self.fault(
                    Fault::new(setting.place, message)
                        .help("give one of the two a `when`, so that no cell has both"),
                );
                return false;
            }
            slots[setting.parameter] =
                Some(Slot { setting: *setting, group: choice.group, source });
        }
        true
    }

    fn includes(&mut self, fixed: &Slots) {
        for (i, include) in self.spec.include.iter().enumerate() {
            for choice in &include.choices {
                if self.made > MAX_COMBINATIONS {
                    return;
                }
                let mut slots = *fixed;
                for setting in include.base.values() {
                    slots[setting.parameter] =
                        Some(Slot { setting: *setting, group: 0, source: PRESET });
                }
                if self.set(choice, AXES + self.spec.axes.len() + i, &mut slots, FIXED) {
                    self.combination(&slots, false);
                }
            }
        }
    }

    /// Adds the cells of a combination, one a seed.
    fn combination(&mut self, slots: &Slots, product: bool) {
        self.made = self.made.saturating_add(self.spec.seeds.len());
        if self.made > MAX_COMBINATIONS {
            let place = self.spec.axes.first().map_or(self.spec.seeds_place, |a| a.place);
            return self.fault(too_many(place));
        }
        let mut faults = Vec::new();
        let mut row = self.row(slots, &mut faults);
        let mut stays = false;
        for seed in &self.spec.seeds {
            row[SEED] = *seed;
            if product && self.excluded(&row) {
                continue;
            }
            stays = true;
            self.add(&row);
        }
        if !stays {
            return;
        }
        for fault in faults {
            self.fault(fault);
        }
        for (parameter, slot) in slots.iter().enumerate() {
            if let Some(slot) = slot
                && row[parameter] != 0
            {
                self.used[slot.source][parameter] = true;
            }
        }
    }

    /// Adds a cell, unless it is there.
    fn add(&mut self, row: &Row) {
        let mut hash = self.hasher.hash_one(row);
        while let Some(other) = self.seen.get(&hash) {
            if self.rows[*other] == *row {
                return;
            }
            hash = hash.wrapping_add(1);
        }
        self.seen.insert(hash, self.rows.len());
        self.rows.push(*row);
    }

    /// Whether an exclude matches. All are tried, so that each learns whether it matches at all.
    fn excluded(&mut self, row: &Row) -> bool {
        let mut excluded = false;
        for (exclude, matched) in self.spec.exclude.iter().zip(&mut self.matched) {
            if exclude.tests.iter().all(|test| test.passes(row[test.parameter])) {
                *matched = true;
                excluded = true;
            }
        }
        excluded
    }

    /// The value of a parameter where neither an axis nor an entry of `include` sets it.
    fn elsewhere(&self, parameter: ParameterId) -> ValueId {
        let fixed = self.spec.fixed.settings.iter().find(|s| s.parameter == parameter);
        let set = fixed.or_else(|| self.spec.base.get(&parameter));
        set.map_or(self.spec.defaults[parameter], |setting| setting.value)
    }

    /// The parameters that vary, in the order of the text, the seed last.
    fn varied(&self) -> Vec<ParameterId> {
        let choices = self.spec.axes.iter().flat_map(|a| &a.choices);
        let mut seen = [false; COUNT];
        let mut varied = Vec::new();
        let include = self.spec.include.iter().flat_map(|include| {
            // Of what its presets set, only what is not so anyway.
            let presets = include.base.values().filter(|s| self.elsewhere(s.parameter) != s.value);
            presets.chain(include.choices.iter().flat_map(|c| &c.settings))
        });
        for setting in choices.flat_map(|c| &c.settings).chain(include) {
            if !std::mem::replace(&mut seen[setting.parameter], true) {
                varied.push(setting.parameter);
            }
        }
        varied.push(SEED);
        varied
    }

    fn cells(self) -> Vec<Cell> {
        let varied = self.varied();
        let mut order: Vec<ParameterId> = (0..COUNT).collect();
        order.sort_by_key(|id| CATALOGUE[*id].name);
        let names: Vec<Arc<str>> = CATALOGUE.iter().map(|p| p.name.into()).collect();
        // What cells with the same parameters share: their names, and which of them vary.
        let mut kinds: HashMap<u128, (Vec<ParameterId>, Names, Vec<String>)> = HashMap::new();
        let mut cells = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let present = row.iter().fold(0, |set, value| set << 1 | u128::from(*value != 0));
            let (ids, names, axes) = kinds.entry(present).or_insert_with(|| {
                let present = |ids: &[ParameterId]| -> Vec<ParameterId> {
                    ids.iter().copied().filter(|id| row[*id] != 0).collect()
                };
                let ids = present(&order);
                let names = ids.iter().map(|id| names[*id].clone()).collect();
                let axes = present(&varied);
                let axes = axes.iter().map(|id| CATALOGUE[*id].name.to_owned()).collect();
                (ids, names, axes)
            });
            let values = ids.iter().map(|id| self.spec.values.get(row[*id]).clone());
            cells.push(Cell {
                params: Params::new(names.clone(), values.collect()),
                axes: axes.clone(),
                stages: Vec::new(),
            });
        }
        cells
    }
}
