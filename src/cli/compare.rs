//! `advrec compare`: whether two cells differ by more than chance.

use super::why::{cell_label, recorded_grid, some_cells};
use super::{BadInput, Context, Output, exit};
use crate::plan::Plan;
use crate::report::{Comparison, Format, GeneralError, paired_ndcg};
use crate::store::{ArtefactStore, Database};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

/// Arguments of `advrec compare`.
#[derive(clap::Args)]
pub struct Args {
    /// The first cell, by its number in `advrec plan` or by values (attack=none); its seeds go with it
    #[arg(value_name = "A")]
    first: String,
    /// The second cell
    #[arg(value_name = "B")]
    second: String,
    /// The grid's name [default: the grid that was swept last]
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// The metrics [default: ndcg,recall,hr,precision]
    #[arg(long, value_name = "METRIC", value_delimiter = ',')]
    metric: Vec<String>,
    /// The split of the metrics [default: valid, or the one that there is]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let database = Database::open_to_read(&context.db)?;
    let grid = recorded_grid(&database, args.grid.as_deref(), context)?;
    let plan = database.recorded_plan(&grid, None)?;
    let [a, b] = [&args.first, &args.second].map(|text| seeds_of(text, &grid.name, &plan));
    let (a, b) = (a?, b?);
    if a == b {
        let message = format!("{} and {} are the same cells", args.first, args.second);
        return Err(BadInput(message).into());
    }
    let label = |seeds: &BTreeMap<u64, usize>| {
        let cell = seeds.values().next().map(|&cell| cell_label(&plan.cells, cell));
        let seeds: Vec<String> = seeds.keys().map(u64::to_string).collect();
        format!("{}, seeds {}", cell.unwrap_or_default(), seeds.join(", "))
    };
    let users = paired_ndcg(&ArtefactStore::at(&context.store), &plan, [&a, &b]);
    let split: Vec<String> = args.split.into_iter().collect();
    let asked = (&args.metric[..], &split[..]);
    let labels = [label(&a), label(&b)];
    let compared = Comparison::new(database.connection(), &plan, [&a, &b], labels, asked, users)
        .map_err(|error| match error {
            GeneralError::Report(error) => anyhow::Error::from(error),
            other => BadInput(other.to_string()).into(),
        })?;
    let text = match context.output {
        Output::Human => Format::Terminal.write(&[compared.document()], false),
        Output::Json => serde_json::to_string_pretty(&compared)? + "\n",
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// The cells that a text means, by seed: those of its values, or a cell by number and the same with other
/// seeds.
fn seeds_of(text: &str, grid: &str, plan: &Plan) -> Result<BTreeMap<u64, usize>, BadInput> {
    let mut cells = some_cells(text, grid, &plan.cells)?;
    let params = |cell: usize| {
        let mut params = plan.cells[cell].params.to_map();
        params.remove("seed");
        params
    };
    let first = params(cells[0]);
    if text.parse::<usize>().is_ok() {
        cells = (0..plan.cells.len()).filter(|&cell| params(cell) == first).collect();
    }
    let mut differing: BTreeSet<String> = BTreeSet::new();
    for &cell in &cells {
        let own = params(cell);
        let names = own.keys().chain(first.keys());
        differing.extend(names.filter(|name| own.get(*name) != first.get(*name)).cloned());
    }
    if !differing.is_empty() {
        let differing: Vec<String> = differing.iter().map(|name| format!("`{name}`")).collect();
        return Err(BadInput(format!(
            "{text} means {} cells that differ in {}; add a value of it, such as \
             attack=none,{}=…",
            cells.len(),
            differing.join(", "),
            differing[0].trim_matches('`')
        )));
    }
    let seed = |cell: usize| plan.cells[cell].params.get("seed").and_then(|seed| seed.as_u64());
    Ok(cells.into_iter().map(|cell| (seed(cell).unwrap_or_default(), cell)).collect())
}
