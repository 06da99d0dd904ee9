//! The grid language through the program: what grids mean, and what `advrec plan` says of bad ones, with exit
//! code 2 and nothing written.

mod cells;
mod combinations;
mod fuzz;
mod presets;
#[path = "../program/mod.rs"]
mod program;
mod ranges;
mod text;
mod values;

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
    program::run(assert_cmd::cargo::cargo_bin!("advrec"), dir, arguments)
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

/// The labels of the cells of a grid with a name, a dataset and these lines, one a line.
fn cells_of(lines: &str) -> String {
    let text = format!("name: g\ndataset: embedded\n{lines}");
    let grid = advrec::grid::parse(Path::new("grid.yaml"), &text).unwrap_or_else(|e| panic!("{e}"));
    let cells = grid.expand().unwrap_or_else(|e| panic!("{e}"));
    cells.iter().map(|cell| cell.label() + "\n").collect()
}
