//! `advrec import`.

use super::Context;

/// The commands of `advrec import`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// In work
    Stub,
}

/// Runs the command; returns the exit code.
pub fn run(_command: Command, _context: &Context) -> anyhow::Result<u8> {
    anyhow::bail!("in work")
}
