//! Grids that look as if they had been swept: recorded, their artefacts in the store. No worker is needed.

#![allow(dead_code)] // Each test program uses a part.

use advrec::grid;
use advrec::plan::{Metric, NamedSources, Plan, Stage};
use advrec::store::{ArtefactStore, Database, GridRow};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// What a worker says of how it made an artefact.
pub type Provenance = Map<String, Value>;

/// Plans a grid on the embedded dataset as `advrec` does where nothing is registered.
pub fn plan(text: &str) -> (GridRow, Plan) {
    let grid = grid::parse(Path::new("grid.yaml"), text).unwrap_or_else(|e| panic!("{e}"));
    let embedded = advrec::data::read_named("embedded", Path::new(".")).unwrap();
    let datasets = [("embedded".to_owned(), embedded.dataset.stage().key())].into();
    let sources = NamedSources { datasets, ..NamedSources::default() };
    let plan = Plan::build(grid.expand().unwrap(), &sources).unwrap();
    let (name, digest, text) = (grid.name, grid.digest, grid.text);
    (GridRow { name, digest, text, path: "grid.yaml".to_owned() }, plan)
}

/// Records a grid with all its stages done; `result` says what each came to.
pub fn sweep(
    folder: &Path,
    text: &str,
    result: impl Fn(&Stage) -> (Vec<Metric>, Provenance),
) -> Plan {
    let (row, plan) = plan(text);
    let mut db = Database::open(&folder.join("advrec.db")).unwrap();
    db.record_grid(&row, &plan).unwrap();
    let store = ArtefactStore::open(&folder.join(".advrec")).unwrap();
    for planned in &plan.stages {
        let (stage, key) = (&planned.stage, &planned.key);
        let (metrics, provenance) = result(stage);
        let scratch = store.scratch().unwrap();
        fs::write(scratch.join("data"), [0; 1000]).unwrap();
        let manifest = store.publish(&scratch, stage, key, metrics, provenance).unwrap();
        db.batch(|batch| batch.record_artefact(&manifest)).unwrap();
    }
    plan
}
