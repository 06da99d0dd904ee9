//! What grids and commands name: datasets and imported weights, found or brought in.

use super::{BadInput, Context};
use crate::data::verify::{self, Summary};
use crate::data::{EMBEDDED, Named, read_named};
use crate::grid::{self, Grid, GridError};
use crate::plan::{ImportedAgent, Metric, NamedSources, Plan, Stage, StageKey, StageKind};
use crate::store::{ArtefactStore, Database, DatabaseError};
use anyhow::Context as _;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// Whether looking up a grid's datasets may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bring {
    /// Only look: the database and the store are left as they are.
    Nothing,
    /// Store and register the datasets that are not registered yet.
    Datasets,
}

/// Reads a grid and plans it, with the datasets and imported weights that it names.
///
/// # Errors
/// If the grid is at fault, or names what is not there.
pub fn plan(
    path: &Path,
    data_root: Option<&Path>,
    context: &Context,
    bring: Bring,
) -> anyhow::Result<(Grid, Plan)> {
    let bad = |error: GridError| BadInput(error.to_string());
    let grid = grid::load(path).map_err(bad)?;
    let cells = grid.expand().map_err(bad)?;
    let known = match context.db.is_file() {
        true => Some(Database::open_readonly(&context.db).map_err(database_error)?),
        false => None,
    };
    let mut sources = NamedSources::default();
    for id in known.iter().map(Database::import_ids).collect::<Result<Vec<_>, _>>()?.concat() {
        if let Some(row) = known.as_ref().map(|db| db.import(&id)).transpose()?.flatten() {
            let (embedding, agent) = (row.embedding_key, row.agent_key);
            sources.imports.insert(id, ImportedAgent { dataset: row.dataset, embedding, agent });
        }
    }
    for name in grid.values_of("dataset").into_iter().filter_map(Value::as_str) {
        let row = known.as_ref().map(|db| db.dataset(name)).transpose()?.flatten();
        let key = match (bring, row) {
            (Bring::Datasets, _) => dataset(name, data_root, context),
            (Bring::Nothing, Some(row)) => Ok(row.key),
            (Bring::Nothing, None) => {
                read(name, data_root, context).map(|named| named.dataset.stage().key())
            }
        };
        let at_name = |error: anyhow::Error| match error.downcast::<BadInput>() {
            Ok(BadInput(text)) => bad(grid.error_at("dataset", &Value::from(name), text)).into(),
            Err(error) => error,
        };
        sources.datasets.insert(name.to_owned(), key.map_err(at_name)?);
    }
    let plan = Plan::build(cells, &sources).map_err(|error| match error.parameter() {
        Some((name, value)) => bad(grid.error_at(name, &Value::from(value), error.to_string())),
        None => BadInput(error.to_string()),
    })?;
    Ok((grid, plan))
}

/// An error of the database: one that the input caused counts as such.
pub fn database_error(error: DatabaseError) -> anyhow::Error {
    if error.is_bad_input() { BadInput(error.to_string()).into() } else { error.into() }
}

/// The artefact of a dataset by name: a registered one, the embedded one, or a folder of that name
/// below `data_root` in PGPR's format. What is not registered yet is brought in and registered.
///
/// # Errors
/// If there is no such dataset, or its files are at fault.
pub fn dataset(
    name: &str,
    data_root: Option<&Path>,
    context: &Context,
) -> anyhow::Result<StageKey> {
    let store = ArtefactStore::open(&context.store)?;
    if let Some(row) = Database::open(&context.db).map_err(database_error)?.dataset(name)?
        && store.verify(StageKind::Dataset, &row.key).is_ok()
    {
        return Ok(row.key);
    }
    let named = read(name, data_root, context)?;
    publish(&named, name, &verify::summarise(&named.dataset)?, context)
}

/// Reads a dataset that is not registered: the embedded one or a folder below `data_root`.
///
/// # Errors
/// If there is no such dataset, or its files are at fault.
pub fn read(name: &str, data_root: Option<&Path>, context: &Context) -> anyhow::Result<Named> {
    let Some(root) = data_root.or((name == EMBEDDED).then_some(Path::new("."))) else {
        let mut known = vec![EMBEDDED.to_owned()];
        if context.db.is_file() {
            known.extend(Database::open_readonly(&context.db)?.dataset_names()?);
        }
        known.dedup();
        return Err(BadInput(format!(
            "there is no dataset `{name}` (known: {}); import it with `advrec data import DIR --name \
             {name}`, or say with --data-root where its folder is",
            known.join(", ")
        ))
        .into());
    };
    read_named(name, root).map_err(|e| BadInput(e.to_string()).into())
}

/// Makes a dataset an artefact and registers its name; if either fails, neither is left.
///
/// # Errors
/// If the store or the database cannot be written.
pub fn publish(
    named: &Named,
    name: &str,
    summary: &Summary,
    context: &Context,
) -> anyhow::Result<StageKey> {
    let stage = named.dataset.stage();
    let key = stage.key();
    let mut database = Database::open(&context.db)?;
    let store = ArtefactStore::open(&context.store)?;
    let there = store.contains(StageKind::Dataset, &key);
    let mut provenance = provenance();
    provenance.insert("source".to_owned(), Value::from(named.source.as_str()));
    artefact(&store, &stage, Vec::new(), provenance, |dir| Ok(named.dataset.save(dir)?))?;
    let summary = serde_json::to_value(summary)?;
    if let Err(error) = database.register_dataset(name, &key, &named.source, &summary) {
        if !there {
            store.remove(StageKind::Dataset, &key)?;
        }
        return Err(error.into());
    }
    Ok(key)
}

/// Publishes an artefact that no stage of a sweep makes.
///
/// # Errors
/// If `write` fails or the artefact cannot be published; nothing of it is left then.
pub fn artefact(
    store: &ArtefactStore,
    stage: &Stage,
    metrics: Vec<Metric>,
    provenance: Map<String, Value>,
    write: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let key = stage.key();
    // A damaged artefact of the same content would otherwise stay: publishing keeps what is there.
    if store.contains(stage.kind, &key) && store.verify(stage.kind, &key).is_err() {
        store.remove(stage.kind, &key)?;
    }
    let scratch = store.scratch()?;
    let result = write(&scratch)
        .and_then(|()| Ok(store.publish(&scratch, stage, &key, metrics, provenance)?));
    if result.is_err() {
        // The error that brought us here is the one to tell.
        let _ = fs::remove_dir_all(&scratch);
    }
    result.map(|_| ()).with_context(|| format!("could not store the {}", stage.kind))
}

/// What is known of the making of an artefact that no worker made.
pub fn provenance() -> Map<String, Value> {
    let mut details = crate::run::serve::host_details();
    details.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    details
}
