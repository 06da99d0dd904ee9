//! From paths to recommendation lists (SPEC section 5).

use super::environment::Environment;
use super::path::Path;
use crate::kg::EntityType;

/// A recommended product and the path that leads to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommended {
    /// Index of the product.
    pub product: u32,
    /// (e_user + e_purchase)·e_product.
    pub score: f32,
    /// Index of the most probable path to it, among those given.
    pub path: u32,
}

/// The best `cutoff` products among the ends of one user's paths: products bought in train are left
/// out, of several paths to a product the most probable stands for it, rank is by score, equals by
/// the path's probability, then by index.
pub fn recommend(
    environment: &Environment<'_>,
    paths: &[Path],
    probabilities: &[f32],
    cutoff: usize,
) -> Vec<Recommended> {
    let Some(first) = paths.first() else { return Vec::new() };
    let space = &environment.graph.space;
    let bought = environment.graph.train_products.row(space.index(first.user()) as usize);
    let mut ends: Vec<(u32, u32)> = paths
        .iter()
        .enumerate()
        .filter(|(_, path)| space.entity_type(path.node()) == EntityType::Product)
        .map(|(i, path)| (space.index(path.node()), i as u32))
        .filter(|(product, _)| bought.binary_search(product).is_err())
        .collect();
    let probability = |path: u32| probabilities[path as usize];
    ends.sort_by(|a, b| {
        a.0.cmp(&b.0).then(probability(b.1).total_cmp(&probability(a.1))).then(a.1.cmp(&b.1))
    });
    ends.dedup_by_key(|end| end.0);
    let mut ranked: Vec<Recommended> = ends
        .into_iter()
        .map(|(product, path)| Recommended {
            product,
            score: environment.score(first.user(), space.node(EntityType::Product, product)),
            path,
        })
        .collect();
    ranked.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(probability(b.path).total_cmp(&probability(a.path)))
            .then(a.product.cmp(&b.product))
    });
    ranked.truncate(cutoff);
    ranked
}
