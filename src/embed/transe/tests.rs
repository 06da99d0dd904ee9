//! What TransE learns, that it repeats, and that it goes on from a checkpoint to the same bits.

use super::*;
use crate::data::{Interactions, Rows};
use crate::kg::EntityType;
use crate::plan::{Stage, StageKind};
use crate::store::checkpoint::{self, Origin};

fn rows(rows: &[&[u32]]) -> Rows {
    let mut out = Rows::new();
    rows.iter().for_each(|row| out.push(row.iter().copied()));
    out
}

/// 3 users, 4 products, 3 words, 2 brands, 2 categories, 3 related products.
pub fn tiny(has_words: bool) -> (Dataset, NodeSpace) {
    let words: &[&[u32]] = &[&[0, 1, 1], &[], &[2, 2, 0, 1], &[1], &[0, 0]];
    let dataset = Dataset {
        counts: [3, 4, if has_words { 3 } else { 0 }, 2, 2, 3],
        has_words,
        train: Interactions {
            users: vec![0, 0, 1, 2, 2],
            products: vec![0, 1, 1, 2, 3],
            words: rows(if has_words { words } else { &[&[] as &[u32]; 5] }),
        },
        test: Interactions { users: vec![0], products: vec![3], words: rows(&[&[]]) },
        product_relations: [
            rows(&[&[0], &[1], &[], &[1]]),
            rows(&[&[0, 1], &[1], &[0], &[0, 1]]),
            rows(&[&[0, 1, 2, 1], &[], &[2], &[0]]),
            rows(&[&[], &[], &[], &[]]),
            rows(&[&[2], &[], &[], &[1]]),
        ],
    };
    let space = NodeSpace::new(dataset.counts);
    (dataset, space)
}

fn graph(space: &NodeSpace) -> Graph {
    Graph {
        space: space.clone(),
        offsets: vec![0; space.len() + 1],
        relations: Vec::new(),
        tails: Vec::new(),
        train_products: rows(&[&[0, 1], &[1], &[2, 3]]),
        test_products: rows(&[&[3], &[], &[]]),
    }
}

fn small() -> TransEParams {
    TransEParams {
        dimension: 12,
        epochs: 40,
        batch: 4,
        // Tiny data has only frequent words: keep them all.
        subsample: 1.0,
        ..TransEParams::default()
    }
}

fn never(_: EpochReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn the_loss_falls_and_purchases_score_above_other_products() {
    for (has_words, optimizer, learning_rate) in
        [(true, Optimizer::Sgd, 0.5), (false, Optimizer::Sgd, 0.5), (true, Optimizer::Adagrad, 0.1)]
    {
        let (dataset, space) = tiny(has_words);
        let params =
            TransEParams { epochs: 200, subsample: 1.0, optimizer, learning_rate, ..small() };
        let (embeddings, metrics) = train(&dataset, &graph(&space), &params, &mut never).unwrap();
        assert_eq!(metrics.len(), 200);
        assert_eq!(
            (metrics[0].name.as_str(), metrics[0].split.as_str()),
            ("train_loss", "epoch/1")
        );
        assert!(metrics[199].value < 0.8 * metrics[0].value, "{metrics:?}");
        let score = |user: u32, product: u32| -> f32 {
            let user = embeddings.entity(space.node(EntityType::User, user));
            let product = embeddings.entity(space.node(EntityType::Product, product));
            let relation = embeddings.relation(Relation::Purchase);
            (0..12).map(|d| (user[d] + relation[d]) * product[d]).sum()
        };
        assert!(score(1, 1) > score(1, 0) && score(1, 1) > score(1, 2));
        assert!(embeddings.relation(Relation::SelfLoop).iter().all(|&v| v == 0.0));
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let (dataset, space) = tiny(true);
    let run = |seed| {
        let params = TransEParams { seed, ..small() };
        train(&dataset, &graph(&space), &params, &mut never).unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn without_epochs_the_vectors_are_the_initial_ones() {
    let (dataset, space) = tiny(true);
    let params = TransEParams { epochs: 0, ..small() };
    let (embeddings, metrics) = train(&dataset, &graph(&space), &params, &mut never).unwrap();
    assert!(metrics.is_empty());
    let bound = 0.5 / 12.0;
    assert!(embeddings.entities.iter().all(|v| v.abs() <= bound));
    let largest = embeddings.entities.iter().fold(0.0f32, |a, v| a.max(v.abs()));
    assert!(largest > 0.9 * bound);
}

#[test]
fn parameters_are_read_by_their_grid_names() {
    let text = serde_json::json!({"method": "transe", "optimizer": "adagrad", "batch": 512,
        "negative_bias": "own", "seed": 9});
    let params: TransEParams = serde_json::from_value(text).unwrap();
    assert_eq!((params.batch, params.seed, params.epochs), (512, 9, 30));
    let unknown = serde_json::json!({"epoch": 3});
    assert!(serde_json::from_value::<TransEParams>(unknown).is_err());
}

#[test]
fn errors_say_what_to_change() {
    let (dataset, space) = tiny(true);
    let graph = graph(&space);
    let fail = |params: TransEParams, dataset: &Dataset| {
        train(dataset, &graph, &params, &mut |r| {
            if r.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap_err()
        .to_string()
    };
    insta::assert_snapshot!(fail(TransEParams { clip: 0.0, ..small() }, &dataset), @"embedding parameter `clip` is 0; it must be a number above 0");
    insta::assert_snapshot!(fail(TransEParams { batch: 0, ..small() }, &dataset), @"embedding parameter `batch` is 0; it must be at least 1");
    insta::assert_snapshot!(fail(small(), &dataset), @"training of the embedding was stopped after epoch 2");
    insta::assert_snapshot!(fail(TransEParams { learning_rate: 1e30, clip: 1e30, ..small() }, &dataset), @"the embedding's loss was no longer a number in epoch 1; try a smaller `embedding.learning_rate`");
    let mut empty = dataset.clone();
    empty.train = Interactions { words: Rows::new(), ..Interactions::default() };
    insta::assert_snapshot!(fail(small(), &empty), @"the dataset has no review word in its train part to learn an embedding from");
    let mut other = dataset.clone();
    other.counts[0] += 1;
    insta::assert_snapshot!(fail(small(), &other), @"the graph was made from another dataset: their numbers of entities differ");
}

/// Trains in as many attempts as there are epochs, each stopped after one of them; `between` may do
/// something to the checkpoint's folder before an attempt. Returns the first epoch of each attempt, too.
fn in_attempts(
    params: &TransEParams,
    between: &mut dyn FnMut(&std::path::Path, usize),
) -> (Embeddings, Vec<Metric>, Vec<u64>) {
    let (dataset, space) = tiny(true);
    let graph = graph(&space);
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(StageKind::Embedding, serde_json::Map::new(), Vec::new());
    let origin = Origin::new(stage.key(), "cpu");
    let mut firsts = Vec::new();
    loop {
        between(folder.path(), firsts.len());
        let mut checkpoint = Checkpoint::open(folder.path(), origin.clone(), checkpoint::INTERVAL);
        let mut stop_at_once = |report: EpochReport| {
            firsts.push(report.epoch);
            ControlFlow::Break(())
        };
        match resume(&dataset, &graph, params, &mut checkpoint, &mut stop_at_once) {
            Err(TransEError::Stopped { epoch }) => assert_eq!(Some(&epoch), firsts.last()),
            other => {
                let (embeddings, metrics) = other.unwrap();
                return (embeddings, metrics, firsts);
            }
        }
    }
}

#[test]
fn attempts_go_on_to_the_bits_of_an_undisturbed_training() {
    let (dataset, space) = tiny(true);
    for (optimizer, learning_rate) in [(Optimizer::Sgd, 0.5), (Optimizer::Adagrad, 0.1)] {
        let params = TransEParams { epochs: 8, optimizer, learning_rate, ..small() };
        let whole = train(&dataset, &graph(&space), &params, &mut never).unwrap();
        let (embeddings, metrics, firsts) = in_attempts(&params, &mut |_, _| {});
        assert_eq!(firsts, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((embeddings, metrics), whole, "{optimizer:?}");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_used_costs_epochs_and_no_bit() {
    let (dataset, space) = tiny(true);
    let params = TransEParams { epochs: 5, optimizer: Optimizer::Adagrad, ..small() };
    let whole = train(&dataset, &graph(&space), &params, &mut never).unwrap();
    let damages: [&dyn Fn(Vec<u8>) -> Vec<u8>; 2] =
        [&|bytes| bytes[..bytes.len() / 2].to_vec(), &|mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            bytes
        }];
    for damage in damages {
        let (embeddings, metrics, firsts) = in_attempts(&params, &mut |folder, attempt| {
            if attempt == 3 {
                let file = folder.join(checkpoint::FILE);
                std::fs::write(&file, damage(std::fs::read(&file).unwrap())).unwrap();
            }
        });
        assert_eq!(firsts, [1, 2, 3, 1, 2, 3, 4, 5]);
        assert_eq!((embeddings, metrics), whole);
    }
}
