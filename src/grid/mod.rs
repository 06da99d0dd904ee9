//! The grid language: a YAML file that describes many cells (docs/grid.md).
//!
//! [`load`] reads and checks a grid, [`Grid::expand`] makes its cells. Nothing is sampled or
//! capped: what cannot be run whole is an error, with file, line and column.

mod axes;
mod catalogue;
mod combinations;
mod document;
mod error;
mod expand;
mod filter;
mod parameter;
mod presets;
mod ranges;
mod read;
mod row;
mod schema;
mod single;
mod spec;
mod whole;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod properties;

pub use catalogue::CATALOGUE;
pub use error::{GridError, Place, Problem};
pub use filter::{CellFilter, FilterError};
pub use parameter::{Parameter, find, nearest, plain};
pub use presets::{BuiltIn, built_in};
pub use schema::schema;
pub use single::single;

use crate::plan::Cell;
use error::Fault;
use serde_json::{Value, json};
use spec::{Setting, Spec};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A grid that was read and checked as far as that goes without its cells.
#[derive(Debug)]
pub struct Grid {
    /// Of the grid, by which the database knows it: `[a-z0-9_-]+`.
    pub name: String,
    pub description: Option<String>,
    /// The file, as it was given.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// BLAKE3 digest of the text and of the built-in presets that it names, 64 hexadecimal digits.
    pub digest: String,
    spec: Spec,
}

/// Reads a grid from a file.
///
/// # Errors
/// If the file cannot be read or is not a valid grid; every problem found is named.
pub fn load(path: &Path) -> Result<Grid, GridError> {
    let bytes =
        fs::read(path).map_err(|source| GridError::Read { path: path.to_owned(), source })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(path, text),
        Err(error) => {
            // Shown up to the fault, which the replacement character then stands for.
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let column = valid.rsplit(['\n', '\r']).next().unwrap_or("").chars().count() + 1;
            let text = valid + "\u{fffd}";
            let line = error::lines(&text).len();
            let fault = Fault::new(Place { line, column, width: 1 }, "the text is not UTF-8")
                .help("save the file as plain text in UTF-8");
            Err(GridError::invalid(path, &text, vec![fault]))
        }
    }
}

/// Reads a grid from a text; `path` is for messages alone.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str) -> Result<Grid, GridError> {
    // Editors of some systems begin files so; it is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let invalid = |faults| GridError::invalid(path, text, faults);
    let root = document::parse(text).map_err(|fault| invalid(vec![fault]))?;
    let spec = read::read(&root).map_err(invalid)?;
    Ok(Grid {
        name: spec.name.clone(),
        description: spec.description.clone(),
        path: path.to_owned(),
        text: text.to_owned(),
        digest: digest(text, &spec),
        spec,
    })
}

/// The digest of a text, and of what it takes from the program's presets: a text that means something
/// else in a later version is another grid. Without presets, that of the text alone.
fn digest(text: &str, spec: &Spec) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    for (name, params) in &spec.built_in {
        hasher.update(json!({ name: params }).to_string().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Grid {
    /// The grid's cells, in order, without stages: the first axis varies slowest, seeds fastest;
    /// entries of `include` come after the product.
    ///
    /// # Errors
    /// If a cell is incomplete or contradictory, or if something written in the grid concerns no
    /// cell.
    pub fn expand(&self) -> Result<Vec<Cell>, GridError> {
        expand::expand(&self.spec)
            .map_err(|faults| GridError::invalid(&self.path, &self.text, faults))
    }

    /// The distinct values that the grid gives a parameter, in the order of the text.
    pub fn values_of(&self, parameter: &str) -> Vec<&Value> {
        let mut seen = HashSet::new();
        let distinct = self.settings(parameter).filter(|setting| seen.insert(setting.value));
        distinct.map(|setting| self.spec.values.get(setting.value).as_ref()).collect()
    }

    /// An error at the place where the grid gives a parameter a value.
    pub fn error_at(&self, parameter: &str, value: &Value, message: String) -> GridError {
        let at = self
            .settings(parameter)
            .find(|s| self.spec.values.get(s.value).as_ref() == value)
            .map_or(Place::START, |s| s.place);
        GridError::invalid(&self.path, &self.text, vec![Fault::new(at, message)])
    }

    fn settings(&self, parameter: &str) -> impl Iterator<Item = &Setting> {
        let id = find(parameter);
        let axes = self.spec.axes.iter().flat_map(|a| &a.choices);
        let include = self.spec.include.iter().flat_map(|i| &i.choices);
        let bases = self.spec.include.iter().map(|i| &i.base).chain([&self.spec.base]);
        std::iter::once(&self.spec.fixed)
            .chain(axes)
            .chain(include)
            .flat_map(|c| &c.settings)
            .chain(bases.flat_map(|base| base.values()))
            .filter(move |s| Some(s.parameter) == id)
    }
}
