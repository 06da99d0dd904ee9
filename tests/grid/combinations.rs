//! Axes, conditions, zip groups, includes and excludes that cannot be what was meant.

use super::{cells_of, refused_with};

// Axes that cannot be what was meant.
#[test]
fn axes() {
    insta::assert_snapshot!(refused_with("axes:\n  attack: []\n"), @r"
    error: grid.yaml:4:11: axis `attack` is empty
      4 |   attack: []
        |           ^^
      give it at least one value, or remove it
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: none\n"), @r"
    error: grid.yaml:4:11: axis `attack` takes a list, not `none`
      4 |   attack: none
        |           ^^^^
      put the values in brackets: `[…]`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  agent.epochs: [10, 20, 10]\n"), @r"
    error: grid.yaml:4:26: `10` is twice on the axis
      4 |   agent.epochs: [10, 20, 10]
        |                          ^^
      remove one of the two
    ");
    insta::assert_snapshot!(refused_with("agent: {epochs: 10}\naxes:\n  agent.epochs: [10, 20]\n"), @r"
    error: grid.yaml:5:18: `agent.epochs` is an axis, but fixed on line 3
      5 |   agent.epochs: [10, 20]
        |                  ^^
      remove one of the two
    ");
    insta::assert_snapshot!(refused_with("axes:\n  agent: [1]\n"), @r"
    error: grid.yaml:4:3: `agent` is a section and cannot be an axis
      4 |   agent: [1]
        |   ^^^^^
      write `agent.parameter: [values]`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  seed: [1, 2]\n"), @r"
    error: grid.yaml:4:3: `seed` is no axis
      4 |   seed: [1, 2]
        |   ^^^^
      list the seeds under `seeds`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [{id: fgsm_l1, epsilon: 0.1}]\n  epsilon: [0.5, 1.0]\n"), @r"
    error: grid.yaml:5:13: `epsilon` is set twice for one cell: here and on line 4
      5 |   epsilon: [0.5, 1.0]
        |             ^^^
      give one of the two a `when`, so that no cell has both

    grid.yaml:5:18: `epsilon` is set twice for one cell: here and on line 4
      5 |   epsilon: [0.5, 1.0]
        |                  ^^^
      give one of the two a `when`, so that no cell has both
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [{id: none, epsilon: 0.1}]\n"), @r"
    error: grid.yaml:4:32: `epsilon` is given together with attack `none`, which does not take it
      4 |   attack: [{id: none, epsilon: 0.1}]
        |                                ^^^
      leave it out here; in a zip group write `~`
    ");
    insta::assert_snapshot!(refused_with("epsilon: 0.1\n"), @r"
    error: grid.yaml:3:10: `epsilon` concerns no cell
      3 | epsilon: 0.1
        |          ^^^
      no attack here takes it; remove it or add such an attack
    ");
    insta::assert_snapshot!(refused_with("axes:\n  agent.algorithm: [actor_critic, random_walk]\n  attack: [none, {id: noise_l2, epsilon: 1}]\n"), @r"
    error: grid.yaml:5:23: attack `noise_l2` on a random walk, which has no network
      5 |   attack: [none, {id: noise_l2, epsilon: 1}]
        |                       ^^^^^^^^
      exclude the pair, or give `random_walk` with `attack: none` in `include`
    ");
}

// `when` that is never met or not decided.
#[test]
fn conditions() {
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, fgsm_l1]\n  epsilon: {values: [0.1], when: {attak: fgsm_l1}}\n"), @r"
    error: grid.yaml:5:35: unknown parameter `attak`
      5 |   epsilon: {values: [0.1], when: {attak: fgsm_l1}}
        |                                   ^^^^^
      did you mean `attack`?
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, fgsm_l1]\n  epsilon: {values: [0.1], when: {attack: fgsm_l2}}\n"), @r"
    error: grid.yaml:5:43: `attack` is never `fgsm_l2` before this axis
      5 |   epsilon: {values: [0.1], when: {attack: fgsm_l2}}
        |                                           ^^^^^^^
      remove the value from `when`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  epsilon: {values: [0.1], when: {attack: fgsm_l1}}\n  attack: [none, fgsm_l1]\n"), @r"
    error: grid.yaml:4:35: `attack` is decided after axis `epsilon`
      4 |   epsilon: {values: [0.1], when: {attack: fgsm_l1}}
        |                                   ^^^^^^
      move the axis of `attack` further up
    ");
    insta::assert_snapshot!(refused_with("axes:\n  epsilon: {values: [0.1], when: {timing: random}}\n"), @r"
    error: grid.yaml:4:35: no axis before `epsilon` sets `timing`
      4 |   epsilon: {values: [0.1], when: {timing: random}}
        |                                   ^^^^^^
      name the parameter of an earlier axis
    ");
}

// Paired lists that do not pair.
#[test]
fn zip() {
    insta::assert_snapshot!(refused_with("zip:\n  - {attack: [none, fgsm_l1], epsilon: [0.1]}\n"), @r"
    error: grid.yaml:4:40: the list of `epsilon` has length 1, that of `attack` 2
      4 |   - {attack: [none, fgsm_l1], epsilon: [0.1]}
        |                                        ^^^^^
      paired lists have the same length
    ");
    insta::assert_snapshot!(refused_with("zip:\n  - {attack: [none, fgsm_l1], epsilon: [0, 0.1]}\n"), @r"
    error: grid.yaml:4:41: `epsilon` is given together with attack `none`, which does not take it
      4 |   - {attack: [none, fgsm_l1], epsilon: [0, 0.1]}
        |                                         ^
      leave it out here; in a zip group write `~`
    ");
    insta::assert_snapshot!(refused_with("zip:\n  - {attack: none}\n"), @r"
    error: grid.yaml:4:14: `attack` takes a list of values in a zip group
      4 |   - {attack: none}
        |              ^^^^
      give every list the same length
    ");
    insta::assert_snapshot!(refused_with("zip: {attack: [none]}\n"), @r"
    error: grid.yaml:3:6: `zip` takes a list, not a mapping
      3 | zip: {attack: [none]}
        |      ^^^^^^^^^^^^^^^^
      begin each entry with `- `
    ");
}

// Extra and dropped combinations without effect.
#[test]
fn include_and_exclude() {
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none]\nexclude:\n  - {attack: fgsm_l1}\n"), @r"
    error: grid.yaml:6:5: the exclude matches no cell
      6 |   - {attack: fgsm_l1}
        |     ^^^^^^^^^^^^^^^^^
      check its values against the axes, or remove it
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none]\nexclude:\n  - {attack: none}\n"), @r"
    error: grid.yaml:6:5: no cell is left
      6 |   - {attack: none}
        |     ^^^^^^^^^^^^^^
      exclude less, or add to `include`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none]\nexclude:\n  - {}\n"), @r"
    error: grid.yaml:6:5: `exclude` takes a mapping of parameters, not an empty mapping
      6 |   - {}
        |     ^^
      write `{parameter: value}`
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {attack: noise_l2}\n"), @r"
    error: grid.yaml:4:14: attack `noise_l2` needs `epsilon`
      4 |   - {attack: noise_l2}
        |              ^^^^^^^^
      add `epsilon: VALUE`, or an axis of it
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {attack: none, agent.algorithm: random_walk, agent.epochs: 5}\n"), @r"
    error: grid.yaml:4:64: `agent.epochs` is given together with agent.algorithm `random_walk`, which does not take it
      4 |   - {attack: none, agent.algorithm: random_walk, agent.epochs: 5}
        |                                                                ^
      leave it out here; in a zip group write `~`
    ");
    insta::assert_snapshot!(refused_with("include: {attack: none}\n"), @r"
    error: grid.yaml:3:10: `include` takes a list, not a mapping
      3 | include: {attack: none}
        |          ^^^^^^^^^^^^^^
      begin each entry with `- `
    ");
}

// An entry of `include` takes a list of mappings as an axis does.
#[test]
fn mappings_in_an_include() {
    insta::assert_snapshot!(cells_of("include:\n  - attack: [{id: fgsm_l1, epsilon: [0.1, 0.2]}, jsma, {id: deepfool, max_iter: 9}]\n    agent.epochs: [1, 2]\n"), @r"
    attack=none agent.epochs=50 seed=1
    attack=fgsm_l1 epsilon=0.1 agent.epochs=1 seed=1
    attack=fgsm_l1 epsilon=0.1 agent.epochs=2 seed=1
    attack=fgsm_l1 epsilon=0.2 agent.epochs=1 seed=1
    attack=fgsm_l1 epsilon=0.2 agent.epochs=2 seed=1
    attack=jsma agent.epochs=1 max_iter=50 seed=1
    attack=jsma agent.epochs=2 max_iter=50 seed=1
    attack=deepfool agent.epochs=1 max_iter=9 seed=1
    attack=deepfool agent.epochs=2 max_iter=9 seed=1
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {attack: [{id: fgsm_l1, epsilon: 0.1}], epsilon: 0.5}\n"), @r"
    error: grid.yaml:4:54: `epsilon` is set twice, first on line 4
      4 |   - {attack: [{id: fgsm_l1, epsilon: 0.1}], epsilon: 0.5}
        |                                                      ^^^
      keep one of the two
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {attack: [{epsilon: 0.1}]}\n"), @r"
    error: grid.yaml:4:15: the mapping does not say what `attack` is
      4 |   - {attack: [{epsilon: 0.1}]}
        |               ^^^^^^^^^^^^^^
      give the value of `attack` as `id`
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {attack: [{id: fgsm_l1, epsilonn: 0.1}]}\n"), @r"
    error: grid.yaml:4:29: unknown parameter `epsilonn`
      4 |   - {attack: [{id: fgsm_l1, epsilonn: 0.1}]}
        |                             ^^^^^^^^
      did you mean `epsilon`?
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {atack: none}\n"), @r"
    error: grid.yaml:4:6: unknown parameter `atack`
      4 |   - {atack: none}
        |      ^^^^^
      did you mean `attack`?
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, jsma]\nexclude:\n  - {attack: [{id: jsma, theta: 0.5}]}\n"), @r"
    error: grid.yaml:6:15: `attack` takes `none` or the id of an attack, not a mapping
      6 |   - {attack: [{id: jsma, theta: 0.5}]}
        |               ^^^^^^^^^^^^^^^^^^^^^^
      a mapping of parameters belongs under `axes` or `include`
    ");
}
