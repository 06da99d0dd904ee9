//! What only whole cells show: parameters that go together, and those that do not.

use super::refused_with;

// Imported weights beside trained ones, and unknown ones.
#[test]
fn imported_weights() {
    insta::assert_snapshot!(refused_with("agent: {imported: pgpr, epochs: 10}\n"), @r"
    error: grid.yaml:3:33: `agent.epochs` concerns no cell
      3 | agent: {imported: pgpr, epochs: 10}
        |                                 ^^
      no agent here trains a network; remove it
    ");
    insta::assert_snapshot!(refused_with("agent: {imported: pgpr}\nembedding: {dimension: 50}\n"), @r"
    error: grid.yaml:4:24: `embedding.dimension` concerns no cell
      4 | embedding: {dimension: 50}
        |                        ^^
      imported weights are not trained; remove it or the import
    ");
    insta::assert_snapshot!(refused_with("agent: {imported: pgpr}\n"), @r"
    error: grid.yaml:3:19: unknown import `pgpr`; there is none yet: import one first
      3 | agent: {imported: pgpr}
        |                   ^^^^
    ");
}

// Timing, transfer and drift: what is missing, what has no effect, what cannot be.
#[test]
fn timing_transfer_and_drift() {
    let attack = "attack: fgsm_l2\nepsilon: 1\n";
    insta::assert_snapshot!(refused_with(&format!("{attack}timing: strategic\n")), @r"
    error: grid.yaml:5:9: timing `strategic` needs `frequency`
      5 | timing: strategic
        |         ^^^^^^^^^
      add `frequency: VALUE`, or an axis of it; or a `threshold`
    ");
    insta::assert_snapshot!(
        refused_with(&format!("{attack}timing: oracle\nfrequency: 0.3\nthreshold: 0.2\n")), @r"
    error: grid.yaml:6:12: `frequency` concerns no cell
      6 | frequency: 0.3
        |            ^^^
      it goes with a `timing` other than `always`, and not beside a `threshold`
    ");
    insta::assert_snapshot!(refused_with(&format!("{attack}threshold: 0.2\n")), @r"
    error: grid.yaml:5:12: `threshold` concerns no cell
      5 | threshold: 0.2
        |            ^^^
      it goes with `timing: strategic`, `strategic_range` or `oracle`
    ");
    insta::assert_snapshot!(refused_with(&format!("{attack}transfer: {{seed: 1}}\n")), @r"
    error: grid.yaml:5:18: `transfer` names the agent that is attacked itself (1); name another, or exclude the cells where the two are the same
      5 | transfer: {seed: 1}
        |                  ^
    ");
    insta::assert_snapshot!(refused_with("transfer: {seed: 2}\n"), @r"
    error: grid.yaml:3:18: `transfer.seed` concerns no cell
      3 | transfer: {seed: 2}
        |                  ^
      no attack here on a trained agent; remove it
    ");
    insta::assert_snapshot!(refused_with("drift: {paths: 100}\n"), @r"
    error: grid.yaml:3:16: `drift.paths` concerns no cell
      3 | drift: {paths: 100}
        |                ^^^
      it goes with `drift.compare: references` or `all`
    ");
}

#[test]
fn detection_and_defence() {
    let attack = "attack: fgsm_l2\nepsilon: 1\n";
    let refused = |text: &str| refused_with(&format!("{attack}{text}\n"));
    insta::assert_snapshot!(refused("detector: {method: gru_atention}"), @r"
    error: grid.yaml:5:20: `detector.method` has no value `gru_atention`
      5 | detector: {method: gru_atention}
        |                    ^^^^^^^^^^^^
      did you mean `gru_attention`? valid: none, gru_attention, gru, logistic, kernel_density, mahalanobis, lid
    ");
    insta::assert_snapshot!(refused("detector: {method: gru, attack: fgsm_l2}"), @r"
    error: grid.yaml:5:33: detector.attack `fgsm_l2` needs `detector.epsilon`
      5 | detector: {method: gru, attack: fgsm_l2}
        |                                 ^^^^^^^
      write `{id: fgsm_l2, epsilon: VALUE}`
    ");
    insta::assert_snapshot!(refused("detector: {epochs: 3}"), @r"
    error: grid.yaml:5:20: `detector.epochs` concerns no cell
      5 | detector: {epochs: 3}
        |                    ^
      it goes with `detector.method: gru_attention` or `gru`
    ");
    insta::assert_snapshot!(refused("detector: {method: lid, hidden: 3}"), @r"
    error: grid.yaml:5:33: `detector.hidden` concerns no cell
      5 | detector: {method: lid, hidden: 3}
        |                                 ^
      it goes with `detector.method: gru_attention` or `gru`
    ");
    insta::assert_snapshot!(
        refused("detector: {method: gru, attack: deepfool, objective: policy}"), @r"
    error: grid.yaml:5:54: `detector.objective` concerns no cell
      5 | detector: {method: gru, attack: deepfool, objective: policy}
        |                                                      ^^^^^^
      no attack that a detector here is trained on takes it
    "
    );
    insta::assert_snapshot!(
        refused("detector: {method: gru, attack: deepfool, negatives: clean_and_noise}"), @r"
    error: grid.yaml:5:33: there is no noise of the norm of `deepfool`, which the detector is trained on; write `detector.negatives: clean`
      5 | detector: {method: gru, attack: deepfool, negatives: clean_and_noise}
        |                                 ^^^^^^^^
    "
    );
    insta::assert_snapshot!(refused("defense: reject"), @r"
    error: grid.yaml:5:10: defense `reject` without a detector that flags paths
      5 | defense: reject
        |          ^^^^^^
      add `detector: {method: gru_attention}`
    ");
    insta::assert_snapshot!(
        refused("defense: adversarial_training\nagent: {imported: pgpr}"), @r"
    error: grid.yaml:5:10: defense `adversarial_training` of an agent that is not trained here
      5 | defense: adversarial_training
        |          ^^^^^^^^^^^^^^^^^^^^
      exclude the pair; it goes with `agent.algorithm: actor_critic` or `reinforce`
    "
    );
    insta::assert_snapshot!(refused("adaptive: {lambda: 1}\ndetector: {method: lid}"), @r"
    error: grid.yaml:5:20: `adaptive.lambda` concerns no cell
      5 | adaptive: {lambda: 1}
        |                    ^
      it goes with an attack that has an `objective`, and with `detector.method: gru_attention` or `gru`
    ");
    insta::assert_snapshot!(
        refused("defense: adversarial_training\nadversarial_training: {attack: fgsm_linf}"), @r"
    error: grid.yaml:6:32: adversarial_training.attack `fgsm_linf` needs `adversarial_training.epsilon`
      6 | adversarial_training: {attack: fgsm_linf}
        |                                ^^^^^^^^^
      write `{id: fgsm_linf, epsilon: VALUE}`
    "
    );
    let walk = "agent: {algorithm: random_walk}\ndetector: {method: gru}\n";
    insta::assert_snapshot!(refused_with(walk), @r"
    error: grid.yaml:4:20: a detector trained on `fgsm_l1` for a random walk, which has no network to attack
      4 | detector: {method: gru}
        |                    ^^^
      give `random_walk` with `detector.method: none` in `include`
    ");
}
