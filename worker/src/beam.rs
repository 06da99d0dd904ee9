//! Beam search over paths, clean or under attack (SPEC sections 5 and 6). Batch sizes are constants of
//! the program and each batch is computed by one thread, so results do not depend on the machine's
//! cores.

use crate::policy::{DropoutMasks, Policy, masked, to_vec};
use crate::victim::NetworkVictim;
use advrec::agent::environment::{Actions, Environment};
use advrec::agent::path::{HOPS, Path};
use advrec::agent::recommendation::recommend;
use advrec::agent::rollout::{CUTOFF, MISSING, Rollout};
use advrec::attack::{self, AttackParams, Place, States, timing};
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

/// Bit of a place's hop that keeps the attacker's dropout draws apart from the agent's own.
const ATTACKER: u64 = 1 << 32;

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
            Walker::Network(policy) => Walker::Network(Policy {
                tensors: policy.tensors.iter().map(Tensor::shallow_clone).collect(),
                dropout: policy.dropout,
            }),
        }
    }
}

/// What was done to the states of a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Realised {
    /// Time steps walked.
    pub steps: u64,
    /// Attacked time steps whose best action changed.
    pub flipped: u64,
    /// Number of dimensions moved, and norms, of each attacked time step's perturbation.
    pub l0: Vec<f32>,
    pub l1: Vec<f32>,
    pub l2: Vec<f32>,
    pub linf: Vec<f32>,
}

impl Realised {
    /// Number of attacked time steps.
    pub fn attacked(&self) -> u64 {
        self.l2.len() as u64
    }

    fn note(&mut self, delta: &[f32]) {
        let (mut l0, mut l1, mut l2, mut linf) = (0u32, 0f64, 0f64, 0f32);
        for &x in delta {
            l0 += u32::from(x != 0.0);
            l1 += f64::from(x.abs());
            l2 += f64::from(x) * f64::from(x);
            linf = linf.max(x.abs());
        }
        self.l0.push(l0 as f32);
        self.l1.push(l1 as f32);
        self.l2.push(l2.sqrt() as f32);
        self.linf.push(linf);
    }

    fn append(&mut self, other: Self) {
        self.steps += other.steps;
        self.flipped += other.flipped;
        self.l0.extend(other.l0);
        self.l1.extend(other.l1);
        self.l2.extend(other.l2);
        self.linf.extend(other.linf);
    }
}

/// A beam search to be run.
pub struct BeamSearch<'a> {
    pub environment: &'a Environment<'a>,
    /// Actions taken at each hop.
    pub topk: [usize; HOPS],
    pub attack: AttackParams,
    /// Seeds dropout at evaluation (where it is on) and the random walk.
    pub seed: u64,
    /// Whether the agent keeps dropout on, as PGPR does.
    pub dropout_at_eval: bool,
    pub batches: Batches,
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
                (batch, walker.shallow_clone(), entities.as_ref().map(Tensor::shallow_clone))
            })
            .collect();
        let parts: Vec<(Frontier, Realised)> = batches
            .into_par_iter()
            .map(|(batch, walker, entities)| {
                if progress(0).is_break() {
                    return Default::default();
                }
                let part = self.batch(batch, &walker, entities.as_ref());
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

    fn batch(
        &self,
        users: &[u32],
        walker: &Walker,
        entities: Option<&Tensor>,
    ) -> (Frontier, Realised) {
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
                self.step(hop, &frontier, rows, &actions, walker, &mut next, &mut realised);
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
        walker: &Walker,
        next: &mut Frontier,
        realised: &mut Realised,
    ) {
        let places = &frontier.places[rows.clone()];
        let counts = &actions.counts[rows.clone()];
        let width = actions.width;
        let mut attacked = vec![false; places.len()];
        let probabilities = match walker {
            Walker::RandomWalk => self.random_ranks(places, counts, width),
            Walker::Network(policy) => {
                let paths = &frontier.paths[rows.clone()];
                self.ask(policy, paths, places, counts, &mut attacked, realised)
            }
        };
        realised.steps += places.len() as u64;
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
                let probability = match walker {
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
        paths: &[Path],
        places: &[Place],
        counts: &[u32],
        attacked: &mut [bool],
        realised: &mut Realised,
    ) -> Vec<f32> {
        let device = policy.device();
        let dim = self.environment.state_dim();
        let width = policy.action_count();
        let mut flat = vec![0f32; paths.len() * dim];
        self.environment.states(paths, &mut flat);
        let tensor = |values: &[f32]| {
            Tensor::from_slice(values).reshape([paths.len() as i64, dim as i64]).to_device(device)
        };
        let mask = valid_actions(counts, width).to_device(device);
        let dropout = self.dropout(policy, places, 0);
        let logits = |states: &Tensor| masked(&policy.logits(states, dropout.as_ref()), &mask);
        let clean = tensor(&flat);
        for (attacked, place) in attacked.iter_mut().zip(places) {
            *attacked = timing::acts(&self.attack, *place);
        }
        let acting: Vec<i64> = (0..paths.len() as i64).filter(|&i| attacked[i as usize]).collect();
        if !acting.is_empty() {
            self.perturb(policy, &mut flat, places, counts, &acting, realised);
        }
        tch::no_grad(|| {
            let seen = logits(&tensor(&flat));
            if !acting.is_empty() {
                // The same dropout draws before and after: a flip is the perturbation's doing.
                let flips =
                    logits(&clean).argmax(-1, false).not_equal_tensor(&seen.argmax(-1, false));
                let at = Tensor::from_slice(&acting).to_device(device);
                let flips = flips.index_select(0, &at).sum(Kind::Int64);
                realised.flipped += flips.int64_value(&[]) as u64;
            }
            to_vec(&seen.softmax(-1, Kind::Float))
        })
    }

    fn dropout(&self, policy: &Policy, places: &[Place], who: u64) -> Option<DropoutMasks> {
        if !self.dropout_at_eval {
            return None;
        }
        let keys = places.iter().map(move |place| {
            let [user, hop, path] = place.key();
            [user, hop | who, path]
        });
        policy.dropout_masks(self.seed, Purpose::AgentEvaluation, keys)
    }

    /// Adds the perturbation to the acting rows of the states `[rows, d]`, and notes its size.
    fn perturb(
        &self,
        policy: &Policy,
        states: &mut [f32],
        places: &[Place],
        counts: &[u32],
        acting: &[i64],
        realised: &mut Realised,
    ) {
        let Some(attack) = attack::build(&self.attack) else { return };
        let dim = self.environment.state_dim();
        let width = policy.action_count();
        let places: Vec<Place> = acting.iter().map(|&i| places[i as usize]).collect();
        let mut values = Vec::with_capacity(acting.len() * dim);
        let mut mask = Vec::with_capacity(acting.len() * width);
        for &i in acting {
            values.extend_from_slice(&states[i as usize * dim..(i as usize + 1) * dim]);
            mask.extend((0..width as u32).map(|action| action < counts[i as usize]));
        }
        let victim = NetworkVictim { policy, dropout: self.dropout(policy, &places, ATTACKER) };
        let delta =
            attack.perturb(&victim, &States { dim, values: &values, mask: &mask, places: &places });
        for (&i, delta) in acting.iter().zip(delta.chunks_exact(dim)) {
            let state = &mut states[i as usize * dim..(i as usize + 1) * dim];
            state.iter_mut().zip(delta).for_each(|(s, d)| *s += d);
            realised.note(delta);
        }
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
