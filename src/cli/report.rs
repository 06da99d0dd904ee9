//! `advrec report`.

use super::{BadInput, Context, Output, exit};
use crate::report::figure::{self, Figure, Skipped};
use crate::report::{ReportError, Table1, Table2};
use crate::store::{Database, WholeFile};
use anyhow::Context as _;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `advrec report`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the results of this grid
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// The Markdown file to write
    #[arg(long, value_name = "FILE", default_value = "advrec-report.md")]
    out: PathBuf,
    /// Also write every figure that there are results for into this folder
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// The format of the figures
    #[arg(long, value_name = "FORMAT", default_value = "both", requires = "figures")]
    figure_format: FigureFormat,
}

/// Formats of figures.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FigureFormat {
    Svg,
    Png,
    Both,
}

/// What became of the figures.
#[derive(Serialize)]
struct Figures {
    written: Vec<Written>,
    skipped: Vec<Skipped>,
}

/// A figure's files and its caption.
#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
    caption: String,
}

/// Both tables as JSON.
#[derive(Serialize)]
struct Tables {
    #[serde(flatten)]
    table1: Table1,
    #[serde(skip_serializing_if = "Option::is_none")]
    table2: Option<Table2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
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
    let figures = match &args.figures {
        Some(folder) => {
            let (drawn, skipped) = figure::figures(db.connection(), args.grid.as_deref())?;
            Some(Figures { written: write_figures(&drawn, folder, args.figure_format)?, skipped })
        }
        None => None,
    };
    let mut stdout = std::io::stdout().lock();
    match context.output {
        Output::Human => {
            let text = table.to_text() + &table2.as_ref().map(Table2::to_text).unwrap_or_default();
            stdout.write_all(text.as_bytes())?;
            if let Some(figures) = &figures {
                stdout.write_all(figures.to_text().as_bytes())?;
            }
        }
        // Made first: an error of the pipe is to come as what it is.
        Output::Json => {
            let tables = Tables { table1: table, table2, figures };
            writeln!(stdout, "{}", serde_json::to_string_pretty(&tables)?)?;
        }
    }
    tell!("wrote {}, with every digit and all notes", args.out.display());
    Ok(exit::DONE)
}

/// Draws all before it writes any, so that a failure leaves no mixture of old and new.
fn write_figures(
    figures: &[Figure],
    folder: &Path,
    format: FigureFormat,
) -> anyhow::Result<Vec<Written>> {
    let mut all: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut written = Vec::new();
    for figure in figures {
        let mut files = Vec::new();
        if format != FigureFormat::Png {
            files.push((folder.join(format!("{}.svg", figure.name)), figure.to_svg(true)?.into()));
        }
        if format != FigureFormat::Svg {
            files.push((folder.join(format!("{}.png", figure.name)), figure.to_png()?));
        }
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        written.push(Written { files: paths, caption: figure.caption.clone() });
        all.extend(files);
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make the folder {}", folder.display()))?;
    for (path, bytes) in all {
        let whole = || {
            let mut file = WholeFile::create(&path)?;
            file.write_all(&bytes)?;
            file.finish()
        };
        whole().with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(written)
}

impl Figures {
    fn to_text(&self) -> String {
        let mut text = String::from("\nFigures\n");
        for Written { files, caption } in &self.written {
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            text += &format!("  {}\n    {caption}\n", files.join(", "));
        }
        for Skipped { figure, needs } in &self.skipped {
            text += &format!("  {figure}: not drawn; it needs {needs}\n");
        }
        text
    }
}
