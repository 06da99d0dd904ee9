//! From a combination to the values of its cells: which parameters concern it, and what it lacks.

use super::catalogue::{
    ALGORITHM, ATTACK, CATALOGUE, COMPARE, COUNT, DATASET, DEFENSE, DETECTION_METHOD,
    DETECTOR_ATTACK, HARDENING_ATTACK, IMPORTED, SEED, THRESHOLD, TIMING,
};
use super::error::{Fault, Place, quoted};
use super::expand::{AXES, Expander, Row, Slots};
use super::parameter::{Concern, ParameterId, plain};
use crate::attack::{self, AttackSpec, TimingRule};
use crate::detect::Method;

impl Expander<'_> {
    /// The values of a combination that concern it, defaults filled in.
    pub(super) fn row(&mut self, slots: &Slots, faults: &mut Vec<Fault>) -> Row {
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
        if walks && !imported {
            self.check_walk(slots, attack, detector, text(DETECTOR_ATTACK), faults);
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
            if concerns && slots[id].is_none() && parameter.last_name() == "epsilon" {
                faults.extend(self.missing_size(slots, id, decider));
            }
            if concerns {
                row[id] = value(id);
                if row[id] == 0 && id != SEED {
                    faults.push(self.missing(id, slots, attack));
                }
            } else {
                faults.extend(self.given_in_vain(slots, id, decider));
            }
        }
        row
    }

    /// A random walk has no network: nothing attacks it, and no detector learns from attacks on it.
    fn check_walk(
        &self,
        slots: &Slots,
        attack: Option<&AttackSpec>,
        detector: Option<Method>,
        detector_attack: &str,
        faults: &mut Vec<Fault>,
    ) {
        if let (Some(spec), Some(slot)) = (attack, &slots[ATTACK]) {
            let message = format!("attack `{}` on a random walk, which has no network", spec.id);
            let help = "exclude the pair, or give `random_walk` with `attack: none` in `include`";
            faults.push(Fault::new(slot.setting.place, message).help(help));
        }
        if let (Some(_), Some(slot)) = (detector, &slots[DETECTION_METHOD])
            && detector_attack != "none"
        {
            let message = format!(
                "a detector trained on `{detector_attack}` for a random walk, which has no network to \
                 attack"
            );
            let help = "give `random_walk` with `detector.method: none` in `include`";
            faults.push(Fault::new(slot.setting.place, message).help(help));
        }
    }

    /// The default size is that of the default attack; any other one (`decider`) needs its own.
    fn missing_size(
        &self,
        slots: &Slots,
        size: ParameterId,
        decider: ParameterId,
    ) -> Option<Fault> {
        let slot = slots[decider].filter(|_| decider != ATTACK)?;
        if slot.setting.value == self.spec.defaults[decider] {
            return None;
        }
        let attack = plain(self.spec.values.get(slot.setting.value));
        let (decider, size) = (CATALOGUE[decider].name, CATALOGUE[size].name);
        let fault = Fault::new(slot.setting.place, format!("{decider} `{attack}` needs `{size}`"));
        Some(fault.help(format!("write `{{id: {attack}, epsilon: VALUE}}`")))
    }

    /// A parameter in one mapping or row with the value (of `decider`) for which it does not concern the cell.
    fn given_in_vain(&self, slots: &Slots, id: ParameterId, decider: ParameterId) -> Option<Fault> {
        let (slot, by) = slots[id].zip(slots[decider])?;
        if slot.group != by.group || slot.group == 0 {
            return None;
        }
        let by = quoted(&plain(self.spec.values.get(by.setting.value)));
        let (name, decider) = (CATALOGUE[id].name, CATALOGUE[decider].name);
        let message =
            format!("`{name}` is given together with {decider} {by}, which does not take it");
        let fault = Fault::new(slot.setting.place, message);
        Some(fault.help("leave it out here; in a zip group write `~`"))
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
}
