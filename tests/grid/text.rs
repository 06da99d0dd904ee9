//! Faults of the text itself, and of its size.

use super::{refused, refused_with, run};

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
