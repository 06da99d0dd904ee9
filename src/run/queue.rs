//! Which stage is next: those that others wait for most come first, and the order is the same in
//! every run.

use crate::plan::Plan;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting,
    Ready,
    /// Handed out.
    Out,
    Done,
    Failed,
    Blocked,
}

/// The stages of a plan that are to run.
#[derive(Debug)]
pub struct Queue {
    places: Vec<Place>,
    /// How many of a stage's needs are not done.
    unmet: Vec<usize>,
    dependants: Vec<Vec<usize>>,
    priorities: Vec<u64>,
    ready: BinaryHeap<(u64, Reverse<usize>)>,
}

impl Queue {
    /// A queue of the stages that are not `done`. `order_seed` replaces the order among ready stages
    /// by an arbitrary one, which must not change any result.
    pub fn new(plan: &Plan, done: &[bool], order_seed: Option<u64>) -> Self {
        let count = plan.stages.len();
        let mut dependants = vec![Vec::new(); count];
        let mut unmet = vec![0; count];
        for (index, stage) in plan.stages.iter().enumerate() {
            for &need in &stage.needs {
                dependants[need].push(index);
                unmet[index] += usize::from(!done[need]);
            }
        }
        let mut priorities = vec![0u64; count];
        match order_seed {
            Some(seed) => {
                for (index, priority) in priorities.iter_mut().enumerate() {
                    let hash = blake3::hash(format!("{seed}/{index}").as_bytes());
                    let mut word = [0; 8];
                    word.copy_from_slice(&hash.as_bytes()[..8]);
                    *priority = u64::from_le_bytes(word);
                }
            }
            // How many stages wait for it, counted once a path: a stage always comes before those
            // that need it, and the long chains before the short ones.
            None => {
                for index in (0..count).rev() {
                    let weigh = |total: u64, &d: &usize| {
                        total.saturating_add(priorities[d]).saturating_add(1)
                    };
                    let waiting = dependants[index].iter().filter(|&&d| !done[d]);
                    priorities[index] = waiting.fold(0, weigh);
                }
            }
        }
        let places = done.iter().map(|&d| if d { Place::Done } else { Place::Waiting }).collect();
        let mut queue = Self { places, unmet, dependants, priorities, ready: BinaryHeap::new() };
        for index in 0..count {
            queue.offer(index);
        }
        queue
    }

    fn offer(&mut self, index: usize) {
        if self.places[index] == Place::Waiting && self.unmet[index] == 0 {
            self.places[index] = Place::Ready;
            self.ready.push((self.priorities[index], Reverse(index)));
        }
    }

    /// How many stages could run now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether a stage is done.
    pub fn is_done(&self, index: usize) -> bool {
        self.places[index] == Place::Done
    }

    /// Hands out the next stage.
    pub fn next(&mut self) -> Option<usize> {
        let (_, Reverse(index)) = self.ready.pop()?;
        self.places[index] = Place::Out;
        Some(index)
    }

    /// Takes a stage back that was handed out and came to nothing.
    pub fn put_back(&mut self, index: usize) {
        self.places[index] = Place::Waiting;
        self.offer(index);
    }

    /// A stage is done: those that only waited for it become ready.
    pub fn done(&mut self, index: usize) {
        self.places[index] = Place::Done;
        for d in self.dependants[index].clone() {
            self.unmet[d] -= 1;
            self.offer(d);
        }
    }

    /// The artefact of a done stage is gone: the stage is to run again, before all that need it and have
    /// not begun. Those that are done stay so.
    pub fn undone(&mut self, index: usize) {
        if self.places[index] != Place::Done {
            return;
        }
        self.places[index] = Place::Waiting;
        for d in self.dependants[index].clone() {
            self.unmet[d] += 1;
            if self.places[d] == Place::Ready {
                self.places[d] = Place::Waiting;
                self.ready.retain(|&(_, Reverse(ready))| ready != d);
            }
        }
        self.offer(index);
    }

    /// A stage has failed: all that need it, directly or not, are blocked and returned.
    pub fn failed(&mut self, index: usize) -> Vec<usize> {
        self.places[index] = Place::Failed;
        let mut blocked = Vec::new();
        let mut open = vec![index];
        while let Some(stage) = open.pop() {
            for &d in &self.dependants[stage] {
                if self.places[d] == Place::Waiting {
                    self.places[d] = Place::Blocked;
                    blocked.push(d);
                    open.push(d);
                }
            }
        }
        blocked.sort_unstable();
        blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlannedStage, Stage, StageKind};
    use serde_json::Map;

    fn plan(needs: &[&[usize]]) -> Plan {
        let stage = |needs: &&[usize]| {
            let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
            PlannedStage { key: stage.key(), stage, needs: needs.to_vec(), cells: 1 }
        };
        Plan { stages: needs.iter().map(stage).collect(), cells: Vec::new() }
    }

    fn order(queue: &mut Queue) -> Vec<usize> {
        let mut order = Vec::new();
        while let Some(index) = queue.next() {
            order.push(index);
            queue.done(index);
        }
        order
    }

    /// 0 is needed by nobody, 1 by a chain of two, 2 by one; 6 needs both branches.
    const NEEDS: &[&[usize]] = &[&[], &[], &[], &[1], &[2], &[3], &[4, 5]];

    #[test]
    fn long_chains_come_first_and_needs_before_all() {
        let done = [false; 7];
        assert_eq!(order(&mut Queue::new(&plan(NEEDS), &done, None)), [1, 2, 3, 4, 5, 0, 6]);
        for seed in 0..20 {
            let order = order(&mut Queue::new(&plan(NEEDS), &done, Some(seed)));
            let at = |index| order.iter().position(|&i| i == index).unwrap();
            for (index, needs) in NEEDS.iter().enumerate() {
                assert!(needs.iter().all(|&need| at(need) < at(index)), "{order:?}");
            }
        }
    }

    #[test]
    fn what_is_done_is_not_handed_out() {
        let done = [true, true, false, true, true, false, false];
        assert_eq!(order(&mut Queue::new(&plan(NEEDS), &done, None)), [5, 2, 6]);
    }

    #[test]
    fn a_failure_blocks_all_that_need_it_and_nothing_else() {
        let mut queue = Queue::new(&plan(NEEDS), &[false; 7], None);
        assert_eq!(queue.next(), Some(1));
        assert_eq!(queue.failed(1), [3, 5, 6]);
        assert_eq!(order(&mut queue), [2, 4, 0]);
    }

    #[test]
    fn a_stage_that_is_undone_runs_again_before_those_that_need_it() {
        let mut queue =
            Queue::new(&plan(NEEDS), &[true, true, true, true, false, false, false], None);
        assert_eq!(queue.next(), Some(4));
        queue.undone(3);
        assert_eq!(queue.ready(), 1, "5 waits again");
        queue.undone(1);
        queue.put_back(4);
        assert_eq!(order(&mut queue), [4, 1, 3, 5, 6]);
        // A failure reaches past stages that are done.
        let mut queue =
            Queue::new(&plan(NEEDS), &[false, false, false, true, true, false, false], None);
        assert_eq!(queue.failed(1), [] as [usize; 0]);
    }

    #[test]
    fn a_stage_put_back_comes_again() {
        let mut queue = Queue::new(&plan(NEEDS), &[false; 7], None);
        let first = queue.next().unwrap();
        queue.put_back(first);
        assert_eq!(queue.next(), Some(first));
    }
}
