//! `advrec report`.

use super::report_figures::{FigureArgs, Figures};
use super::{BadInput, Context, Output, exit};
use crate::grid::CellFilter;
use crate::report::document::Part;
use crate::report::table1::MISSING;
use crate::report::{
    Conformance, Document, Format, GeneralError, Interval, Page, ReportError, Request, Table1,
    Table2, general, materialise,
};
use crate::store::{Database, WholeFile};
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `advrec report`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the results of this grid
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// The format of the report [default: by the extension of FILE]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file to write: .md, .csv, .tex, .html or .txt [default: advrec-report.md for Tables 1 and 2
    /// without a format or a page, else printed]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// LaTeX and HTML as documents of their own
    #[arg(long)]
    standalone: bool,
    /// The intervals over seeds
    #[arg(long, value_enum, default_value = "t")]
    interval: Interval,
    /// The change against the clean agent and verdicts on the paper's numbers in the terminal and in
    /// Markdown, too
    #[arg(long)]
    verdicts: bool,
    /// Also write the whole report as one HTML file that needs nothing beside it: findings, tables,
    /// figures, provenance, flags, failures, and the query behind every number; its intervals are Student's t
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    page: Option<PathBuf>,
    /// Which claims of the paper hold in this database, with the numbers, in place of the tables
    #[arg(long, conflicts_with_all = ["rows", "verdicts", "interval"])]
    conformance: bool,
    #[command(flatten)]
    figures: FigureArgs,
    #[command(flatten)]
    general: General,
}

/// A table of the grid's own axes in place of Tables 1 and 2.
#[derive(clap::Args)]
#[command(next_help_heading = "A table of any grid")]
struct General {
    /// What the rows go by: parameters, metric, split or grid
    #[arg(long, value_name = "AXIS", value_delimiter = ',')]
    rows: Vec<String>,
    /// What the columns go by [default: metric]
    #[arg(long, value_name = "AXIS", value_delimiter = ',', requires = "rows")]
    cols: Vec<String>,
    /// Cells with these parameters, such as attack=jsma|deepfool,seed=2
    #[arg(long = "where", value_name = "FILTER", requires = "rows")]
    filter: Option<String>,
    /// The metrics [default: ndcg, or also recall, hr and precision where they are an axis]
    #[arg(long, value_name = "METRIC", value_delimiter = ',', requires = "rows")]
    metric: Vec<String>,
    /// The splits [default: valid, or all]
    #[arg(long, value_name = "SPLIT", value_delimiter = ',', requires = "rows")]
    split: Vec<String>,
}

impl General {
    fn request(&self, interval: Interval) -> Result<Request, BadInput> {
        let filter = self.filter.as_deref().map(str::parse::<CellFilter>).transpose();
        let default = || vec!["metric".to_owned()];
        Ok(Request {
            rows: self.rows.clone(),
            cols: if self.cols.is_empty() { default() } else { self.cols.clone() },
            filter: filter.map_err(|error| BadInput(error.to_string()))?,
            filter_text: self.filter.clone().unwrap_or_default(),
            metrics: self.metric.clone(),
            splits: self.split.clone(),
            interval,
        })
    }
}

/// What is reported.
#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Tables(Box<Tables>),
    Conformance(Box<Conformance>),
    General(Document),
}

impl Report {
    fn read(args: &Args, db: &Database) -> anyhow::Result<Self> {
        if args.general.rows.is_empty() {
            let read = match args.conformance {
                true => Conformance::read(db.connection(), args.grid.as_deref())
                    .map(|found| Self::Conformance(Box::new(found))),
                false => Tables::read(args, db).map(|tables| Self::Tables(Box::new(tables))),
            };
            return match read {
                Ok(report) => Ok(report),
                Err(error @ ReportError::UnknownGrid { .. }) => {
                    Err(BadInput(error.to_string()).into())
                }
                Err(error) => Err(error.into()),
            };
        }
        let request = args.general.request(args.interval)?;
        match general::table(db.connection(), args.grid.as_deref(), &request) {
            Ok(document) => Ok(Self::General(document)),
            Err(GeneralError::Report(error))
                if !matches!(error, ReportError::UnknownGrid { .. }) =>
            {
                Err(error.into())
            }
            Err(error) => Err(BadInput(error.to_string()).into()),
        }
    }

    /// Says on standard error what is missing, for a format that has numbers alone.
    fn tell_lacks(&self, verdicts: bool) {
        let documents = self.documents(Format::Csv, verdicts);
        for part in documents.into_iter().flat_map(|document| document.parts) {
            match part {
                Part::Paragraph(text) => tell!("{text}"),
                Part::Notes(notes) if notes.title.as_deref() == Some(MISSING) => {
                    notes.items.iter().for_each(|item| tell!("{item}"));
                }
                _ => {}
            }
        }
    }

    fn documents(&self, format: Format, verdicts: bool) -> Vec<Document> {
        match self {
            Self::Tables(tables) => tables.documents(format, verdicts),
            Self::Conformance(found) => vec![found.document()],
            Self::General(document) => vec![document.clone()],
        }
    }

    fn written(&self, format: Format, args: &Args) -> String {
        format.write(&self.documents(format, args.verdicts), args.standalone)
    }
}

/// A report as JSON.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a Figures>,
    /// The file that it was written to as a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a Path>,
}

/// Both tables.
#[derive(Serialize)]
struct Tables {
    #[serde(flatten)]
    table1: Table1,
    #[serde(skip_serializing_if = "Option::is_none")]
    table2: Option<Table2>,
}

impl Tables {
    fn read(args: &Args, db: &Database) -> Result<Self, ReportError> {
        let (db, grid) = (db.connection(), args.grid.as_deref());
        let mut tables = Self { table1: Table1::read(db, grid)?, table2: Table2::read(db, grid)? };
        if args.interval == Interval::Bootstrap {
            tables.table1.bootstrap(db, grid)?;
            if let Some(table) = &mut tables.table2 {
                table.bootstrap(db, grid)?;
            }
        }
        Ok(tables)
    }

    /// What a format is given of the tables.
    fn documents(&self, format: Format, verdicts: bool) -> Vec<Document> {
        let table2 = self.table2.as_ref();
        let (table1, table2) = match format {
            Format::Terminal => {
                (self.table1.narrow(verdicts), table2.map(|table| table.narrow(verdicts)))
            }
            Format::Markdown => {
                (self.table1.wide(verdicts), table2.map(|table| table.wide(verdicts)))
            }
            _ => (self.table1.wide(true), table2.map(|table| table.wide(true))),
        };
        std::iter::once(table1).chain(table2).collect()
    }
}

/// Prints the report and writes it to a file; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let default = || PathBuf::from("advrec-report.md");
    let unasked = args.format.is_none()
        && args.general.rows.is_empty()
        && args.page.is_none()
        && !args.conformance;
    let out = args.out.clone().or_else(|| unasked.then(default));
    let format = match (args.format, &out) {
        (Some(format), _) => format,
        (None, Some(file)) => format_of(file)?,
        (None, None) => Format::Terminal,
    };
    if out.is_some() && out == args.page {
        return Err(BadInput("--out and --page name the same file".to_owned()).into());
    }
    let db = Database::open_to_read(&context.db)?;
    if args.general.rows.is_empty() {
        materialise(db.connection())?;
    }
    let report = Report::read(&args, &db)?;
    if let Some(file) = &args.page {
        let (db, grid) = (db.connection(), args.grid.as_deref());
        let page = match &report {
            Report::Tables(tables) if args.interval == Interval::T => {
                Page::of_tables(db, grid, tables.table1.clone(), tables.table2.clone())?
            }
            _ => Page::read(db, grid)?,
        };
        write_whole(file, &page.to_html(None))?;
    }
    if let Some(file) = &out {
        write_whole(file, &report.written(format, &args))?;
    }
    let figures = Figures::write(&args.figures, &db, args.grid.as_deref())?;
    let about_figures = figures.as_ref().map(Figures::to_text).unwrap_or_default();
    // A file was asked for: what is printed is for who asked.
    let printed = if out.is_some() { Format::Terminal } else { format };
    let text = match context.output {
        Output::Human if printed == Format::Terminal => {
            report.written(printed, &args) + &about_figures
        }
        Output::Human => report.written(printed, &args),
        // Made first: an error of the pipe is to come as what it is.
        Output::Json => {
            let page = args.page.as_deref();
            let whole = Whole { report: &report, figures: figures.as_ref(), page };
            serde_json::to_string_pretty(&whole)? + "\n"
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    if context.output == Output::Human && printed != Format::Terminal && figures.is_some() {
        // What is on standard output is to stay what its format says.
        tell!("{}", about_figures.trim());
    }
    if context.output == Output::Human && printed == Format::Csv {
        report.tell_lacks(args.verdicts);
    }
    if let Some(file) = &out {
        tell!("wrote {}, with every digit and all notes", file.display());
    }
    if let Some(file) = &args.page {
        tell!("wrote {}", file.display());
    }
    Ok(exit::DONE)
}

/// Writes a file that appears whole or not at all; what is no plain file, such as `/dev/stdout`, is written
/// to and not replaced.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let whole = || -> io::Result<()> {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return std::fs::write(path, text);
        }
        let mut file = WholeFile::create(path)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    };
    whole().map_err(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => BadInput(format!(
            "there is no folder {} to write {} in; make it, or name another file",
            parent.display(),
            path.display()
        ))
        .into(),
        _ => anyhow::Error::from(error).context(format!("could not write {}", path.display())),
    })
}

/// The format that a file's name asks for.
fn format_of(file: &Path) -> Result<Format, BadInput> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.and_then(Format::of_extension).ok_or_else(|| {
        let names = Format::value_variants().iter().filter_map(|format| {
            format.to_possible_value().map(|value| value.get_name().to_owned())
        });
        let names: Vec<String> = names.collect();
        BadInput(format!(
            "{} has none of the extensions .md, .csv, .tex, .html and .txt; name the format with \
             --format {}",
            file.display(),
            names.join("|")
        ))
    })
}
