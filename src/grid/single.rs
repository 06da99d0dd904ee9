//! A grid that makes one cell and no other.

use super::catalogue::{CATALOGUE, SEED};
use super::parameter::plain;
use crate::plan::Cell;
use serde_json::Value;
use std::fmt::Write as _;

/// Words that YAML, in one of its versions, does not take for text.
const NO_TEXT: [&str; 8] = ["null", "true", "false", "yes", "no", "on", "off", "~"];

/// The text of a grid of this name whose one cell has the parameters of `cell`, every one written out.
/// `None` if the cell has a parameter that grids cannot set.
pub fn single(name: &str, cell: &Cell) -> Option<String> {
    if cell.params.keys().any(|name| super::find(name).is_none()) {
        return None;
    }
    let seed = cell.params.get(CATALOGUE[SEED].name)?;
    let mut text = format!("name: {name}\nseeds: [{seed}]\n");
    let mut section = "";
    // In the order of the catalogue, in which sections are together.
    for parameter in CATALOGUE.iter().filter(|p| p.name != CATALOGUE[SEED].name) {
        let Some(value) = cell.params.get(parameter.name) else { continue };
        let value = written(value);
        // Writing to memory cannot fail.
        let _ = match parameter.name.split_once('.') {
            Some((of, last)) => {
                if of != section {
                    let _ = writeln!(text, "{of}:");
                }
                section = of;
                writeln!(text, "  {last}: {value}")
            }
            None => {
                section = "";
                writeln!(text, "{}: {value}", parameter.name)
            }
        };
    }
    Some(text)
}

/// A value as YAML that reads back as the same.
fn written(value: &Value) -> String {
    let Value::String(text) = value else { return plain(value) };
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !NO_TEXT.contains(&text.to_lowercase().as_str());
    if is_word { text.clone() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use std::path::Path;

    #[test]
    fn each_cell_of_a_grid_comes_back_alone() {
        let grids = ["quickstart", "table2", "timing", "defenses", "detectors", "ambiguities"];
        for name in grids {
            let path = Path::new("experiments").join(name).with_extension("yaml");
            let grid = super::super::load(&path).unwrap_or_else(|e| panic!("{e}"));
            for cell in grid.expand().unwrap() {
                let text = single("one", &cell).unwrap();
                let again = parse(&path, &text).unwrap_or_else(|e| panic!("{e}"));
                let cells = again.expand().unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(cells.len(), 1);
                assert_eq!(cells[0].params, cell.params, "{text}");
            }
        }
    }

    #[test]
    fn a_cell_of_stages_that_do_nothing_has_no_grid() {
        let params = [("index".to_owned(), Value::from(1))].into_iter().collect();
        let cell = Cell { params, axes: Vec::new(), stages: Vec::new() };
        assert_eq!(single("one", &cell), None);
    }

    #[test]
    fn text_that_yaml_would_misread_is_quoted() {
        let said = ["beauty", "0..500", "no", "1e5", "a-b.c"].map(|t| written(&Value::from(t)));
        assert_eq!(said, ["beauty", "\"0..500\"", "\"no\"", "\"1e5\"", "a-b.c"]);
    }
}
