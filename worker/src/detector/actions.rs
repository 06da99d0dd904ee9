//! Paths as sequences of action embeddings (SPEC section 8), and how many are looked at together.

use advrec::agent::Path;
use advrec::agent::path::HOPS;
use advrec::drift::PathInput;
use advrec::embed::Embeddings;
use advrec::kg::Relation;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// Time steps of a whole path: the user, then each hop.
pub const STEPS: usize = HOPS + 1;

/// Paths that are scored together. A batch that is not full is filled up, so that the shape of every
/// product, and with it the last bits of a path's score, are the same in any company.
pub const BATCH: usize = 1024;

/// The tables that action embeddings are gathered from, on a device.
#[derive(Debug)]
pub struct Actions {
    /// `[nodes, d]`.
    entities: Tensor,
    /// `[9, d]`; the self-loop's row is zero.
    relations: Tensor,
    input: PathInput,
}

impl Actions {
    /// Puts the tables on a device.
    pub fn new(embeddings: &Embeddings, input: PathInput, device: Device) -> Self {
        let table = |values: &[f32]| {
            Tensor::from_slice(values).view([-1, embeddings.dimension as i64]).to_device(device)
        };
        Self {
            entities: table(&embeddings.entities),
            relations: table(&embeddings.relations),
            input,
        }
    }

    /// Numbers of one action's embedding.
    pub fn width(&self) -> i64 {
        let dimension = self.entities.size()[1];
        if self.input == PathInput::Both { 2 * dimension } else { dimension }
    }

    /// Where the tables are.
    pub fn device(&self) -> Device {
        self.entities.device()
    }

    /// The same tables for another thread.
    pub fn shallow_clone(&self) -> Self {
        Self {
            entities: self.entities.shallow_clone(),
            relations: self.relations.shallow_clone(),
            input: self.input,
        }
    }

    /// Embeddings of the first steps of each path, `[steps, n, width]`, float32. Step 0 is the user's
    /// entity and the self-loop, step t the entity at the end of hop t and its relation; with
    /// `both` the entity comes first.
    pub fn gather(&self, paths: &[Path], steps: usize) -> Tensor {
        let rows = |table: &Tensor, id: &dyn Fn(usize, &Path) -> i64| {
            let ids: Vec<i64> =
                (0..steps).flat_map(|step| paths.iter().map(move |path| id(step, path))).collect();
            let ids = Tensor::from_slice(&ids).to_device(table.device());
            table.index_select(0, &ids).view([steps as i64, paths.len() as i64, -1])
        };
        let entities = || rows(&self.entities, &|step, path| i64::from(path.nodes[step]));
        let relations = || {
            rows(&self.relations, &|step, path| match step {
                0 => Relation::SelfLoop as i64,
                _ => i64::from(path.relations[step - 1]),
            })
        };
        match self.input {
            PathInput::Entity => entities(),
            PathInput::Relation => relations(),
            PathInput::Both => Tensor::cat(&[entities(), relations()], -1),
        }
    }

    /// The whole paths' embeddings one after the other, `[n, 4·width]`, float64.
    pub fn concatenated(&self, paths: &[Path]) -> Tensor {
        let steps = self.gather(paths, STEPS).to_kind(Kind::Double);
        steps.transpose(0, 1).reshape([paths.len() as i64, -1])
    }

    /// The mean over the steps of the whole paths, `[n, width]`, float64.
    pub fn mean(&self, paths: &[Path]) -> Tensor {
        self.gather(paths, STEPS).to_kind(Kind::Double).mean_dim([0i64].as_slice(), false, None)
    }
}

/// Scores paths a batch of [`BATCH`] at a time, across cores, and joins the rows. `score` makes of a
/// whole batch a tensor `[BATCH, columns]`. Tensors may move between threads but not be shared, so each
/// batch gets a clone of what it is scored with.
pub(super) fn in_batches<S: Send>(
    paths: &[Path],
    clone: impl Fn() -> S,
    score: impl Fn(&S, &[Path]) -> Tensor + Sync,
) -> Vec<f64> {
    let batches: Vec<(&[Path], S)> = paths.chunks(BATCH).map(|batch| (batch, clone())).collect();
    let rows: Vec<Vec<f64>> = batches
        .into_par_iter()
        .map(|(batch, state)| {
            let scored = tch::no_grad(|| match batch.len() {
                BATCH => score(&state, batch),
                _ => {
                    let mut full = batch.to_vec();
                    full.resize(BATCH, batch[0]);
                    score(&state, &full).narrow(0, 0, batch.len() as i64)
                }
            });
            to_vec(&scored)
        })
        .collect();
    rows.concat()
}

/// The numbers of a tensor, row by row, in double precision.
pub(super) fn to_vec(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double).contiguous().view(-1);
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use advrec::kg::NodeSpace;

    #[test]
    fn an_action_is_its_entity_its_relation_or_both() {
        let mut relations: Vec<f32> = (0..9).map(|i| i as f32 + 0.5).collect();
        relations[Relation::SelfLoop as usize] = 0.0;
        let embeddings = Embeddings {
            space: NodeSpace::new([5, 0, 0, 0, 0, 0]),
            dimension: 1,
            entities: vec![10.0, 11.0, 12.0, 13.0, 14.0],
            relations,
        };
        let paths = [Path::start(4).step(1, 0).step(2, 3).step(8, 3), Path::start(1)];
        let of = |input| Actions::new(&embeddings, input, Device::Cpu);
        let gather = |input, steps| to_vec(&of(input).gather(&paths, steps));
        assert_eq!(gather(PathInput::Entity, 2), [14.0, 11.0, 10.0, 11.0]);
        assert_eq!(gather(PathInput::Relation, 3), [0.0, 0.0, 1.5, 0.0, 2.5, 0.0]);
        assert_eq!(gather(PathInput::Both, 2), [14.0, 0.0, 11.0, 0.0, 10.0, 1.5, 11.0, 0.0]);
        assert_eq!((of(PathInput::Both).width(), of(PathInput::Relation).width()), (2, 1));
        let rows = to_vec(&of(PathInput::Both).concatenated(&paths[..1]));
        assert_eq!(rows, [14.0, 0.0, 10.0, 1.5, 13.0, 2.5, 13.0, 0.0]);
        assert_eq!(to_vec(&of(PathInput::Both).mean(&paths[..1])), [12.5, 1.0]);
    }
}
