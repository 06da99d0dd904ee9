//! Keys and values by themselves: unknown ones, those of another type, missing ones.

use super::{refused, refused_with};

// Names that the language does not have, and the nearest that it has.
#[test]
fn unknown_names() {
    insta::assert_snapshot!(refused_with("axes:\n  epsilno: [0.1]\n"), @r"
    error: grid.yaml:4:3: unknown parameter `epsilno`
      4 |   epsilno: [0.1]
        |   ^^^^^^^
      did you mean `epsilon`?
    ");
    insta::assert_snapshot!(refused_with("sedes: [1, 2]\n"), @r"
    error: grid.yaml:3:1: unknown parameter `sedes`
      3 | sedes: [1, 2]
        | ^^^^^
      did you mean `seeds`?
    ");
    insta::assert_snapshot!(refused_with("agent: {epoch: 10}\n"), @r"
    error: grid.yaml:3:9: unknown parameter `agent.epoch`
      3 | agent: {epoch: 10}
        |         ^^^^^
      did you mean `agent.epochs`?
    ");
    insta::assert_snapshot!(refused_with("epochs: 10\n"), @r"
    error: grid.yaml:3:1: unknown parameter `epochs`
      3 | epochs: 10
        | ^^^^^^
      did you mean `embedding.epochs`, `agent.epochs`, `detector.epochs` or `adversarial_training.epochs`?
    ");
    insta::assert_snapshot!(refused_with("agent: {dimension: 50}\n"), @r"
    error: grid.yaml:3:9: unknown parameter `agent.dimension`
      3 | agent: {dimension: 50}
        |         ^^^^^^^^^
      did you mean `embedding.dimension`?
    ");
    insta::assert_snapshot!(refused_with("weather: fine\n"), @r"
    error: grid.yaml:3:1: unknown parameter `weather`
      3 | weather: fine
        | ^^^^^^^
      `advrec plan --parameters` lists all parameters
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, fgsm_inf]\n"), @r"
    error: grid.yaml:4:18: `attack` has no value `fgsm_inf`
      4 |   attack: [none, fgsm_inf]
        |                  ^^^^^^^^
      did you mean `fgsm_linf`? valid: none, [every attack]
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, {id: fgsm_l1, epsilonn: 0.1}]\n"), @r"
    error: grid.yaml:4:32: unknown parameter `epsilonn`
      4 |   attack: [none, {id: fgsm_l1, epsilonn: 0.1}]
        |                                ^^^^^^^^
      did you mean `epsilon`?
    ");
    insta::assert_snapshot!(refused_with("embedding: {optimizer: adam}\n"), @r"
    error: grid.yaml:3:24: `embedding.optimizer` has no value `adam`
      3 | embedding: {optimizer: adam}
        |                        ^^^^
      valid: sgd, adagrad
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: {vals: [none]}\n"), @r"
    error: grid.yaml:4:12: unknown key `vals` of an axis
      4 |   attack: {vals: [none]}
        |            ^^^^
      did you mean `values`?
    ");
}

// Values of another type or out of range.
#[test]
fn wrong_values() {
    insta::assert_snapshot!(refused_with("agent: {epochs: ten}\n"), @r"
    error: grid.yaml:3:17: `agent.epochs` takes a whole number, not `ten`
      3 | agent: {epochs: ten}
        |                 ^^^
      the default is 50
    ");
    insta::assert_snapshot!(refused_with("agent: {gamma: 1.5}\n"), @r"
    error: grid.yaml:3:16: `agent.gamma` is `1.5`, which is out of range
      3 | agent: {gamma: 1.5}
        |                ^^^
      it must be at least 0 and at most 1
    ");
    insta::assert_snapshot!(refused_with("rollout: {users: 10..5}\n"), @r"
    error: grid.yaml:3:18: `rollout.users` is `10..5`, which names no user
      3 | rollout: {users: 10..5}
        |                  ^^^^^
      write `all`, a count, or `A..B` for the users from A up to but not including B
    ");
    insta::assert_snapshot!(refused_with("rollout: {topk: [25, 5]}\n"), @r"
    error: grid.yaml:3:17: `rollout.topk` takes 3 whole numbers, not 2
      3 | rollout: {topk: [25, 5]}
        |                 ^^^^^^^
    ");
    insta::assert_snapshot!(refused_with("attack: [none, fgsm_l1]\n"), @r"
    error: grid.yaml:3:9: `attack` takes `none` or the id of an attack, not a list
      3 | attack: [none, fgsm_l1]
        |         ^^^^^^^^^^^^^^^
      a list of values belongs under `axes`
    ");
    insta::assert_snapshot!(refused_with("agent: 3\n"), @r"
    error: grid.yaml:3:8: `agent` is a section, not a parameter
      3 | agent: 3
        |        ^
      write `agent: {parameter: value}`
    ");
    insta::assert_snapshot!(refused("name: Big Grid\ndataset: embedded\n"), @r"
    error: grid.yaml:1:7: `Big Grid` is no name for a grid
      1 | name: Big Grid
        |       ^^^^^^^^
      use up to 64 lower-case letters, digits, `_` and `-`
    ");
    insta::assert_snapshot!(refused("name: g\ndataset: ../secret\n"), @r"
    error: grid.yaml:2:10: `../secret` is no name for `dataset`
      2 | dataset: ../secret
        |          ^^^^^^^^^
      names are made of letters, digits, `_`, `-` and `.`
    ");
    insta::assert_snapshot!(refused_with("seeds: 0\n"), @r"
    error: grid.yaml:3:8: `seeds` cannot count `0`
      3 | seeds: 0
        |        ^
      write a list such as `[1, 2, 3]`, or a count N from 1 for the seeds 1 to N
    ");
    insta::assert_snapshot!(refused_with("seeds: []\n"), @r"
    error: grid.yaml:3:8: `seeds` is empty
      3 | seeds: []
        |        ^^
      write a list such as `[1, 2, 3]`, or a count N from 1 for the seeds 1 to N
    ");
    insta::assert_snapshot!(refused_with("seeds: [1, -2, 1.5, 1]\n"), @r"
    error: grid.yaml:3:12: `seed` is `-2`, which is out of range
      3 | seeds: [1, -2, 1.5, 1]
        |            ^^
      it must be at least 0

    grid.yaml:3:16: `seed` takes a whole number, not `1.5`
      3 | seeds: [1, -2, 1.5, 1]
        |                ^^^

    grid.yaml:3:21: seed `1` is there twice
      3 | seeds: [1, -2, 1.5, 1]
        |                     ^
      remove one of the two
    ");
}

// What a grid or a cell lacks.
#[test]
fn missing_parts() {
    insta::assert_snapshot!(refused("dataset: embedded\n"), @r"
    error: grid.yaml:1:1: the grid has no `name`
      1 | dataset: embedded
        | ^
      add `name: my-grid`
    ");
    insta::assert_snapshot!(refused("name: g\n"), @r"
    error: grid.yaml:1:1: a cell has no `dataset`
      1 | name: g
        | ^
      add `dataset: NAME`
    ");
    insta::assert_snapshot!(refused_with("attack: fgsm_l1\n"), @r"
    error: grid.yaml:3:9: attack `fgsm_l1` needs `epsilon`
      3 | attack: fgsm_l1
        |         ^^^^^^^
      add `epsilon: VALUE`, or an axis of it
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [none, fgsm_l2]\n"), @r"
    error: grid.yaml:4:18: attack `fgsm_l2` needs `epsilon`
      4 |   attack: [none, fgsm_l2]
        |                  ^^^^^^^
      add `epsilon: VALUE`, or an axis of it
    ");
    insta::assert_snapshot!(refused_with("attack: fgsm_l1\nepsilon: 0.1\ntiming: random\n"), @r"
    error: grid.yaml:5:9: timing `random` needs `frequency`
      5 | timing: random
        |         ^^^^^^
      add `frequency: VALUE`, or an axis of it
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: [{epsilon: 0.1}]\n"), @r"
    error: grid.yaml:4:12: the mapping does not say what `attack` is
      4 |   attack: [{epsilon: 0.1}]
        |            ^^^^^^^^^^^^^^
      give the value of `attack` as `id`
    ");
    insta::assert_snapshot!(refused_with("axes:\n  epsilon: {when: {attack: fgsm_l1}}\n"), @r"
    error: grid.yaml:4:3: axis `epsilon` has no `values`
      4 |   epsilon: {when: {attack: fgsm_l1}}
        |   ^^^^^^^
      add `values: […]`
    ");
    insta::assert_snapshot!(refused(""), @r"
    error: grid.yaml:1:1: the grid is empty
      1 | 
        | ^
      begin with `name: …` and `dataset: …`
    ");
}
