//! `advrec export`: a cell with all that is known of it, and a grid that repeats it. Tables and views are in
//! `export_view`.

use super::export_view;
use super::query::csv;
use super::why::{cell_label, one_cell, recorded_grid};
use super::{BadInput, Context, Output, exit};
use crate::grid;
use crate::plan::StageKind;
use crate::store::artefact::MANIFEST;
use crate::store::{ArtefactStore, CellHistory, Database, Rows};
use anyhow::Context as _;
use rusqlite::types::Value as Field;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Arguments of `advrec export`.
#[derive(clap::Args)]
#[command(after_help = export_view::HELP)]
pub struct Args {
    /// A cell, by its number in `advrec plan` or by values (attack=jsma,seed=2); or a view or table, by its
    /// name (docs/views.md, docs/schema.md)
    #[arg(value_name = "CELL|VIEW")]
    what: String,
    /// Of a cell the folder, which must not be there yet; of a view the file [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// The grid's name [default: the grid that was swept last]
    #[arg(long, value_name = "NAME", help_heading = "Of a cell")]
    grid: Option<String>,
    /// Copy the artefacts of the cell's stages, too
    #[arg(long, help_heading = "Of a cell")]
    artefacts: bool,
    #[command(flatten)]
    view: export_view::Options,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let what = &args.what;
    if export_view::is_name(what) {
        let of_cells = [("--grid", args.grid.is_some()), ("--artefacts", args.artefacts)];
        if let Some((option, _)) = of_cells.iter().find(|(_, given)| *given) {
            return Err(BadInput(format!("{option} is for cells; `{what}` names a view")).into());
        }
        return export_view::run(what, &args.view, args.out.as_deref(), context);
    }
    if let Some(option) = args.view.given() {
        return Err(BadInput(format!("{option} is for views; `{what}` names a cell")).into());
    }
    let Some(out) = &args.out else {
        return Err(BadInput("name the folder to write with --out".to_owned()).into());
    };
    let database = Database::open_to_read(&context.db)?;
    let grid = recorded_grid(&database, args.grid.as_deref(), context)?;
    let cells = database.recorded_cells(&grid, None)?;
    let cell = one_cell(what, &grid.name, &cells)?;
    let label = cell_label(&cells, cell);
    let name = format!("{}-cell-{}", grid.name, cell + 1);
    let yaml = grid::single(&name, &cells[cell]).ok_or_else(|| {
        BadInput(format!("{label} of grid {} is of no grid file: nothing repeats it", grid.name))
    })?;
    let history = database.cell_history(&grid, cell)?.context("the cell is no longer there")?;
    let title = format!("{label} of grid {}", grid.name);
    let yaml = format!("# {title}, every parameter written out.\n{yaml}");
    let bundle = Bundle { title: &title, yaml: &yaml, history: &history };
    let artefacts = args.artefacts.then(|| ArtefactStore::at(&context.store));
    let missing = write_whole(out, |folder| bundle.write(folder, artefacts.as_ref()))?;
    for artefact in &missing {
        tell!("left out, because it is missing or damaged: the artefact of {artefact}");
    }
    let shown = out.display();
    let text = match context.output {
        Output::Json => format!("{}\n", json!({"folder": out, "left_out": missing})),
        Output::Human => {
            format!("{title}: {shown}\nto repeat it: advrec sweep {shown}/grid.yaml\n")
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// Makes a folder that appears whole or not at all.
fn write_whole<T>(
    folder: &Path,
    write: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let shown = folder.display();
    let taken = || BadInput(format!("{shown} is there already; name another folder with --out"));
    if fs::symlink_metadata(folder).is_ok() {
        return Err(taken().into());
    }
    let name = folder.file_name().ok_or_else(taken)?;
    let mut partial = name.to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = folder.with_file_name(partial);
    fs::create_dir(&partial).map_err(|e| match (e.kind(), folder.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => BadInput(format!(
            "there is no folder {} to write {} in; make it, or name another folder with --out",
            parent.display(),
            name.display()
        )),
        _ => BadInput(format!("could not make {}: {e}", partial.display())),
    })?;
    let result = write(&partial).and_then(|value| {
        fs::rename(&partial, folder).with_context(|| format!("could not make {shown}"))?;
        Ok(value)
    });
    if result.is_err() {
        // The error that brought us here is the one to tell.
        let _ = fs::remove_dir_all(&partial);
    }
    result
}

struct Bundle<'a> {
    /// Of the cell.
    title: &'a str,
    /// The grid that repeats it.
    yaml: &'a str,
    history: &'a CellHistory,
}

impl Bundle<'_> {
    /// Writes all files; returns which artefacts are missing, if they were asked for.
    fn write(&self, folder: &Path, store: Option<&ArtefactStore>) -> anyhow::Result<Vec<String>> {
        let write = |name: &str, text: String| {
            fs::write(folder.join(name), text).with_context(|| format!("could not write {name}"))
        };
        write("grid.yaml", self.yaml.to_owned())?;
        let mut provenance = json!(self.history);
        provenance["exported_by"] = Value::from(super::sources::provenance());
        write("provenance.json", serde_json::to_string_pretty(&provenance)? + "\n")?;
        write("metrics.csv", csv(&self.metrics())?)?;
        write("README.txt", self.readme(store.is_some()))?;
        store.map_or(Ok(Vec::new()), |store| self.copy(store, &folder.join("artefacts")))
    }

    fn metrics(&self) -> Rows {
        let columns = ["stage", "stage_key", "metric", "split", "value", "n", "lower", "upper"];
        let mut rows = Vec::new();
        for stage in self.history.stages.iter().filter(|stage| stage.own) {
            for metric in &stage.metrics {
                let text = |text: &str| Field::Text(text.to_owned());
                let number = |number: Option<f64>| number.map_or(Field::Null, Field::Real);
                rows.push(vec![
                    text(stage.kind.name()),
                    text(stage.key.as_str()),
                    text(&metric.name),
                    text(&metric.split),
                    Field::Real(metric.value),
                    Field::Integer(i64::try_from(metric.n).unwrap_or(i64::MAX)),
                    number(metric.lower),
                    number(metric.upper),
                ]);
            }
        }
        Rows { columns: columns.map(str::to_owned).to_vec(), rows }
    }

    /// Copies what verifies; returns what does not.
    fn copy(&self, store: &ArtefactStore, to: &Path) -> anyhow::Result<Vec<String>> {
        let stages = self.history.stages.iter().map(|stage| (stage.kind, &stage.key));
        let sources = self.history.sources.iter();
        let sources = sources.filter_map(|s| Some((StageKind::named(&s.role)?, &s.key)));
        let mut missing = Vec::new();
        for (kind, key) in sources.chain(stages) {
            let Ok(manifest) = store.verify(kind, key) else {
                missing.push(format!("{kind} {}", key.short()));
                continue;
            };
            let (from, to) = (store.path(kind, key), to.join(kind.name()).join(key.as_str()));
            fs::create_dir_all(&to).with_context(|| format!("could not make {}", to.display()))?;
            for name in manifest.files.iter().map(|file| file.name.as_str()).chain([MANIFEST]) {
                fs::copy(from.join(name), to.join(name))
                    .with_context(|| format!("could not copy {name} of {kind} {}", key.short()))?;
            }
        }
        Ok(missing)
    }

    fn readme(&self, artefacts: bool) -> String {
        let mut text = format!(
            "{}\n\n\
             grid.yaml        a grid that makes this cell and no other\n\
             provenance.json  the cell's parameters, and of every stage behind it: key, version, parameters,\n\
             \x20                keys of its inputs, attempts (program, commit, libtorch, device, host,\n\
             \x20                times) and metrics\n\
             metrics.csv      the cell's numbers\n",
            self.title
        );
        if artefacts {
            text.push_str("artefacts/       the files that the stages made, as in a store\n");
        }
        let _ = write!(text, "\nmade by\n{}", self.makers());
        text.push_str("\nto repeat it, with the program of that commit\n");
        for source in &self.history.sources {
            let name = source.name.as_deref().unwrap_or("no longer registered");
            let origin = source.origin.as_ref().map_or(String::new(), |from| format!(", {from}"));
            let _ = writeln!(text, "  have {} {name} (key {}{origin})", source.role, source.key);
        }
        text.push_str(
            "  advrec sweep grid.yaml\n  \
             equal keys of stages mean equal inputs; on the CPU of one machine the numbers are equal to \
             the last bit\n",
        );
        if self.history.stages.iter().any(|stage| stage.own && stage.kind == StageKind::Drift) {
            text.push_str(
                "\nThe cell's drift from other cells is among its numbers; a grid of one cell does not \
                 repeat it.\n",
            );
        }
        text
    }

    /// The programs and machines that did the cell's stages, a line each.
    fn makers(&self) -> String {
        let attempts = self.history.stages.iter().flat_map(|stage| &stage.attempts);
        let makers: BTreeSet<String> = attempts
            .filter(|attempt| attempt.state == "done")
            .map(|attempt| {
                let text = |name: &str| match &attempt.provenance[name] {
                    Value::String(text) if !text.is_empty() => text.clone(),
                    _ => "unknown".to_owned(),
                };
                let cuda = match &attempt.provenance["cuda"] {
                    Value::String(version) => format!(" with CUDA {version}"),
                    _ => String::new(),
                };
                let dirty = match attempt.provenance["git_dirty"] {
                    Value::Bool(true) => ", with changes that are not in it",
                    _ => "",
                };
                format!(
                    "  advrec {} (commit {}{dirty}), libtorch {}{cuda}, device {} ({}), \
                     host {}\n",
                    text("version"),
                    text("git_commit"),
                    text("libtorch"),
                    text("device"),
                    text("device_name"),
                    text("host"),
                )
            })
            .collect();
        match makers.is_empty() {
            true => "  nothing has been done yet\n".to_owned(),
            false => makers.into_iter().collect(),
        }
    }
}
