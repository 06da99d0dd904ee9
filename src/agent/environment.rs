//! The environment of the path agent (SPEC section 3; PGPR, Xian et al. 2019): actions at a node,
//! states, rewards. Everything is written into flat arrays that the caller keeps.

use super::params::{AgentParams, RewardKind};
use super::path::{HOPS, Path};
use crate::embed::Embeddings;
use crate::kg::{EntityType, Graph, Relation};
use multiversion::multiversion;
use rayon::prelude::*;

/// The actions of a batch of paths: row `i` has `counts[i]` actions, the self-loop first.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// Slots a row: the network's actions.
    pub width: usize,
    pub counts: Vec<u32>,
    /// Relation of each action, `[rows, width]`.
    pub relations: Vec<u8>,
    /// Node that each action leads to, `[rows, width]`.
    pub tails: Vec<u32>,
}

impl Actions {
    /// An empty batch for rows of `width` slots.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.counts.len()
    }

    /// Relation and tail of an action.
    pub fn get(&self, row: usize, action: usize) -> (u8, u32) {
        let i = row * self.width + action;
        (self.relations[i], self.tails[i])
    }

    fn resize(&mut self, rows: usize) {
        self.counts.resize(rows, 0);
        self.relations.resize(rows * self.width, 0);
        self.tails.resize(rows * self.width, 0);
    }
}

/// Edges to score from which actions are found by several threads.
const PARALLEL_FROM: usize = 8_192;

/// Buffers of one thread for trimming.
#[derive(Default)]
struct Scratch {
    edges: Vec<u32>,
    scores: Vec<f32>,
    ranked: Vec<f32>,
}

/// The environment over one graph and one embedding.
pub struct Environment<'a> {
    pub graph: &'a Graph,
    pub embeddings: &'a Embeddings,
    max_actions: usize,
    history: usize,
    reward: RewardKind,
    /// The part of the trimming score that the edge fixes, o·e_t, by node; for related products,
    /// whose o has the relation in it, see `related_terms`.
    node_terms: Vec<f32>,
    /// o·e_t of the related products by relation (discriminant) and index.
    related_terms: [Vec<f32>; Relation::COUNT],
    /// What divides the dot product in the scaled reward, by user: its maximum over the products.
    reward_scales: Vec<f32>,
}

impl<'a> Environment<'a> {
    /// Prepares the terms of scores and rewards that do not change.
    pub fn new(graph: &'a Graph, embeddings: &'a Embeddings, params: &AgentParams) -> Self {
        let space = &graph.space;
        let purchase = embeddings.relation(Relation::Purchase);
        let mentions = embeddings.relation(Relation::Mentions);
        let plus = |relation| -> Vec<f32> {
            purchase.iter().zip(embeddings.relation(relation)).map(|(a, b)| a + b).collect()
        };
        let brand = plus(Relation::ProducedBy);
        let category = plus(Relation::BelongsTo);
        let zero = vec![0.0; embeddings.dimension];
        let node_terms = (0..space.len() as u32)
            .into_par_iter()
            .map(|node| {
                let o = match space.entity_type(node) {
                    EntityType::User | EntityType::RelatedProduct => &zero,
                    EntityType::Product => purchase,
                    EntityType::Word => mentions,
                    EntityType::Brand => &brand,
                    EntityType::Category => &category,
                };
                dot(o, embeddings.entity(node))
            })
            .collect();
        let related = |relation: Relation| -> Vec<f32> {
            if !matches!(relation.ends(), Some((_, EntityType::RelatedProduct))) {
                return Vec::new();
            }
            let o = plus(relation);
            let first = space.offset(EntityType::RelatedProduct);
            (0..space.count(EntityType::RelatedProduct) as u32)
                .into_par_iter()
                .map(|i| dot(&o, embeddings.entity(first + i)))
                .collect()
        };
        Self {
            graph,
            embeddings,
            max_actions: params.max_actions as usize,
            history: params.history as usize,
            reward: params.reward,
            node_terms,
            related_terms: Relation::ALL.map(related),
            reward_scales: Vec::new(),
        }
    }

    /// Prepares what [`Environment::reward`] needs, which beam search does without.
    pub fn with_rewards(mut self) -> Self {
        if self.reward == RewardKind::ScaledDot {
            self.reward_scales = self.greatest_scores();
        }
        self
    }

    /// Numbers in a state.
    pub fn state_dim(&self) -> usize {
        (2 + 2 * self.history) * self.embeddings.dimension
    }

    /// Slots for actions: the kept edges and the self-loop.
    pub fn width(&self) -> usize {
        self.max_actions + 1
    }

    /// Whether any node has so many edges that they are trimmed.
    pub fn trims(&self) -> bool {
        self.graph.offsets.windows(2).any(|w| (w[1] - w[0]) as usize > self.max_actions)
    }

    /// Finds the actions of each path. `user_dots`, where given, holds e_user·e_t for every node t,
    /// one row a path's user, `user_rows` saying which; otherwise the products are computed edge by
    /// edge, which is less work for few paths.
    pub fn actions(
        &self,
        paths: &[Path],
        user_dots: Option<(&[f32], &[u32])>,
        actions: &mut Actions,
    ) {
        debug_assert_eq!(actions.width, self.width());
        actions.resize(paths.len());
        let width = actions.width;
        let rows = actions
            .counts
            .par_iter_mut()
            .zip(actions.relations.par_chunks_mut(width))
            .zip(actions.tails.par_chunks_mut(width))
            .zip(paths.par_iter())
            .enumerate();
        // Waking other threads costs more than a small batch is worth.
        let alone = self.work(paths) < PARALLEL_FROM;
        let least = if alone { paths.len().max(1) } else { 4 };
        rows.with_min_len(least).for_each_init(
            Scratch::default,
            |scratch, (i, (((count, relations), tails), path))| {
                let dots = user_dots.map(|(dots, rows)| {
                    let n = self.graph.node_count();
                    &dots[rows[i] as usize * n..(rows[i] as usize + 1) * n]
                });
                *count = self.actions_of(path, dots, scratch, relations, tails) as u32;
            },
        );
    }

    /// How much there is to do for the actions of some paths, in edges to score.
    fn work(&self, paths: &[Path]) -> usize {
        let degree = |path: &Path| self.graph.edges(path.node()).1.len();
        paths.iter().map(degree).filter(|&degree| degree > self.max_actions).sum()
    }

    /// Writes the actions of one path; returns how many there are.
    fn actions_of(
        &self,
        path: &Path,
        user_dots: Option<&[f32]>,
        scratch: &mut Scratch,
        out_relations: &mut [u8],
        out_tails: &mut [u32],
    ) -> usize {
        out_relations[0] = Relation::SelfLoop as u8;
        out_tails[0] = path.node();
        let (relations, tails) = self.graph.edges(path.node());
        let visited = path.visited();
        let new = |t: u32| !visited.contains(&t);
        if relations.len() <= self.max_actions {
            let mut count = 1;
            for (&r, &t) in relations.iter().zip(tails) {
                if new(t) {
                    out_relations[count] = r;
                    out_tails[count] = t;
                    count += 1;
                }
            }
            return count;
        }
        let Scratch { edges, scores, ranked } = scratch;
        edges.clear();
        scores.clear();
        let user = self.embeddings.entity(path.user());
        match user_dots {
            Some(dots) => scores.extend(tails.iter().map(|&t| dots[t as usize])),
            None => dots_with(user, &self.embeddings.entities, tails, scores),
        }
        for (i, (&r, &t)) in relations.iter().zip(tails).enumerate() {
            if new(t) {
                scores[edges.len()] = scores[i] + self.edge_term(r, t);
                edges.push(i as u32);
            }
        }
        scores.truncate(edges.len());
        let mut count = 1;
        let mut keep = |i: u32| {
            out_relations[count] = relations[i as usize];
            out_tails[count] = tails[i as usize];
            count += 1;
        };
        if edges.len() <= self.max_actions {
            edges.iter().for_each(|&i| keep(i));
            return count;
        }
        // The score that the last kept edge has. Edges above it stay; of those equal to it, the
        // first ones in order fill the places left.
        ranked.clear();
        ranked.extend_from_slice(scores);
        let at = self.max_actions - 1;
        let (above, &mut least, _) = ranked.select_nth_unstable_by(at, |a, b| b.total_cmp(a));
        let mut ties = self.max_actions - above.iter().filter(|s| **s > least).count();
        for (&i, &score) in edges.iter().zip(scores.iter()) {
            if score > least {
                keep(i);
            } else if score == least && ties > 0 {
                keep(i);
                ties -= 1;
            }
        }
        count
    }

    fn edge_term(&self, relation: u8, tail: u32) -> f32 {
        let terms = &self.related_terms[relation as usize];
        let first = self.graph.space.offset(EntityType::RelatedProduct);
        // The last type in the numbering, so this is the whole test.
        if tail >= first { terms[(tail - first) as usize] } else { self.node_terms[tail as usize] }
    }

    /// Writes the state of each path, `[paths, state_dim]` (SPEC section 3): the user, the node, and
    /// for each step of the history the node before and the relation that led on from it; zeros
    /// where there is none.
    pub fn states(&self, paths: &[Path], out: &mut [f32]) {
        let dim = self.embeddings.dimension;
        out.par_chunks_mut(self.state_dim()).zip(paths.par_iter()).with_min_len(512).for_each(
            |(state, path)| {
                let (user, rest) = state.split_at_mut(dim);
                let (node, rest) = rest.split_at_mut(dim);
                user.copy_from_slice(self.embeddings.entity(path.user()));
                node.copy_from_slice(self.embeddings.entity(path.node()));
                for (back, step) in rest.chunks_mut(2 * dim).enumerate() {
                    match (path.hops as usize).checked_sub(back + 1) {
                        Some(at) => {
                            let relation = Relation::from_index(path.relations[at])
                                .unwrap_or(Relation::SelfLoop);
                            step[..dim].copy_from_slice(self.embeddings.entity(path.nodes[at]));
                            step[dim..].copy_from_slice(self.embeddings.relation(relation));
                        }
                        None => step.fill(0.0),
                    }
                }
            },
        );
    }

    /// Reward of a path: zero unless it is whole, ends at a product and follows a pattern. The
    /// environment must have been made [`Environment::with_rewards`].
    pub fn reward(&self, path: &Path) -> f32 {
        let space = &self.graph.space;
        if path.hops as usize != HOPS
            || space.entity_type(path.node()) != EntityType::Product
            || !path.has_pattern()
        {
            return 0.0;
        }
        let product = self.embeddings.entity(path.node());
        match self.reward {
            RewardKind::ScaledDot => {
                let scale = self.reward_scales[space.index(path.user()) as usize];
                if scale > 0.0 {
                    (self.score(path.user(), path.node()) / scale).max(0.0)
                } else {
                    0.0
                }
            }
            RewardKind::Cosine => {
                let wish = self.wish(path.user());
                let norms = dot(&wish, &wish).sqrt() * dot(product, product).sqrt();
                if norms > 0.0 { dot(&wish, product) / norms } else { 0.0 }
            }
        }
    }

    /// e_user + e_purchase, the point near which TransE puts what the user buys.
    fn wish(&self, user: u32) -> Vec<f32> {
        let purchase = self.embeddings.relation(Relation::Purchase);
        self.embeddings.entity(user).iter().zip(purchase).map(|(a, b)| a + b).collect()
    }

    /// (e_user + e_purchase)·e_product of two nodes: what recommendations are ranked by.
    pub fn score(&self, user: u32, product: u32) -> f32 {
        dot(&self.wish(user), self.embeddings.entity(product))
    }

    fn greatest_scores(&self) -> Vec<f32> {
        let space = &self.graph.space;
        let first = space.offset(EntityType::Product);
        let products = first..first + space.count(EntityType::Product) as u32;
        (0..space.count(EntityType::User) as u32)
            .into_par_iter()
            .map(|user| {
                let wish = self.wish(space.node(EntityType::User, user));
                products
                    .clone()
                    .map(|p| dot(&wish, self.embeddings.entity(p)))
                    .fold(f32::NEG_INFINITY, f32::max)
            })
            .collect()
    }
}

/// Dot products of a vector with the rows `[n, dimension]` of a table that `rows` names.
#[multiversion(targets("x86_64+avx2"))]
fn dots_with(vector: &[f32], table: &[f32], rows: &[u32], out: &mut Vec<f32>) {
    /// How many rows ahead the table is fetched: it is far larger than the caches, and its rows come
    /// in no order that the processor could foresee.
    const AHEAD: usize = 8;
    let row = |node: u32| &table[node as usize * vector.len()..(node as usize + 1) * vector.len()];
    for (i, &node) in rows.iter().enumerate() {
        if let Some(&later) = rows.get(i + AHEAD) {
            fetch(row(later));
        }
        out.push(lanes_dot(vector, row(node)));
    }
}

/// Asks for a row of numbers to be brought into the cache.
#[inline(always)]
fn fetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching reads nothing that the program sees; the address is a slice's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// Dot product of two vectors; compiled for AVX2 where the processor has it.
#[multiversion(targets("x86_64+avx2"))]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes_dot(a, b)
}

/// Dot product in eight lanes, added up in one order, without fused multiply-add, so that every
/// processor gives the same bits.
#[inline(always)]
fn lanes_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (x, y) in a.iter().zip(b) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += x * y;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
