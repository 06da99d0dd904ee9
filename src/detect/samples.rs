//! The paths that a detector is trained and tested on (SPEC section 8).

use super::params::{DetectorParams, Label, Split};
use crate::agent::path::Path;
use crate::agent::rollout::Rollout;
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;
use std::collections::BTreeSet;
use thiserror::Error;

/// Share of a detector's paths that is for training; the others are for validation (the paper's 80/20).
const TRAINING_SHARE: f64 = 0.8;

/// Why there are no paths to train or test on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SamplesError {
    #[error(
        "the {side} rollout has {paths} paths, too few to train a detector on; name more users in \
         `rollout.users`, or more `detector.paths`"
    )]
    TooFew { side: &'static str, paths: usize },
    #[error(
        "no {side} path is left to test the detector on: its training took paths of all users; name more \
         users in `rollout.users`, or fewer `detector.paths`"
    )]
    NothingLeft { side: &'static str },
}

/// Paths with their labels, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    pub paths: Vec<Path>,
    /// Whether each path counts as attacked.
    pub labels: Vec<bool>,
}

impl Samples {
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn push(&mut self, source: &Source<'_>, rows: &[u32]) {
        self.paths.extend(rows.iter().map(|&row| source.rollout.paths[row as usize]));
        self.labels.extend(rows.iter().map(|&row| source.label(row)));
    }
}

/// What a detector is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub training: Samples,
    pub validation: Samples,
    /// Users (indices, ascending) with a path in either: none of theirs is for tests.
    pub users: Vec<u32>,
}

/// What a detector is tested on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Test {
    pub samples: Samples,
    /// User (index) of each path.
    pub users: Vec<u32>,
}

/// How the paths of a source are labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Labels {
    Clean,
    Attacked,
    /// Attacked where a step was.
    ByStep,
}

/// Paths of a rollout on one side of a comparison.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    rollout: &'a Rollout,
    /// The paths that belong to it, in the rollout's order.
    rows: Vec<u32>,
    /// User of every path of the rollout.
    users: Vec<u32>,
    labels: Labels,
    side: &'static str,
}

/// What a draw is for: the first word of its place. The numbers enter results: never renumber one.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
enum Draw {
    Halves = 0,
    Validation = 1,
    Users = 2,
    Test = 3,
}

impl<'a> Source<'a> {
    /// Paths that are not attacked: clean ones, or such under noise that a detector is to let pass.
    pub fn clean(rollout: &'a Rollout) -> Self {
        Self::new(rollout, Labels::Clean, "clean")
    }

    /// Paths of a rollout under attack.
    pub fn attacked(rollout: &'a Rollout, label: Label) -> Self {
        let labels = match label {
            Label::AnyStep => Labels::ByStep,
            Label::Rollout => Labels::Attacked,
        };
        Self::new(rollout, labels, "attacked")
    }

    /// Two random halves of a rollout's paths, the second labelled as if it were attacked: nothing tells
    /// them apart, so a detector that does has seen what it should not have.
    pub fn halves(rollout: &'a Rollout, seed: u64) -> (Self, Self) {
        let mut first = Self::new(rollout, Labels::Clean, "clean");
        let mut second = Self::new(rollout, Labels::Attacked, "attacked");
        let rows = first.shuffled(&first.rows, seed, [Draw::Halves as u64, 0]);
        let (one, other) = rows.split_at(rows.len().div_ceil(2));
        (first.rows, second.rows) = (one.to_vec(), other.to_vec());
        first.rows.sort_unstable();
        second.rows.sort_unstable();
        (first, second)
    }

    fn new(rollout: &'a Rollout, labels: Labels, side: &'static str) -> Self {
        let counts = rollout.offsets.windows(2).map(|w| (w[1] - w[0]) as usize);
        let users = rollout.users.iter().zip(counts);
        let users = users.flat_map(|(&user, n)| std::iter::repeat_n(user, n)).collect();
        Self { rollout, rows: (0..rollout.paths.len() as u32).collect(), users, labels, side }
    }

    fn label(&self, row: u32) -> bool {
        match self.labels {
            Labels::Clean => false,
            Labels::Attacked => true,
            Labels::ByStep => self.rollout.attacked[row as usize] != 0,
        }
    }

    fn user(&self, row: u32) -> u32 {
        self.users[row as usize]
    }

    fn shuffled(&self, rows: &[u32], seed: u64, [draw, side]: [u64; 2]) -> Vec<u32> {
        let mut rows = rows.to_vec();
        rows.shuffle(&mut generator(seed, Purpose::DetectionSamples, [draw, side, 0]));
        rows
    }

    /// How many of its paths are for training and validation, of at most `most`: a rollout with fewer
    /// than are wanted for everything is shared in the same proportion.
    fn quota(&self, most: usize, params: &DetectorParams) -> usize {
        let share = params.paths as f64 / (params.paths + params.test_paths).max(1) as f64;
        most.min((self.rows.len() as f64 * share) as usize)
    }
}

impl Part {
    /// Takes the paths for training and validation: of the clean and the attacked side alike, or, with
    /// noise, half of the clean paths from there.
    ///
    /// # Errors
    /// If a side is left without paths in one of the parts.
    pub fn take(
        clean: &Source<'_>,
        attacked: &Source<'_>,
        noise: Option<&Source<'_>>,
        params: &DetectorParams,
    ) -> Result<Self, SamplesError> {
        let most = params.paths as usize;
        let half = if noise.is_some() { most.div_ceil(2) } else { most };
        let mut sides = vec![(clean, half), (attacked, most)];
        sides.extend(noise.map(|noise| (noise, most - half)));
        let part = match params.split {
            Split::ByPath => Self::by_path(&sides, params),
            Split::ByUser => Self::by_user(&sides, params),
        };
        for samples in [&part.training, &part.validation] {
            for (side, source, wanted) in [("clean", clean, false), ("attacked", attacked, true)] {
                if !samples.labels.contains(&wanted) {
                    return Err(SamplesError::TooFew { side, paths: source.rows.len() });
                }
            }
        }
        Ok(part)
    }

    fn by_path(sides: &[(&Source<'_>, usize)], params: &DetectorParams) -> Self {
        let mut part = Self::default();
        let mut users = BTreeSet::new();
        for (side, (source, most)) in sides.iter().enumerate() {
            let first = &source.rows[..source.quota(*most, params)];
            users.extend(first.iter().map(|&row| source.user(row)));
            let place = [Draw::Validation as u64, side as u64];
            let rows = source.shuffled(first, params.seed, place);
            let (training, validation) =
                rows.split_at((rows.len() as f64 * TRAINING_SHARE) as usize);
            part.training.push(source, training);
            part.validation.push(source, validation);
        }
        part.users = users.into_iter().collect();
        part
    }

    /// Random users until their clean paths come to the wanted number, and all that they have on each
    /// side, up to its number.
    fn by_user(sides: &[(&Source<'_>, usize)], params: &DetectorParams) -> Self {
        let clean = sides[0].0;
        let wanted = clean.quota(params.paths as usize, params);
        let mut users: Vec<u32> = clean.rollout.users.clone();
        let place = [Draw::Users as u64, 0, 0];
        users.shuffle(&mut generator(params.seed, Purpose::DetectionSamples, place));
        let mut count = vec![0usize; users.iter().max().map_or(0, |&user| user as usize + 1)];
        clean.rows.iter().for_each(|&row| count[clean.user(row) as usize] += 1);
        let (mut training, mut validation) = (BTreeSet::new(), BTreeSet::new());
        let mut taken = 0;
        for user in users {
            if taken >= wanted {
                break;
            }
            let trains = (taken as f64) < wanted as f64 * TRAINING_SHARE;
            if trains { &mut training } else { &mut validation }.insert(user);
            taken += count[user as usize];
        }
        let mut part = Self::default();
        for (side, (source, most)) in sides.iter().enumerate() {
            let place = [Draw::Validation as u64, side as u64];
            let rows = source.shuffled(&source.rows, params.seed, place);
            let most_training = (*most as f64 * TRAINING_SHARE) as usize;
            for (samples, users, most) in [
                (&mut part.training, &training, most_training),
                (&mut part.validation, &validation, most - most_training),
            ] {
                let rows = rows.iter().copied().filter(|&row| users.contains(&source.user(row)));
                samples.push(source, &rows.take(most).collect::<Vec<u32>>());
            }
        }
        part.users = training.union(&validation).copied().collect();
        part
    }
}

impl Test {
    /// Random paths of both sides, as many of each, at most `most`, of users that both sides have and
    /// that are not among `trained`. The same clean paths for every attack with as many.
    ///
    /// # Errors
    /// If no path of a side is left.
    pub fn take(
        clean: &Source<'_>,
        attacked: &Source<'_>,
        trained: &[u32],
        most: usize,
        seed: u64,
    ) -> Result<Self, SamplesError> {
        let common = |source: &Source<'_>| -> BTreeSet<u32> {
            source.rollout.users.iter().copied().collect()
        };
        let users: BTreeSet<u32> = common(clean).intersection(&common(attacked)).copied().collect();
        let rows = |source: &Source<'_>, side: u64| -> Result<Vec<u32>, SamplesError> {
            let open = |row: &u32| {
                let user = source.user(*row);
                users.contains(&user) && trained.binary_search(&user).is_err()
            };
            let rows: Vec<u32> = source.rows.iter().copied().filter(open).collect();
            match rows.is_empty() {
                true => Err(SamplesError::NothingLeft { side: source.side }),
                false => Ok(source.shuffled(&rows, seed, [Draw::Test as u64, side])),
            }
        };
        let (negative, positive) = (rows(clean, 0)?, rows(attacked, 1)?);
        let n = most.min(negative.len()).min(positive.len());
        let mut test = Self::default();
        for (source, rows) in [(clean, &negative[..n]), (attacked, &positive[..n])] {
            test.samples.push(source, rows);
            test.users.extend(rows.iter().map(|&row| source.user(row)));
        }
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Rollout of `users` users with so many paths each; paths differ by their last nodes, those of
    /// different `kind` always.
    fn rollout(users: u32, paths: u32, kind: u32, attacked: u8) -> Rollout {
        let mut rollout = Rollout::new();
        for user in 0..users {
            rollout.users.push(user);
            for path in 0..paths {
                rollout.paths.push(Path::start(user).step(1, kind).step(1, path).step(1, path));
                rollout.attacked.push(attacked);
            }
            rollout.offsets.push(rollout.paths.len() as u64);
        }
        rollout
    }

    fn params(split: Split, paths: u64, test_paths: u64) -> DetectorParams {
        DetectorParams { split, paths, test_paths, seed: 3, ..DetectorParams::default() }
    }

    fn users(samples: &Samples) -> HashSet<u32> {
        samples.paths.iter().map(Path::user).collect()
    }

    #[test]
    fn by_path_takes_the_first_paths_of_each_file() {
        let (clean, attacked) = (rollout(40, 10, 0, 0), rollout(40, 10, 1, 7));
        let (clean, attacked) =
            (Source::clean(&clean), Source::attacked(&attacked, Label::AnyStep));
        let part = Part::take(&clean, &attacked, None, &params(Split::ByPath, 100, 100)).unwrap();
        assert_eq!((part.training.len(), part.validation.len()), (160, 40));
        assert_eq!(part.users, (0..10).collect::<Vec<u32>>());
        assert_eq!(part.training.labels.iter().filter(|&&l| l).count(), 80);
        // A user's paths are in both parts.
        assert!(!users(&part.training).is_disjoint(&users(&part.validation)));
        let test = Test::take(&clean, &attacked, &part.users, 100, 3).unwrap();
        assert_eq!(test.samples.len(), 200);
        assert!(users(&test.samples).iter().all(|&user| user >= 10));
    }

    #[test]
    fn a_small_rollout_is_shared_in_proportion() {
        let (clean, attacked) = (rollout(8, 10, 0, 0), rollout(8, 20, 1, 7));
        let (clean, attacked) =
            (Source::clean(&clean), Source::attacked(&attacked, Label::Rollout));
        let part = Part::take(&clean, &attacked, None, &params(Split::ByPath, 1000, 3000)).unwrap();
        assert_eq!(part.training.len() + part.validation.len(), 20 + 40);
        let test = Test::take(&clean, &attacked, &part.users, 3000, 3).unwrap();
        assert_eq!(test.samples.len(), 2 * 60);
    }

    #[test]
    fn noise_takes_the_place_of_half_the_clean_paths() {
        let (clean, noise, attacked) =
            (rollout(40, 10, 0, 0), rollout(40, 10, 2, 7), rollout(40, 10, 1, 7));
        let (clean, noise) = (Source::clean(&clean), Source::clean(&noise));
        let attacked = Source::attacked(&attacked, Label::AnyStep);
        for split in [Split::ByPath, Split::ByUser] {
            let params = params(split, 100, 100);
            let part = Part::take(&clean, &attacked, Some(&noise), &params).unwrap();
            let of = |kind: u32, samples: &Samples| {
                samples.paths.iter().filter(|path| path.nodes[1] == kind).count()
            };
            let counts =
                [0, 1, 2].map(|kind| of(kind, &part.training) + of(kind, &part.validation));
            assert_eq!(counts, [50, 100, 50], "{split:?}");
            let noisy = part.training.paths.iter().zip(&part.training.labels);
            assert!(noisy.filter(|(path, _)| path.nodes[1] != 1).all(|(_, &label)| !label));
        }
    }

    #[test]
    fn a_path_counts_as_attacked_by_the_rule() {
        let (clean, mut attacked) = (rollout(4, 10, 0, 0), rollout(4, 10, 1, 0));
        attacked.attacked[35] = 4;
        let clean = Source::clean(&clean);
        for (label, positive) in [(Label::AnyStep, 1), (Label::Rollout, 40)] {
            let attacked = Source::attacked(&attacked, label);
            let test = Test::take(&clean, &attacked, &[], 100, 3).unwrap();
            assert_eq!(test.samples.labels.iter().filter(|&&l| l).count(), positive);
        }
    }

    #[test]
    fn halves_share_no_path_and_leave_none_out() {
        let whole = rollout(7, 3, 0, 0);
        let (first, second) = Source::halves(&whole, 5);
        let mut all = [first.rows.clone(), second.rows.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..21).collect::<Vec<u32>>());
        assert!((first.label(0), second.label(0)) == (false, true));
    }

    #[test]
    fn without_paths_left_the_error_says_what_to_change() {
        let (clean, attacked) = (rollout(4, 10, 0, 0), rollout(2, 10, 1, 7));
        let (clean, attacked) =
            (Source::clean(&clean), Source::attacked(&attacked, Label::AnyStep));
        let error = Test::take(&clean, &attacked, &[0, 1], 100, 3).unwrap_err();
        insta::assert_snapshot!(error, @"no clean path is left to test the detector on: its training took paths of all users; name more users in `rollout.users`, or fewer `detector.paths`");
        let error =
            Part::take(&clean, &attacked, None, &params(Split::ByPath, 1, 100)).unwrap_err();
        insta::assert_snapshot!(error, @"the clean rollout has 40 paths, too few to train a detector on; name more users in `rollout.users`, or more `detector.paths`");
    }

    proptest! {
        #[test]
        fn no_user_is_in_two_parts_by_user(
            count in 10u32..60, per_user in 1u32..12, attacked_per_user in 1u32..12, seed in 0u64..50,
            paths in 40u64..300,
        ) {
            let clean = rollout(count, per_user, 0, 0);
            let attacked = rollout(count, attacked_per_user, 1, 7);
            let (clean, attacked) =
                (Source::clean(&clean), Source::attacked(&attacked, Label::AnyStep));
            let params = DetectorParams { seed, ..params(Split::ByUser, paths, 100) };
            if let Ok(part) = Part::take(&clean, &attacked, None, &params) {
                let (training, validation) = (users(&part.training), users(&part.validation));
                prop_assert!(training.is_disjoint(&validation));
                if let Ok(test) = Test::take(&clean, &attacked, &part.users, 100, seed) {
                    let tested = users(&test.samples);
                    prop_assert!(tested.is_disjoint(&training) && tested.is_disjoint(&validation));
                    let own: Vec<u32> = test.samples.paths.iter().map(Path::user).collect();
                    prop_assert_eq!(own, test.users);
                }
            }
        }
    }
}
