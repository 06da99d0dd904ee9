//! Beam search over paths, clean or under attack (SPEC sections 5 and 6). Batch sizes are constants of
//! the program and each batch is computed by one thread, so results do not depend on the machine's
//! cores.

use crate::attacker::{Attacker, Scene};
use crate::policy::{Policy, masked, to_vec};
use crate::realised::Realised;
use advrec::agent::environment::{Actions, Environment};
use advrec::agent::path::{HOPS, Path};
use advrec::agent::recommendation::recommend;
use advrec::agent::rollout::{CUTOFF, MISSING, Rollout};
use advrec::attack::{Place, States};
use advrec::kg::EntityType;
use advrec::random::{Purpose, generator};
use rand::Rng;
use rayon::prelude::*;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};

/// How much is computed together. The last bits of a matrix product depend on its shape, so stages
/// always take the default, on every machine; only tests take others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// Users that share one batch of user-node products.
    pub users: usize,
    /// States that pass through the network together.
    pub states: usize,
}

impl Default for Batches {
    fn default() -> Self {
        Self { users: 64, states: 2048 }
    }
}

/// Who walks.
pub enum Walker {
    Network(Policy),
    /// Every valid action is equally probable; the beam takes random ones.
    RandomWalk,
}

impl Walker {
    fn shallow_clone(&self) -> Self {
        match self {
            Walker::RandomWalk => Walker::RandomWalk,
            Walker::Network(policy) => Walker::Network(policy.shallow_clone()),
        }
    }
}

/// A beam search to be run.
pub struct BeamSearch<'a> {
    pub environment: &'a Environment<'a>,
    /// Actions taken at each hop.
    pub topk: [usize; HOPS],
    /// Seeds dropout at evaluation (where it is on) and the random walk.
    pub seed: u64,
    /// Whether the agent keeps dropout on, as PGPR does.
    pub dropout_at_eval: bool,
    pub batches: Batches,
}

/// Walker and attacker of one batch.
struct Turn {
    walker: Walker,
    attacker: Attacker,
}

/// Rows of one hop: where the agent is asked.
struct Spot<'a> {
    hop: usize,
    paths: &'a [Path],
    places: &'a [Place],
    /// Valid actions of each row.
    counts: &'a [u32],
    /// What they are, of all rows of the hop.
    actions: &'a Actions,
    /// Place of the first row among those.
    first: usize,
}

impl Spot<'_> {
    /// The path of a row after each of its valid actions.
    fn extended(&self, row: usize) -> Vec<Path> {
        let step = |action: u32| {
            let (relation, tail) = self.actions.get(self.first + row, action as usize);
            self.paths[row].step(relation, tail)
        };
        (0..self.counts[row]).map(step).collect()
    }
}

/// Paths on their way, in flat arrays.
#[derive(Default)]
struct Frontier {
    paths: Vec<Path>,
    /// Row of the path's user in the batch.
    user_rows: Vec<u32>,
    places: Vec<Place>,
    probabilities: Vec<f32>,
    attacked: Vec<u8>,
}

impl BeamSearch<'_> {
    /// Walks for users (indices) and makes their lists; `progress` hears of users done and may break
    /// off, after which users without paths are left.
    pub fn run(
        &self,
        users: std::ops::Range<u32>,
        walker: &Walker,
        attacker: &Attacker,
        progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
    ) -> (Rollout, Realised) {
        let users: Vec<u32> = users.collect();
        let device = match walker {
            Walker::Network(policy) => policy.device(),
            Walker::RandomWalk => Device::Cpu,
        };
        let entities = self.environment.trims().then(|| self.entities().to_device(device));
        // Tensors are counted references that may move between threads but not be shared, so each
        // batch gets its own.
        let batches: Vec<_> = users
            .chunks(self.batches.users)
            .map(|batch| {
                let entities = entities.as_ref().map(Tensor::shallow_clone);
                (
                    batch,
                    Turn { walker: walker.shallow_clone(), attacker: attacker.shallow_clone() },
                    entities,
                )
            })
            .collect();
        let parts: Vec<(Frontier, Realised)> = batches
            .into_par_iter()
            .map(|(batch, turn, entities)| {
                if progress(0).is_break() {
                    return Default::default();
                }
                let part = self.batch(batch, &turn, entities.as_ref());
                let _ = progress(batch.len());
                part
            })
            .collect();
        let mut rollout = Rollout::new();
        let mut realised = Realised::default();
        for (batch, (frontier, part)) in users.chunks(self.batches.users).zip(parts) {
            realised.append(part);
            self.append(&mut rollout, batch, &frontier);
        }
        (rollout, realised)
    }

    fn entities(&self) -> Tensor {
        let embeddings = self.environment.embeddings;
        Tensor::from_slice(&embeddings.entities).reshape([-1, embeddings.dimension as i64])
    }

    /// Appends the whole paths of a batch of users and their lists.
    fn append(&self, rollout: &mut Rollout, users: &[u32], frontier: &Frontier) {
        let mut start = 0;
        for (row, &user) in users.iter().enumerate() {
            let end = start + frontier.user_rows[start..].partition_point(|&r| r as usize <= row);
            let list = recommend(
                self.environment,
                &frontier.paths[start..end],
                &frontier.probabilities[start..end],
                CUTOFF,
            );
            let base = rollout.paths.len() as u32;
            for place in 0..CUTOFF {
                let entry = list.get(place);
                rollout.products.push(entry.map_or(MISSING, |r| r.product));
                rollout.list_paths.push(entry.map_or(MISSING, |r| base + r.path));
            }
            rollout.users.push(user);
            rollout.paths.extend_from_slice(&frontier.paths[start..end]);
            rollout.probabilities.extend_from_slice(&frontier.probabilities[start..end]);
            rollout.attacked.extend_from_slice(&frontier.attacked[start..end]);
            rollout.offsets.push(rollout.paths.len() as u64);
            start = end;
        }
    }

    fn batch(&self, users: &[u32], turn: &Turn, entities: Option<&Tensor>) -> (Frontier, Realised) {
        let space = &self.environment.graph.space;
        let mut frontier = Frontier::default();
        for (row, &user) in users.iter().enumerate() {
            frontier.paths.push(Path::start(space.node(EntityType::User, user)));
            frontier.user_rows.push(row as u32);
            frontier.places.push(Place { user, hop: 0, path: 0 });
            frontier.probabilities.push(1.0);
            frontier.attacked.push(0);
        }
        let dots = entities.map(|entities| {
            let first = i64::from(space.node(EntityType::User, users[0]));
            let users = entities.narrow(0, first, users.len() as i64);
            to_vec(&users.matmul(&entities.tr()))
        });
        let mut realised = Realised::default();
        let mut actions = Actions::new(self.environment.width());
        for hop in 0..HOPS {
            let dots = dots.as_deref().map(|dots| (dots, &frontier.user_rows[..]));
            self.environment.actions(&frontier.paths, dots, &mut actions);
            let mut next = Frontier::default();
            for start in (0..frontier.paths.len()).step_by(self.batches.states) {
                let rows = start..(start + self.batches.states).min(frontier.paths.len());
                self.step(hop, &frontier, rows, &actions, turn, &mut next, &mut realised);
            }
            frontier = next;
        }
        (frontier, realised)
    }

    /// One hop of some rows: attacks their states, asks the agent, and keeps the top actions.
    #[allow(clippy::too_many_arguments)] // Called from one place; a struct would only rename them.
    fn step(
        &self,
        hop: usize,
        frontier: &Frontier,
        rows: std::ops::Range<usize>,
        actions: &Actions,
        turn: &Turn,
        next: &mut Frontier,
        realised: &mut Realised,
    ) {
        let places = &frontier.places[rows.clone()];
        let counts = &actions.counts[rows.clone()];
        let width = actions.width;
        let mut attacked = vec![false; places.len()];
        let probabilities = match &turn.walker {
            Walker::RandomWalk => self.random_ranks(places, counts, width),
            Walker::Network(policy) => {
                let paths = &frontier.paths[rows.clone()];
                let spot = Spot { hop, paths, places, counts, actions, first: rows.start };
                self.ask(policy, &turn.attacker, &spot, &mut attacked, realised)
            }
        };
        realised.steps[hop] += places.len() as u64;
        let mut top = Vec::with_capacity(self.topk[hop] + 1);
        for (i, row) in rows.enumerate() {
            let valid = &probabilities[i * width..i * width + counts[i] as usize];
            most_probable(valid, self.topk[hop], &mut top);
            for &action in &top {
                let (relation, tail) = actions.get(row, action as usize);
                let user_row = frontier.user_rows[row];
                let path = match (next.user_rows.last(), next.places.last()) {
                    (Some(&last), Some(place)) if last == user_row => place.path + 1,
                    _ => 0,
                };
                let probability = match turn.walker {
                    Walker::Network(_) => valid[action as usize],
                    Walker::RandomWalk => 1.0 / valid.len() as f32,
                };
                next.paths.push(frontier.paths[row].step(relation, tail));
                next.user_rows.push(user_row);
                next.places.push(Place { hop: hop as u32 + 1, path, ..places[i] });
                next.probabilities.push(frontier.probabilities[row] * probability);
                next.attacked.push(frontier.attacked[row] | (u8::from(attacked[i]) << hop));
            }
        }
    }

    /// Draws that stand for the rank of each action in a random walk, `[rows, width]`.
    fn random_ranks(&self, places: &[Place], counts: &[u32], width: usize) -> Vec<f32> {
        let mut ranks = vec![0f32; places.len() * width];
        for ((row, place), &count) in ranks.chunks_mut(width).zip(places).zip(counts) {
            let mut rng = generator(self.seed, Purpose::RandomWalk, place.key());
            row[..count as usize].fill_with(|| rng.random());
        }
        ranks
    }

    /// The agent's probabilities `[rows, width]` at the states that it sees.
    fn ask(
        &self,
        policy: &Policy,
        attacker: &Attacker,
        spot: &Spot<'_>,
        attacked: &mut Vec<bool>,
        realised: &mut Realised,
    ) -> Vec<f32> {
        let &Spot { hop, paths, places, counts, .. } = spot;
        let device = policy.device();
        let dim = self.environment.state_dim();
        let width = policy.action_count();
        let mut clean = vec![0f32; paths.len() * dim];
        self.environment.states(paths, &mut clean);
        let mask = valid_actions(counts, width).to_device(device);
        let dropout = self.dropout_at_eval.then(|| {
            let keys = places.iter().map(|place| place.key());
            policy.dropout_masks(self.seed, Purpose::AgentEvaluation, keys)
        });
        let dropout = dropout.flatten();
        let logits = |values: &[f32]| {
            let states = Tensor::from_slice(values).reshape([paths.len() as i64, dim as i64]);
            masked(&policy.logits(&states.to_device(device), dropout.as_ref()), &mask)
        };
        let softmax = |logits: &Tensor| to_vec(&logits.softmax(-1, Kind::Float));
        let at_clean = tch::no_grad(|| logits(&clean));
        if attacker.is_idle() {
            return softmax(&at_clean);
        }
        let valid: Vec<bool> =
            counts.iter().flat_map(|&n| (0..width as u32).map(move |action| action < n)).collect();
        let scene = Scene {
            policy,
            hop,
            states: States { dim, values: &clean, mask: &valid, places },
            clean: &|| softmax(&at_clean),
            seen: &|values| tch::no_grad(|| softmax(&logits(values))),
            extended: &|row| spot.extended(row),
        };
        let mut seen = clean.clone();
        *attacked = attacker.act(&scene, &mut seen, realised);
        let acting: Vec<i64> = (0..paths.len() as i64).filter(|&i| attacked[i as usize]).collect();
        if acting.is_empty() {
            return softmax(&at_clean);
        }
        let at_seen = tch::no_grad(|| logits(&seen));
        // The same dropout draws before and after: a flip is the perturbation's doing.
        let flips = at_clean.argmax(-1, false).not_equal_tensor(&at_seen.argmax(-1, false));
        let at = Tensor::from_slice(&acting).to_device(device);
        let flips = flips.index_select(0, &at).sum(Kind::Int64);
        realised.flipped[hop] += flips.int64_value(&[]) as u64;
        softmax(&at_seen)
    }
}

/// Mask `[rows, width]` of the first `counts[i]` actions of each row.
pub fn valid_actions(counts: &[u32], width: usize) -> Tensor {
    let counts: Vec<i64> = counts.iter().map(|&n| i64::from(n)).collect();
    let slots = Tensor::arange(width as i64, (Kind::Int64, Device::Cpu)).unsqueeze(0);
    slots.less_tensor(&Tensor::from_slice(&counts).unsqueeze(1))
}

/// The indices of the `k` greatest numbers, greatest first, of equals the first.
fn most_probable(probabilities: &[f32], k: usize, top: &mut Vec<u32>) {
    top.clear();
    for (i, &p) in probabilities.iter().enumerate() {
        let full = top.len() == k;
        if full && top.last().is_none_or(|&last| p <= probabilities[last as usize]) {
            continue;
        }
        if full {
            top.pop();
        }
        let at = top.partition_point(|&j| probabilities[j as usize] >= p);
        top.insert(at, i as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_probable_takes_the_first_of_equals() {
        let mut top = Vec::new();
        most_probable(&[0.1, 0.4, 0.1, 0.4, 0.0], 3, &mut top);
        assert_eq!(top, [1, 3, 0]);
        most_probable(&[0.5, 0.5], 3, &mut top);
        assert_eq!(top, [0, 1]);
        most_probable(&[0.2, 0.5], 0, &mut top);
        assert!(top.is_empty());
    }
}
