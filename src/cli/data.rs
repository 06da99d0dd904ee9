//! `advrec data`: import, generate and check datasets.

use super::{BadInput, Context, Output, exit, sources};
use crate::data::verify::{self, Comparison, Summary};
use crate::data::{Dataset, Named, SyntheticSpec, pgpr_writer, resolve};
use crate::kg::{EntityType, Relation};
use crate::plan::{StageKey, StageKind};
use crate::store::{ArtefactStore, Database};
use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The commands of `advrec data`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Read a dataset into the store and give it a name
    Import(ImportArgs),
    /// Count a dataset and compare it with published figures
    Verify(VerifyArgs),
    /// Generate a made-up dataset with planted topics
    Synth(SynthArgs),
}

/// Formats of datasets that can be imported.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// A folder of gzip files as PGPR has it
    Pgpr,
}

/// Arguments of `advrec data import`.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// Format of the files
    #[arg(long, value_enum, default_value = "pgpr")]
    format: Format,
    /// The folder with the files
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// What grids call it: letters, digits, `_`, `-`
    #[arg(long)]
    name: String,
}

/// Arguments of `advrec data verify`.
#[derive(clap::Args)]
pub struct VerifyArgs {
    /// A name (imported, generated, or `embedded`) or a folder in PGPR's format
    #[arg(value_name = "NAME|DIR")]
    dataset: PathBuf,
}

/// Arguments of `advrec data synth`; sizes default to those of the embedded dataset.
#[derive(clap::Args)]
pub struct SynthArgs {
    /// What grids call it: letters, digits, `_`, `-`
    #[arg(long)]
    name: String,
    /// Number of users
    #[arg(long, default_value_t = SyntheticSpec::embedded().users, value_name = "N")]
    users: u32,
    /// Number of products
    #[arg(long, default_value_t = SyntheticSpec::embedded().products, value_name = "N")]
    products: u32,
    /// Size of the vocabulary
    #[arg(long, default_value_t = SyntheticSpec::embedded().words, value_name = "N")]
    words: u32,
    /// Latent topics that drive purchases, words and relations
    #[arg(long, default_value_t = SyntheticSpec::embedded().topics, value_name = "N")]
    topics: u32,
    /// Mean length of a review; 0 makes a dataset without words
    #[arg(long, default_value_t = SyntheticSpec::embedded().words_per_review, value_name = "N")]
    words_per_review: u32,
    /// Mean number of purchases of a user
    #[arg(long, default_value_t = SyntheticSpec::embedded().purchases_per_user, value_name = "N")]
    purchases_per_user: u32,
    /// What every random choice derives from
    #[arg(long, default_value_t = SyntheticSpec::embedded().seed, value_name = "N")]
    seed: u64,
    /// Also write it as PGPR files into this new folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command; returns the exit code.
pub fn run(command: Command, context: &Context) -> anyhow::Result<u8> {
    match command {
        Command::Import(args) => import(&args, context),
        Command::Verify(args) => verify(&args, context),
        Command::Synth(args) => synth(&args, context),
    }
}

/// An error that the input is to blame for.
fn bad_input(error: impl ToString) -> anyhow::Error {
    BadInput(error.to_string()).into()
}

fn import(args: &ImportArgs, context: &Context) -> anyhow::Result<u8> {
    resolve::check_new_name(&args.name).map_err(bad_input)?;
    let named = match args.format {
        Format::Pgpr => resolve::read_pgpr(&args.dir).map_err(bad_input)?,
    };
    let summary = verify::summarise(&named.dataset)?;
    let key = sources::publish(&named, &args.name, &summary, context)?;
    Report { name: &args.name, key: Some(&key), named: &named, summary, comparisons: None }
        .print(context.output)?;
    Ok(exit::DONE)
}

fn synth(args: &SynthArgs, context: &Context) -> anyhow::Result<u8> {
    resolve::check_new_name(&args.name).map_err(bad_input)?;
    let spec = SyntheticSpec {
        users: args.users,
        products: args.products,
        words: args.words,
        topics: args.topics,
        words_per_review: args.words_per_review,
        purchases_per_user: args.purchases_per_user,
        seed: args.seed,
    };
    let named = Named { dataset: spec.generate().map_err(bad_input)?, source: spec.to_string() };
    let summary = verify::summarise(&named.dataset)?;
    if let Some(dir) = &args.out {
        pgpr_writer::write(&named.dataset, dir).map_err(|e| match e {
            pgpr_writer::PgprWriteError::Occupied { .. } => bad_input(e),
            e => e.into(),
        })?;
    }
    let key = sources::publish(&named, &args.name, &summary, context).inspect_err(|_| {
        // All or nothing: files without the registered name would look like success.
        if let Some(dir) = &args.out {
            let _ = std::fs::remove_dir_all(dir);
        }
    })?;
    Report { name: &args.name, key: Some(&key), named: &named, summary, comparisons: None }
        .print(context.output)?;
    Ok(exit::DONE)
}

fn verify(args: &VerifyArgs, context: &Context) -> anyhow::Result<u8> {
    let (named, key) = find(&args.dataset, context)?;
    let summary = verify::summarise(&named.dataset)?;
    let comparisons = verify::published(&named.dataset)?
        .map(|published| (verify::compare(&named.dataset, &published), published.name));
    let differs = comparisons
        .as_ref()
        .is_some_and(|(all, _)| all.iter().any(|comparison| comparison.agrees == Some(false)));
    let name = args.dataset.display().to_string();
    Report { name: &name, key: key.as_ref(), named: &named, summary, comparisons }
        .print(context.output)?;
    Ok(if differs { exit::FAILED } else { exit::DONE })
}

/// A dataset by registered name, or by folder.
fn find(what: &Path, context: &Context) -> anyhow::Result<(Named, Option<StageKey>)> {
    // Looking must not make a database.
    if let Some(name) = what.to_str().filter(|_| context.db.is_file())
        && let Some(row) = Database::open_tables(&context.db)?.dataset(name)?
    {
        let store = ArtefactStore::at(&context.store);
        store.verify(StageKind::Dataset, &row.key).with_context(|| {
            format!("dataset `{name}` is registered but not usable; import it again")
        })?;
        let dataset = Dataset::load(&store.path(StageKind::Dataset, &row.key))?;
        return Ok((Named { dataset, source: row.source }, Some(row.key)));
    }
    if what.is_dir() {
        return Ok((resolve::read_pgpr(what).map_err(bad_input)?, None));
    }
    match what.to_str() {
        Some(resolve::EMBEDDED) => {
            let named = resolve::read_named(resolve::EMBEDDED, Path::new("."));
            Ok((named.map_err(bad_input)?, None))
        }
        _ => Err(bad_input(format!(
            "there is no dataset `{0}`: the database {1} knows no such name, and {0} is no folder",
            what.display(),
            context.db.display()
        ))),
    }
}

/// What the commands print.
struct Report<'a> {
    name: &'a str,
    key: Option<&'a StageKey>,
    named: &'a Named,
    summary: Summary,
    /// With the name of the published dataset.
    comparisons: Option<(Vec<Comparison>, String)>,
}

impl Report<'_> {
    fn print(&self, output: Output) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match output {
            Output::Json => {
                let (comparisons, published) = match &self.comparisons {
                    Some((comparisons, name)) => (json!(comparisons), json!(name)),
                    None => (Value::Null, Value::Null),
                };
                let value = json!({
                    "name": self.name,
                    "key": self.key,
                    "source": self.named.source,
                    "summary": self.summary,
                    "published": published,
                    "comparisons": comparisons,
                });
                writeln!(out, "{value:#}")?;
            }
            Output::Human => self.print_human(&mut out)?,
        }
        Ok(())
    }

    fn print_human(&self, out: &mut impl Write) -> io::Result<()> {
        let summary = &self.summary;
        writeln!(out, "{}: {}", self.name, self.named.source)?;
        if let Some(key) = self.key {
            writeln!(out, "artefact dataset/{}", key.short())?;
        }
        writeln!(out)?;
        let mut table = table(&["", "count"], 1);
        let entities = EntityType::ALL.map(|ty| {
            let label = match ty {
                EntityType::User => "users",
                EntityType::Product => "products",
                EntityType::Word => "words",
                EntityType::Brand => "brands",
                EntityType::Category => "categories",
                EntityType::RelatedProduct => "related products",
            };
            (label.to_owned(), summary.entities[ty.name()])
        });
        let interactions = [
            ("train pairs", summary.train_pairs),
            ("test pairs", summary.test_pairs),
            ("train review words", summary.train_words),
            ("test review words", summary.test_words),
            ("users without train items", summary.users_without_train),
            ("users without test items", summary.users_without_test),
            ("pairs in both parts", summary.pairs_in_both),
        ]
        .map(|(label, count)| (label.to_owned(), count));
        let edges = Relation::ALL.map(|r| (format!("{} edges", r.name()), summary.edges[r.name()]));
        for (label, count) in entities.into_iter().chain(interactions).chain(edges) {
            table.add_row([label, grouped(count)]);
        }
        table.add_row(["edges in both ways".to_owned(), grouped(summary.directed_edges)]);
        writeln!(out, "{}", trimmed(&table))?;
        if !summary.has_words {
            writeln!(out, "\nWithout review words: mentions and described_as are empty.")?;
        }
        if let Some((comparisons, name)) = &self.comparisons {
            print_comparisons(out, comparisons, name)?;
        }
        Ok(())
    }
}

fn print_comparisons(
    out: &mut impl Write,
    comparisons: &[Comparison],
    name: &str,
) -> io::Result<()> {
    writeln!(out, "\nBeside the published figures of {name} (Xian et al. 2019, Table 1):\n")?;
    let mut table = table(&["figure", "published", "here", ""], 2);
    for comparison in comparisons {
        let number = |value: f64| match comparison.kind {
            "entities" => grouped(value as u64),
            _ => format!("{value:.2}"),
        };
        let verdict = match comparison.agrees {
            Some(true) => "agrees",
            Some(false) => "DIFFERS",
            None => "no words here",
        };
        table.add_row([
            format!("{}, {}", comparison.figure, comparison.kind),
            number(comparison.published),
            comparison.ours.map_or_else(|| "–".to_owned(), number),
            verdict.to_owned(),
        ]);
    }
    writeln!(out, "{}", trimmed(&table))
}

/// A table without borders; the `numbers` columns after the first are aligned to the right.
fn table(header: &[&str], numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for i in 1..=numbers {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A table's text without blanks at line ends.
fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// A count with a comma between groups of three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
