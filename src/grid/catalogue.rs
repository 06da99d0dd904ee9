//! The catalogue itself: every parameter that a grid can set.

use super::parameter::{Concern, Kind, Literal, Parameter, ParameterId, Range};
use crate::plan::StageKind;
use std::ops::Bound::{Excluded, Included, Unbounded};

pub(super) const fn at_least(low: f64) -> Range {
    Range { low: Included(low), high: Unbounded }
}

pub(super) const fn above(low: f64) -> Range {
    Range { low: Excluded(low), high: Unbounded }
}

pub(super) const fn from_to(low: f64, high: f64) -> Range {
    Range { low: Included(low), high: Included(high) }
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: Option<Literal>,
    stage: Option<StageKind>,
    concern: Concern,
    doc: &'static str,
) -> Parameter {
    Parameter { name, kind, default, stage, concern, doc }
}

const GRAPH: Option<StageKind> = Some(StageKind::Graph);
const EMBEDDING: Option<StageKind> = Some(StageKind::Embedding);
const AGENT: Option<StageKind> = Some(StageKind::Agent);
const ROLLOUT: Option<StageKind> = Some(StageKind::Rollout);
const DRIFT: Option<StageKind> = Some(StageKind::Drift);
const DETECTOR: Option<StageKind> = Some(StageKind::Detector);
const DETECTION: Option<StageKind> = Some(StageKind::Detection);

use Concern::{
    Adaptive, AttackParameter, Attacked, Detector, DetectorAttack, Drift, Every, Frequency,
    Hardened, HardeningAttack, Imported, Network, Sequential, Threshold, Trained, Transfer,
};
use Literal::{Bool as B, Float as F, Int as I, Ints as L, Text as T};

/// Every parameter, in the order of the stages.
#[rustfmt::skip] // A table is read by its columns.
pub static CATALOGUE: [Parameter; 86] = [
    row("dataset", Kind::Name, None, None, Every, "name of a dataset"),
    row("seed", Kind::Int(at_least(0.0)), None, None, Every, "what every random choice derives from; set by `seeds`"),
    row("graph.word_filter", Kind::Choice(&["keep_high", "drop_high"]), Some(T("keep_high")), GRAPH, Every, "whether words of high tf-idf stay or go"),
    row("graph.tfidf_threshold", Kind::Float(Range { low: Excluded(0.0), high: Included(1.0) }), Some(F(0.1)), GRAPH, Every, "tf-idf from which a word counts as high"),
    row("graph.max_word_frequency", Kind::Int(at_least(1.0)), Some(I(5000)), GRAPH, Every, "words more frequent in the corpus go"),
    row("graph.purchase_needs_words", Kind::Choice(&["auto", "true", "false"]), Some(T("auto")), GRAPH, Every, "whether a purchase whose review keeps no word goes; auto: when the dataset has words"),
    row("embedding.method", Kind::Choice(&["transe"]), Some(T("transe")), EMBEDDING, Trained, "how nodes and relations become vectors"),
    row("embedding.dimension", Kind::Int(from_to(1.0, 4096.0)), Some(I(100)), EMBEDDING, Trained, "length of a vector"),
    row("embedding.epochs", Kind::Int(at_least(0.0)), Some(I(30)), EMBEDDING, Trained, "passes over the training items"),
    row("embedding.batch", Kind::Int(at_least(1.0)), Some(I(64)), EMBEDDING, Trained, "training items a step"),
    row("embedding.optimizer", Kind::Choice(&["sgd", "adagrad"]), Some(T("sgd")), EMBEDDING, Trained, "update rule"),
    row("embedding.learning_rate", Kind::Float(above(0.0)), Some(F(0.5)), EMBEDDING, Trained, "first learning rate, falling linearly"),
    row("embedding.negatives", Kind::Int(at_least(1.0)), Some(I(5)), EMBEDDING, Trained, "negative samples a batch and relation"),
    row("embedding.clip", Kind::Float(above(0.0)), Some(F(5.0)), EMBEDDING, Trained, "largest gradient norm"),
    row("embedding.negative_bias", Kind::Choice(&["positive_tail", "own"]), Some(T("positive_tail")), EMBEDDING, Trained, "whose bias a negative's logit gets"),
    row("embedding.subsample", Kind::Float(above(0.0)), Some(F(1e-4)), EMBEDDING, Trained, "share of the tokens from which a word is skipped now and then"),
    row("agent.imported", Kind::Name, None, None, Imported, "id of imported embeddings and policy, instead of training"),
    row("agent.algorithm", Kind::Choice(&["actor_critic", "reinforce", "random_walk"]), Some(T("actor_critic")), AGENT, Trained, "how the agent learns"),
    row("agent.epochs", Kind::Int(at_least(0.0)), Some(I(50)), AGENT, Network, "passes over the users"),
    row("agent.batch", Kind::Int(at_least(1.0)), Some(I(32)), AGENT, Network, "users a step"),
    row("agent.learning_rate", Kind::Float(above(0.0)), Some(F(1e-4)), AGENT, Network, "first learning rate, falling linearly"),
    row("agent.gamma", Kind::Float(from_to(0.0, 1.0)), Some(F(0.99)), AGENT, Network, "discount of later rewards"),
    row("agent.entropy_weight", Kind::Float(at_least(0.0)), Some(F(0.001)), AGENT, Network, "weight of the entropy in the loss"),
    row("agent.action_dropout", Kind::Float(Range { low: Included(0.0), high: Excluded(1.0) }), Some(F(0.5)), AGENT, Network, "share of the actions hidden in training"),
    row("agent.dropout", Kind::Float(Range { low: Included(0.0), high: Excluded(1.0) }), Some(F(0.5)), AGENT, Network, "share of the hidden units dropped in training"),
    row("agent.hidden", Kind::Ints(2), Some(L(&[512, 256])), AGENT, Network, "widths of the hidden layers"),
    row("agent.max_actions", Kind::Int(from_to(1.0, 100_000.0)), Some(I(250)), AGENT, Trained, "actions kept at a node beside the self-loop"),
    row("agent.history", Kind::Int(from_to(0.0, 2.0)), Some(I(1)), AGENT, Trained, "steps of the path that the state holds"),
    row("agent.reward", Kind::Choice(&["scaled_dot", "cosine"]), Some(T("scaled_dot")), AGENT, Network, "reward of a product"),
    row("rollout.users", Kind::Users, Some(T("all")), ROLLOUT, Every, "users that get recommendations"),
    row("rollout.topk", Kind::Ints(3), Some(L(&[25, 5, 1])), ROLLOUT, Every, "actions followed at each hop"),
    row("rollout.dropout_at_eval", Kind::Bool, Some(B(false)), ROLLOUT, Every, "whether dropout stays on, as in PGPR's code"),
    row("rollout.direct", Kind::Bool, Some(B(true)), None, Every, "whether the recommender without paths is measured too"),
    row("attack", Kind::Attack, Some(T("none")), ROLLOUT, Every, "id of the attack"),
    row("epsilon", Kind::Float(from_to(0.0, 1e6)), None, ROLLOUT, AttackParameter, "size of the attack"),
    row("objective", Kind::Choice(&["value", "policy"]), Some(T("value")), ROLLOUT, AttackParameter, "what a gradient attack works against"),
    row("theta", Kind::Float(above(0.0)), Some(F(0.5)), ROLLOUT, AttackParameter, "how far JSMA moves a dimension"),
    row("max_iter", Kind::Int(at_least(1.0)), Some(I(50)), ROLLOUT, AttackParameter, "most dimensions that JSMA moves, most steps of DeepFool"),
    row("target", Kind::Choice(&["least_likely", "second"]), Some(T("least_likely")), ROLLOUT, AttackParameter, "action that JSMA works towards"),
    row("candidates", Kind::Int(at_least(1.0)), Some(I(10)), ROLLOUT, AttackParameter, "other actions that DeepFool linearises"),
    row("candidate_rule", Kind::Choice(&["top", "sample"]), Some(T("top")), ROLLOUT, AttackParameter, "whether they are the most probable or a sample"),
    row("overshoot", Kind::Float(at_least(0.0)), Some(F(0.02)), ROLLOUT, AttackParameter, "how far DeepFool goes beyond a boundary, as a share of the way"),
    row("step", Kind::Float(above(0.0)), Some(F(0.25)), ROLLOUT, AttackParameter, "step of an iterated attack as a share of epsilon"),
    row("iterations", Kind::Int(at_least(1.0)), Some(I(10)), ROLLOUT, AttackParameter, "steps of an iterated attack"),
    row("random_start", Kind::Bool, Some(B(false)), ROLLOUT, AttackParameter, "whether an iterated attack starts at a random point"),
    row("decay", Kind::Float(at_least(0.0)), Some(F(1.0)), ROLLOUT, AttackParameter, "weight of the earlier gradients in mi_fgsm"),
    row("samples", Kind::Int(at_least(1.0)), Some(I(32)), ROLLOUT, AttackParameter, "pairs of queries behind each gradient that spsa estimates"),
    row("radius", Kind::Float(above(0.0)), Some(F(0.01)), ROLLOUT, AttackParameter, "how far from the state the queries of spsa are, in every dimension"),
    row("transfer.algorithm", Kind::Choice(&["actor_critic", "reinforce"]), None, None, Transfer, "the attack is crafted on an agent that learned so, on the same embedding"),
    row("transfer.seed", Kind::Int(at_least(0.0)), None, None, Transfer, "the attack is crafted on an agent of this seed, on the same embedding"),
    row("timing", Kind::Choice(&["always", "random", "strategic", "strategic_range", "oracle"]), Some(T("always")), ROLLOUT, Attacked, "which time steps are attacked"),
    row("frequency", Kind::Float(from_to(0.0, 1.0)), None, ROLLOUT, Frequency, "share of the time steps that is attacked"),
    row("threshold", Kind::Float(from_to(-1.0, 1.0)), None, ROLLOUT, Threshold, "score above which a time step is attacked, instead of a frequency"),
    row("drift.compare", Kind::Choice(&["nothing", "references", "all"]), Some(T("nothing")), None, Every, "whose paths are compared by MMD: with the clean and the fgsm_l1 cells, or all with all"),
    row("drift.paths", Kind::Int(from_to(2.0, 1e7)), Some(I(10_000)), DRIFT, Drift, "most paths a side; of more a random sample"),
    row("drift.input", Kind::Choice(&["entity", "relation", "both"]), Some(T("entity")), DRIFT, Drift, "which embeddings along a path count"),
    row("drift.permutation_paths", Kind::Int(from_to(2.0, 5000.0)), Some(I(500)), DRIFT, Drift, "most paths a side in the permutation test"),
    row("drift.permutations", Kind::Int(from_to(0.0, 1e6)), Some(I(999)), DRIFT, Drift, "random relabellings of the permutation test"),
    row("drift.bandwidth_pairs", Kind::Int(from_to(1.0, 1e8)), Some(I(100_000)), DRIFT, Drift, "most pairs that the kernel's bandwidth is the median distance of"),
    row("detector.method", Kind::Choice(&["none", "gru_attention", "gru", "logistic", "kernel_density", "mahalanobis", "lid"]), Some(T("none")), DETECTOR, Every, "what tells attacked paths from clean ones; gru_attention is the paper's"),
    row("detector.attack", Kind::Attack, Some(T("fgsm_l1")), None, Detector, "attack that the detector is trained on; none: two halves of the clean paths"),
    row("detector.epsilon", Kind::Float(from_to(0.0, 1e6)), Some(F(0.1)), None, DetectorAttack, "size of that attack; 0.1 for fgsm_l1, for others it must be given"),
    row("detector.objective", Kind::Choice(&["value", "policy"]), Some(T("value")), None, DetectorAttack, "what that attack works against"),
    row("detector.negatives", Kind::Choice(&["clean", "clean_and_noise"]), Some(T("clean")), DETECTOR, Detector, "whether half of the paths that are not attacked are under noise of that attack's norm"),
    row("detector.input", Kind::Choice(&["entity", "relation", "both"]), Some(T("entity")), DETECTOR, Detector, "which embeddings make an action"),
    row("detector.split", Kind::Choice(&["by_path", "by_user"]), Some(T("by_path")), DETECTOR, Detector, "whether training takes the first paths, or random users whose paths are in no other part"),
    row("detector.paths", Kind::Int(from_to(2.0, 1e8)), Some(I(100_000)), DETECTOR, Detector, "most paths of the clean and of the attacked rollout for training and validation"),
    row("detector.test_paths", Kind::Int(from_to(1.0, 1e8)), Some(I(100_000)), DETECTOR, Detector, "most paths of each for the test; a smaller rollout is shared in this proportion"),
    row("detector.label", Kind::Choice(&["any_step", "rollout"]), Some(T("any_step")), DETECTION, Detector, "whether a path counts as attacked with its first attacked step, or with its rollout"),
    row("detector.hidden", Kind::Int(from_to(1.0, 4096.0)), Some(I(32)), DETECTOR, Sequential, "width of the GRUs"),
    row("detector.dropout", Kind::Float(Range { low: Included(0.0), high: Excluded(1.0) }), Some(F(0.5)), DETECTOR, Sequential, "share of the units dropped before the last linear unit in training"),
    row("detector.decision", Kind::Choice(&["last", "mean"]), Some(T("last")), DETECTOR, Sequential, "whether the last step's probability decides, or the mean of all"),
    row("detector.epochs", Kind::Int(at_least(1.0)), Some(I(30)), DETECTOR, Sequential, "most passes over the training paths"),
    row("detector.patience", Kind::Int(at_least(1.0)), Some(I(5)), DETECTOR, Sequential, "epochs without a better validation loss that end the training"),
    row("detector.batch", Kind::Int(at_least(1.0)), Some(I(512)), DETECTOR, Sequential, "paths a step"),
    row("detector.learning_rate", Kind::Float(above(0.0)), Some(F(5e-4)), DETECTOR, Sequential, "rate of Adam"),
    row("detector.weight_decay", Kind::Float(at_least(0.0)), Some(F(0.01)), DETECTOR, Sequential, "decay of the weights"),
    row("detector.decay", Kind::Choice(&["decoupled", "coupled"]), Some(T("decoupled")), DETECTOR, Sequential, "whether weights decay apart from the gradient (AdamW), or through it, as PyTorch's Adam does"),
    row("adaptive.lambda", Kind::Float(at_least(0.0)), None, ROLLOUT, Adaptive, "weight of the detector's score in the objective of an attack that evades it"),
    row("defense", Kind::Choice(&["none", "reject", "adversarial_training"]), Some(T("none")), None, Every, "whether paths that the detector flags are left out of the lists, or the agent is trained on attacked states"),
    row("adversarial_training.attack", Kind::Attack, Some(T("fgsm_l1")), AGENT, Hardened, "attack on the states that the agent is trained on"),
    row("adversarial_training.epsilon", Kind::Float(from_to(0.0, 1e6)), Some(F(0.1)), AGENT, HardeningAttack, "size of that attack; 0.1 for fgsm_l1, for others it must be given"),
    row("adversarial_training.objective", Kind::Choice(&["value", "policy"]), Some(T("value")), AGENT, HardeningAttack, "what that attack works against"),
    row("adversarial_training.share", Kind::Float(from_to(0.0, 1.0)), Some(F(0.5)), AGENT, Hardened, "share of the episodes that is under attack"),
    row("adversarial_training.epochs", Kind::Int(at_least(1.0)), Some(I(10)), AGENT, Hardened, "passes over the users, from the trained agent on"),
    row("adversarial_training.learning_rate", Kind::Float(above(0.0)), Some(F(1e-4)), AGENT, Hardened, "first learning rate, falling linearly"),
];

/// How many parameters there are.
pub const COUNT: usize = CATALOGUE.len();

const fn position(name: &str) -> ParameterId {
    let mut id = 0;
    while id < COUNT {
        if same(CATALOGUE[id].name.as_bytes(), name.as_bytes()) {
            return id;
        }
        id += 1;
    }
    panic!("not in the catalogue")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

pub const DATASET: ParameterId = position("dataset");
pub const SEED: ParameterId = position("seed");
pub const IMPORTED: ParameterId = position("agent.imported");
pub const ALGORITHM: ParameterId = position("agent.algorithm");
pub const ATTACK: ParameterId = position("attack");
pub const TIMING: ParameterId = position("timing");
pub const THRESHOLD: ParameterId = position("threshold");
pub const COMPARE: ParameterId = position("drift.compare");
pub const DETECTION_METHOD: ParameterId = position("detector.method");
pub const DETECTOR_ATTACK: ParameterId = position("detector.attack");
pub const DEFENSE: ParameterId = position("defense");
pub const HARDENING_ATTACK: ParameterId = position("adversarial_training.attack");

/// The sections that parameters may be nested in.
pub const SECTIONS: [&str; 9] = [
    "graph",
    "embedding",
    "agent",
    "rollout",
    "transfer",
    "drift",
    "detector",
    "adaptive",
    "adversarial_training",
];
