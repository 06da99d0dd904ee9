//! Presets, of the grid and of the program, and what extends them.

use super::{cells_of, refused_with, run};
use advrec::grid::{Grid, parse};
use advrec::plan::Cell;
use std::path::Path;

fn grid(text: &str) -> Grid {
    parse(Path::new("grid.yaml"), text).unwrap_or_else(|e| panic!("{e}"))
}

fn cells(lines: &str) -> Vec<Cell> {
    let grid = grid(&format!("name: g\ndataset: embedded\n{lines}"));
    grid.expand().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_later_preset_wins_and_the_grid_over_all() {
    let lines = "presets:
  small: {agent: {epochs: 3, hidden: [8, 4], batch: 5}, attack: noise_l1, epsilon: 0.1}
  long: {extends: small, agent: {epochs: 100}}
  wide: {agent: {hidden: [64, 32], gamma: 0.5}}
extends: [long, wide]
agent: {gamma: 0.75}
axes:
  agent.batch: [6, 7]
include:
  - {attack: none}
  - {extends: small, attack: none}
";
    let found: Vec<String> = cells(lines)
        .iter()
        .map(|cell| {
            let names = ["attack", "epsilon", "epochs", "batch", "hidden", "gamma"];
            let value = |name: &str| {
                let agent = cell.params.get(&format!("agent.{name}"));
                agent.or(cell.params.get(name)).map_or("-".to_owned(), ToString::to_string)
            };
            names.map(value).join(" ")
        })
        .collect();
    assert_eq!(
        found,
        [
            r#""noise_l1" 0.1 100 6 [64,32] 0.75"#,
            r#""noise_l1" 0.1 100 7 [64,32] 0.75"#,
            r#""none" - 100 5 [64,32] 0.75"#,
            r#""none" - 3 5 [8,4] 0.75"#,
        ]
    );
    insta::assert_snapshot!(cells_of(lines), @r"
    agent.batch=6 attack=noise_l1 agent.epochs=100 agent.hidden=[64,32] seed=1
    agent.batch=7 attack=noise_l1 agent.epochs=100 agent.hidden=[64,32] seed=1
    agent.batch=5 attack=none agent.epochs=100 agent.hidden=[64,32] seed=1
    agent.batch=5 attack=none agent.epochs=3 agent.hidden=[8,4] seed=1
    ");
}

#[test]
fn in_an_entry_of_include_a_preset_wins_over_what_is_fixed() {
    let lines =
        "agent: {epochs: 3, batch: 7}\nattack: none\ninclude: [{extends: quick, agent.batch: 8}]\n";
    let found = cells(lines);
    let number = |cell: &Cell, name: &str| cell.params[name].as_u64().unwrap();
    let found: Vec<_> =
        found.iter().map(|c| (number(c, "agent.epochs"), number(c, "agent.batch"))).collect();
    assert_eq!(found, [(3, 7), (30, 8)]);
}

#[test]
fn a_preset_of_the_program_is_what_it_says() {
    let quickstart = include_str!("../../experiments/quickstart.yaml");
    let lines: String = quickstart
        .lines()
        .filter(|line| !["embedding:", "agent:"].iter().any(|key| line.starts_with(key)))
        .map(|line| match line.strip_prefix("detector:") {
            Some(_) => "detector: {method: gru_attention}\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let with = grid(&format!("extends: quick\n{lines}"));
    assert_eq!(with.expand().unwrap(), grid(quickstart).expand().unwrap());
    // The paper's are the defaults, but for the users.
    let paper = cells("extends: paper\nrollout: {users: all}\ndetector: {method: gru_attention}\n");
    assert_eq!(paper, cells("detector: {method: gru_attention}\n"));
}

#[test]
fn the_digest_tells_grids_apart_by_what_presets_of_the_program_set() {
    let text = "name: g\ndataset: embedded\n";
    let plain = grid(text).digest;
    assert_eq!(plain, blake3::hash(text.as_bytes()).to_hex().as_str());
    let extended = format!("{text}extends: quick\n");
    let digest = grid(&extended).digest;
    assert_ne!(digest, blake3::hash(extended.as_bytes()).to_hex().as_str());
    // A preset of the grid itself is in the text, whatever its name.
    let own = format!("{extended}presets: {{quick: {{agent: {{epochs: 1}}}}}}\n");
    assert_eq!(grid(&own).digest, blake3::hash(own.as_bytes()).to_hex().as_str());
    assert_eq!(grid(&own).expand().unwrap()[0].params["agent.epochs"], 1);
    assert_eq!(grid(&own).expand().unwrap()[0].params["embedding.dimension"], 100);
}

#[test]
fn presets_that_cannot_be_used() {
    insta::assert_snapshot!(refused_with("extends: quik\n"), @r"
    error: grid.yaml:3:10: unknown preset `quik`
      3 | extends: quik
        |          ^^^^
      did you mean `quick`?
    ");
    insta::assert_snapshot!(refused_with("extends: weather\n"), @r"
    error: grid.yaml:3:10: unknown preset `weather`
      3 | extends: weather
        |          ^^^^^^^
      known: paper, quick
    ");
    insta::assert_snapshot!(refused_with("extends: []\n"), @r"
    error: grid.yaml:3:10: `extends` is empty
      3 | extends: []
        |          ^^
      write `extends: NAME`, or `extends: [NAME, NAME]`, where the later one wins
    ");
    insta::assert_snapshot!(refused_with("extends: {quick: paper}\n"), @r"
    error: grid.yaml:3:10: `extends` takes names of presets, not a mapping
      3 | extends: {quick: paper}
        |          ^^^^^^^^^^^^^^
      write `extends: NAME`, or `extends: [NAME, NAME]`, where the later one wins
    ");
    insta::assert_snapshot!(refused_with("extend: quick\n"), @r"
    error: grid.yaml:3:1: unknown parameter `extend`
      3 | extend: quick
        | ^^^^^^
      did you mean `extends`?
    ");
    insta::assert_snapshot!(refused_with("presets:\n  a: {extends: b}\n  b: {extends: a}\nextends: a\n"), @r"
    error: grid.yaml:5:16: preset `a` extends itself: a → b → a
      5 |   b: {extends: a}
        |                ^
      remove one `extends` of the circle
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {extends: a}}\nextends: a\n"), @r"
    error: grid.yaml:3:24: preset `a` extends itself: a → a
      3 | presets: {a: {extends: a}}
        |                        ^
      remove one `extends` of the circle
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {agent: {epochs: 3}}}\n"), @r"
    error: grid.yaml:3:11: no `extends` names preset `a`
      3 | presets: {a: {agent: {epochs: 3}}}
        |           ^
      write `extends: a`, or remove the preset
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {agent: {epoch: 3}}}\nextends: a\n"), @r"
    error: grid.yaml:3:23: unknown parameter `agent.epoch`
      3 | presets: {a: {agent: {epoch: 3}}}
        |                       ^^^^^
      did you mean `agent.epochs`?
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {exends: quick}}\nextends: a\n"), @r"
    error: grid.yaml:3:15: unknown parameter `exends`
      3 | presets: {a: {exends: quick}}
        |               ^^^^^^
      did you mean `extends`?
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {seeds: 3}}\nextends: a\n"), @r"
    error: grid.yaml:3:15: `seeds` in a preset, which holds parameters
      3 | presets: {a: {seeds: 3}}
        |               ^^^^^
      write it at the top of the grid
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {seed: 3}}\nextends: a\n"), @r"
    error: grid.yaml:3:15: `seed` in a preset
      3 | presets: {a: {seed: 3}}
        |               ^^^^
      list the seeds under `seeds`
    ");
    insta::assert_snapshot!(refused_with("presets: {A: {attack: none}}\nextends: A\n"), @r"
    error: grid.yaml:3:11: `A` is no name for a preset
      3 | presets: {A: {attack: none}}
        |           ^
      use up to 64 lower-case letters, digits, `_` and `-`

    grid.yaml:4:10: unknown preset `A`
      4 | extends: A
        |          ^
      known: paper, quick
    ");
    insta::assert_snapshot!(refused_with("presets: [quick]\n"), @r"
    error: grid.yaml:3:10: `presets` takes a mapping, not a list
      3 | presets: [quick]
        |          ^^^^^^^
      write `presets: {name: {parameter: value}}`
    ");
    insta::assert_snapshot!(refused_with("presets: {a: quick}\nextends: a\n"), @r"
    error: grid.yaml:3:14: preset `a` takes a mapping, not `quick`
      3 | presets: {a: quick}
        |              ^^^^^
      write `{parameter: value}`
    ");
    insta::assert_snapshot!(refused_with("presets: {a: {agent.epochs: {range: [1, 3]}}}\nextends: a\n"), @r"
    error: grid.yaml:3:29: `agent.epochs` takes a whole number, not a range
      3 | presets: {a: {agent.epochs: {range: [1, 3]}}}
        |                             ^^^^^^^^^^^^^^^
      a range belongs under `axes`, or into a list
    ");
    insta::assert_snapshot!(refused_with("include:\n  - {extends: papr, attack: none}\n"), @r"
    error: grid.yaml:4:15: unknown preset `papr`
      4 |   - {extends: papr, attack: none}
        |               ^^^^
      did you mean `paper`?
    ");
    // The program's preset asks for more users than there are: its name stands for it.
    insta::assert_snapshot!(refused_with("extends: paper\n"), @r"
    error: grid.yaml:3:10: users 0..10000 are asked for, and dataset `embedded` has 500, numbered from 0
      3 | extends: paper
        |          ^^^^^
    ");
}

#[test]
fn the_presets_of_the_program_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run(dir.path(), &["plan", "--presets"]);
    assert_eq!(code, 0);
    let quick = stdout.split("\n\n").find(|preset| preset.starts_with("quick:")).unwrap();
    insta::assert_snapshot!(quick, @r"
    quick: small and fast, as experiments/quickstart.yaml; minutes instead of hours
      parameter            value
      embedding.dimension  50
      embedding.epochs     30
      agent.epochs         30
      agent.learning_rate  0.003
      agent.hidden         [128,64]
      agent.max_actions    100
      detector.paths       20000
      detector.test_paths  20000
      detector.epochs      10
      detector.batch       128
    ");
    let (_, json, _) = run(dir.path(), &["plan", "--presets", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["name"], "paper");
    assert_eq!(json[0]["params"]["agent.hidden"], serde_json::json!([512, 256]));
}
