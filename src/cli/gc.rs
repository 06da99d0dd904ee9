//! `advrec gc`: removes from the store what no grid needs.

use super::plan::{lines, table};
use super::{Context, Output, exit};
use crate::store::garbage::Amount;
use crate::store::{ArtefactStore, Database, Garbage, Keep, SweepLock, size};
use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::{Duration, SystemTime};

/// Arguments of `advrec gc`.
#[derive(clap::Args)]
#[command(
    after_help = "Removed: artefacts that no grid of the database needs, checkpoints of stages that are \
                  done or not needed, logs of attempts that the database does not know, files that \
                  killed processes left. Registered datasets and imported weights stay, and for an \
                  hour what the database does not know: somebody may be about to register it. All rows \
                  and metrics of the database stay, too. A stage whose artefact is gone is computed anew when a \
                  sweep asks for it. A store belongs to one database: what another one needs is not \
                  known here."
)]
pub struct Args {
    /// Print what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Of each grid keep the artefacts of the version that was swept last alone
    #[arg(long)]
    keep_latest: bool,
    /// Only what has not changed for so many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let database = Database::open_readonly(&context.db)?;
    // A sweep may be about to need what nothing needs yet.
    let _lock = match args.dry_run {
        true => None,
        false => Some(SweepLock::acquire(&context.db)?),
    };
    let store = ArtefactStore::at(&context.store);
    let keep = if args.keep_latest { Keep::Latest } else { Keep::All };
    let age = |days| Duration::from_secs(u64::from(days) * 24 * 3600);
    let before = args.older_than.and_then(|days| SystemTime::now().checked_sub(age(days)));
    let garbage = Garbage::find(&database, &store, keep, before)?;
    if !args.dry_run && !garbage.items.is_empty() {
        garbage.remove(&store)?;
    }
    let text = match context.output {
        Output::Json => format!("{}\n", as_json(&garbage, args.dry_run)),
        Output::Human => as_text(&garbage, &args, context),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

fn total<'a>(amounts: impl Iterator<Item = &'a Amount>) -> Amount {
    amounts.fold(Amount::default(), |sum, amount| Amount {
        count: sum.count + amount.count,
        bytes: sum.bytes + amount.bytes,
    })
}

fn as_text(garbage: &Garbage, args: &Args, context: &Context) -> String {
    let mut text = String::new();
    let amounts = garbage.amounts();
    if amounts.is_empty() {
        text.push_str("nothing to remove\n");
    } else {
        text.push_str(if args.dry_run { "would be removed\n" } else { "removed\n" });
        let mut table = table(&["what", "count", "size"]);
        let all = total(amounts.values());
        let rows = amounts.iter().map(|(thing, amount)| (thing.name(), amount));
        for (name, amount) in rows.chain([("all", &all)]) {
            table.add_row([name, &amount.count.to_string(), &size::words(amount.bytes)]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        text.push_str(&lines(&table));
    }
    let kept = total(garbage.kept.values());
    text.push_str(&format!(
        "{} in {}: {} artefacts, {}\n",
        if args.dry_run { "would stay" } else { "stay" },
        context.store.display(),
        kept.count,
        size::words(kept.bytes)
    ));
    for path in &garbage.strange {
        let path = path.display();
        text.push_str(&format!("left alone: {path}, which is a link or no artefact\n"));
    }
    if args.keep_latest && !amounts.is_empty() {
        text.push_str(
            "numbers of earlier versions stay in the database; their stages are computed anew if a \
             sweep asks for them\n",
        );
    }
    text
}

fn as_json(garbage: &Garbage, dry_run: bool) -> Value {
    let amounts = garbage.amounts();
    let named = amounts.iter().map(|(thing, amount)| (thing.name().to_owned(), json!(amount)));
    let items = garbage.items.iter().map(|item| json!({"path": item.path, "bytes": item.bytes}));
    json!({
        "dry_run": dry_run,
        "removed": named.collect::<Map<_, _>>(),
        "total": total(amounts.values()),
        "items": items.collect::<Vec<_>>(),
        "kept": garbage.kept,
        "left_alone": garbage.strange,
    })
}
