//! Laws of the grid language, on random grids and on random text.

use super::{Grid, GridError, parse};
use crate::plan::Cell;
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::Path;

fn grid(text: &str) -> Result<Grid, GridError> {
    parse(Path::new("g.yaml"), text)
}

fn cells(text: &str) -> Vec<Cell> {
    grid(text).and_then(|g| g.expand()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// An axis of a random grid: a parameter and some of its values.
type RandomAxis = (&'static str, Vec<u32>);

fn render(axis: &RandomAxis) -> String {
    let values: Vec<String> = axis.1.iter().map(u32::to_string).collect();
    format!("{}: [{}]", axis.0, values.join(", "))
}

/// Some axes with distinct parameters and distinct values.
fn axes() -> impl Strategy<Value = Vec<RandomAxis>> {
    let names = ["agent.epochs", "agent.batch", "embedding.epochs", "embedding.batch"];
    let lists = prop::collection::vec(prop::collection::hash_set(1u32..50, 1..5), 1..5);
    (Just(names.to_vec()).prop_shuffle(), lists).prop_map(|(names, lists)| {
        names.into_iter().zip(lists).map(|(n, set)| (n, set.into_iter().collect())).collect()
    })
}

fn text(axes: &[RandomAxis], seeds: usize, rest: &str) -> String {
    let axes: String = axes.iter().map(|a| format!("  {}\n", render(a))).collect();
    format!("name: g\ndataset: d\nseeds: {seeds}\naxes:\n{axes}{rest}")
}

fn number(cell: &Cell, name: &str) -> u32 {
    cell.params[name].as_u64().unwrap() as u32
}

proptest! {
    #[test]
    fn there_are_as_many_cells_as_the_product(axes in axes(), seeds in 1usize..4) {
        let cells = cells(&text(&axes, seeds, ""));
        let product: usize = axes.iter().map(|(_, values)| values.len()).product();
        prop_assert_eq!(cells.len(), product * seeds);
        let labels: HashSet<String> = cells.iter().map(Cell::label).collect();
        prop_assert_eq!(labels.len(), cells.len());
    }

    #[test]
    fn the_first_axis_varies_slowest_and_seeds_fastest(axes in axes(), seeds in 1usize..4) {
        let cells = cells(&text(&axes, seeds, ""));
        let digits = |cell: &Cell| -> Vec<usize> {
            axes.iter()
                .map(|(name, values)| {
                    values.iter().position(|v| *v == number(cell, name)).unwrap()
                })
                .chain([number(cell, "seed") as usize])
                .collect()
        };
        let places: Vec<Vec<usize>> = cells.iter().map(digits).collect();
        prop_assert!(places.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn an_exclude_removes_exactly_what_matches(axes in axes(), pick in any::<prop::sample::Index>()) {
        let all = cells(&text(&axes, 2, ""));
        let (name, values) = &axes[0];
        let value = values[pick.index(values.len())];
        let exclude = format!("exclude:\n  - {{{name}: {value}}}\n");
        let result = grid(&text(&axes, 2, &exclude)).unwrap().expand();
        let kept: Vec<Cell> =
            all.into_iter().filter(|c| number(c, name) != value).collect();
        if kept.is_empty() {
            prop_assert!(result.unwrap_err().to_string().contains("no cell is left"));
        } else {
            prop_assert_eq!(result.unwrap(), kept);
        }
    }

    #[test]
    fn an_include_adds_at_the_end_and_merges_what_is_there(axes in axes(), value in 1u32..60) {
        let all = cells(&text(&axes, 1, ""));
        // Every axis's first value but for the last axis: a cell of the product or a new one.
        let mut entry: Vec<String> =
            axes.iter().map(|(name, values)| format!("{name}: {}", values[0])).collect();
        let (name, values) = &axes[axes.len() - 1];
        entry.pop();
        entry.push(format!("{name}: {value}"));
        let include = format!("include:\n  - {{{}}}\n", entry.join(", "));
        let more = cells(&text(&axes, 1, &include));
        prop_assert_eq!(&more[..all.len()], &all[..]);
        let new = usize::from(!values.contains(&value));
        prop_assert_eq!(more.len(), all.len() + new);
        if new == 1 {
            prop_assert_eq!(number(&more[all.len()], name), value);
        }
    }

    #[test]
    fn a_zip_group_counts_as_one_axis(axes in axes(), rows in prop::collection::hash_set((1u32..99, 1u32..99), 1..6)) {
        let rows: Vec<_> = rows.into_iter().collect();
        let column = |of: fn(&(u32, u32)) -> u32| {
            rows.iter().map(|r| of(r).to_string()).collect::<Vec<_>>().join(", ")
        };
        let zip = format!(
            "zip:\n  - {{agent.max_actions: [{}], embedding.negatives: [{}]}}\n",
            column(|r| r.0),
            column(|r| r.1)
        );
        let found = cells(&text(&axes, 1, &zip));
        let product: usize = axes.iter().map(|(_, values)| values.len()).product();
        prop_assert_eq!(found.len(), product * rows.len());
        for (i, cell) in found.iter().enumerate() {
            let pair = (number(cell, "agent.max_actions"), number(cell, "embedding.negatives"));
            prop_assert_eq!(pair, rows[i % rows.len()]);
        }
    }

    #[test]
    fn other_axes_do_not_change_the_order_of_cells(axes in axes()) {
        let one = cells(&text(&axes, 3, ""));
        let two = cells(&text(&axes, 3, ""));
        prop_assert_eq!(&one, &two);
        // A fixed parameter more changes neither count nor order.
        let three = cells(&text(&axes, 3, "graph: {max_word_frequency: 7}\n"));
        let labels = |cells: &[Cell]| cells.iter().map(Cell::label).collect::<Vec<_>>();
        prop_assert_eq!(labels(&one), labels(&three));
    }
}

/// Whatever the text, there is a grid, or an error with places inside the text.
fn never_panics(text: &str) -> Result<(), TestCaseError> {
    let Err(error) = grid(text).and_then(|g| g.expand()) else { return Ok(()) };
    prop_assert!(!error.problems().is_empty());
    let lines = super::error::lines(text.strip_prefix('\u{feff}').unwrap_or(text));
    for problem in error.problems() {
        let place = problem.place;
        prop_assert!(place.line >= 1 && place.line <= lines.len(), "{:?} in {:?}", place, text);
        let length = lines[place.line - 1].chars().count();
        prop_assert!(place.column >= 1 && place.column <= length + 1, "{:?} in {:?}", place, text);
        prop_assert!(!problem.message.is_empty());
    }
    prop_assert!(!error.to_string().is_empty());
    Ok(())
}

/// A grid that uses the whole language.
const WHOLE: &str = r#"name: whole
description: "all of it"
seeds: [1, 2]
dataset: &d Amazon_Beauty
agent: {epochs: 10, hidden: [64, 32]}
rollout:
  users: 0..100
axes:
  attack: [none, {id: fgsm_l1, epsilon: 0.1}, fgsm_linf, noise_linf]
  epsilon: {values: [0.1, 0.5], when: {attack: [fgsm_linf, noise_linf]}}
  timing: {values: [always, random], when: {attack: fgsm_linf}}
  frequency: {values: [0.25, 0.5], when: {timing: random}}
zip:
  - {embedding.dimension: [50, 100], embedding.epochs: [5, 10]}
include:
  - {attack: noise_l2, epsilon: [1.0, 2.0], dataset: *d}
exclude:
  - {attack: fgsm_l1, seed: 2}
"#;

/// Pieces that YAML or the grid language give a meaning.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "name: g\n",
        "dataset: d\n",
        "axes:\n",
        "  attack: ",
        "zip:\n",
        "include:\n",
        "exclude:\n",
        "seeds: ",
        "when: ",
        "values: ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        ", ",
        "\n",
        "  ",
        "\t",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "? ",
        "# ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "<<: ",
        "~",
        "none",
        "fgsm_l1",
        "epsilon",
        "0.1",
        "1e999",
        ".nan",
        "-1",
        "0..10",
        "é",
        "\r",
        "\u{0}",
        "\\",
        "@",
        "`",
        "agent",
        "agent.epochs: ",
        "rollout: {users: all}\n",
        "id: ",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        never_panics(&text)?;
    }

    #[test]
    fn random_pieces_never_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        never_panics(&pieces.concat())?;
    }

    #[test]
    fn a_mutated_grid_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, piece()), 1..4)
    ) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        never_panics(&text.into_iter().collect::<String>())?;
    }
}

#[test]
fn the_whole_language_expands() {
    let labels: Vec<String> = cells(WHOLE)
        .iter()
        .filter(|c| c.params["seed"] == 1 && c.params["embedding.dimension"] != 50)
        .map(Cell::label)
        .collect();
    insta::assert_snapshot!(labels.join("\n"), @r"
    attack=none embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_l1 epsilon=0.1 timing=always embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.1 timing=always embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.1 timing=random frequency=0.25 embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.1 timing=random frequency=0.5 embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.5 timing=always embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.5 timing=random frequency=0.25 embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=fgsm_linf epsilon=0.5 timing=random frequency=0.5 embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=noise_linf epsilon=0.1 timing=always embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=noise_linf epsilon=0.5 timing=always embedding.dimension=100 embedding.epochs=10 dataset=Amazon_Beauty seed=1
    attack=noise_l2 epsilon=1.0 timing=always embedding.dimension=100 embedding.epochs=30 dataset=Amazon_Beauty seed=1
    attack=noise_l2 epsilon=2.0 timing=always embedding.dimension=100 embedding.epochs=30 dataset=Amazon_Beauty seed=1
    ");
}
