//! The detectors that cells ask for (SPEC section 8): the rollouts that they are trained on, and their tests.

use super::build::{Builder, Input, PlanError};
use super::parts::{Pair, Parts};
use super::stage::StageKind;
use crate::attack::{self, AttackSpec};
use crate::grid::{CATALOGUE, find};
use serde_json::Value;
use std::sync::Arc;

/// A detector in a plan.
pub(super) struct Detector {
    pub(super) stage: Input,
    /// The clean rollout of the agent whose paths it reads.
    pub(super) clean: Input,
}

impl<'a> Parts<'a> {
    /// What a detector's test depends on beside the detector.
    pub(super) fn testing(&self) -> Vec<Pair<'a>> {
        let tests = |name: &str| matches!(name, "seed" | "detector.label" | "detector.test_paths");
        self.detector.iter().filter(|pair| tests(pair.0)).copied().collect()
    }
}

/// The parameters of a rollout that a detector is trained on: those that the attack takes, at every time
/// step, as a cell of the grid would have them. `detector` gives the detector's own ε and objective.
fn training_attack<'a>(
    attack: Option<&'static AttackSpec>,
    detector: &dyn Fn(&str) -> Option<&'a Arc<Value>>,
) -> Vec<(&'static str, Arc<Value>)> {
    let id = attack.map_or("none", |attack| attack.id);
    let mut settings = vec![("attack", Arc::new(Value::from(id)))];
    let taken = attack.map_or(&[][..], |attack| attack.parameters);
    for name in taken.iter().copied().chain(attack.map(|_| "timing")) {
        let own = match name {
            "epsilon" => detector("detector.epsilon").cloned(),
            "objective" => detector("detector.objective").cloned(),
            _ => None,
        };
        let default = || find(name).and_then(|id| CATALOGUE[id].default_value()).map(Arc::new);
        settings.extend(own.or_else(default).map(|value| (name, value)));
    }
    settings
}

impl Builder<'_> {
    /// The detector that the cell asks for, with the rollouts of the cell's agent that it is trained on:
    /// the clean one, one under `detector.attack` at every time step, and one under noise. `inputs` are
    /// the rollout's.
    pub(super) fn detector(
        &mut self,
        parts: &Parts<'_>,
        inputs: &[(&str, &Input)],
    ) -> Result<Option<Detector>, PlanError> {
        let value = |name: &str| parts.detector.iter().find(|p| p.0 == name).map(|p| p.1);
        let text = |name: &str| value(name).and_then(|v| v.as_str());
        let Some(id) = text("detector.attack") else { return Ok(None) };
        let trained_on = attack::spec(id);
        let mut walk = |attack: Option<&'static AttackSpec>| {
            let settings = training_attack(attack, &value);
            let own = parts
                .rollout
                .iter()
                .filter(|(name, _)| *name == "seed" || name.starts_with("rollout."));
            let pairs: Vec<Pair<'_>> =
                own.copied().chain(settings.iter().map(|(name, value)| (*name, value))).collect();
            Input::Planned(self.stage(StageKind::Rollout, &pairs, inputs))
        };
        let (clean, attacked) = (walk(None), walk(trained_on));
        let noise = match text("detector.negatives") {
            Some("clean_and_noise") => {
                let noise = trained_on.and_then(AttackSpec::noise);
                Some(walk(Some(noise.ok_or(PlanError::NoNoise { attack: id.to_owned() })?)))
            }
            _ => None,
        };
        let own = |(name, _): &&Pair<'_>| {
            let row = find(name).map(|id| &CATALOGUE[id]);
            *name == "seed" || row.is_some_and(|row| row.stage == Some(StageKind::Detector))
        };
        let pairs: Vec<Pair<'_>> = parts.detector.iter().filter(own).copied().collect();
        let read = inputs.iter().filter(|(role, _)| *role != "agent");
        let mut inputs: Vec<(&str, &Input)> = read.copied().collect();
        inputs.extend([("clean", &clean), ("attacked", &attacked)]);
        inputs.extend(noise.as_ref().map(|noise| ("noise", noise)));
        let stage = Input::Planned(self.stage(StageKind::Detector, &pairs, &inputs));
        Ok(Some(Detector { stage, clean }))
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::build::tests::{cells, count, plan, sources, stages_of};
    use crate::plan::{Plan, PlannedStage, StageKind};

    fn input<'a>(plan: &'a Plan, stage: &PlannedStage, role: &str) -> &'a PlannedStage {
        let key = stage.stage.input(role).unwrap();
        plan.stages.iter().find(|s| s.key == *key).unwrap()
    }

    #[test]
    fn one_detector_is_tested_on_every_attack() {
        let plan = plan(
            "dataset: d\ndetector: {method: gru_attention}\naxes:\n  attack: [none, {id: fgsm_l1, \
             epsilon: [0.1, 0.3]}, deepfool]\n",
        );
        // The training rollouts are the cells' own.
        let kinds = [StageKind::Rollout, StageKind::Detector, StageKind::Detection];
        assert_eq!(kinds.map(|kind| count(&plan, kind)), [4, 1, 4]);
        let detector = stages_of(&plan, StageKind::Detector)[0];
        assert_eq!(detector.cells, 4);
        assert_eq!(input(&plan, detector, "clean").stage.params["attack"], "none");
        let attacked = &input(&plan, detector, "attacked").stage.params;
        assert_eq!((&attacked["attack"], &attacked["epsilon"]), (&"fgsm_l1".into(), &0.1.into()));
        let params = serde_json::to_string(&detector.stage.params).unwrap();
        insta::assert_snapshot!(params, @r#"{"batch":512,"decay":"decoupled","decision":"last","dropout":0.5,"epochs":30,"hidden":32,"input":"entity","learning_rate":0.0005,"method":"gru_attention","negatives":"clean","paths":100000,"patience":5,"seed":1,"split":"by_path","test_paths":100000,"weight_decay":0.01}"#);
        let parsed: crate::detect::DetectorParams = serde_json::from_str(&params).unwrap();
        let defaults = crate::detect::DetectorParams { seed: 1, ..Default::default() };
        assert_eq!(parsed, defaults);
        let clean = stages_of(&plan, StageKind::Detection)[0];
        assert_eq!(clean.stage.input("clean"), clean.stage.input("attacked"));
        let params = serde_json::to_string(&clean.stage.params).unwrap();
        insta::assert_snapshot!(params, @r#"{"label":"any_step","seed":1,"test_paths":100000}"#);
        assert!(plan.to_run(&vec![false; plan.stages.len()]).iter().all(|runs| *runs));
    }

    #[test]
    fn detectors_of_several_attacks_make_a_matrix() {
        let plan = plan(
            "dataset: d\ndetector: {method: gru}\naxes:\n  detector.attack: [fgsm_l1, {id: fgsm_linf, \
             epsilon: 0.5}, deepfool]\n  attack: [none, {id: fgsm_l1, epsilon: 0.1}, {id: \
             fgsm_linf, epsilon: 0.5}, deepfool]\n",
        );
        let kinds = [StageKind::Rollout, StageKind::Detector, StageKind::Detection];
        assert_eq!(kinds.map(|kind| count(&plan, kind)), [4, 3, 12]);
    }

    #[test]
    fn noise_is_of_the_norm_of_the_attack() {
        let text = |attack: &str| {
            format!(
                "dataset: d\nattack: none\ndetector: {{method: gru, negatives: clean_and_noise, attack: \
                 {attack}}}\n",
            )
        };
        let plan = plan(&text("{id: fgsm_l2, epsilon: 2}"));
        let detector = stages_of(&plan, StageKind::Detector)[0];
        let noise = &input(&plan, detector, "noise").stage.params;
        assert_eq!((&noise["attack"], &noise["epsilon"]), (&"noise_l2".into(), &2.0.into()));
        let refused = Plan::build(cells(&text("jsma")), &sources()).unwrap_err();
        insta::assert_snapshot!(refused, @"there is no noise of the norm of `jsma`, which the detector is trained on; write `detector.negatives: clean`");
    }

    #[test]
    fn an_adaptive_attack_evades_the_detector_that_it_is_tested_on() {
        let plan = plan(
            "dataset: d\nattack: fgsm_l1\nepsilon: 0.1\ndetector: {method: gru_attention}\naxes: \
             {adaptive.lambda: [0.5, 1]}\n",
        );
        let kinds = [StageKind::Rollout, StageKind::Detector, StageKind::Detection];
        assert_eq!(kinds.map(|kind| count(&plan, kind)), [4, 1, 2]);
        for detection in stages_of(&plan, StageKind::Detection) {
            let rollout = input(&plan, detection, "attacked");
            assert_eq!(rollout.stage.input("detector"), detection.stage.input("detector"));
            assert!(rollout.stage.params.contains_key("lambda"));
            assert_eq!(rollout.cells, 1);
        }
    }

    #[test]
    fn an_oracle_knows_what_the_adaptive_attack_would_do() {
        let plan = plan(
            "dataset: d\nattack: fgsm_l1\nepsilon: 0.1\ntiming: oracle\nfrequency: 0.3\ndetector: \
             {method: gru}\nadaptive: {lambda: 1}\n",
        );
        let calibration = stages_of(&plan, StageKind::Calibration)[0];
        let detector = stages_of(&plan, StageKind::Detector)[0];
        assert_eq!(calibration.stage.input("detector"), Some(&detector.key));
        assert!(calibration.stage.params.contains_key("lambda"));
    }

    #[test]
    fn a_defence_rejects_paths_or_trains_the_agent() {
        let plan = plan(
            "dataset: d\ndetector: {method: gru}\naxes:\n  defense: [none, reject, \
             adversarial_training]\n  attack: [none, {id: fgsm_l2, epsilon: 1}]\n",
        );
        // Four rankings of the plain agent's two rollouts, and two of the hardened agent's.
        assert_eq!(count(&plan, StageKind::Ranking), 6);
        let rejecting = stages_of(&plan, StageKind::Ranking)
            .into_iter()
            .filter(|s| s.stage.input("detector").is_some())
            .count();
        assert_eq!(rejecting, 2);
        let agents = stages_of(&plan, StageKind::Agent);
        let hardened = agents.iter().find(|s| s.stage.input("agent").is_some()).unwrap();
        let params = serde_json::to_string(&hardened.stage.params).unwrap();
        insta::assert_snapshot!(params, @r#"{"action_dropout":0.5,"algorithm":"actor_critic","attack":"fgsm_l1","batch":32,"dropout":0.5,"entropy_weight":0.001,"epochs":10,"epsilon":0.1,"gamma":0.99,"hidden":[512,256],"history":1,"learning_rate":0.0001,"max_actions":250,"objective":"value","reward":"scaled_dot","seed":1,"share":0.5}"#);
        let parsed: crate::agent::AgentParams = serde_json::from_str(&params).unwrap();
        assert_eq!((parsed.epochs, parsed.seed), (10, 1));
    }
}
