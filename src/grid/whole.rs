//! Checks that need all cells of a grid: everything written must have an effect.

use super::catalogue::CATALOGUE;
use super::error::{Fault, Place};
use super::expand::{AXES, Expander, FIXED};
use super::parameter::Concern;
use super::spec::Axis;
use std::collections::HashSet;

impl<'a> Expander<'a> {
    /// Checks that need all cells: everything written must have an effect.
    pub(super) fn check_whole(&mut self) {
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
                let help = remedy(CATALOGUE[setting.parameter].concern);
                self.fault(Fault::new(setting.place, message).help(help));
            }
        }
    }
}

/// What to do about a parameter that concerns no cell.
fn remedy(concern: Concern) -> &'static str {
    match concern {
        Concern::Attacked | Concern::AttackParameter => {
            "no attack here takes it; remove it or add such an attack"
        }
        Concern::Frequency => {
            "it goes with a `timing` other than `always`, and not beside a `threshold`"
        }
        Concern::Threshold => "it goes with `timing: strategic`, `strategic_range` or `oracle`",
        Concern::Transfer => "no attack here on a trained agent; remove it",
        Concern::Drift => "it goes with `drift.compare: references` or `all`",
        Concern::Trained | Concern::Imported => {
            "imported weights are not trained; remove it or the import"
        }
        Concern::Network => "no agent here trains a network; remove it",
        Concern::Detector => "it goes with a `detector.method` other than `none`",
        Concern::Sequential => "it goes with `detector.method: gru_attention` or `gru`",
        Concern::DetectorAttack => "no attack that a detector here is trained on takes it",
        Concern::Adaptive => {
            "it goes with an attack that has an `objective`, and with \
             `detector.method: gru_attention` or `gru`"
        }
        Concern::Hardened => "it goes with `defense: adversarial_training`",
        Concern::HardeningAttack => "no attack that an agent here is trained on takes it",
        Concern::Every => "every `include` overrides it; remove it",
    }
}
