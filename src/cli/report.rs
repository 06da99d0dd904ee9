//! `advrec report`.

use super::{BadInput, Context, Output, exit};
use crate::report::{ReportError, Table1};
use crate::store::Database;
use anyhow::Context as _;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `advrec report`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the results of this grid
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// The Markdown file to write
    #[arg(long, value_name = "FILE", default_value = "advrec-report.md")]
    out: PathBuf,
}

/// Writes Table 1 as Markdown and prints it for the terminal; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_readonly(&context.db)?;
    let table = match Table1::read(db.connection(), args.grid.as_deref()) {
        Err(error @ ReportError::UnknownGrid { .. }) => {
            return Err(BadInput(error.to_string()).into());
        }
        other => other?,
    };
    std::fs::write(&args.out, table.to_markdown())
        .with_context(|| format!("could not write {}", args.out.display()))?;
    let mut stdout = std::io::stdout().lock();
    match context.output {
        Output::Human => stdout.write_all(table.to_text().as_bytes())?,
        // Made first: an error of the pipe is to come as what it is.
        Output::Json => writeln!(stdout, "{}", serde_json::to_string_pretty(&table)?)?,
    }
    eprintln!("wrote {}, with every digit and all notes", args.out.display());
    Ok(exit::DONE)
}
