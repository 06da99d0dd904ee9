//! From the name of a dataset to the dataset.

use super::dataset::Dataset;
use super::pgpr::{self, PgprError};
use super::synthetic::{SyntheticError, SyntheticSpec};
use crate::grid::nearest;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the made-up dataset that the program carries.
pub const EMBEDDED: &str = "embedded";

/// Why a name gives no dataset.
#[derive(Debug, Error)]
pub enum ResolveError {
    #[error("`{name}` is no name for a dataset; use letters, digits, `_` and `-`")]
    Name { name: String },
    #[error("`{EMBEDDED}` is the dataset that the program carries; take another name")]
    Reserved,
    #[error(
        "there is no dataset `{name}`: it is not imported, and {} {reason}", data_root.display()
    )]
    Unknown { name: String, data_root: PathBuf, reason: String },
    #[error(transparent)]
    Pgpr(#[from] PgprError),
    #[error(transparent)]
    Synthetic(#[from] SyntheticError),
}

/// A dataset and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub dataset: Dataset,
    /// For people: `PGPR files in FOLDER`, or how it was generated.
    pub source: String,
}

/// Checks a name that is to be given to a dataset: letters, digits, `_` and `-`, not [`EMBEDDED`].
///
/// # Errors
/// Says which of the two rules the name breaks.
pub fn check_new_name(name: &str) -> Result<(), ResolveError> {
    check_name(name)?;
    if name == EMBEDDED { Err(ResolveError::Reserved) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), ResolveError> {
    let valid = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if valid { Ok(()) } else { Err(ResolveError::Name { name: name.to_owned() }) }
}

/// The dataset that a grid means by a name which is not registered in the database: the embedded
/// one, or the folder of that name in `data_root`, in PGPR's format.
///
/// # Errors
/// If there is no such folder, or what it holds is not a dataset.
pub fn read_named(name: &str, data_root: &Path) -> Result<Named, ResolveError> {
    check_name(name)?;
    if name == EMBEDDED {
        let spec = SyntheticSpec::embedded();
        return Ok(Named { dataset: spec.generate()?, source: spec.to_string() });
    }
    let dir = data_root.join(name);
    if !dir.is_dir() {
        return Err(ResolveError::Unknown {
            name: name.to_owned(),
            data_root: data_root.to_owned(),
            reason: absence(name, data_root),
        });
    }
    read_pgpr(&dir)
}

/// Why a folder does not hold the one of a dataset.
fn absence(name: &str, data_root: &Path) -> String {
    let Ok(entries) = fs::read_dir(data_root) else {
        return "is no folder that can be read".to_owned();
    };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let near = nearest(name, names.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("holds no folder of that name{near}")
}

/// The dataset in a folder in PGPR's format.
///
/// # Errors
/// As [`pgpr::read`].
pub fn read_pgpr(dir: &Path) -> Result<Named, ResolveError> {
    Ok(Named { dataset: pgpr::read(dir)?, source: format!("PGPR files in {}", dir.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_datasets() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let embedded = read_named(EMBEDDED, &golden).unwrap();
        assert!(embedded.source.starts_with("synthetic"), "{}", embedded.source);
        let tiny = read_named("tiny", &golden).unwrap();
        assert_eq!(tiny.dataset.counts, [40, 60, 90, 7, 6, 120]);
    }

    #[test]
    fn a_name_that_leads_nowhere_says_what_was_tried() {
        let message = |name| read_named(name, Path::new("sets")).unwrap_err().to_string();
        insta::assert_snapshot!(
            message("beauty"),
            @"there is no dataset `beauty`: it is not imported, and sets is no folder that can be read"
        );
        insta::assert_snapshot!(
            message("../beauty"),
            @"`../beauty` is no name for a dataset; use letters, digits, `_` and `-`"
        );
        insta::assert_snapshot!(
            check_new_name("embedded").unwrap_err(),
            @"`embedded` is the dataset that the program carries; take another name"
        );
    }
}
