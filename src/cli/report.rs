//! `advrec report`.

use super::{BadInput, Context, Output, exit};
use crate::report::{ReportError, Table1};
use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

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

/// Writes Table 1 as Markdown and prints it; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = context.db.display();
    if !context.db.is_file() {
        let text = format!(
            "there is no database {db}; run `advrec sweep GRID.yaml` first, or name one with `--db`"
        );
        return Err(BadInput(text).into());
    }
    let connection = Connection::open_with_flags(&context.db, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|c| c.busy_timeout(Duration::from_secs(10)).map(|()| c))
        .with_context(|| format!("could not open the database {db}"))?;
    let table = match Table1::read(&connection, args.grid.as_deref()) {
        Err(error @ ReportError::UnknownGrid { .. }) => {
            return Err(BadInput(error.to_string()).into());
        }
        other => other.with_context(|| format!("could not report on the database {db}"))?,
    };
    let text = table.to_markdown();
    std::fs::write(&args.out, &text)
        .with_context(|| format!("could not write {}", args.out.display()))?;
    let mut stdout = std::io::stdout().lock();
    match context.output {
        Output::Human => stdout.write_all(text.as_bytes())?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut stdout, &table)?;
            writeln!(stdout)?;
        }
    }
    eprintln!("wrote {}", args.out.display());
    Ok(exit::DONE)
}
