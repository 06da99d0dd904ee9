//! `advrec import`: embeddings and policies that another program trained.

use super::{BadInput, Context, Output, exit, sources};
use crate::agent::AgentParams;
use crate::agent::weights::Weights;
use crate::embed::Embeddings;
use crate::kg::NodeSpace;
use crate::plan::{Stage, StageInput, StageKey, StageKind};
use crate::store::ImportRow;
use anyhow::Context as _;
use serde_json::{Map, json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The commands of `advrec import`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make an embedding and an agent that a grid can name (`agent: {imported: ID}`) from weights
    Weights(WeightsArgs),
}

/// Arguments of `advrec import weights`.
#[derive(clap::Args)]
pub struct WeightsArgs {
    /// The dataset that the weights were trained on
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Entity tables and relation vectors by name: `user` (count × dim), …, `purchase` (dim), …
    #[arg(long, value_name = "FILE.safetensors")]
    embeddings: PathBuf,
    /// `l1`, `l2`, `actor`, `critic`: weights (out, in) and biases
    #[arg(long, value_name = "FILE.safetensors")]
    policy: PathBuf,
    /// The name to give them
    #[arg(long, value_name = "ID")]
    name: String,
    /// Where folders of datasets in PGPR's format are, for a dataset that was not imported
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

/// Runs the command; returns the exit code.
pub fn run(command: Command, context: &Context) -> anyhow::Result<u8> {
    let Command::Weights(args) = command;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if args.name.is_empty() || !args.name.chars().all(valid) {
        let text = format!("--name {:?}: letters, digits, - and _ make a name", args.name);
        return Err(BadInput(text).into());
    }
    let found = sources::find(&args.dataset, args.data_root.as_deref(), context)?;
    let space = NodeSpace::new(found.load(context)?.counts);
    let embeddings = Embeddings::load(&args.embeddings, &space)
        .map_err(|e| bad_file(&args.embeddings, &e.to_string()))?;
    let weights =
        Weights::load(&args.policy).map_err(|e| bad_file(&args.policy, &e.to_string()))?;
    let history =
        history(&weights, embeddings.dimension).map_err(|e| bad_file(&args.policy, &e))?;

    // Only now: files that are at fault leave nothing behind.
    let dataset_key = found.bring(context)?;
    let (store, mut db) = sources::open(context)?;

    let input = |role: &str, key: &StageKey| StageInput { role: role.into(), key: key.clone() };
    let mut params = Map::new();
    params.insert("imported".into(), json!(digest(&args.embeddings)?));
    let embedding = Stage::new(StageKind::Embedding, params, vec![input("dataset", &dataset_key)]);
    let embedding_key = embedding.key();
    sources::artefact(&store, &embedding, Vec::new(), sources::provenance(), |dir| {
        Ok(embeddings.save(dir)?)
    })?;

    let agent = AgentParams {
        hidden: weights.hidden().map(|n| n as u64),
        max_actions: weights.action_count() as u64 - 1,
        history,
        imported: Some(digest(&args.policy)?),
        ..AgentParams::default()
    };
    let serde_json::Value::Object(params) = serde_json::to_value(&agent)? else {
        anyhow::bail!("agent parameters are not an object");
    };
    let inputs = vec![input("embedding", &embedding_key)];
    let agent = Stage::new(StageKind::Agent, params, inputs);
    let agent_key = agent.key();
    sources::artefact(&store, &agent, Vec::new(), sources::provenance(), |dir| {
        Ok(weights.save(dir)?)
    })?;

    db.register_import(&ImportRow {
        id: args.name.clone(),
        dataset: args.dataset.clone(),
        embedding_key: embedding_key.clone(),
        agent_key: agent_key.clone(),
    })?;
    match context.output {
        Output::Json => writeln!(
            io::stdout(),
            "{}",
            json!({"id": args.name, "dataset": args.dataset, "embedding": embedding_key, "agent": agent_key})
        )?,
        Output::Human => writeln!(
            io::stdout(),
            "imported {} for {}: state of {} numbers, {} actions; name it in a grid as `agent: {{imported: {}}}`",
            args.name,
            args.dataset,
            weights.state_dim(),
            weights.action_count(),
            args.name
        )?,
    }
    Ok(exit::DONE)
}

/// An error in a file, which it names.
fn bad_file(file: &Path, error: &str) -> BadInput {
    let file = file.display().to_string();
    BadInput(if error.contains(&file) { error.to_owned() } else { format!("{file}: {error}") })
}

/// How many earlier steps the states hold that the network takes.
fn history(weights: &Weights, dimension: usize) -> Result<u64, String> {
    (0..=2).find(|h| weights.state_dim() as u64 == (2 + 2 * h) * dimension as u64).ok_or_else(|| {
        format!(
            "tensor `l1.weight` takes states of {} numbers; with embeddings of dimension {dimension} \
             a state has {}, {} or {} (history 0, 1 or 2)",
            weights.state_dim(), 2 * dimension, 4 * dimension, 6 * dimension
        )
    })
}

fn digest(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}
