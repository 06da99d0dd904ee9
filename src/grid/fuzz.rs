//! Whatever the text, there is a grid, or an error with places inside the text: never a panic.

use super::properties::{WHOLE, grid};
use proptest::prelude::*;
use proptest::sample::Index;

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

/// Grids to begin from: those of the project, and ones that use what they do not.
pub(super) fn corpus() -> Vec<&'static str> {
    vec![
        WHOLE,
        include_str!("../../experiments/ambiguities.yaml"),
        include_str!("../../experiments/beauty.yaml"),
        include_str!("../../experiments/defenses.yaml"),
        include_str!("../../experiments/detectors.yaml"),
        include_str!("../../experiments/quickstart.yaml"),
        include_str!("../../experiments/table2.yaml"),
        include_str!("../../experiments/timing.yaml"),
        "name: g\ndataset: d\nseeds: {range: [1, 9, 2]}\nattack: fgsm_l1\naxes:\n  \
         epsilon: {linspace: [0.1, 0.5, 5]}\n  agent.epochs: {values: {range: [1, 3]}, \
         when: {epsilon: {logspace: [1e-1, 0.4, 2]}}}\n",
        "name: g\ndataset: d\npresets:\n  a: {extends: [paper, b], agent: {epochs: 3}}\n  \
         b: {attack: fgsm_l1, epsilon: 0.1}\nextends: a\ninclude:\n  - {extends: quick, \
         attack: [{id: fgsm_l2, epsilon: [1, 2]}, jsma]}\n",
        "name: g\ndataset: &d d\nagent: &b {epochs: &n 10}\nembedding: *b\n",
        "{\"name\": \"g\", \"dataset\": \"d\", \"axes\": {\"attack\": [\"none\"]}}",
    ]
}

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
        "{linspace: [0, 1, 3]}",
        "{logspace: [",
        "range: ",
        "extends: ",
        "quick",
        "presets: ",
        "99999999999999999999",
        "-9223372036854775808",
        "1e308",
        "&b {",
        "*b",
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
        edits in prop::collection::vec((any::<Index>(), 0usize..12, piece()), 1..4)
    ) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        never_panics(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_grid_of_edited_tokens_never_panics(
        grid in prop::sample::select(corpus()),
        other in prop::sample::select(corpus()),
        edits in prop::collection::vec(edit(), 1..5),
    ) {
        let other = tokens(other);
        let mut text = tokens(grid);
        edits.iter().for_each(|edit| edit.apply(&mut text, &other));
        never_panics(&text.concat())?;
    }

    #[test]
    fn a_random_tree_never_panics(tree in tree()) {
        never_panics(&tree)?;
        never_panics(&format!("name: g\ndataset: d\naxes: {tree}\n"))?;
        never_panics(&format!("name: g\ndataset: d\ninclude: [{tree}]\npresets: {{a: {tree}}}\n"))?;
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        never_panics(&String::from_utf8_lossy(&bytes))?;
    }
}

/// A text in pieces: words, runs of spaces, and every other character by itself.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '_' | '.') => 1,
        ' ' => 2,
        _ => 0,
    };
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut last = 0;
    for (at, c) in text.char_indices() {
        if at > start && (kind(c) == 0 || kind(c) != last) {
            tokens.push(&text[start..at]);
            start = at;
        }
        last = kind(c);
    }
    tokens.push(&text[start..]);
    tokens
}

/// A change of a text, by places among its tokens.
#[derive(Clone, Debug)]
enum Edit {
    Delete(Index, usize),
    Duplicate(Index, usize),
    Swap(Index, Index),
    Truncate(Index),
    /// Tokens of another text in place of some.
    Splice(Index, usize, Index, usize),
    Replace(Index, &'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let values = vec![
        "0",
        "-1",
        "1e308",
        "99999999999999999999",
        ".inf",
        "~",
        "true",
        "[]",
        "{}",
        "none",
        "paper",
        "linspace",
        "range",
        "values",
        "when",
        "seed",
        "id",
        "epsilon",
        "&a",
        "*a",
        "*d",
        "|",
        "'",
    ];
    prop_oneof![
        (at(), 1usize..9).prop_map(|(at, count)| Edit::Delete(at, count)),
        (at(), 1usize..9).prop_map(|(at, count)| Edit::Duplicate(at, count)),
        (at(), at()).prop_map(|(one, other)| Edit::Swap(one, other)),
        at().prop_map(Edit::Truncate),
        (at(), 0usize..9, at(), 1usize..20)
            .prop_map(|(at, gone, from, count)| Edit::Splice(at, gone, from, count)),
        (at(), prop::sample::select(values)).prop_map(|(at, with)| Edit::Replace(at, with)),
    ]
}

impl Edit {
    fn apply<'a>(&self, text: &mut Vec<&'a str>, other: &[&'a str]) {
        let stretch = |at: &Index, count: usize, length: usize| {
            let at = at.index(length.max(1)).min(length);
            at..(at + count).min(length)
        };
        match self {
            _ if text.is_empty() => {}
            Edit::Delete(at, count) => drop(text.drain(stretch(at, *count, text.len()))),
            Edit::Duplicate(at, count) => {
                let stretch = stretch(at, *count, text.len());
                let copy = text[stretch.clone()].to_vec();
                text.splice(stretch.end..stretch.end, copy);
            }
            Edit::Swap(one, other) => {
                let (one, other) = (one.index(text.len()), other.index(text.len()));
                text.swap(one, other);
            }
            Edit::Truncate(at) => text.truncate(at.index(text.len())),
            Edit::Splice(at, gone, from, count) => {
                let stretch = stretch(at, *gone, text.len());
                let from = from.index(other.len());
                let new = other[from..(from + count).min(other.len())].to_vec();
                text.splice(stretch, new);
            }
            Edit::Replace(at, with) => {
                let at = at.index(text.len());
                text[at] = with;
            }
        }
    }
}

/// A random value in flow style, keys among those of the language and others.
fn tree() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "none",
            "fgsm_l1",
            "0.1",
            "3",
            "-1",
            "1e308",
            "99999999999999999999",
            "~",
            "true",
            "''",
            ".nan",
            "quick",
            "all",
            "0..10",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|int| int.to_string()),
        any::<f64>().prop_map(|float| float.to_string()),
        "[a-z]{1,6}",
    ];
    let key = prop::sample::select(vec![
        "id",
        "attack",
        "epsilon",
        "agent",
        "agent.epochs",
        "epochs",
        "values",
        "when",
        "linspace",
        "logspace",
        "range",
        "extends",
        "detector",
        "seed",
        "seeds",
        "dataset",
        "x",
    ]);
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let map = prop::collection::vec((key.clone(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            map.prop_map(|entries| {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

#[test]
fn the_corpus_is_of_grids() {
    let is_grid = |text: &&str| grid(text).and_then(|grid| grid.expand()).is_ok();
    let valid = corpus().iter().filter(|text| is_grid(text)).count();
    assert_eq!(valid, corpus().len());
}

#[test]
fn axes_that_exclude_each_other_end() {
    // Axes that every cell has and a last one that none can have: two million ways to find out.
    let mut text = "name: g\ndataset: d\naxes:\n".to_owned();
    for name in [
        "agent.epochs",
        "agent.batch",
        "embedding.batch",
        "embedding.epochs",
        "theta",
        "embedding.negatives",
        "agent.max_actions",
        "max_iter",
        "candidates",
        "iterations",
        "samples",
        "drift.paths",
        "drift.permutations",
        "graph.max_word_frequency",
        "embedding.dimension",
        "drift.permutation_paths",
        "drift.bandwidth_pairs",
        "decay",
        "step",
        "radius",
        "overshoot",
    ] {
        text.push_str(&format!("  {name}: {{values: [2, 3], when: {{dataset: d}}}}\n"));
    }
    text.push_str("  attack: {values: [{id: none, theta: 2}], when: {dataset: d}}\n");
    let error = grid(&text).and_then(|grid| grid.expand()).unwrap_err().to_string();
    assert!(error.contains("`theta` is set twice for one cell"), "{error}");
}
