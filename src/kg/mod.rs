//! The knowledge graph: its schema, its compressed adjacency, and the word filter that decides which
//! word edges enter it (SPEC section 1).

pub mod graph;
pub mod schema;
pub mod tfidf;

pub use graph::{Graph, GraphError, GraphParams, PurchaseNeedsWords};
pub use schema::{EntityType, NodeSpace, Relation};
pub use tfidf::WordFilter;
