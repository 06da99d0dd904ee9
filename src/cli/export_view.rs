//! `advrec export` of a table or view: its rows as a file for other programs.

use super::query::explain;
use super::{BadInput, Context, Output, exit};
use crate::export::{self, ExportError};
use crate::grid::nearest;
use crate::store::{Database, Relation, WholeFile};
use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::json;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What `advrec export --help` says at its end.
pub const HELP: &str = "\
A number or name=value is a cell; a name alone is a view or table.

CSV leaves NULL empty. Real numbers have the fewest digits that give them back, and a point (5.0). In Parquet \
a column of integers is int64, of reals or of both double, of text a UTF-8 string, and any may be NULL; a \
column that mixes text and numbers is text; one of NULL alone has its declared type, or is text.

  advrec export table1 --where \"split = 'valid'\" > table1.csv
  advrec export metrics --out metrics.parquet
  advrec export 12 --out cell12";

/// Options for rows of a table or view.
#[derive(clap::Args)]
#[command(next_help_heading = "Of a view or table")]
pub struct Options {
    /// The format [default: what the file's ending says, otherwise csv, or jsonl with --output json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only rows that meet this condition: attack = 'jsma' AND value < 5
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Replace the file where it is there already
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// RFC 4180, with a header
    Csv,
    /// Columns with types, compressed; needs --out
    Parquet,
    /// An object a line
    Jsonl,
}

impl Options {
    /// The first of these options that was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--format", self.format.is_some()),
            ("--where", self.condition.is_some()),
            ("--force", self.force),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    fn format(&self, out: Option<&Path>, output: Output) -> export::Format {
        let ending = || {
            let ending = out?.extension()?.to_str()?;
            Format::from_str(ending, true).ok()
        };
        let otherwise = match output {
            Output::Human => Format::Csv,
            Output::Json => Format::Jsonl,
        };
        match self.format.or_else(ending).unwrap_or(otherwise) {
            Format::Csv => export::Format::Csv,
            Format::Parquet => export::Format::Parquet,
            Format::Jsonl => export::Format::Jsonl,
        }
    }
}

/// Whether an argument names a view or table, and not a cell.
pub fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Writes the rows of a table or view; returns the exit code.
pub fn run(
    name: &str,
    options: &Options,
    out: Option<&Path>,
    context: &Context,
) -> anyhow::Result<u8> {
    let database = Database::open_to_read(&context.db)?;
    let relation = find(name, database.relations()?, &context.db)?;
    let format = options.format(out, context.output);
    let condition = options.condition.as_deref();
    let Some(out) = out else {
        if format == export::Format::Parquet {
            return Err(BadInput("parquet is no text; name its file with --out".to_owned()).into());
        }
        export::write(&database, &relation, condition, format, io::stdout())
            .map_err(|error| told(error, &relation))?;
        return Ok(exit::DONE);
    };
    let path = place(out, options.force, &context.db)?;
    let shown = out.display();
    let could_not = || format!("could not write {shown}");
    let mut file =
        WholeFile::create(&path).map_err(|error| match (error.kind(), path.parent()) {
            (io::ErrorKind::NotFound, Some(parent)) => BadInput(format!(
                "there is no folder {} to write {shown} in; make it, or name another file with \
                 --out",
                parent.display()
            ))
            .into(),
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => {
                anyhow::Error::from(error).context(could_not())
            }
            _ => BadInput(format!("{}: {error}", could_not())).into(),
        })?;
    let count =
        export::write(&database, &relation, condition, format, &mut file).map_err(|error| {
            match error {
                ExportError::Write(_) | ExportError::Parquet(_) => {
                    anyhow::Error::from(error).context(could_not())
                }
                other => told(other, &relation),
            }
        })?;
    file.finish().with_context(could_not)?;
    let text = match context.output {
        Output::Json => format!("{}\n", json!({"file": out, "rows": count})),
        Output::Human => format!("{shown}: {count} rows of {name}\n"),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// The table or view of a name.
fn find(name: &str, relations: Vec<Relation>, database: &Path) -> Result<Relation, BadInput> {
    let names: Vec<String> = relations.iter().map(|relation| relation.name.clone()).collect();
    relations.into_iter().find(|relation| relation.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let near = nearest(name, names.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        BadInput(format!(
            "there is no view or table `{name}` in {}{near} (there are: {}); a cell is named by its number \
             or by values (attack=jsma,seed=2)",
            database.display(),
            names.join(", ")
        ))
    })
}

/// Where the file goes, with links followed.
fn place(out: &Path, force: bool, database: &Path) -> Result<PathBuf, BadInput> {
    let shown = out.display();
    let Ok(found) = fs::symlink_metadata(out) else { return Ok(out.to_owned()) };
    if !force {
        return Err(BadInput(format!(
            "{shown} is there already; name another file with --out, or replace it with --force"
        )));
    }
    let bad = |reason: &str| BadInput(format!("{shown} is {reason}; name another file with --out"));
    let path = fs::canonicalize(out).map_err(|_| bad("a link that leads nowhere"))?;
    if !path.is_file() {
        return Err(bad(if found.is_dir() { "a folder" } else { "no file that can be replaced" }));
    }
    if fs::canonicalize(database).is_ok_and(|database| database == path) {
        return Err(bad("the database"));
    }
    Ok(path)
}

/// An error of reading the rows, told as one of the condition where that is at fault.
fn told(error: ExportError, relation: &Relation) -> anyhow::Error {
    let ExportError::Query(database) = &error else { return error.into() };
    let whole = relation.select(Some(""));
    let before = whole.strip_suffix("\n)").unwrap_or(&whole);
    let text = explain(database, "--where", before);
    match text.contains("no such column") {
        true => {
            let columns: Vec<&str> = relation.columns.iter().map(|c| c.name.as_str()).collect();
            BadInput(format!("{text} ({} has {})", relation.name, columns.join(", "))).into()
        }
        false => BadInput(text).into(),
    }
}
