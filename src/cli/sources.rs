//! What grids and commands name: datasets and imported weights, found or brought in.

use super::{BadInput, Context};
use crate::data::verify::{self, Summary};
use crate::data::{Dataset, EMBEDDED, Named, read_named};
use crate::grid::{self, Grid, GridError};
use crate::kg::EntityType;
use crate::plan::{ImportedAgent, Metric, NamedSources, Plan, Stage, StageKey, StageKind};
use crate::store::{ArtefactStore, Database, DatasetRow};
use anyhow::Context as _;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
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
    plan_grid(grid::load(path).map_err(bad)?, data_root, context, bring)
}

fn bad(error: GridError) -> BadInput {
    BadInput(error.to_string())
}

/// Plans a grid, with the datasets and imported weights that it names.
///
/// # Errors
/// As [`plan`].
pub fn plan_grid(
    grid: Grid,
    data_root: Option<&Path>,
    context: &Context,
    bring: Bring,
) -> anyhow::Result<(Grid, Plan)> {
    let cells = grid.expand().map_err(bad)?;
    let known = match context.db.is_file() {
        true => Some(Database::open_tables(&context.db)?),
        false => None,
    };
    let mut sources = NamedSources::default();
    for id in known.iter().map(Database::import_ids).collect::<Result<Vec<_>, _>>()?.concat() {
        if let Some(row) = known.as_ref().map(|db| db.import(&id)).transpose()?.flatten() {
            let (embedding, agent) = (row.embedding_key, row.agent_key);
            sources.imports.insert(id, ImportedAgent { dataset: row.dataset, embedding, agent });
        }
    }
    drop(known);
    let mut found = BTreeMap::new();
    for name in grid.values_of("dataset").into_iter().filter_map(Value::as_str) {
        let dataset =
            find(name, data_root, context).map_err(|error| match error.downcast::<BadInput>() {
                Ok(BadInput(text)) => {
                    bad(grid.error_at("dataset", &Value::from(name), text)).into()
                }
                Err(error) => error,
            })?;
        sources.datasets.insert(name.to_owned(), dataset.key());
        found.insert(name.to_owned(), dataset);
    }
    let plan = Plan::build(cells, &sources).map_err(|error| match error.parameter() {
        Some((name, value)) => bad(grid.error_at(name, &value, error.to_string())),
        None => BadInput(error.to_string()),
    })?;
    for cell in &plan.cells {
        let users = cell.params.get("rollout.users");
        if let Some(users) = users
            && let Some(dataset) = cell.params.text("dataset").and_then(|name| found.get(name))
            && let Err(BadInput(text)) = dataset.check_users(&grid::plain(users))
        {
            return Err(bad(grid.error_at("rollout.users", users, text)).into());
        }
    }
    // Only now: a grid that is at fault leaves nothing behind.
    if bring == Bring::Datasets {
        for dataset in found.values() {
            dataset.bring(context)?;
        }
    }
    Ok((grid, plan))
}

/// A dataset that a command or a grid names.
pub struct FoundDataset {
    name: String,
    content: Content,
}

/// Where a dataset is.
enum Content {
    /// Registered, and whole in the store.
    Stored(DatasetRow),
    /// Read from its files; in the store when it is brought in.
    Read(Box<Named>),
}

/// The dataset with this name: a registered one, the embedded one, or a folder of that name below
/// `data_root` in PGPR's format. Nothing is written.
///
/// # Errors
/// If there is no such dataset, or its files are at fault.
pub fn find(
    name: &str,
    data_root: Option<&Path>,
    context: &Context,
) -> anyhow::Result<FoundDataset> {
    let known = context.db.is_file().then(|| Database::open_tables(&context.db)).transpose()?;
    let row = known.as_ref().map(|db| db.dataset(name)).transpose()?.flatten();
    let registered = row.is_some();
    let store = ArtefactStore::at(&context.store);
    let content = match row {
        Some(row) if store.verify(StageKind::Dataset, &row.key).is_ok() => Content::Stored(row),
        _ => match data_root.or((name == EMBEDDED).then_some(Path::new("."))) {
            Some(root) => Content::Read(Box::new(
                read_named(name, root).map_err(|e| BadInput(e.to_string()))?,
            )),
            None if registered => {
                return Err(BadInput(format!(
                    "the artefact of dataset `{name}` in the store {} is missing or damaged; import \
                     it again, or say with --data-root where its folder is",
                    context.store.display()
                ))
                .into());
            }
            None => {
                let mut names = known.map(|db| db.dataset_names()).transpose()?.unwrap_or_default();
                if !names.iter().any(|name| name == EMBEDDED) {
                    names.insert(0, EMBEDDED.to_owned());
                }
                return Err(unknown(name, &names).into());
            }
        },
    };
    Ok(FoundDataset { name: name.to_owned(), content })
}

fn unknown(name: &str, known: &[String]) -> BadInput {
    let near = grid::nearest(name, known.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    BadInput(format!(
        "there is no dataset `{name}`{near} (known: {}); import it with `advrec data import DIR --name \
         {name}`, or say with --data-root where its folder is",
        known.join(", ")
    ))
}

impl FoundDataset {
    /// The key of its artefact.
    pub fn key(&self) -> StageKey {
        match &self.content {
            Content::Stored(row) => row.key.clone(),
            Content::Read(named) => named.dataset.stage().key(),
        }
    }

    /// The dataset itself.
    ///
    /// # Errors
    /// If its artefact cannot be read.
    pub fn load(&self, context: &Context) -> anyhow::Result<Cow<'_, Dataset>> {
        Ok(match &self.content {
            Content::Stored(row) => {
                let store = ArtefactStore::at(&context.store);
                Cow::Owned(Dataset::load(&store.path(StageKind::Dataset, &row.key))?)
            }
            Content::Read(named) => Cow::Borrowed(&named.dataset),
        })
    }

    /// Checks that the dataset has the users of a range: `A..B`, or `all`.
    ///
    /// # Errors
    /// If it has fewer.
    pub fn check_users(&self, range: &str) -> Result<(), BadInput> {
        let user = EntityType::User;
        let count = match &self.content {
            Content::Stored(row) => row.summary["entities"][user.name()].as_u64(),
            Content::Read(named) => Some(named.dataset.counts[user as usize].into()),
        };
        let end = range.split_once("..").and_then(|(_, end)| end.parse::<u64>().ok());
        match (end, count) {
            (Some(end), Some(count)) if end > count => Err(BadInput(format!(
                "users {range} are asked for, and dataset `{}` has {count}, numbered from 0",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// Stores and registers the dataset where it is not; returns its key.
    ///
    /// # Errors
    /// If the store or the database cannot be written.
    pub fn bring(&self, context: &Context) -> anyhow::Result<StageKey> {
        match &self.content {
            Content::Stored(row) => Ok(row.key.clone()),
            Content::Read(named) => {
                publish(named, &self.name, &verify::summarise(&named.dataset)?, context)
            }
        }
    }
}

/// Opens the store and the database for writing, and makes them where they are missing: both or
/// neither.
///
/// # Errors
/// If one of them cannot be used.
pub fn open(context: &Context) -> anyhow::Result<(ArtefactStore, Database)> {
    let store = ArtefactStore::open(&context.store)?;
    let database = Database::open(&context.db).inspect_err(|_| store.remove_if_empty())?;
    Ok((store, database))
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
    let (store, mut database) = open(context)?;
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
