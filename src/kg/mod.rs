//! The knowledge graph: its schema, its compressed adjacency, and the word filter that decides which
//! word edges enter it (SPEC section 1).

pub mod graph;
pub mod schema;

pub use graph::Graph;
pub use schema::{EntityType, NodeSpace, Relation};
