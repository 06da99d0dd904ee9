//! What `advrec plan` says of bad grids: every message, with exit code 2 and nothing written.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

/// Runs `advrec plan grid.yaml` with a grid in an otherwise empty folder.
fn plan(grid: &[u8], arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("grid.yaml"), grid).unwrap();
    let found = run(dir.path(), &[&["plan", "grid.yaml"], arguments].concat());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["grid.yaml"], "a plan writes nothing");
    found
}

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("advrec"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("ADVREC_DB")
        .env_remove("ADVREC_STORE")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What is said of a grid that is refused.
fn refused(grid: impl AsRef<[u8]>) -> String {
    let (code, stdout, stderr) = plan(grid.as_ref(), &[]);
    assert_eq!(code, 2, "{stdout}{stderr}");
    assert_eq!(stdout, "");
    // Not to be changed for every new attack.
    let attacks: Vec<&str> = advrec::attack::ATTACKS.iter().map(|a| a.id).collect();
    stderr.replace(&attacks.join(", "), "[every attack]")
}

/// What is said of a grid with a name, a dataset and these lines.
fn refused_with(lines: &str) -> String {
    refused(format!("name: g\ndataset: embedded\n{lines}"))
}

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
    error: grid.yaml:4:3: axis `attack` has no `values`
      4 |   attack: {vals: [none]}
        |   ^^^^^^
      add `values: […]`

    grid.yaml:4:12: unknown key `vals` of an axis
      4 |   attack: {vals: [none]}
        |            ^^^^
      an axis takes `values` and `when`
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

// Faults of the text itself.
#[test]
fn text_that_is_no_yaml() {
    insta::assert_snapshot!(refused_with("axes: [\n"), @r"
    error: grid.yaml:3:8: not valid YAML: while parsing a node, did not find expected node content
      3 | axes: [
        |        ^
      check the indentation, quotes and brackets here and in the line before
    ");
    insta::assert_snapshot!(refused_with("axes:\n\tattack: [none]\n"), @r"
    error: grid.yaml:4:2: not valid YAML: tabs disallowed within this context (block indentation)
      4 |  attack: [none]
        |  ^
      indent with spaces, not with tabs
    ");
    insta::assert_snapshot!(refused_with("name: h\n"), @r"
    error: grid.yaml:3:1: duplicate key `name`, first on line 1
      3 | name: h
        | ^^^^
      keep one of the two
    ");
    insta::assert_snapshot!(refused("- name: g\n"), @r"
    error: grid.yaml:1:1: a grid is a mapping of keys to values, not a list
      1 | - name: g
        | ^
      begin with `name: …` and `dataset: …`
    ");
    insta::assert_snapshot!(refused_with("---\nname: g\ndataset: embedded\n"), @r"
    error: grid.yaml:3:1: a second YAML document begins here
      3 | ---
        | ^^^
      keep one document a file
    ");
    insta::assert_snapshot!(refused_with("agent: {epochs: !int 3}\n"), @r"
    error: grid.yaml:3:22: YAML tags have no meaning in a grid
      3 | agent: {epochs: !int 3}
        |                      ^
      leave the `!…` out
    ");
    insta::assert_snapshot!(refused_with("seeds: &a [*a]\n"), @r"
    error: grid.yaml:3:12: the alias stands within what it names
      3 | seeds: &a [*a]
        |            ^^
      write the value out
    ");
    insta::assert_snapshot!(refused_with("seeds: \"unfinished\n"), @r#"
    error: grid.yaml:3:8: not valid YAML: while scanning a quoted scalar, found unexpected end of stream
      3 | seeds: "unfinished
        |        ^
      check the indentation, quotes and brackets here and in the line before
    "#);
}

// More than can be run.
#[test]
fn size() {
    insta::assert_snapshot!(refused_with("seeds: 2000000\n"), @r"
    error: grid.yaml:3:8: the grid makes more than 1000000 combinations
      3 | seeds: 2000000
        |        ^^^^^^^
      split it into several grids
    ");
    let values = |n: u32| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let axes = format!("  agent.epochs: [{}]\n  agent.batch: [{}]\n", values(25), values(41));
    insta::assert_snapshot!(refused_with(&format!("seeds: 1000\naxes:\n{axes}")), @r"
    error: grid.yaml:5:3: the grid makes more than 1000000 combinations
      5 |   agent.epochs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]
        |   ^^^^^^^^^^^^
      split it into several grids
    ");
}

#[test]
fn bytes_that_are_no_text() {
    insta::assert_snapshot!(refused(b"name: g\ndataset: caf\xe9\n"), @r"
    error: grid.yaml:2:13: the text is not UTF-8
      2 | dataset: caf�
        |             ^
      save the file as plain text in UTF-8
    ");
    insta::assert_snapshot!(refused(b"name: g\0\n"), @r"
    error: grid.yaml:1:8: control character in the text
      1 | name: g�
        |        ^
      save the file as plain text in UTF-8
    ");
}

#[test]
fn a_file_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(dir.path(), &["plan", "absent.yaml"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"error: could not read absent.yaml: No such file or directory (os error 2)");
}

#[test]
fn several_faults_are_named_at_once() {
    insta::assert_snapshot!(
        refused("name: G\nseeds: 0\nagent: {epochs: -1, gama: 1}\naxes: {attack: []}\n"),
        @r"
    error: grid.yaml:1:7: `G` is no name for a grid
      1 | name: G
        |       ^
      use up to 64 lower-case letters, digits, `_` and `-`

    grid.yaml:2:8: `seeds` cannot count `0`
      2 | seeds: 0
        |        ^
      write a list such as `[1, 2, 3]`, or a count N from 1 for the seeds 1 to N

    grid.yaml:3:17: `agent.epochs` is `-1`, which is out of range
      3 | agent: {epochs: -1, gama: 1}
        |                 ^^
      it must be at least 0

    grid.yaml:3:21: unknown parameter `agent.gama`
      3 | agent: {epochs: -1, gama: 1}
        |                     ^^^^
      did you mean `agent.gamma`?

    grid.yaml:4:16: axis `attack` is empty
      4 | axes: {attack: []}
        |                ^^
      give it at least one value, or remove it
    "
    );
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
