//! The command line of `advrec`: one file a command. Standard output carries results, standard error
//! everything else.

/// Prints a line on standard error. Where nobody reads it any more (`advrec sweep … 2>&1 | head`) it is
/// lost, and that is no reason to end: `eprintln!` would panic.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod bench;
mod bench_grid;
mod bench_overhead;
mod cancel;
mod compare;
mod data;
mod doctor;
mod export;
mod export_view;
mod gc;
mod import;
mod limits;
mod node;
mod on_finish;
mod plan;
mod query;
mod recommend;
mod report;
mod report_figures;
mod rerun;
mod run_options;
mod schema;
mod screen;
mod serve;
mod slurm;
mod sources;
mod status;
mod sweep;
mod watch;
mod why;

use crate::causes;
use crate::run::WorkerError;
use crate::store::{ArtefactError, DatabaseError, GarbageError};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Exit codes of every command.
pub mod exit {
    /// All done.
    pub const DONE: u8 = 0;
    /// Some cells failed, or the command could not do its work.
    pub const FAILED: u8 = 1;
    /// The input is at fault: grid, data, arguments. Nothing was changed.
    pub const BAD_INPUT: u8 = 2;
    /// Interrupted; the same command goes on where it was.
    pub const INTERRUPTED: u8 = 3;
}

/// An error that the user's input caused: printed as it is, exit code 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// The heading of the options that every command has.
const COMMON: &str = "Options of every command";

/// How a command prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Human,
    Json,
}

/// What every command knows.
#[derive(Clone, Debug, clap::Args)]
pub struct Context {
    /// The SQLite file with all results
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        env = "ADVREC_DB",
        default_value = "advrec.db",
        value_name = "FILE"
    )]
    pub db: PathBuf,
    /// The folder of artefacts and logs
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        env = "ADVREC_STORE",
        default_value = ".advrec",
        value_name = "DIR"
    )]
    pub store: PathBuf,
    /// How to print the result
    #[arg(long, global = true, help_heading = COMMON, value_enum, default_value = "human")]
    pub output: Output,
}

#[derive(Parser)]
#[command(name = "advrec", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 some cells failed, 2 bad input, 3 interrupted and resumable.\n\
                  ADVREC_WORKER names another worker than the advrec-worker beside advrec."
)]
struct Cli {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a grid: train, attack, measure, and store every number
    Sweep(Box<sweep::Args>),
    /// Run chosen cells of a grid again: those that failed, or those with given parameters
    Rerun(Box<rerun::Args>),
    /// Stop the running sweep of the database
    Cancel(cancel::Args),
    /// Show what a grid would run, without running it
    Plan(plan::Args),
    /// Say why a stage is done, will run or waits: which input of its key changed, and how
    Why(why::Args),
    /// Show grids, cells and stages and how far they are
    Status(status::Args),
    /// Follow the running sweep: stages, workers, speed, failures
    Watch(watch::Args),
    /// Show the report and the running sweep as a page in the browser
    Serve(serve::Args),
    /// Print the rows of an SQL query on the database
    Query(query::Args),
    /// Write the tables of the results
    Report(report::Args),
    /// Say whether two cells differ by more than chance, over the same seeds and users
    Compare(compare::Args),
    /// Write the rows of a view, or all that is known of a cell with a grid that repeats it
    Export(export::Args),
    /// Remove from the store what no grid needs
    Gc(gc::Args),
    /// Import, generate and check datasets
    #[command(subcommand)]
    Data(data::Command),
    /// Bring in embeddings and policies of another program
    #[command(subcommand)]
    Import(import::Command),
    /// Recommend with one agent and write lists, paths and probabilities
    Recommend(recommend::Args),
    /// Print the JSON Schema of grids, by which editors complete and check them
    Schema(schema::Args),
    /// Say what this machine and this set-up can do
    Doctor(doctor::Args),
    /// Measure the program's speed on this machine
    Bench(bench::Args),
    /// Serves a sweep in a Slurm job
    #[command(hide = true)]
    Node(node::Args),
}

/// Whether other arguments are what helps against an error.
fn is_bad_input(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<BadInput>()
        || error.downcast_ref().is_some_and(DatabaseError::is_bad_input)
        || error.downcast_ref().is_some_and(WorkerError::is_bad_input)
        || matches!(error.downcast_ref(), Some(ArtefactError::Root { .. }))
        || matches!(error.downcast_ref(), Some(GarbageError::NoGrid { .. }))
}

/// The exit code of a command that ended with an error.
fn exit_code(error: &anyhow::Error) -> u8 {
    let bad_input = error.chain().any(is_bad_input);
    if bad_input { exit::BAD_INPUT } else { exit::FAILED }
}

/// Parses the arguments of the process and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = &cli.context;
    let result = match cli.command {
        Command::Sweep(args) => sweep::run(*args, context),
        Command::Rerun(args) => rerun::run(*args, context),
        Command::Cancel(args) => cancel::run(args, context),
        Command::Plan(args) => plan::run(args, context),
        Command::Why(args) => why::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Watch(args) => watch::run(args, context),
        Command::Serve(args) => serve::run(args, context),
        Command::Query(args) => query::run(args, context),
        Command::Report(args) => report::run(args, context),
        Command::Compare(args) => compare::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Gc(args) => gc::run(args, context),
        Command::Data(command) => data::run(command, context),
        Command::Import(command) => import::run(command, context),
        Command::Recommend(args) => recommend::run(args, context),
        Command::Schema(args) => schema::run(args),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Node(args) => node::run(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A closed pipe (`advrec query … | head`) is no failure of ours.
            if error.chain().any(|e| {
                e.downcast_ref::<std::io::Error>()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            }) {
                return ExitCode::from(exit::DONE);
            }
            let message = causes::message(error.as_ref());
            if causes::is_disk_full(error.as_ref()) {
                tell!(
                    "error: the disk is full ({message}): make room for {} and {}, then run the same \
                     command again; what is done stays done",
                    context.db.display(),
                    context.store.display()
                );
                return ExitCode::from(exit::FAILED);
            }
            tell!("error: {message}");
            ExitCode::from(exit_code(&error))
        }
    }
}
