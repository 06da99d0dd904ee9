//! The catalogue of parameters: what a grid can set, in which range, and what it is when unset.

use super::document::{Content, Meaning, Node};
use super::error::{Fault, Place, quoted};
use crate::attack;
use crate::plan::StageKind;
use serde_json::Value;
use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// What a parameter's values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One of some words.
    Choice(&'static [&'static str]),
    /// `none` or the id of one of [`attack::ATTACKS`].
    Attack,
    /// A whole number.
    Int(Range),
    /// A number, finite.
    Float(Range),
    Bool,
    /// The name of a dataset or of imported weights: letters, digits, `_`, `-` and `.`, not
    /// beginning with `.`, since names become folders.
    Name,
    /// Whole numbers, so many of them, each at least 1.
    Ints(usize),
    /// `all`, a count N, or `A..B` without B.
    Users,
}

/// Least and greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: Bound<f64>,
    pub high: Bound<f64>,
}

/// A value in the catalogue itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    Text(&'static str),
    Int(i64),
    Float(f64),
    Bool(bool),
    Ints(&'static [i64]),
}

/// Which cells a parameter concerns; it is dropped from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    Every,
    /// Cells whose weights are not imported.
    Trained,
    /// Of those, cells whose agent has a network: not `random_walk`.
    Network,
    /// Cells with imported weights.
    Imported,
    /// Cells under attack.
    Attacked,
    /// Cells whose attack lists the parameter among its own.
    AttackParameter,
    /// Cells whose timing goes by a frequency: `random`, and rules that score without a `threshold`.
    Frequency,
    /// Cells whose timing rule scores, where it is given.
    Threshold,
    /// Cells under attack whose agent is trained, where it is given.
    Transfer,
    /// Cells that are compared with others.
    Drift,
    /// Cells with a detector.
    Detector,
    /// Of those, cells whose detector is a network over sequences.
    Sequential,
    /// Cells whose detector is trained on an attack that lists the parameter (by its last name).
    DetectorAttack,
    /// Cells under an attack with an objective, with a detector that it can evade, where it is given.
    Adaptive,
    /// Cells whose agent is trained on attacked states.
    Hardened,
    /// Of those, cells that train on an attack that lists the parameter (by its last name).
    HardeningAttack,
}

/// A parameter of the grid language.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Such as `agent.epochs`: the section, then the name by which the stage knows it.
    pub name: &'static str,
    pub kind: Kind,
    /// `None`: required in every cell that it concerns.
    pub default: Option<Preset>,
    /// The stage whose parameters it is among; `None` where it acts otherwise.
    pub stage: Option<StageKind>,
    pub concern: Concern,
    /// One line for people.
    pub doc: &'static str,
}

/// Index of a parameter in [`CATALOGUE`].
pub type ParameterId = usize;

const fn at_least(low: f64) -> Range {
    Range { low: Included(low), high: Unbounded }
}

const fn above(low: f64) -> Range {
    Range { low: Excluded(low), high: Unbounded }
}

const fn from_to(low: f64, high: f64) -> Range {
    Range { low: Included(low), high: Included(high) }
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: Option<Preset>,
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
use Preset::{Bool as B, Float as F, Int as I, Ints as L, Text as T};

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

/// The parameter with this name.
pub fn find(name: &str) -> Option<ParameterId> {
    CATALOGUE.iter().position(|p| p.name == name)
}

impl Parameter {
    /// The name without its section: what a stage calls the parameter.
    pub fn last_name(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, last)| last)
    }

    /// What the parameter takes, for people: the kind, and the range of a number.
    pub fn values(&self) -> String {
        match self.kind {
            Kind::Int(range) | Kind::Float(range)
                if (range.low, range.high) != (Unbounded, Unbounded) =>
            {
                format!("{}, {range}", self.kind)
            }
            kind => kind.to_string(),
        }
    }

    /// The default as JSON.
    pub fn default_value(&self) -> Option<Value> {
        self.default.map(|default| match default {
            T(text) => Value::from(text),
            I(int) => Value::from(int),
            F(float) => Value::from(float),
            B(bool) => Value::from(bool),
            L(ints) => Value::from(ints),
        })
    }

    /// Whether a value is a list, so that a list of alternatives is a list of lists.
    pub fn takes_list(&self) -> bool {
        matches!(self.kind, Kind::Ints(_))
    }

    /// The value of a node as JSON of the parameter's type: floats stay floats, user ranges become
    /// `all` or `A..B`.
    ///
    /// # Errors
    /// If the node has another type or the value is out of range.
    pub fn value(&self, node: &Node) -> Result<Value, Fault> {
        let wrong_type = || {
            let fault = Fault::new(
                node.place,
                format!("`{}` takes {}, not {}", self.name, self.kind, node.describe()),
            );
            match (&node.content, self.default_value()) {
                (Content::List(_), _) if !self.takes_list() => {
                    fault.help("a list of values belongs under `axes`")
                }
                (_, Some(default)) => fault.help(format!("the default is {}", plain(&default))),
                _ => fault,
            }
        };
        if let (Kind::Ints(count), Content::List(items)) = (self.kind, &node.content) {
            return self.ints(count, items, node.place);
        }
        let Content::Scalar { text, meaning } = &node.content else { return Err(wrong_type()) };
        match (self.kind, *meaning) {
            (Kind::Bool, Meaning::Bool(bool)) => Ok(Value::from(bool)),
            (Kind::Bool, Meaning::Text) if matches!(text.as_str(), "yes" | "no" | "on" | "off") => {
                Err(wrong_type().help("write `true` or `false`"))
            }
            (Kind::Int(range), Meaning::Int(int)) => {
                self.within(range, int as f64, text, node.place)?;
                Ok(Value::from(int))
            }
            (Kind::Int(_), Meaning::Float(float)) if float.fract() == 0.0 && float.abs() < 1e15 => {
                Err(wrong_type().help(format!("write {}", float as i64)))
            }
            (Kind::Float(range), Meaning::Int(int)) => {
                self.within(range, int as f64, text, node.place)?;
                Ok(Value::from(int as f64))
            }
            (Kind::Float(range), Meaning::Float(float)) if float.is_finite() => {
                self.within(range, float, text, node.place)?;
                // There is one zero.
                Ok(Value::from(if float == 0.0 { 0.0 } else { float }))
            }
            (Kind::Choice(choices), _) => match choices.iter().find(|c| *c == text) {
                Some(choice) => Ok(Value::from(*choice)),
                None => Err(self.no_such(text, choices, node.place)),
            },
            (Kind::Attack, _) => match attack::spec(text) {
                Some(spec) => Ok(Value::from(spec.id)),
                None if text == "none" => Ok(Value::from("none")),
                None => Err(self.no_such(text, &attack_ids(), node.place)),
            },
            (Kind::Name, _) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
                    return Err(Fault::new(
                        node.place,
                        format!("{} is no name for `{}`", quoted(text), self.name),
                    )
                    .help("names are made of letters, digits, `_`, `-` and `.`"));
                }
                Ok(Value::from(text.as_str()))
            }
            (Kind::Users, Meaning::Int(count)) => {
                users(0, count).ok_or_else(|| no_users(text, node.place))
            }
            (Kind::Users, Meaning::Text) if text == "all" => Ok(Value::from("all")),
            (Kind::Users, Meaning::Text) => match text.split_once("..") {
                Some((from, to)) => match (from.trim().parse(), to.trim().parse()) {
                    (Ok(from), Ok(to)) => users(from, to).ok_or_else(|| no_users(text, node.place)),
                    _ => Err(wrong_type()),
                },
                None => Err(wrong_type()),
            },
            _ => Err(wrong_type()),
        }
    }

    fn within(&self, range: Range, value: f64, text: &str, place: Place) -> Result<(), Fault> {
        let low = match range.low {
            Included(low) => value >= low,
            Excluded(low) => value > low,
            Unbounded => true,
        };
        let high = match range.high {
            Included(high) => value <= high,
            Excluded(high) => value < high,
            Unbounded => true,
        };
        if low && high {
            return Ok(());
        }
        Err(Fault::new(
            place,
            format!("`{}` is {}, which is out of range", self.name, quoted(text)),
        )
        .help(format!("it must be {range}")))
    }

    fn no_such(&self, text: &str, choices: &[&str], place: Place) -> Fault {
        let fault = Fault::new(place, format!("`{}` has no value {}", self.name, quoted(text)));
        let valid = format!("valid: {}", choices.join(", "));
        match nearest(text, choices.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`? {valid}")),
            None => fault.help(valid),
        }
    }

    fn ints(&self, count: usize, items: &[Node], place: Place) -> Result<Value, Fault> {
        if items.len() != count {
            return Err(Fault::new(
                place,
                format!("`{}` takes {}, not {}", self.name, self.kind, items.len()),
            ));
        }
        let mut ints = Vec::with_capacity(count);
        for item in items {
            match &item.content {
                Content::Scalar { meaning: Meaning::Int(int), text } => {
                    self.within(from_to(1.0, 1e6), *int as f64, text, item.place)?;
                    ints.push(*int);
                }
                _ => {
                    return Err(Fault::new(
                        item.place,
                        format!("`{}` takes {}, not {}", self.name, self.kind, item.describe()),
                    ));
                }
            }
        }
        Ok(Value::from(ints))
    }
}

fn users(from: i64, to: i64) -> Option<Value> {
    (0 <= from && from < to && to <= i64::from(u32::MAX)).then(|| format!("{from}..{to}").into())
}

fn no_users(text: &str, place: Place) -> Fault {
    Fault::new(place, format!("`rollout.users` is {}, which names no user", quoted(text)))
        .help("write `all`, a count, or `A..B` for the users from A up to but not including B")
}

/// `none` and the ids of all attacks.
fn attack_ids() -> Vec<&'static str> {
    std::iter::once("none").chain(attack::ATTACKS.iter().map(|a| a.id)).collect()
}

/// A value as a person would write it: text without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The candidate that is a few typing errors away from `word`; the first of equally near ones.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a long word so; and the comparison is quadratic.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Kind::Attack => f.write_str("`none` or the id of an attack"),
            Kind::Int(_) => f.write_str("a whole number"),
            Kind::Float(_) => f.write_str("a number"),
            Kind::Bool => f.write_str("`true` or `false`"),
            Kind::Name => f.write_str("a name"),
            Kind::Ints(count) => write!(f, "{count} whole numbers"),
            Kind::Users => f.write_str("`all`, a count, or a range `A..B`"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low {
            Included(low) => write!(f, "at least {low}")?,
            Excluded(low) => write!(f, "above {low}")?,
            Unbounded => {}
        }
        if self.low != Unbounded && self.high != Unbounded {
            f.write_str(" and ")?;
        }
        match self.high {
            Included(high) => write!(f, "at most {high}"),
            Excluded(high) => write!(f, "below {high}"),
            Unbounded => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;
    use serde_json::json;

    fn value(name: &str, text: &str) -> Result<Value, String> {
        let node = document::parse(text).unwrap();
        CATALOGUE[find(name).unwrap()].value(&node).map_err(|f| match f.help {
            Some(help) => format!("{}; {help}", f.message),
            None => f.message,
        })
    }

    #[test]
    fn the_catalogue_is_sound() {
        for (id, parameter) in CATALOGUE.iter().enumerate() {
            assert_eq!(find(parameter.name), Some(id), "{} twice", parameter.name);
            if let Some((section, _)) = parameter.name.split_once('.') {
                assert!(SECTIONS.contains(&section), "{section}");
            }
            if let Some(default) = parameter.default_value() {
                let node = document::parse(&plain(&default)).unwrap();
                assert_eq!(parameter.value(&node).unwrap(), default, "{}", parameter.name);
            }
        }
        for attack in attack::ATTACKS {
            for name in attack.parameters {
                let parameter = &CATALOGUE[find(name).unwrap()];
                assert_eq!(parameter.concern, AttackParameter, "{name} of {}", attack.id);
            }
        }
    }

    #[test]
    fn values_get_the_type_of_their_parameter() {
        assert_eq!(value("epsilon", "1"), Ok(json!(1.0)));
        assert_eq!(value("epsilon", "-0.0"), Ok(json!(0.0)));
        assert_eq!(value("embedding.subsample", "1e-4"), Ok(json!(0.0001)));
        assert_eq!(value("agent.epochs", "10"), Ok(json!(10)));
        assert_eq!(value("rollout.users", "0..10000"), Ok(json!("0..10000")));
        assert_eq!(value("rollout.users", "500"), Ok(json!("0..500")));
        assert_eq!(value("rollout.users", "all"), Ok(json!("all")));
        assert_eq!(value("rollout.topk", "[25, 5, 1]"), Ok(json!([25, 5, 1])));
        assert_eq!(value("graph.purchase_needs_words", "true"), Ok(json!("true")));
        assert_eq!(value("rollout.direct", "false"), Ok(json!(false)));
        assert_eq!(value("dataset", "2018"), Ok(json!("2018")));
    }

    #[test]
    fn values_out_of_range_or_of_another_type_are_refused() {
        let mut found = String::new();
        for (name, text) in [
            ("agent.epochs", "ten"),
            ("agent.epochs", "1e3"),
            ("agent.epochs", "-1"),
            ("agent.gamma", "1.5"),
            ("agent.action_dropout", "1"),
            ("graph.tfidf_threshold", "0"),
            ("epsilon", ".nan"),
            ("rollout.users", "5..5"),
            ("rollout.users", "0"),
            ("rollout.users", "x..y"),
            ("rollout.topk", "[25, 5]"),
            ("rollout.topk", "[25, 5, 0]"),
            ("rollout.direct", "yes"),
            ("attack", "fgsm_inf"),
            ("timing", "sometimes"),
            ("dataset", "../secret"),
            ("dataset", "~"),
            ("agent.hidden", "512"),
        ] {
            found.push_str(&format!("{name}: {text} -> {}\n", value(name, text).unwrap_err()));
        }
        // Not to be changed for every new attack.
        let found = found.replace(&attack_ids().join(", "), "none, [every attack]");
        insta::assert_snapshot!(found, @r"
        agent.epochs: ten -> `agent.epochs` takes a whole number, not `ten`; the default is 50
        agent.epochs: 1e3 -> `agent.epochs` takes a whole number, not `1e3`; write 1000
        agent.epochs: -1 -> `agent.epochs` is `-1`, which is out of range; it must be at least 0
        agent.gamma: 1.5 -> `agent.gamma` is `1.5`, which is out of range; it must be at least 0 and at most 1
        agent.action_dropout: 1 -> `agent.action_dropout` is `1`, which is out of range; it must be at least 0 and below 1
        graph.tfidf_threshold: 0 -> `graph.tfidf_threshold` is `0`, which is out of range; it must be above 0 and at most 1
        epsilon: .nan -> `epsilon` takes a number, not `.nan`
        rollout.users: 5..5 -> `rollout.users` is `5..5`, which names no user; write `all`, a count, or `A..B` for the users from A up to but not including B
        rollout.users: 0 -> `rollout.users` is `0`, which names no user; write `all`, a count, or `A..B` for the users from A up to but not including B
        rollout.users: x..y -> `rollout.users` takes `all`, a count, or a range `A..B`, not `x..y`; the default is all
        rollout.topk: [25, 5] -> `rollout.topk` takes 3 whole numbers, not 2
        rollout.topk: [25, 5, 0] -> `rollout.topk` is `0`, which is out of range; it must be at least 1 and at most 1000000
        rollout.direct: yes -> `rollout.direct` takes `true` or `false`, not `yes`; write `true` or `false`
        attack: fgsm_inf -> `attack` has no value `fgsm_inf`; did you mean `fgsm_linf`? valid: none, [every attack]
        timing: sometimes -> `timing` has no value `sometimes`; valid: always, random, strategic, strategic_range, oracle
        dataset: ../secret -> `../secret` is no name for `dataset`; names are made of letters, digits, `_`, `-` and `.`
        dataset: ~ -> `dataset` takes a name, not nothing
        agent.hidden: 512 -> `agent.hidden` takes 2 whole numbers, not `512`; the default is [512,256]
        ");
    }

    #[test]
    fn the_nearest_name_is_a_few_errors_away() {
        let names = || CATALOGUE.iter().map(|p| p.name);
        assert_eq!(nearest("epsilno", names()), Some("epsilon"));
        assert_eq!(nearest("Timing", names()), Some("timing"));
        assert_eq!(nearest("agent.epoch", names()), Some("agent.epochs"));
        assert_eq!(nearest("weather", names()), None);
        assert_eq!(nearest("", names()), None);
    }
}
