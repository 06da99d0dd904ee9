//! `advrec schema`: the JSON Schema of grids, for editors.

use super::exit;
use crate::grid;
use std::io::{self, Write};

/// Arguments of `advrec schema`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command; returns the exit code.
pub fn run(_args: Args) -> anyhow::Result<u8> {
    io::stdout().write_all(grid::schema().as_bytes())?;
    Ok(exit::DONE)
}
