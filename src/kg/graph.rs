//! Compressed adjacency of the knowledge graph, and who bought what in train and test.

use super::schema::{EntityType, NodeSpace, Relation};
use super::tfidf::{WordFilter, kept_words};
use crate::data::arrays::{ArrayFile, Arrays, ArraysError};
use crate::data::{Dataset, Rows};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the file in a graph's artefact.
pub const FILE: &str = "graph.safetensors";

/// What can go wrong with a graph.
#[derive(Debug, Error)]
pub enum GraphError {
    #[error("graph parameter `{name}` {reason}")]
    Parameter { name: &'static str, reason: String },
    #[error(transparent)]
    Arrays(#[from] ArraysError),
    #[error("{path} holds no consistent graph: {reason}")]
    Inconsistent { path: PathBuf, reason: &'static str },
}

/// Whether a purchase makes an edge only if its review keeps a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum PurchaseNeedsWords {
    /// Exactly when the dataset has words (PGPR).
    #[default]
    Auto,
    Always,
    Never,
}

impl From<PurchaseNeedsWords> for serde_json::Value {
    fn from(value: PurchaseNeedsWords) -> Self {
        match value {
            PurchaseNeedsWords::Auto => "auto",
            PurchaseNeedsWords::Always => "true",
            PurchaseNeedsWords::Never => "false",
        }
        .into()
    }
}

impl TryFrom<serde_json::Value> for PurchaseNeedsWords {
    type Error = String;

    /// Takes the names and, as YAML reads a bare `true` so, the truth values.
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        match (value.as_str(), value.as_bool()) {
            (Some("auto"), _) => Ok(Self::Auto),
            (Some("true"), _) | (_, Some(true)) => Ok(Self::Always),
            (Some("false"), _) | (_, Some(false)) => Ok(Self::Never),
            _ => Err(format!("purchase_needs_words is {value}, not auto, true or false")),
        }
    }
}

/// Parameters of the `graph` stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphParams {
    pub word_filter: WordFilter,
    /// Above 0, at most 1.
    pub tfidf_threshold: f64,
    /// Words that appear more often in the train reviews make no edges. At least 1.
    pub max_word_frequency: u64,
    pub purchase_needs_words: PurchaseNeedsWords,
}

impl Default for GraphParams {
    fn default() -> Self {
        Self {
            word_filter: WordFilter::KeepHigh,
            tfidf_threshold: 0.1,
            max_word_frequency: 5000,
            purchase_needs_words: PurchaseNeedsWords::Auto,
        }
    }
}

impl GraphParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first parameter that is out of its range.
    pub fn check(&self) -> Result<(), GraphError> {
        let bad = |name, reason: String| Err(GraphError::Parameter { name, reason });
        if !(self.tfidf_threshold > 0.0 && self.tfidf_threshold <= 1.0) {
            let reason = format!("is {}, not above 0 and at most 1", self.tfidf_threshold);
            return bad("tfidf_threshold", reason);
        }
        if self.max_word_frequency < 1 {
            return bad("max_word_frequency", "is 0, not at least 1".to_owned());
        }
        Ok(())
    }
}

/// The graph of the train part. Edges of node `v` are `offsets[v]..offsets[v + 1]`, without
/// duplicates, ordered by (relation name, tail index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    pub space: NodeSpace,
    /// One more than there are nodes.
    pub offsets: Vec<u64>,
    /// [`Relation`] discriminant of each edge.
    pub relations: Vec<u8>,
    /// Tail node of each edge, in the numbering of `space`.
    pub tails: Vec<u32>,
    /// Products (indices within the type) that each user bought in train: sorted, no repetitions.
    /// Every train pair, also those whose edge the word filter dropped.
    pub train_products: Rows,
    /// The same of the test part.
    pub test_products: Rows,
}

impl Graph {
    /// Builds the graph of a dataset's train part. Time is linear in its size.
    ///
    /// # Errors
    /// If a parameter is out of its range or contradicts the dataset.
    pub fn build(dataset: &Dataset, params: &GraphParams) -> Result<Self, GraphError> {
        params.check()?;
        let purchase_needs_words = match params.purchase_needs_words {
            PurchaseNeedsWords::Auto => dataset.has_words,
            PurchaseNeedsWords::Never => false,
            PurchaseNeedsWords::Always if dataset.has_words => true,
            PurchaseNeedsWords::Always => {
                return Err(GraphError::Parameter {
                    name: "purchase_needs_words",
                    reason: "is true, but the dataset has no words: no purchase would be left"
                        .to_owned(),
                });
            }
        };
        let [users, products, words] =
            [EntityType::User, EntityType::Product, EntityType::Word].map(|ty| dataset.count(ty));
        let train = &dataset.train;
        let kept = if dataset.has_words {
            kept_words(
                &train.words,
                words,
                params.word_filter,
                params.tfidf_threshold,
                params.max_word_frequency,
            )
        } else {
            Rows::empty_rows(train.len())
        };
        let mut bought = Rows::new();
        for (i, &product) in train.products.iter().enumerate() {
            bought.push((!purchase_needs_words || !kept.row(i).is_empty()).then_some(product));
        }

        let space = NodeSpace::new(dataset.counts);
        let mut edges = DirectedEdges::default();
        for relation in Relation::ALL {
            let of_product = |i: usize| dataset.product_relations[i].clone();
            // Tails by head, both counted within their types, repetitions included.
            let tails = match relation {
                Relation::Purchase => bought.grouped(&train.users, users),
                Relation::Mentions => kept.grouped(&train.users, users),
                Relation::DescribedAs => kept.grouped(&train.products, products),
                Relation::ProducedBy => of_product(0),
                Relation::BelongsTo => of_product(1),
                Relation::AlsoBought => of_product(2),
                Relation::AlsoViewed => of_product(3),
                Relation::BoughtTogether => of_product(4),
                Relation::SelfLoop => continue,
            };
            let Some((head, tail)) = relation.ends() else { continue };
            let forward = tails.sorted_sets(space.count(tail));
            let backward = forward.transposed(space.count(tail));
            edges.add(relation, head, tail, forward);
            edges.add(relation, tail, head, backward);
        }
        let (offsets, relations, tails) = edges.into_adjacency(&space);
        Ok(Self {
            space,
            offsets,
            relations,
            tails,
            train_products: train.products_by_user(users, products),
            test_products: dataset.test.products_by_user(users, products),
        })
    }

    /// Number of edges of each relation, by its discriminant; each edge counts once.
    pub fn edges_by_relation(&self) -> [u64; Relation::COUNT] {
        let mut directed = [0u64; Relation::COUNT];
        for &relation in &self.relations {
            directed[relation as usize] += 1;
        }
        directed.map(|n| n / 2)
    }

    /// Number of directed edges that leave the nodes of each [`EntityType`].
    pub fn edges_by_head(&self) -> [u64; EntityType::COUNT] {
        EntityType::ALL.map(|ty| {
            let start = self.space.offset(ty) as usize;
            self.offsets[start + self.space.count(ty)] - self.offsets[start]
        })
    }

    /// Writes [`FILE`] in the folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), GraphError> {
        let counts = EntityType::ALL.map(|ty| self.space.count(ty) as u64);
        let mut arrays = Arrays::default();
        arrays.add("counts", &counts);
        arrays.add("offsets", &self.offsets);
        arrays.add("relations", &self.relations);
        arrays.add("tails", &self.tails);
        for (part, rows) in [("train", &self.train_products), ("test", &self.test_products)] {
            arrays.add(&format!("{part}.offsets"), &rows.offsets);
            arrays.add(&format!("{part}.products"), &rows.values);
        }
        Ok(arrays.write(&dir.join(FILE))?)
    }

    /// Reads [`FILE`] in the folder.
    ///
    /// # Errors
    /// If it cannot be read, or what it holds is not consistent.
    pub fn load(dir: &Path) -> Result<Self, GraphError> {
        let path = dir.join(FILE);
        let file = ArrayFile::open(&path)?;
        let inconsistent = |reason| GraphError::Inconsistent { path: path.clone(), reason };
        let counts: [u32; EntityType::COUNT] = file
            .read("counts")?
            .try_into()
            .map_err(|_| file.bad("counts", "does not hold a number for each entity type"))?;
        if counts.iter().map(|&c| u64::from(c)).sum::<u64>() > u64::from(u32::MAX) {
            return Err(inconsistent("more nodes than 32 bits can number"));
        }
        let space = NodeSpace::new(counts);
        let adjacency = Rows::from_parts(file.read("offsets")?, file.read("tails")?)
            .filter(|rows| rows.len() == space.len())
            .ok_or_else(|| inconsistent("the offsets do not fit the nodes or the tails"))?;
        let relations: Vec<u8> = file.read("relations")?;
        if relations.len() != adjacency.values.len()
            || relations.iter().any(|&r| usize::from(r) >= Relation::COUNT)
            || adjacency.values.iter().any(|&tail| tail as usize >= space.len())
        {
            return Err(inconsistent("an edge has no relation or no tail"));
        }
        let part = |name: &str| {
            let offsets = file.read(&format!("{name}.offsets"))?;
            let products = file.read(&format!("{name}.products"))?;
            Rows::from_parts(offsets, products)
                .filter(|rows| {
                    let known = space.count(EntityType::Product) as u32;
                    rows.len() == space.count(EntityType::User)
                        && rows.values.iter().all(|&product| product < known)
                })
                .ok_or_else(|| inconsistent("the users' products fit neither users nor products"))
        };
        Ok(Self {
            train_products: part("train")?,
            test_products: part("test")?,
            offsets: adjacency.offsets,
            tails: adjacency.values,
            relations,
            space,
        })
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.space.len()
    }

    /// Number of directed edges: each edge counts once for each of its two ways.
    pub fn edge_count(&self) -> usize {
        self.tails.len()
    }

    /// Relations and tails of the edges of a node.
    pub fn edges(&self, node: u32) -> (&[u8], &[u32]) {
        let range = self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize;
        (&self.relations[range.clone()], &self.tails[range])
    }

    /// Whether two nodes are joined by this relation.
    pub fn has_edge(&self, head: u32, relation: Relation, tail: u32) -> bool {
        let (relations, tails) = self.edges(head);
        let start = relations.partition_point(|&r| r < relation as u8);
        let end = relations.partition_point(|&r| r <= relation as u8);
        tails[start..end].binary_search(&tail).is_ok()
    }
}

/// Edges of all relations in both ways, to be laid out by head.
#[derive(Default)]
struct DirectedEdges {
    /// Added in the order of the relations. Each (relation, head type) appears once, so edges end up
    /// ordered by relation and tail without sorting.
    parts: Vec<(Relation, EntityType, EntityType, Rows)>,
}

impl DirectedEdges {
    /// `tails`: one row for each entity of type `head`, ascending.
    fn add(&mut self, relation: Relation, head: EntityType, tail: EntityType, tails: Rows) {
        self.parts.push((relation, head, tail, tails));
    }

    /// Offsets by node, then relation and tail node of each edge.
    fn into_adjacency(self, space: &NodeSpace) -> (Vec<u64>, Vec<u8>, Vec<u32>) {
        let mut offsets = vec![0u64; space.len() + 1];
        for (_, head, _, tails) in &self.parts {
            let first = space.offset(*head) as usize;
            for (i, row) in tails.iter().enumerate() {
                offsets[first + i + 1] += row.len() as u64;
            }
        }
        for node in 0..space.len() {
            offsets[node + 1] += offsets[node];
        }
        let edges = offsets[space.len()] as usize;
        let (mut relations, mut tail_nodes) = (vec![0u8; edges], vec![0u32; edges]);
        let mut next = offsets.clone();
        for (relation, head, tail, tails) in self.parts {
            let first = space.offset(head) as usize;
            for (i, row) in tails.iter().enumerate() {
                let start = next[first + i] as usize;
                let end = start + row.len();
                relations[start..end].fill(relation as u8);
                for (slot, &t) in tail_nodes[start..end].iter_mut().zip(row) {
                    *slot = space.offset(tail) + t;
                }
                next[first + i] = end as u64;
            }
        }
        (offsets, relations, tail_nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tiny() -> (Dataset, serde_json::Value) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny");
        let expected = std::fs::read(dir.join("expected.json")).unwrap();
        (crate::data::pgpr::read(&dir).unwrap(), serde_json::from_slice(&expected).unwrap())
    }

    #[test]
    fn edges_are_those_of_pgpr() {
        let (dataset, expected) = tiny();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        assert_eq!(json!(graph.edge_count()), expected["directed_edges"]);
        for (ty, edges) in EntityType::ALL.into_iter().zip(graph.edges_by_head()) {
            assert_eq!(json!(edges), expected["edges_by_head"][ty.name()], "{}", ty.name());
        }
    }

    #[test]
    fn edges_are_ordered_distinct_and_walked_both_ways() {
        let (dataset, _) = tiny();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        for node in 0..graph.node_count() as u32 {
            let (relations, tails) = graph.edges(node);
            let edges: Vec<_> = relations.iter().zip(tails).collect();
            assert!(edges.is_sorted_by(|a, b| a < b), "node {node}");
            for (&relation, &tail) in edges {
                let relation = Relation::from_index(relation).unwrap();
                assert!(graph.has_edge(tail, relation, node));
                let ends = (graph.space.entity_type(node), graph.space.entity_type(tail));
                let declared = relation.ends().unwrap();
                assert!(ends == declared || (ends.1, ends.0) == declared);
            }
        }
    }

    #[test]
    fn purchases_stay_or_go_with_their_words() {
        let (mut dataset, _) = tiny();
        let purchases = |dataset: &Dataset, needs| {
            let params = GraphParams {
                tfidf_threshold: 0.6,
                purchase_needs_words: needs,
                ..GraphParams::default()
            };
            Graph::build(dataset, &params)
                .map(|graph| graph.edges_by_relation()[Relation::Purchase as usize])
        };
        let pairs: usize = dataset.train.products_by_user(40, 60).values.len();
        let never = purchases(&dataset, PurchaseNeedsWords::Never).unwrap();
        let always = purchases(&dataset, PurchaseNeedsWords::Always).unwrap();
        assert_eq!(never, pairs as u64);
        assert!(always < never);
        assert_eq!(purchases(&dataset, PurchaseNeedsWords::Auto).unwrap(), always);
        dataset.has_words = false;
        assert_eq!(purchases(&dataset, PurchaseNeedsWords::Auto).unwrap(), never);
        insta::assert_snapshot!(
            purchases(&dataset, PurchaseNeedsWords::Always).unwrap_err(),
            @"graph parameter `purchase_needs_words` is true, but the dataset has no words: no purchase would be left"
        );
    }

    #[test]
    fn a_graph_comes_back_as_it_was() {
        let (dataset, _) = tiny();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        graph.save(dir.path()).unwrap();
        assert_eq!(Graph::load(dir.path()).unwrap(), graph);
        let mut broken = graph.clone();
        broken.tails[0] = graph.node_count() as u32;
        broken.save(dir.path()).unwrap();
        assert!(matches!(Graph::load(dir.path()), Err(GraphError::Inconsistent { .. })));
    }

    #[test]
    fn parameters_are_read_strictly() {
        let read = |value| serde_json::from_value::<GraphParams>(value);
        let full = json!({
            "word_filter": "drop_high", "tfidf_threshold": 0.2, "max_word_frequency": 7,
            "purchase_needs_words": true,
        });
        let params = read(full.clone()).unwrap();
        assert_eq!(params.word_filter, WordFilter::DropHigh);
        assert_eq!(params.purchase_needs_words, PurchaseNeedsWords::Always);
        assert_eq!(serde_json::to_value(&params).unwrap()["purchase_needs_words"], "true");
        let mut unknown = full.clone();
        unknown["treshold"] = json!(1);
        assert!(read(unknown).unwrap_err().to_string().contains("treshold"));
        let mut choice = full;
        choice["purchase_needs_words"] = json!("maybe");
        assert!(read(choice).unwrap_err().to_string().contains("not auto, true or false"));
        let params = GraphParams { tfidf_threshold: 0.0, ..GraphParams::default() };
        insta::assert_snapshot!(
            params.check().unwrap_err(),
            @"graph parameter `tfidf_threshold` is 0, not above 0 and at most 1"
        );
    }
}
