//! `linspace`, `logspace` and `range`, wherever a list of values may stand.

use super::{cells_of, refused_with};

#[test]
fn ranges_stand_for_lists() {
    for (range, list) in [
        (
            "attack: fgsm_l1\naxes:\n  epsilon: {linspace: [0.1, 0.5, 5]}\n",
            "attack: fgsm_l1\naxes:\n  epsilon: [0.1, 0.2, 0.3, 0.4, 0.5]\n",
        ),
        (
            "axes:\n  attack: [none, fgsm_l1]\n  epsilon: {values: {logspace: [1e-3, 1, 4]}, when: {attack: fgsm_l1}}\n",
            "axes:\n  attack: [none, fgsm_l1]\n  epsilon: {values: [0.001, 0.01, 0.1, 1], when: {attack: fgsm_l1}}\n",
        ),
        (
            "attack: fgsm_l1\naxes:\n  epsilon: [0, {linspace: [1, 2, 3]}, 5]\n",
            "attack: fgsm_l1\naxes:\n  epsilon: [0, 1, 1.5, 2, 5]\n",
        ),
        (
            "axes:\n  attack: [none, {id: fgsm_l1, epsilon: {linspace: [1, 2, 3]}}]\n",
            "axes:\n  attack: [none, {id: fgsm_l1, epsilon: [1, 1.5, 2]}]\n",
        ),
        ("axes:\n  agent.epochs: {range: [1, 10, 4]}\n", "axes:\n  agent.epochs: [1, 5, 9]\n"),
        ("axes:\n  agent.epochs: {linspace: [1, 9, 3]}\n", "axes:\n  agent.epochs: [1, 5, 9]\n"),
        ("seeds: {range: [3, 5]}\n", "seeds: [3, 4, 5]\n"),
        ("seeds: [1, {range: [3, 5]}]\n", "seeds: [1, 3, 4, 5]\n"),
        (
            "attack: fgsm_l1\nzip:\n  - {epsilon: {linspace: [0.1, 0.3, 3]}, agent.epochs: {range: [1, 3]}}\n",
            "attack: fgsm_l1\nzip:\n  - {epsilon: [0.1, 0.2, 0.3], agent.epochs: [1, 2, 3]}\n",
        ),
        (
            "include:\n  - {attack: fgsm_l1, epsilon: {linspace: [0.1, 0.3, 3]}}\n",
            "include:\n  - {attack: fgsm_l1, epsilon: [0.1, 0.2, 0.3]}\n",
        ),
        (
            "seeds: 9\naxes:\n  agent.epochs: [1, 2, 3, 4]\nexclude:\n  - {agent.epochs: {range: [2, 3]}, seed: {range: [1, 8]}}\n",
            "seeds: 9\naxes:\n  agent.epochs: [1, 2, 3, 4]\nexclude:\n  - {agent.epochs: [2, 3], seed: [1, 2, 3, 4, 5, 6, 7, 8]}\n",
        ),
        (
            "axes:\n  agent.epochs: [1, 2, 3, 4]\n  agent.batch: {values: [8, 16], when: {agent.epochs: {range: [2, 4]}}}\n",
            "axes:\n  agent.epochs: [1, 2, 3, 4]\n  agent.batch: {values: [8, 16], when: {agent.epochs: [2, 3, 4]}}\n",
        ),
    ] {
        assert_eq!(cells_of(range), cells_of(list), "{range}");
    }
}

#[test]
fn ranges_that_are_none() {
    let refused =
        |range: &str| refused_with(&format!("attack: fgsm_l1\naxes:\n  epsilon: {range}\n"));
    insta::assert_snapshot!(refused("{linspace: [0.1, 0.5]}"), @r"
    error: grid.yaml:5:23: `linspace` takes three numbers, not 2
      5 |   epsilon: {linspace: [0.1, 0.5]}
        |                       ^^^^^^^^^^
      write `{linspace: [START, STOP, COUNT]}`
    ");
    insta::assert_snapshot!(refused("{linspace: [0.1, 0.5, 0]}"), @r"
    error: grid.yaml:5:34: a range of `0` values
      5 |   epsilon: {linspace: [0.1, 0.5, 0]}
        |                                  ^
      the count is 2 or more: both ends are values
    ");
    insta::assert_snapshot!(refused("{linspace: [0.1, 0.5, 1]}"), @r"
    error: grid.yaml:5:34: a range of `1` values
      5 |   epsilon: {linspace: [0.1, 0.5, 1]}
        |                                  ^
      the count is 2 or more: both ends are values
    ");
    insta::assert_snapshot!(refused("{linspace: [0.1, 0.1, 3]}"), @r"
    error: grid.yaml:5:29: the range begins where it ends
      5 |   epsilon: {linspace: [0.1, 0.1, 3]}
        |                             ^^^
      write the one value instead
    ");
    insta::assert_snapshot!(refused("{linspace: [0.1, 0.5, 0.1]}"), @r"
    error: grid.yaml:5:34: `linspace` takes a whole number as its count, not `0.1`
      5 |   epsilon: {linspace: [0.1, 0.5, 0.1]}
        |                                  ^^^
      write `{linspace: [START, STOP, COUNT]}`
    ");
    insta::assert_snapshot!(refused("{linspace: 0.1..0.5}"), @r"
    error: grid.yaml:5:23: `linspace` takes a list of numbers, not `0.1..0.5`
      5 |   epsilon: {linspace: 0.1..0.5}
        |                       ^^^^^^^^
      write `{linspace: [START, STOP, COUNT]}`
    ");
    insta::assert_snapshot!(refused("{linspace: {start: 0.1, stop: 0.5, count: 3}}"), @r"
    error: grid.yaml:5:23: `linspace` takes a list of numbers, not a mapping
      5 |   epsilon: {linspace: {start: 0.1, stop: 0.5, count: 3}}
        |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      write `{linspace: [START, STOP, COUNT]}`
    ");
    insta::assert_snapshot!(refused("{logspace: [0, 1, 3]}"), @r"
    error: grid.yaml:5:24: `logspace` cannot reach `0`
      5 |   epsilon: {logspace: [0, 1, 3]}
        |                        ^
      both ends are above 0: the values themselves, not exponents
    ");
    insta::assert_snapshot!(refused("{logspace: [-3, 0, 4]}"), @r"
    error: grid.yaml:5:24: `logspace` cannot reach `-3`
      5 |   epsilon: {logspace: [-3, 0, 4]}
        |                        ^^
      both ends are above 0: the values themselves, not exponents
    ");
    insta::assert_snapshot!(refused("{range: [0.1, 0.5]}"), @r"
    error: grid.yaml:5:21: `range` takes whole numbers, not `0.1`
      5 |   epsilon: {range: [0.1, 0.5]}
        |                     ^^^
      write `{range: [FIRST, LAST]}` or `{range: [FIRST, LAST, STEP]}`, whole numbers
    ");
    insta::assert_snapshot!(refused("{range: [10, 1]}"), @r"
    error: grid.yaml:5:20: the range leads away from its end
      5 |   epsilon: {range: [10, 1]}
        |                    ^^^^^^^
      give the smaller number first, or a step below 0 to count down
    ");
    insta::assert_snapshot!(refused("{linspace: [0, 1, 10000000]}"), @r"
    error: grid.yaml:5:30: the ranges of the grid make more than 1000000 values
      5 |   epsilon: {linspace: [0, 1, 10000000]}
        |                              ^^^^^^^^
      split it into several grids
    ");
    insta::assert_snapshot!(refused("{linspace: [0, 1, 3], when: {attack: fgsm_l1}}"), @r"
    error: grid.yaml:5:34: `when` beside `linspace`
      5 |   epsilon: {linspace: [0, 1, 3], when: {attack: fgsm_l1}}
        |                                  ^^^^
      a range is a mapping of one key; to an axis with `when` give it as `values`
    ");
    insta::assert_snapshot!(refused("{linspac: [0, 1, 3]}"), @r"
    error: grid.yaml:5:13: unknown key `linspac` of an axis
      5 |   epsilon: {linspac: [0, 1, 3]}
        |             ^^^^^^^
      did you mean `linspace`?
    ");
    insta::assert_snapshot!(refused("[0, {linsapce: [0, 1, 3]}]"), @r"
    error: grid.yaml:5:16: the mapping does not say what `epsilon` is
      5 |   epsilon: [0, {linsapce: [0, 1, 3]}]
        |                ^^^^^^^^^^^^^^^^^^^^^
      give the value of `epsilon` as `id`

    grid.yaml:5:17: unknown parameter `linsapce`
      5 |   epsilon: [0, {linsapce: [0, 1, 3]}]
        |                 ^^^^^^^^
      did you mean `linspace`?
    ");
    // The values themselves are checked as any others are.
    insta::assert_snapshot!(refused("{linspace: [-1, 1, 3]}"), @r"
    error: grid.yaml:5:12: `epsilon` is `-1`, which is out of range
      5 |   epsilon: {linspace: [-1, 1, 3]}
        |            ^^^^^^^^^^^^^^^^^^^^^^
      it must be at least 0 and at most 1000000
    ");
    insta::assert_snapshot!(refused("[0.5, {linspace: [0, 1, 3]}]"), @r"
    error: grid.yaml:5:18: `0.5` is twice on the axis
      5 |   epsilon: [0.5, {linspace: [0, 1, 3]}]
        |                  ^^^^^^^^^^^^^^^^^^^^^
      remove one of the two
    ");
}

#[test]
fn ranges_of_what_is_no_number() {
    insta::assert_snapshot!(refused_with("axes:\n  agent.epochs: {linspace: [1, 2, 3]}\n"), @r"
    error: grid.yaml:4:17: `agent.epochs` takes whole numbers, and the range has `1.5`
      4 |   agent.epochs: {linspace: [1, 2, 3]}
        |                 ^^^^^^^^^^^^^^^^^^^^^
      write `{range: [FIRST, LAST, STEP]}`, or a count that makes every value whole
    ");
    insta::assert_snapshot!(refused_with("axes:\n  attack: {range: [1, 2]}\n"), @r"
    error: grid.yaml:4:11: `attack` takes `none` or the id of an attack, not a range of numbers
      4 |   attack: {range: [1, 2]}
        |           ^^^^^^^^^^^^^^^
      write the values out: `[…]`
    ");
    insta::assert_snapshot!(refused_with("agent: {epochs: {range: [1, 2]}}\n"), @r"
    error: grid.yaml:3:17: `agent.epochs` takes a whole number, not a range
      3 | agent: {epochs: {range: [1, 2]}}
        |                 ^^^^^^^^^^^^^^^
      a range belongs under `axes`, or into a list
    ");
    insta::assert_snapshot!(refused_with("agent: {range: [1, 2]}\n"), @r"
    error: grid.yaml:3:9: unknown parameter `agent.range`
      3 | agent: {range: [1, 2]}
        |         ^^^^^
      `advrec plan --parameters` lists all parameters
    ");
    insta::assert_snapshot!(refused_with("seeds: {linspace: [1, 2, 3]}\n"), @r"
    error: grid.yaml:3:8: `seed` takes whole numbers, and the range has `1.5`
      3 | seeds: {linspace: [1, 2, 3]}
        |        ^^^^^^^^^^^^^^^^^^^^^
      write `{range: [FIRST, LAST, STEP]}`, or a count that makes every value whole
    ");
}
