//! `advrec status`.

use super::Context;

/// Arguments of `advrec status`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command; returns the exit code.
pub fn run(_args: Args, _context: &Context) -> anyhow::Result<u8> {
    anyhow::bail!("in work")
}
