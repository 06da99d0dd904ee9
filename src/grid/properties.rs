//! Laws of the grid language, on random grids.

use super::{Grid, GridError, parse};
use crate::plan::Cell;
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::Path;

pub(super) fn grid(text: &str) -> Result<Grid, GridError> {
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

proptest! {
    #[test]
    fn the_order_of_keys_does_not_change_the_set_of_cells(
        axes in axes(), order in Just((0usize..6).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let mut shuffled = axes.clone();
        shuffled.reverse();
        let block = |axes: &[RandomAxis]| -> String {
            axes.iter().map(|axis| format!("  {}\n", render(axis))).collect()
        };
        let keys = [
            "name: g\n".to_owned(),
            "dataset: d\n".to_owned(),
            "seeds: 2\n".to_owned(),
            "graph: {max_word_frequency: 7}\n".to_owned(),
            format!("axes:\n{}", block(&shuffled)),
            "include:\n  - {agent.gamma: 0.5}\n".to_owned(),
        ];
        let other: String = order.iter().map(|key| keys[*key].as_str()).collect();
        let one = keys[..4].concat() + "axes:\n" + &block(&axes) + &keys[5];
        let params = |text: &str| {
            let mut params: Vec<String> = cells(text)
                .iter()
                .map(|cell| serde_json::to_string(&cell.params).unwrap())
                .collect();
            params.sort();
            params
        };
        prop_assert_eq!(params(&one), params(&other));
    }
}

/// A grid that uses the whole language.
pub(super) const WHOLE: &str = r#"name: whole
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
