//! NDCG of single users, from the lists that rollouts leave in the store.

use crate::agent::rollout::{CUTOFF, Rollout};
use crate::data::Rows;
use crate::kg::Graph;
use crate::metrics::ranking::ranking;
use crate::plan::{Plan, StageKey, StageKind};
use crate::store::ArtefactStore;
use std::collections::{BTreeMap, HashMap};

/// The users of two sets of cells, a cell a seed: the NDCG that each has on either side (percent, missing
/// places counted as misses), mean over the seeds that both sides have. `None` where the store does not
/// have the lists of all these cells, or a defence has changed them after the rollout.
pub fn paired_ndcg(
    store: &ArtefactStore,
    plan: &Plan,
    sides: [&BTreeMap<u64, usize>; 2],
) -> Option<Vec<[f64; 2]>> {
    let mut graphs = HashMap::new();
    // Of each user the sums of both sides, and in how many seeds both have the user.
    let mut sums: BTreeMap<u32, ([f64; 2], u32)> = BTreeMap::new();
    let mut count = 0;
    for (seed, &a) in sides[0] {
        let Some(&b) = sides[1].get(seed) else { continue };
        let (a, b) = (of_cell(store, plan, a, &mut graphs)?, of_cell(store, plan, b, &mut graphs)?);
        for (user, first) in a {
            if let Some(&second) = b.get(&user) {
                let ([left, right], seeds) = sums.entry(user).or_default();
                (*left, *right, *seeds) = (*left + first, *right + second, *seeds + 1);
            }
        }
        count += 1;
    }
    let everywhere = sums.into_values().filter(|(_, seeds)| *seeds == count);
    let means = everywhere.map(|(sums, seeds)| sums.map(|sum| sum / f64::from(seeds)));
    (count > 0).then(|| means.collect())
}

fn of_cell(
    store: &ArtefactStore,
    plan: &Plan,
    cell: usize,
    graphs: &mut HashMap<StageKey, Graph>,
) -> Option<BTreeMap<u32, f64>> {
    let cell = &plan.cells[cell];
    if cell.params.text("defense") == Some("reject") {
        return None;
    }
    let ranking_stage = cell.stages.iter().map(|&stage| &plan.stages[stage]);
    let ranking_stage = ranking_stage.clone().find(|s| s.stage.kind == StageKind::Ranking)?;
    let input = |role: &str| {
        let found = ranking_stage.stage.inputs.iter().find(|input| input.role == role);
        found.map(|input| input.key.clone())
    };
    let (graph, rollout) = (input("graph")?, input("rollout")?);
    store.verify(StageKind::Rollout, &rollout).ok()?;
    let rollout = Rollout::load_lists(&store.path(StageKind::Rollout, &rollout)).ok()?;
    if !graphs.contains_key(&graph) {
        store.verify(StageKind::Graph, &graph).ok()?;
        let loaded = Graph::load(&store.path(StageKind::Graph, &graph)).ok()?;
        graphs.insert(graph.clone(), loaded);
    }
    let mut lists = Rows::new();
    (0..rollout.users.len()).for_each(|at| lists.push(rollout.list(at).iter().copied()));
    let test = &graphs.get(&graph)?.test_products;
    let users = rollout.user_range();
    // `ranking` takes them as given; a file need not be what its key says.
    if users.len() != lists.len() || users.end as usize > test.len() {
        return None;
    }
    let report = ranking(users, &lists, test, CUTOFF);
    let scores = report.scores.iter().map(|scores| scores.ndcg);
    Some(report.users.iter().copied().zip(scores).collect())
}
