//! `advrec report`.

use super::{BadInput, Context, Output, exit};
use crate::report::{ReportError, Table1, Table2};
use crate::store::Database;
use anyhow::Context as _;
use serde::Serialize;
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

/// Both tables as JSON.
#[derive(Serialize)]
struct Tables {
    #[serde(flatten)]
    table1: Table1,
    #[serde(skip_serializing_if = "Option::is_none")]
    table2: Option<Table2>,
}

/// Writes Tables 1 and 2 as Markdown and prints them for the terminal; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_readonly(&context.db)?;
    let table = match Table1::read(db.connection(), args.grid.as_deref()) {
        Err(error @ ReportError::UnknownGrid { .. }) => {
            return Err(BadInput(error.to_string()).into());
        }
        other => other?,
    };
    let table2 = Table2::read(db.connection(), args.grid.as_deref())?;
    let markdown =
        table.to_markdown() + &table2.as_ref().map(Table2::to_markdown).unwrap_or_default();
    std::fs::write(&args.out, markdown)
        .with_context(|| format!("could not write {}", args.out.display()))?;
    let mut stdout = std::io::stdout().lock();
    match context.output {
        Output::Human => {
            let text = table.to_text() + &table2.as_ref().map(Table2::to_text).unwrap_or_default();
            stdout.write_all(text.as_bytes())?;
        }
        // Made first: an error of the pipe is to come as what it is.
        Output::Json => {
            let tables = Tables { table1: table, table2 };
            writeln!(stdout, "{}", serde_json::to_string_pretty(&tables)?)?;
        }
    }
    tell!("wrote {}, with every digit and all notes", args.out.display());
    Ok(exit::DONE)
}
