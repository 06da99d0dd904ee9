//! Counter-based random numbers: every draw is a function of a seed and of what it is for, never of
//! how many draws came before it elsewhere, so that results depend neither on the number of workers
//! nor on the order of jobs (SPEC section 9).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a stream of random numbers is for. Streams of different purposes never coincide. The
/// numbers enter results: never reuse or renumber one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    Synthesis = 1,
    EmbeddingInit = 2,
    EmbeddingTraining = 3,
    AgentInit = 4,
    AgentTraining = 5,
    AgentEvaluation = 6,
    AttackTiming = 7,
    AttackDirection = 8,
    Bootstrap = 9,
    RandomWalk = 10,
    ActionDropout = 11,
    NetworkDropout = 12,
    Drift = 13,
    Detection = 14,
    DetectionSamples = 15,
    Hardening = 16,
}

/// A generator for one purpose under one seed. `at` names the place: (user, hop, path), (epoch,
/// batch, 0), whatever keeps draws apart. At most 2³² draws of 64 bits from one generator.
pub fn generator(seed: u64, purpose: Purpose, at: [u64; 3]) -> ChaCha8Rng {
    // ChaCha's key takes 256 bits: the three places and the seed mixed with the purpose, each in its
    // own words, so no two (seed, purpose, place) tuples share a key.
    let mut key = [0u8; 32];
    key[0..8].copy_from_slice(&seed.to_le_bytes());
    for (i, word) in at.into_iter().enumerate() {
        key[8 + 8 * i..16 + 8 * i].copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(purpose as u64);
    rng
}

/// A 64-bit seed for a library that takes only a number (libtorch), from the same kind of place.
pub fn derive_seed(seed: u64, purpose: Purpose, at: [u64; 3]) -> u64 {
    use rand::Rng;
    generator(seed, purpose, at).random()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn places_and_purposes_have_their_own_streams() {
        let draw = |seed, purpose, at| -> u64 { generator(seed, purpose, at).random() };
        let base = draw(1, Purpose::Synthesis, [0, 0, 0]);
        assert_eq!(base, draw(1, Purpose::Synthesis, [0, 0, 0]));
        for other in [
            draw(2, Purpose::Synthesis, [0, 0, 0]),
            draw(1, Purpose::AttackTiming, [0, 0, 0]),
            draw(1, Purpose::Synthesis, [1, 0, 0]),
            draw(1, Purpose::Synthesis, [0, 1, 0]),
            draw(1, Purpose::Synthesis, [0, 0, 1]),
        ] {
            assert_ne!(base, other);
        }
    }
}
