//! Counts of a dataset and its graph, and their comparison with published ones.

use super::dataset::{Dataset, Interactions};
use crate::kg::{EntityType, Graph, GraphError, GraphParams, Relation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Published figures; the file says where they come from.
const PUBLISHED: &str = include_str!("../../reports/published_datasets.json");

/// What can go wrong in counting.
#[derive(Debug, Error)]
pub enum VerifyError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the published figures built into the program are unreadable: {0}")]
    Published(#[from] serde_json::Error),
}

/// Counts of a dataset and of its graph under the default parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of entities by the type's name.
    pub entities: BTreeMap<&'static str, u64>,
    pub has_words: bool,
    /// Purchases, repetitions included.
    pub train_pairs: u64,
    pub test_pairs: u64,
    /// Review words, repetitions included.
    pub train_words: u64,
    pub test_words: u64,
    pub users_without_train: u64,
    pub users_without_test: u64,
    /// Distinct test pairs that are also train pairs. Such a product is never recommended.
    pub pairs_in_both: u64,
    /// Edges of the graph by the relation's name; each edge counts once.
    pub edges: BTreeMap<&'static str, u64>,
    /// Edges of the graph in both ways together.
    pub directed_edges: u64,
}

/// Counts everything.
///
/// # Errors
/// If the graph cannot be built.
pub fn summarise(dataset: &Dataset) -> Result<Summary, VerifyError> {
    let graph = Graph::build(dataset, &GraphParams::default())?;
    let without = |rows: &super::Rows| rows.iter().filter(|row| row.is_empty()).count() as u64;
    let (train, test) = (&graph.train_products, &graph.test_products);
    let pairs_in_both = train
        .iter()
        .zip(test.iter())
        .map(|(train, test)| test.iter().filter(|&p| train.binary_search(p).is_ok()).count() as u64)
        .sum();
    Ok(Summary {
        entities: EntityType::ALL
            .map(|ty| (ty.name(), dataset.count(ty) as u64))
            .into_iter()
            .collect(),
        has_words: dataset.has_words,
        train_pairs: dataset.train.len() as u64,
        test_pairs: dataset.test.len() as u64,
        train_words: dataset.train.words.values.len() as u64,
        test_words: dataset.test.words.values.len() as u64,
        users_without_train: without(train),
        users_without_test: without(test),
        pairs_in_both,
        edges: Relation::ALL
            .map(Relation::name)
            .into_iter()
            .zip(graph.edges_by_relation())
            .collect(),
        directed_edges: graph.edge_count() as u64,
    })
}

#[derive(Deserialize)]
struct PublishedFile {
    datasets: Vec<Published>,
}

/// Published figures of one dataset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Published {
    pub name: String,
    /// Number of entities by the type's name.
    pub entities: BTreeMap<String, u64>,
    /// Mean number of tails of a head, by the relation's name, over train and test with repetitions,
    /// rounded to two decimals.
    pub mean_tails: BTreeMap<String, f64>,
}

/// The published dataset with these numbers of users and products.
///
/// # Errors
/// If the figures built into the program are unreadable.
pub fn published(dataset: &Dataset) -> Result<Option<Published>, VerifyError> {
    let file: PublishedFile = serde_json::from_str(PUBLISHED)?;
    Ok(file.datasets.into_iter().find(|published| {
        [EntityType::User, EntityType::Product]
            .into_iter()
            .all(|ty| published.entities.get(ty.name()) == Some(&(dataset.count(ty) as u64)))
    }))
}

/// A figure of ours beside the published one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// An entity type (`word`: how many) or a relation (`mentions`: mean tails of a head).
    pub figure: String,
    /// What the figure is: `entities` or `mean tails`.
    pub kind: &'static str,
    pub published: f64,
    /// `None` where the dataset cannot have the figure: words in a dataset without words.
    pub ours: Option<f64>,
    /// Whether the two agree, means to the two published decimals; `None` as `ours`.
    pub agrees: Option<bool>,
}

/// Compares all published figures of a dataset with ours, entities first.
pub fn compare(dataset: &Dataset, published: &Published) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for ty in EntityType::ALL {
        if let Some(&count) = published.entities.get(ty.name()) {
            let ours = dataset.count(ty) as u64;
            comparisons.push(Comparison {
                figure: ty.name().to_owned(),
                kind: "entities",
                published: count as f64,
                ours: Some(ours as f64),
                agrees: Some(ours == count),
            });
        }
    }
    for relation in Relation::ALL {
        if let Some(&mean) = published.mean_tails.get(relation.name()) {
            let ours = mean_tails(dataset, relation);
            comparisons.push(Comparison {
                figure: relation.name().to_owned(),
                kind: "mean tails",
                published: mean,
                ours,
                // Half a unit of the last published place, and a little for the binary fractions.
                agrees: ours.map(|ours| (ours - mean).abs() <= 0.005 + 1e-9),
            });
        }
    }
    comparisons
}

fn mean_tails(dataset: &Dataset, relation: Relation) -> Option<f64> {
    let (head, _) = relation.ends()?;
    let both = |of: fn(&Interactions) -> usize| of(&dataset.train) + of(&dataset.test);
    let tails = match relation {
        Relation::Purchase => both(Interactions::len),
        Relation::Mentions | Relation::DescribedAs if dataset.has_words => {
            both(|part| part.words.values.len())
        }
        Relation::Mentions | Relation::DescribedAs => return None,
        _ => {
            let i = Relation::OF_PRODUCT.iter().position(|&r| r == relation)?;
            dataset.product_relations[i].values.len()
        }
    };
    Some(tails as f64 / dataset.count(head) as f64)
}

// In tests a failed `unwrap` is a failed assertion.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Rows, SyntheticSpec};
    use std::collections::HashSet;

    /// A dataset that has nothing but Beauty's counts of users and products.
    fn hollow(words: u32) -> Dataset {
        let mut dataset = SyntheticSpec::embedded().generate().unwrap();
        dataset.counts = [22_363, 12_101, words, 2_077, 248, 164_721];
        dataset.has_words = false;
        dataset.product_relations = std::array::from_fn(|_| Rows::empty_rows(12_101));
        dataset
    }

    #[test]
    fn a_published_dataset_is_known_by_its_users_and_products() {
        let published_one = published(&hollow(1)).unwrap().unwrap();
        assert_eq!(published_one.name, "Amazon Beauty");
        let mut other = hollow(1);
        other.counts[0] -= 1;
        assert_eq!(published(&other).unwrap(), None);
    }

    #[test]
    fn figures_agree_differ_or_cannot_be_had() {
        let dataset = hollow(22_563);
        let published = published(&dataset).unwrap().unwrap();
        let comparisons = compare(&dataset, &published);
        let agrees = |figure: &str| {
            comparisons.iter().find(|c| c.figure == figure).map(|c| c.agrees).unwrap()
        };
        assert_eq!(agrees("user"), Some(true));
        assert_eq!(agrees("word"), Some(false));
        assert_eq!(agrees("mentions"), None);
        assert_eq!(agrees("also_bought"), Some(false));
    }

    #[test]
    fn published_figures_name_only_what_exists() {
        let file: PublishedFile = serde_json::from_str(PUBLISHED).unwrap();
        assert_eq!(file.datasets.len(), 3);
        for published in file.datasets {
            assert_eq!(published.entities.len(), EntityType::COUNT);
            assert_eq!(published.mean_tails.len(), Relation::COUNT);
            let names: HashSet<_> = Relation::ALL.map(Relation::name).into();
            assert!(published.mean_tails.keys().all(|name| names.contains(name.as_str())));
        }
    }

    #[test]
    fn users_without_items_are_counted() {
        let mut dataset = SyntheticSpec::embedded().generate().unwrap();
        let before = summarise(&dataset).unwrap();
        dataset.counts[EntityType::User as usize] += 3;
        dataset.test.users[0] = dataset.train.users[0];
        dataset.test.products[0] = dataset.train.products[0];
        let after = summarise(&dataset).unwrap();
        assert_eq!(after.users_without_train, before.users_without_train + 3);
        assert!(after.users_without_test >= before.users_without_test + 3);
        assert_eq!((before.pairs_in_both, after.pairs_in_both), (0, 1));
    }
}
