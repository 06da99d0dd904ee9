//! The `direct` recommender: all products ranked by (e_user + e_purchase)·e_product, without paths.
//! It is the ceiling that the embedding sets (SPEC section 5).

use super::embeddings::Embeddings;
use super::kernel::{dot, padded};
use crate::data::Rows;
use crate::kg::{EntityType, Graph, Relation};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;

/// Users ranked together, so that a block of product vectors is read once for all of them. A
/// constant of the program; it does not enter the results.
const USERS: usize = 32;
/// Products a block: small enough to stay in the first cache.
const PRODUCTS: usize = 64;

/// Recommends at most `cutoff` products to each user of the range, best first, ties by the lower
/// index; the user's train products are left out. Row `i` belongs to user `users.start + i`.
///
/// # Panics
/// If the range ends beyond the graph's users, or the graph and the embeddings differ in entities.
pub fn recommend(embeddings: &Embeddings, graph: &Graph, users: Range<u32>, cutoff: usize) -> Rows {
    assert_eq!(graph.space, embeddings.space, "graph and embeddings of one dataset");
    assert!(users.end as usize <= graph.space.count(EntityType::User), "users of the dataset");
    let stride = padded(embeddings.dimension);
    let products = pad(embeddings.table(EntityType::Product), embeddings.dimension, stride);
    let starts: Vec<u32> = users.clone().step_by(USERS).collect();
    let blocks: Vec<Vec<Vec<u32>>> = starts
        .into_par_iter()
        .map(|start| {
            let block = start..users.end.min(start + USERS as u32);
            rank(embeddings, graph, &products, stride, block, cutoff)
        })
        .collect();
    let mut lists = Rows::new();
    for list in blocks.into_iter().flatten() {
        lists.push(list);
    }
    lists
}

fn pad(table: &[f32], dimension: usize, stride: usize) -> Vec<f32> {
    let mut out = vec![0.0; table.len() / dimension * stride];
    for (padded, row) in out.chunks_exact_mut(stride).zip(table.chunks_exact(dimension)) {
        padded[..dimension].copy_from_slice(row);
    }
    out
}

/// The best products of a user so far, best first.
struct Best {
    cutoff: usize,
    list: Vec<(f32, u32)>,
}

impl Best {
    /// Offers products in ascending order, which settles ties.
    #[inline(always)]
    fn offer(&mut self, score: f32, product: u32, train: &[u32]) {
        if self.list.len() == self.cutoff && self.list.last().is_none_or(|last| score <= last.0) {
            return;
        }
        if train.binary_search(&product).is_ok() {
            return;
        }
        let place = self.list.partition_point(|&(other, _)| other >= score);
        self.list.truncate(self.cutoff - 1);
        self.list.insert(place, (score, product));
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn rank(
    embeddings: &Embeddings,
    graph: &Graph,
    products: &[f32],
    stride: usize,
    users: Range<u32>,
    cutoff: usize,
) -> Vec<Vec<u32>> {
    let dimension = embeddings.dimension;
    let purchase = embeddings.relation(Relation::Purchase);
    let mut queries = vec![0.0; users.len() * stride];
    for (query, user) in queries.chunks_exact_mut(stride).zip(users.clone()) {
        let vector = embeddings.entity(graph.space.node(EntityType::User, user));
        for ((q, e), r) in query[..dimension].iter_mut().zip(vector).zip(purchase) {
            *q = e + r;
        }
    }
    let mut best: Vec<Best> =
        users.clone().map(|_| Best { cutoff, list: Vec::with_capacity(cutoff) }).collect();
    for (b, block) in products.chunks(PRODUCTS * stride).enumerate() {
        let owned = users.clone().zip(queries.chunks_exact(stride)).zip(&mut best);
        for ((user, query), best) in owned {
            let train = graph.train_products.row(user as usize);
            for (i, product) in block.chunks_exact(stride).enumerate() {
                best.offer(dot(query, product), (b * PRODUCTS + i) as u32, train);
            }
        }
    }
    best.into_iter().map(|b| b.list.into_iter().map(|(_, product)| product).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kg::NodeSpace;
    use crate::random::{Purpose, generator};
    use rand::Rng;

    #[test]
    fn lists_are_those_of_a_full_sort() {
        let (users, products, dimension) = (70, 150, 5);
        let space = NodeSpace::new([users, products, 0, 0, 0, 0]);
        let mut rng = generator(1, Purpose::Synthesis, [0, 0, 0]);
        // Few distinct values, so that ties occur.
        let entities: Vec<f32> =
            (0..space.len() * dimension).map(|_| rng.random_range(-2..=2) as f32).collect();
        let mut relations = vec![0.0; 9 * dimension];
        relations[Relation::Purchase as usize * dimension] = 1.0;
        let embeddings = Embeddings { space: space.clone(), dimension, entities, relations };
        let mut train_products = Rows::new();
        for user in 0..users {
            // One user has bought all but three products.
            let all = if user == 4 { products - 3 } else { user % 5 };
            train_products.push(0..all);
        }
        let graph = Graph {
            offsets: vec![0; space.len() + 1],
            relations: Vec::new(),
            tails: Vec::new(),
            train_products,
            test_products: Rows::new(),
            space: space.clone(),
        };
        let lists = recommend(&embeddings, &graph, 3..users, 10);
        assert_eq!(lists.len(), 67);
        for (i, user) in (3..users).enumerate() {
            let score = |product: u32| -> f32 {
                let u = embeddings.entity(space.node(EntityType::User, user));
                let p = embeddings.entity(space.node(EntityType::Product, product));
                let r = embeddings.relation(Relation::Purchase);
                (0..dimension).map(|d| (u[d] + r[d]) * p[d]).sum()
            };
            let bought = graph.train_products.row(user as usize);
            let mut expected: Vec<u32> = (0..products).filter(|p| !bought.contains(p)).collect();
            expected.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
            expected.truncate(10);
            assert_eq!(lists.row(i), expected);
        }
        assert_eq!(lists.row(1).len(), 3);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| recommend(&embeddings, &graph, 3..users, 10)), lists);
    }
}
