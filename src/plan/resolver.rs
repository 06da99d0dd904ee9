//! What a grid names but does not make: datasets and imported weights.

use super::stage::StageKey;
use std::collections::BTreeMap;

/// Embeddings and a policy of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedAgent {
    /// The name of the dataset that they were made for.
    pub dataset: String,
    pub embedding: StageKey,
    pub agent: StageKey,
}

/// Finds what a grid names.
pub trait Resolver {
    /// The key of the dataset with this name.
    fn dataset(&self, name: &str) -> Option<StageKey>;
    /// The imported weights with this id.
    fn imported(&self, id: &str) -> Option<ImportedAgent>;
    /// Names of the datasets, for messages.
    fn known_datasets(&self) -> Vec<String>;
    /// Ids of the imported weights, for messages.
    fn known_imports(&self) -> Vec<String>;
}

/// Datasets and imported weights that were looked up beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedSources {
    pub datasets: BTreeMap<String, StageKey>,
    pub imports: BTreeMap<String, ImportedAgent>,
}

impl Resolver for NamedSources {
    fn dataset(&self, name: &str) -> Option<StageKey> {
        self.datasets.get(name).cloned()
    }

    fn imported(&self, id: &str) -> Option<ImportedAgent> {
        self.imports.get(id).cloned()
    }

    fn known_datasets(&self) -> Vec<String> {
        self.datasets.keys().cloned().collect()
    }

    fn known_imports(&self) -> Vec<String> {
        self.imports.keys().cloned().collect()
    }
}
