//! Loss and gradient of one batch (SPEC section 2).
//!
//! The consecutive items of a batch come from the same reviews, so they share heads and often whole
//! triples. What depends only on the head (the sum e_h + e_r, its products with the negatives) is
//! computed once per head, and what depends only on the triple once per triple and weighted by how
//! often it occurs: the same sums as over the items one by one, in another order.
//!
//! Gradients are kept for the touched entities only. Such an entity has a slot, in order of first
//! touch; nothing of the size of the tables is cleared between batches.

use super::batches::{ABSENT, Batch};
use super::kernel::{add, add_scaled, dot, sigmoid};
use super::parameters::Parameters;
use super::transe::NegativeBias;
use crate::kg::{EntityType, Relation};
use multiversion::multiversion;
use std::ops::Range;

const NONE: u32 = u32::MAX;

/// The touched entities of a batch.
#[derive(Debug, Default)]
struct Slots {
    /// By node: its slot or [`NONE`].
    of_node: Vec<u32>,
    /// By slot: its node.
    nodes: Vec<u32>,
    /// By slot: what the current grouping or relation knows of it. Each is valid under its mark.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Index of the group that the slot heads; [`NONE`] if it heads none.
    group: u32,
    /// The (relation, group) in which the slot was last a tail, and its place among the pairs.
    pair_mark: u32,
    pair: u32,
    /// The relation in which its bias was last touched, and the bias's gradient.
    bias_mark: u32,
    bias: f32,
}

/// The items of a batch by head. Group `g` has the items `items[offsets[g]..offsets[g + 1]]`.
#[derive(Debug, Default)]
struct Heads {
    slots: Vec<u32>,
    offsets: Vec<u32>,
    items: Vec<u32>,
    group_of_item: Vec<u32>,
}

/// Items of a relation with the same head and tail.
#[derive(Clone, Copy, Debug)]
struct Pair {
    tail: u32,
    items: f32,
}

/// Pairs with the same head.
#[derive(Clone, Debug)]
struct Group {
    head: u32,
    pairs: Range<usize>,
}

/// What one relation needs while its gradient is computed.
#[derive(Debug, Default)]
struct Step {
    groups: Vec<Group>,
    pairs: Vec<Pair>,
    /// Slots of the negatives.
    negatives: Vec<u32>,
    /// e_h + e_r of each group, `[groups, stride]`.
    examples: Vec<f32>,
    /// Vectors of the negatives and their gradients, `[negatives, stride]`.
    negative_vectors: Vec<f32>,
    negative_gradients: Vec<f32>,
    /// `[pairs, 1 + negatives]`: arguments of softplus, then its derivatives.
    logits: Vec<f32>,
    /// exp(−|logit|).
    exponentials: Vec<f32>,
    /// By negative: the sum of the derivatives over a group's pairs.
    sums: Vec<f32>,
    /// Gradient of a group's example.
    example_gradient: Vec<f32>,
    /// Slots whose bias was touched, in order of first touch.
    biases: Vec<u32>,
    mark: u32,
    pair_mark: u32,
}

/// The gradient of a batch and the room to compute the next one in.
#[derive(Debug, Default)]
pub struct Gradient {
    slots: Slots,
    users: Heads,
    products: Heads,
    step: Step,
    /// `[slots, stride]`.
    entities: Vec<f32>,
    /// `[Relation::COUNT, stride]`; rows of relations that the batch lacks are zero.
    relations: Vec<f32>,
    /// Places in [`Parameters::biases`], each once, with their gradients.
    biases: Vec<(usize, f32)>,
}

impl Gradient {
    pub fn new(parameters: &Parameters) -> Self {
        let mut gradient = Self::default();
        gradient.slots.of_node = vec![NONE; parameters.space.len()];
        gradient.relations = vec![0.0; parameters.relations.len()];
        gradient.step.example_gradient = vec![0.0; parameters.stride];
        gradient
    }

    /// Touched nodes with their gradients, in order of first touch.
    pub fn entities(&self, stride: usize) -> impl Iterator<Item = (u32, &[f32])> {
        self.slots.nodes.iter().copied().zip(self.entities.chunks_exact(stride))
    }

    /// `[Relation::COUNT, stride]`.
    pub fn relations(&self) -> &[f32] {
        &self.relations
    }

    /// Places in [`Parameters::biases`] with their gradients.
    pub fn biases(&self) -> &[(usize, f32)] {
        &self.biases
    }

    /// Replaces the gradient by that of `batch` and returns the batch's loss: the sum over the
    /// relations of the mean over the items that have such a tail. `negatives`: by relation, nodes.
    pub fn compute(
        &mut self,
        parameters: &Parameters,
        batch: &Batch,
        negatives: &[Vec<u32>; Relation::COUNT],
        negative_bias: NegativeBias,
    ) -> f64 {
        for node in self.slots.nodes.drain(..) {
            self.slots.of_node[node as usize] = NONE;
        }
        self.slots.places.clear();
        self.entities.clear();
        self.relations.fill(0.0);
        self.biases.clear();
        self.step.mark = 0;
        self.step.pair_mark = 0;
        self.users.collect(&batch.users, &mut self.slots);
        self.products.collect(&batch.products, &mut self.slots);
        let mut loss = 0.0;
        for relation in Relation::ALL {
            let heads = match relation.ends() {
                Some((EntityType::User, _)) => &self.users,
                _ => &self.products,
            };
            let tails = &batch.tails[relation as usize];
            let items = self.step.pair_up(heads, tails, &mut self.slots);
            if items == 0 {
                continue;
            }
            let slots = &mut self.slots;
            self.step.negatives.clear();
            let nodes = negatives[relation as usize].iter();
            self.step.negatives.extend(nodes.map(|&node| slots.touch(node)));
            self.entities.resize(self.slots.nodes.len() * parameters.stride, 0.0);
            loss += propagate(self, parameters, relation as usize, items, negative_bias);
        }
        loss
    }
}

impl Slots {
    fn touch(&mut self, node: u32) -> u32 {
        let slot = &mut self.of_node[node as usize];
        if *slot == NONE {
            *slot = self.nodes.len() as u32;
            self.nodes.push(node);
            self.places.push(Place { group: NONE, ..Place::default() });
        }
        *slot
    }
}

impl Heads {
    fn collect(&mut self, heads: &[u32], slots: &mut Slots) {
        self.slots.clear();
        self.group_of_item.clear();
        for &node in heads {
            let slot = slots.touch(node);
            let group = &mut slots.places[slot as usize].group;
            if *group == NONE {
                *group = self.slots.len() as u32;
                self.slots.push(slot);
            }
            self.group_of_item.push(*group);
        }
        // A counting sort that keeps the items' order within a group.
        self.offsets.clear();
        self.offsets.resize(self.slots.len() + 2, 0);
        for &group in &self.group_of_item {
            self.offsets[group as usize + 2] += 1;
        }
        for i in 2..self.offsets.len() {
            self.offsets[i] += self.offsets[i - 1];
        }
        self.items.clear();
        self.items.resize(heads.len(), 0);
        for (item, &group) in self.group_of_item.iter().enumerate() {
            let place = &mut self.offsets[group as usize + 1];
            self.items[*place as usize] = item as u32;
            *place += 1;
        }
    }

    fn items(&self, group: usize) -> &[u32] {
        &self.items[self.offsets[group] as usize..self.offsets[group + 1] as usize]
    }
}

impl Step {
    /// Collects the distinct (head, tail) pairs of a relation; returns how many items have a tail.
    fn pair_up(&mut self, heads: &Heads, tails: &[u32], slots: &mut Slots) -> usize {
        self.groups.clear();
        self.pairs.clear();
        self.mark += 1;
        let mut items = 0;
        if tails.is_empty() {
            return items;
        }
        for (group, &head) in heads.slots.iter().enumerate() {
            let first = self.pairs.len();
            self.pair_mark += 1;
            for &item in heads.items(group) {
                let node = tails[item as usize];
                if node == ABSENT {
                    continue;
                }
                items += 1;
                let tail = slots.touch(node);
                let place = &mut slots.places[tail as usize];
                if place.pair_mark == self.pair_mark {
                    self.pairs[place.pair as usize].items += 1.0;
                } else {
                    place.pair_mark = self.pair_mark;
                    place.pair = self.pairs.len() as u32;
                    self.pairs.push(Pair { tail, items: 1.0 });
                }
            }
            if self.pairs.len() > first {
                self.groups.push(Group { head, pairs: first..self.pairs.len() });
            }
        }
        items
    }

    #[inline(always)]
    fn add_to_bias(&mut self, places: &mut [Place], slot: u32, value: f32) {
        let place = &mut places[slot as usize];
        if place.bias_mark != self.mark {
            place.bias_mark = self.mark;
            place.bias = 0.0;
            self.biases.push(slot);
        }
        place.bias += value;
    }
}

/// Loss of one relation; adds its gradient.
#[multiversion(targets("x86_64+avx2"))]
fn propagate(
    gradient: &mut Gradient,
    parameters: &Parameters,
    relation: usize,
    items: usize,
    negative_bias: NegativeBias,
) -> f64 {
    let Gradient { slots, step, entities, relations, biases, .. } = gradient;
    let stride = parameters.stride;
    let count = step.negatives.len();
    let width = 1 + count;
    let row = |slot: usize| slot * stride..(slot + 1) * stride;
    let bias_of = |node: u32| -> f32 { parameters.biases[parameters.bias_index(relation, node)] };

    // Arguments of softplus: −logit of the tail, then the logits of the negatives.
    step.negative_vectors.clear();
    for &slot in &step.negatives {
        step.negative_vectors.extend_from_slice(parameters.entity(slots.nodes[slot as usize]));
    }
    step.examples.resize(step.groups.len() * stride, 0.0);
    step.logits.clear();
    for (group, example) in step.groups.iter().zip(step.examples.chunks_exact_mut(stride)) {
        let head = parameters.entity(slots.nodes[group.head as usize]);
        add(head, parameters.relation(relation), example);
        step.sums.clear();
        for negative in step.negative_vectors.chunks_exact(stride) {
            step.sums.push(dot(example, negative));
        }
        for pair in &step.pairs[group.pairs.clone()] {
            let tail = slots.nodes[pair.tail as usize];
            let bias = bias_of(tail);
            step.logits.push(-(dot(example, parameters.entity(tail)) + bias));
            for (&product, &negative) in step.sums.iter().zip(&step.negatives) {
                step.logits.push(match negative_bias {
                    NegativeBias::PositiveTail => product + bias,
                    NegativeBias::Own => product + bias_of(slots.nodes[negative as usize]),
                });
            }
        }
    }

    // Loss, and its derivatives in place of the logits.
    let mut loss = 0.0;
    step.exponentials.resize(step.logits.len(), 0.0);
    for (pair, logits) in step.pairs.iter().zip(step.logits.chunks_exact(width)) {
        let positive: f32 = logits.iter().map(|&x| if x > 0.0 { x } else { 0.0 }).sum();
        loss += f64::from(positive * pair.items);
    }
    for (logit, exponential) in step.logits.iter_mut().zip(&mut step.exponentials) {
        (*logit, *exponential) = sigmoid(*logit);
    }
    for (pair, exponentials) in step.pairs.iter().zip(step.exponentials.chunks_exact(width)) {
        // One logarithm for many factors, each at most 2: 512 of them stay below f64's range.
        for factors in exponentials.chunks(512) {
            let product: f64 = factors.iter().map(|&e| 1.0 + f64::from(e)).product();
            loss += f64::from(pair.items) * product.ln();
        }
    }

    let share = 1.0 / items as f32;
    step.negative_gradients.clear();
    step.negative_gradients.resize(count * stride, 0.0);
    step.biases.clear();
    for g in 0..step.groups.len() {
        let Group { head, pairs } = step.groups[g].clone();
        step.sums.clear();
        step.sums.resize(count, 0.0);
        step.example_gradient.fill(0.0);
        for p in pairs {
            let Pair { tail, items } = step.pairs[p];
            let weight = items * share;
            let first = p * width;
            let own = -weight * step.logits[first];
            let node = slots.nodes[tail as usize];
            add_scaled(own, parameters.entity(node), &mut step.example_gradient);
            add_scaled(own, &step.examples[row(g)], &mut entities[row(tail as usize)]);
            let mut all = 0.0;
            for k in 0..count {
                let negative = weight * step.logits[first + 1 + k];
                step.sums[k] += negative;
                all += negative;
            }
            match negative_bias {
                NegativeBias::PositiveTail => {
                    step.add_to_bias(&mut slots.places, tail, own + all);
                }
                NegativeBias::Own => step.add_to_bias(&mut slots.places, tail, own),
            }
        }
        for k in 0..count {
            let scale = step.sums[k];
            add_scaled(scale, &step.negative_vectors[row(k)], &mut step.example_gradient);
            add_scaled(scale, &step.examples[row(g)], &mut step.negative_gradients[row(k)]);
            if negative_bias == NegativeBias::Own {
                step.add_to_bias(&mut slots.places, step.negatives[k], scale);
            }
        }
        add_scaled(1.0, &step.example_gradient, &mut entities[row(head as usize)]);
        add_scaled(1.0, &step.example_gradient, &mut relations[row(relation)]);
    }
    for (k, &slot) in step.negatives.iter().enumerate() {
        add_scaled(1.0, &step.negative_gradients[row(k)], &mut entities[row(slot as usize)]);
    }
    for &slot in &step.biases {
        let index = parameters.bias_index(relation, slots.nodes[slot as usize]);
        biases.push((index, slots.places[slot as usize].bias));
    }
    loss / items as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::transe::tests::tiny;

    /// The batch's loss item by item in double precision, as the specification writes it.
    fn reference(
        values: &[f64],
        parameters: &Parameters,
        batch: &Batch,
        negatives: &[Vec<u32>; Relation::COUNT],
        negative_bias: NegativeBias,
    ) -> f64 {
        let stride = parameters.stride;
        let (entities, rest) = values.split_at(parameters.entities.len());
        let (relations, biases) = rest.split_at(parameters.relations.len());
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let mut loss = 0.0;
        for relation in Relation::ALL {
            let r = relation as usize;
            let (mut sum, mut items) = (0.0, 0.0);
            for (i, &tail) in batch.tails[r].iter().enumerate() {
                if tail == ABSENT {
                    continue;
                }
                let head = match relation {
                    Relation::Purchase | Relation::Mentions => batch.users[i],
                    _ => batch.products[i],
                } as usize;
                let product = |node: u32| -> f64 {
                    (0..stride)
                        .map(|d| {
                            (entities[head * stride + d] + relations[r * stride + d])
                                * entities[node as usize * stride + d]
                        })
                        .sum()
                };
                let bias = |node: u32| biases[parameters.bias_index(r, node)];
                sum += softplus(-(product(tail) + bias(tail)));
                for &n in &negatives[r] {
                    let b = match negative_bias {
                        NegativeBias::PositiveTail => bias(tail),
                        NegativeBias::Own => bias(n),
                    };
                    sum += softplus(product(n) + b);
                }
                items += 1.0;
            }
            if items > 0.0 {
                loss += sum / items;
            }
        }
        loss
    }

    #[test]
    fn gradient_agrees_with_central_differences_of_the_loss() {
        let (_, space) = tiny(true);
        let node = |ty, i| space.node(ty, i);
        use EntityType::*;
        let mut parameters = Parameters::initial(&space, 10, 7);
        // Away from zero, where all logits would be alike.
        parameters.entities.iter_mut().for_each(|v| *v *= 12.0);
        parameters.relations.iter_mut().for_each(|v| *v *= 12.0);
        for (i, b) in parameters.biases.iter_mut().enumerate() {
            *b = 0.3 * (i as f32).sin();
        }
        let mut batch = Batch::default();
        // Repeated users, products, triples, a head that comes back, and absent tails.
        let items = [(0, 1, 2), (0, 1, 2), (0, 1, 0), (1, 0, 2), (0, 1, 1), (2, 2, 1)];
        for (i, (user, product, word)) in items.into_iter().enumerate() {
            batch.users.push(node(User, user));
            batch.products.push(node(Product, product));
            let tails = &mut batch.tails;
            tails[Relation::Purchase as usize].push(node(Product, product));
            tails[Relation::Mentions as usize].push(node(Word, word));
            tails[Relation::DescribedAs as usize].push(node(Word, word));
            let brand = if product == 2 { ABSENT } else { node(Brand, 1) };
            tails[Relation::ProducedBy as usize].push(brand);
            tails[Relation::BelongsTo as usize].push(node(Category, i as u32 % 2));
            tails[Relation::AlsoBought as usize].push(node(RelatedProduct, i as u32 % 3));
            tails[Relation::AlsoViewed as usize].push(ABSENT);
            tails[Relation::BoughtTogether as usize].push(node(RelatedProduct, 1));
        }
        let negatives = Relation::ALL.map(|relation| {
            let tail = relation.ends().unwrap().1;
            // Repeated, and among the positives.
            [0, 1, 1, 0, 0].map(|i| node(tail, i)).to_vec()
        });
        for negative_bias in [NegativeBias::PositiveTail, NegativeBias::Own] {
            let mut gradient = Gradient::new(&parameters);
            // What an earlier batch leaves behind must not matter.
            gradient.compute(&parameters, &batch, &negatives, negative_bias);
            let loss = gradient.compute(&parameters, &batch, &negatives, negative_bias);
            let mut values: Vec<f64> = [
                parameters.entities.as_slice(),
                parameters.relations.as_slice(),
                parameters.biases.as_slice(),
            ]
            .concat()
            .into_iter()
            .map(f64::from)
            .collect();
            let mut analytic = vec![0.0f32; values.len()];
            let stride = parameters.stride;
            for (node, row) in gradient.entities(stride) {
                let start = node as usize * stride;
                analytic[start..start + stride].copy_from_slice(row);
            }
            let start = parameters.entities.len();
            let end = start + parameters.relations.len();
            analytic[start..end].copy_from_slice(gradient.relations());
            for &(index, value) in gradient.biases() {
                assert_eq!(analytic[end + index], 0.0, "bias {index} comes twice");
                analytic[end + index] = value;
            }
            let reference =
                |values: &[f64]| reference(values, &parameters, &batch, &negatives, negative_bias);
            assert!((loss - reference(&values)).abs() < 1e-5);
            let mut moved = 0;
            for i in 0..values.len() {
                let (at, h) = (values[i], 1e-5);
                values[i] = at + h;
                let above = reference(&values);
                values[i] = at - h;
                let below = reference(&values);
                values[i] = at;
                let numeric = (above - below) / (2.0 * h);
                let padding = i < end && i % stride >= parameters.dimension;
                let error = (f64::from(analytic[i]) - numeric).abs();
                if padding {
                    // The reference sees the padding as values like any other.
                    assert_eq!(analytic[i], 0.0);
                } else {
                    assert!(error < 2e-6 + 1e-5 * numeric.abs(), "{i}: {} {numeric}", analytic[i]);
                }
                moved += usize::from(numeric.abs() > 1e-4);
            }
            assert!(moved > 150, "only {moved} values have a gradient");
        }
    }
}
