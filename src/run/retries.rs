//! What becomes of a stage whose worker was lost or whose memory was wanting: tried again after a while,
//! tried again alone, or given up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// The longest time between two attempts at a stage.
const LONGEST: Duration = Duration::from_secs(60);

/// What is done about a lost worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Tried again after so long: what took the worker may take the next one, too.
    Again(Duration),
    /// Tried again with nothing beside it.
    Alone,
    /// The stage fails; so many workers were lost over it.
    GiveUp(u32),
}

/// The stages that wait for another attempt.
#[derive(Debug)]
pub struct Retries {
    crash_limit: u32,
    first_wait: Duration,
    losses: BTreeMap<usize, u32>,
    held: BinaryHeap<Reverse<(Instant, usize)>>,
    alone: VecDeque<usize>,
    /// Were tried alone already.
    tried_alone: BTreeSet<usize>,
}

impl Retries {
    /// A stage over which `crash_limit` workers are lost fails; its second attempt waits for `first_wait`,
    /// each further one twice as long.
    pub fn new(crash_limit: u32, first_wait: Duration) -> Self {
        Self {
            crash_limit,
            first_wait,
            losses: BTreeMap::new(),
            held: BinaryHeap::new(),
            alone: VecDeque::new(),
            tried_alone: BTreeSet::new(),
        }
    }

    /// A worker was lost over this stage.
    pub fn lost(&mut self, stage: usize) -> Verdict {
        let losses = self.losses.entry(stage).or_default();
        *losses += 1;
        if *losses >= self.crash_limit {
            return Verdict::GiveUp(*losses);
        }
        let wait = self.first_wait.saturating_mul(1 << (*losses - 1).min(16)).min(LONGEST);
        self.held.push(Reverse((Instant::now() + wait, stage)));
        Verdict::Again(wait)
    }

    /// The stage ran out of memory with others beside it: the next attempt has the machine for itself.
    /// `None` when it had that already.
    pub fn out_of_memory(&mut self, stage: usize) -> Option<Verdict> {
        self.tried_alone.insert(stage).then(|| {
            self.alone.push_back(stage);
            Verdict::Alone
        })
    }

    /// The stages whose wait is over.
    pub fn due(&mut self) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some(&Reverse((at, stage))) = self.held.peek()
            && at <= Instant::now()
        {
            self.held.pop();
            due.push(stage);
        }
        due
    }

    /// When the next wait is over.
    pub fn next_due(&self) -> Option<Instant> {
        self.held.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether a stage waits to run alone: nothing else is begun before it.
    pub fn wants_all(&self) -> bool {
        !self.alone.is_empty()
    }

    /// The next stage that is to run alone.
    pub fn next_alone(&mut self) -> Option<usize> {
        self.alone.pop_front()
    }

    /// How many stages wait.
    pub fn waiting(&self) -> usize {
        self.held.len() + self.alone.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_the_crash_limit() {
        let ms = Duration::from_millis;
        let mut retries = Retries::new(4, ms(1));
        let verdicts: Vec<_> = (0..4).map(|_| retries.lost(7)).collect();
        use Verdict::{Again, GiveUp};
        assert_eq!(verdicts, [Again(ms(1)), Again(ms(2)), Again(ms(4)), GiveUp(4)]);
        assert_eq!(retries.lost(8), Again(ms(1)), "each stage has its own count");
        std::thread::sleep(ms(20));
        assert_eq!(retries.due(), [7, 8, 7, 7]);
        assert_eq!(retries.next_due(), None);
    }

    #[test]
    fn a_stage_runs_alone_once() {
        let mut retries = Retries::new(3, Duration::ZERO);
        assert_eq!(retries.out_of_memory(5), Some(Verdict::Alone));
        assert!(retries.wants_all());
        assert_eq!(retries.next_alone(), Some(5));
        assert!(!retries.wants_all());
        assert_eq!(retries.out_of_memory(5), None);
    }
}
