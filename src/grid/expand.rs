//! From a grid to its cells: the product of the axes, conditions, extra and dropped combinations,
//! and the checks that need a whole cell.

use super::catalogue::{
    ALGORITHM, ATTACK, CATALOGUE, COMPARE, COUNT, DATASET, DEFENSE, DETECTION_METHOD,
    DETECTOR_ATTACK, HARDENING_ATTACK, IMPORTED, SEED, THRESHOLD, TIMING,
};
use super::error::{Fault, Place, quoted};
use super::parameter::{Concern, ParameterId, plain};
use super::spec::{Axis, Choice, MAX_COMBINATIONS, Setting, Spec, Test, ValueId, too_many};
use crate::attack::{self, AttackSpec, TimingRule};
use crate::detect::Method;
use crate::plan::{Cell, Params, params::Names};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// The values of a cell, 0 where it has none.
type Row = [ValueId; COUNT];

/// A parameter as it stands while a combination is made.
#[derive(Clone, Copy)]
struct Slot {
    setting: Setting,
    /// See [`Choice::group`].
    group: usize,
    /// [`PRESET`], [`FIXED`], then the axes from [`AXES`] on, then the entries of `include`.
    source: usize,
}

/// The source of what presets set: like defaults, it gives way to everything and may concern no cell.
const PRESET: usize = 0;
/// The source of parameters that are fixed for all cells: only `include` goes over them.
const FIXED: usize = 1;
const AXES: usize = 2;

type Slots = [Option<Slot>; COUNT];

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

struct Expander<'a> {
    spec: &'a Spec,
    rows: Vec<Row>,
    /// The rows by their hash, or by the next free number after it.
    seen: HashMap<u64, usize>,
    hasher: RandomState,
    faults: Vec<Fault>,
    told: HashSet<(Place, String)>,
    /// Combinations made, with the seeds, before any are dropped or merged.
    made: usize,
    /// For each exclude, whether a product cell matched.
    matched: Vec<bool>,
    /// For each axis, whether a product cell had it.
    had: Vec<bool>,
    /// For each source, whether a cell that stays takes the parameter from it.
    used: Vec<[bool; COUNT]>,
    attacks: HashMap<ValueId, Option<&'static AttackSpec>>,
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
            matched: vec![false; spec.exclude.len()],
            had: vec![false; spec.axes.len()],
            used: vec![[false; COUNT]; AXES + spec.axes.len() + spec.include.len()],
            attacks: HashMap::new(),
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.told.insert((fault.place, fault.message.clone())) {
            self.faults.push(fault);
        }
    }

    /// Goes through the values of the axes from `at` on. The depth is the number of axes.
    fn product(&mut self, at: usize, slots: &mut Slots) {
        if self.made > MAX_COMBINATIONS {
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
            let before = *slots;
            if self.set(choice, AXES + at, slots, PRESET) {
                self.product(at + 1, slots);
            }
            *slots = before;
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

    /// The values of a combination that concern it, defaults filled in.
    fn row(&mut self, slots: &Slots, faults: &mut Vec<Fault>) -> Row {
        let value = |id: ParameterId| match &slots[id] {
            Some(slot) => slot.setting.value,
            None => self.spec.defaults[id],
        };
        let text = |id: ParameterId| self.spec.values.get(value(id)).as_str().unwrap_or("");
        let attack =
            *self.attacks.entry(value(ATTACK)).or_insert_with(|| attack::spec(text(ATTACK)));
        let imported = slots[IMPORTED].is_some();
        let walks = text(ALGORITHM) == "random_walk";
        let timing = TimingRule::named(text(TIMING)).unwrap_or_default();
        let (scores, given) = (timing.scores(), slots[THRESHOLD].is_some());
        let compared = text(COMPARE) != "nothing";
        let detector = Method::named(text(DETECTION_METHOD));
        let sequential = detector.is_some_and(Method::is_sequential);
        let hardened = text(DEFENSE) == "adversarial_training";
        let takes = |attack: ParameterId, id: ParameterId| {
            attack::spec(text(attack))
                .is_some_and(|a| a.parameters.contains(&CATALOGUE[id].last_name()))
        };
        self.check_defense(slots, text(DEFENSE), detector.is_some(), walks || imported, faults);
        if let (Some(spec), true, false, Some(slot)) = (attack, walks, imported, &slots[ATTACK]) {
            let message = format!("attack `{}` on a random walk, which has no network", spec.id);
            let help = "exclude the pair, or give `random_walk` with `attack: none` in `include`";
            faults.push(Fault::new(slot.setting.place, message).help(help));
        }
        if let (Some(_), true, false, Some(slot)) =
            (detector, walks, imported, &slots[DETECTION_METHOD])
            && text(DETECTOR_ATTACK) != "none"
        {
            let message = format!(
                "a detector trained on `{}` for a random walk, which has no network to attack",
                text(DETECTOR_ATTACK)
            );
            let help = "give `random_walk` with `detector.method: none` in `include`";
            faults.push(Fault::new(slot.setting.place, message).help(help));
        }
        let mut row = [0; COUNT];
        for (id, parameter) in CATALOGUE.iter().enumerate() {
            // Whether the parameter concerns the cell, and which parameter decides it.
            let (concerns, decider) = match parameter.concern {
                Concern::Every => (true, id),
                Concern::Imported => (imported, IMPORTED),
                Concern::Trained => (!imported, IMPORTED),
                Concern::Network if imported => (false, IMPORTED),
                Concern::Network => (!walks, ALGORITHM),
                Concern::Attacked => (attack.is_some(), ATTACK),
                Concern::AttackParameter => {
                    (attack.is_some_and(|a| a.parameters.contains(&parameter.name)), ATTACK)
                }
                Concern::Frequency | Concern::Threshold if attack.is_none() => (false, ATTACK),
                Concern::Frequency if scores && given => (false, THRESHOLD),
                Concern::Frequency => (scores || timing == TimingRule::Random, TIMING),
                Concern::Threshold => (scores && given, TIMING),
                Concern::Transfer if imported => (false, IMPORTED),
                Concern::Transfer => (attack.is_some() && slots[id].is_some(), ATTACK),
                Concern::Drift => (compared, COMPARE),
                Concern::Detector => (detector.is_some(), DETECTION_METHOD),
                Concern::Sequential => (sequential, DETECTION_METHOD),
                Concern::DetectorAttack if detector.is_none() => (false, DETECTION_METHOD),
                Concern::DetectorAttack => (takes(DETECTOR_ATTACK, id), DETECTOR_ATTACK),
                Concern::Adaptive if !sequential => (false, DETECTION_METHOD),
                Concern::Adaptive => {
                    let followed = attack.is_some_and(|a| a.parameters.contains(&"objective"));
                    (followed && slots[id].is_some(), ATTACK)
                }
                Concern::Hardened => (hardened, DEFENSE),
                Concern::HardeningAttack if !hardened => (false, DEFENSE),
                Concern::HardeningAttack => (takes(HARDENING_ATTACK, id), HARDENING_ATTACK),
            };
            // The default size is that of the default attack.
            if concerns
                && slots[id].is_none()
                && parameter.last_name() == "epsilon"
                && let Some(slot) = slots[decider].filter(|_| decider != ATTACK)
                && slot.setting.value != self.spec.defaults[decider]
            {
                let message = format!(
                    "{} `{}` needs `{}`",
                    CATALOGUE[decider].name,
                    text(decider),
                    parameter.name
                );
                faults.push(
                    Fault::new(slot.setting.place, message)
                        .help(format!("write `{{id: {}, epsilon: VALUE}}`", text(decider))),
                );
            }
            if concerns {
                row[id] = value(id);
                if row[id] == 0 && id != SEED {
                    faults.push(self.missing(id, slots, attack));
                }
            } else if let (Some(slot), Some(by)) = (&slots[id], &slots[decider])
                && slot.group == by.group
                && slot.group != 0
            {
                let by = quoted(&plain(self.spec.values.get(by.setting.value)));
                let decider = CATALOGUE[decider].name;
                let message = format!(
                    "`{}` is given together with {decider} {by}, which does not take it",
                    parameter.name
                );
                faults.push(
                    Fault::new(slot.setting.place, message)
                        .help("leave it out here; in a zip group write `~`"),
                );
            }
        }
        row
    }

    /// A defence needs what it works with.
    fn check_defense(
        &self,
        slots: &Slots,
        defense: &str,
        detected: bool,
        untrained: bool,
        faults: &mut Vec<Fault>,
    ) {
        let Some(slot) = &slots[DEFENSE] else { return };
        let place = slot.setting.place;
        if defense == "reject" && !detected {
            faults.push(
                Fault::new(place, "defense `reject` without a detector that flags paths")
                    .help("add `detector: {method: gru_attention}`"),
            );
        }
        if defense == "adversarial_training" && untrained {
            let message = "defense `adversarial_training` of an agent that is not trained here";
            faults.push(Fault::new(place, message).help(
                "exclude the pair; it goes with `agent.algorithm: actor_critic` or `reinforce`",
            ));
        }
    }

    /// Whether the timing rule of a combination scores time steps.
    fn scores(&self, slots: &Slots) -> bool {
        let rule = slots[TIMING].map(|slot| self.spec.values.get(slot.setting.value));
        let rule = rule.and_then(|value| TimingRule::named(value.as_str()?));
        rule.is_some_and(TimingRule::scores)
    }

    fn missing(&self, id: ParameterId, slots: &Slots, attack: Option<&AttackSpec>) -> Fault {
        let name = CATALOGUE[id].name;
        let place = |id: ParameterId| slots[id].map(|slot| slot.setting.place);
        if id == DATASET {
            // An entry of `include` is named by any of its settings.
            let at = slots.iter().flatten().find(|s| s.source >= AXES + self.spec.axes.len());
            let place = at.map_or(Place::START, |slot| slot.setting.place);
            return Fault::new(place, "a cell has no `dataset`").help("add `dataset: NAME`");
        }
        let (place, by) = match CATALOGUE[id].concern {
            Concern::Frequency => {
                let rule = slots[TIMING].map(|s| plain(self.spec.values.get(s.setting.value)));
                (place(TIMING), format!("timing `{}`", rule.unwrap_or_default()))
            }
            _ => (place(ATTACK), format!("attack `{}`", attack.map_or("none", |a| a.id))),
        };
        let instead = match CATALOGUE[id].concern {
            Concern::Frequency if self.scores(slots) => "; or a `threshold`",
            _ => "",
        };
        Fault::new(place.unwrap_or(Place::START), format!("{by} needs `{name}`"))
            .help(format!("add `{name}: VALUE`, or an axis of it{instead}"))
    }

    /// Checks that need all cells: everything written must have an effect.
    fn check_whole(&mut self) {
        let spec = self.spec;
        for (exclude, matched) in spec.exclude.iter().zip(self.matched.clone()) {
            if !matched {
                self.fault(
                    Fault::new(exclude.place, "the exclude matches no cell")
                        .help("check its values against the axes, or remove it"),
                );
            }
        }
        for (axis, had) in spec.axes.iter().zip(self.had.clone()) {
            if !had {
                let message = format!("no cell meets the `when` of axis `{}`", axis.name);
                self.fault(
                    Fault::new(axis.place, message).help("correct `when` or remove the axis"),
                );
            }
        }
        if self.rows.is_empty() {
            let place = spec.exclude.first().map_or(Place::START, |e| e.place);
            self.fault(
                Fault::new(place, "no cell is left").help("exclude less, or add to `include`"),
            );
        }
        if !self.faults.is_empty() {
            return;
        }
        let settings = |axis: &'a Axis| axis.choices.iter().flat_map(|c| &c.settings);
        let written = (spec.fixed.settings.iter().map(|s| (FIXED, s)))
            .chain(
                spec.axes
                    .iter()
                    .enumerate()
                    .flat_map(|(i, axis)| settings(axis).map(move |s| (AXES + i, s))),
            )
            .chain(spec.include.iter().enumerate().flat_map(|(i, include)| {
                let source = AXES + spec.axes.len() + i;
                include.choices.iter().flat_map(|c| &c.settings).map(move |s| (source, s))
            }));
        let mut told = HashSet::new();
        for (source, setting) in written {
            if !self.used[source][setting.parameter] && told.insert((source, setting.parameter)) {
                let message = format!("`{}` concerns no cell", CATALOGUE[setting.parameter].name);
                let help = match CATALOGUE[setting.parameter].concern {
                    Concern::Attacked | Concern::AttackParameter => {
                        "no attack here takes it; remove it or add such an attack"
                    }
                    Concern::Frequency => {
                        "it goes with a `timing` other than `always`, and not beside a `threshold`"
                    }
                    Concern::Threshold => {
                        "it goes with `timing: strategic`, `strategic_range` or `oracle`"
                    }
                    Concern::Transfer => "no attack here on a trained agent; remove it",
                    Concern::Drift => "it goes with `drift.compare: references` or `all`",
                    Concern::Trained | Concern::Imported => {
                        "imported weights are not trained; remove it or the import"
                    }
                    Concern::Network => "no agent here trains a network; remove it",
                    Concern::Detector => "it goes with a `detector.method` other than `none`",
                    Concern::Sequential => "it goes with `detector.method: gru_attention` or `gru`",
                    Concern::DetectorAttack => {
                        "no attack that a detector here is trained on takes it"
                    }
                    Concern::Adaptive => {
                        "it goes with an attack that has an `objective`, and with \
                         `detector.method: gru_attention` or `gru`"
                    }
                    Concern::Hardened => "it goes with `defense: adversarial_training`",
                    Concern::HardeningAttack => {
                        "no attack that an agent here is trained on takes it"
                    }
                    Concern::Every => "every `include` overrides it; remove it",
                };
                self.fault(Fault::new(setting.place, message).help(help));
            }
        }
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
