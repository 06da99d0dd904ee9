//! `advrec recommend`: one agent's lists, paths and probabilities, as lines of JSON.

use super::{BadInput, Context, Output, exit, run_options, sources, sweep};
use crate::agent::rollout::describe;
use crate::agent::{AgentParams, Rollout};
use crate::kg::{Graph, graph::GraphParams};
use crate::plan::{Plan, PlannedStage, Stage, StageInput, StageKey, StageKind};
use crate::run::Ending;
use crate::store::{ArtefactStore, Database};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `advrec recommend`.
#[derive(clap::Args)]
pub struct Args {
    /// The dataset
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Imported weights by their ID, or an agent that a sweep trained by the start of its stage key
    #[arg(long, value_name = "ID")]
    agent: String,
    /// Users by index: `A..B`, `N` for the first N, or `all`
    #[arg(long, default_value = "all", value_name = "RANGE")]
    users: String,
    /// Actions that the beam takes at each hop
    #[arg(long, default_value = "25,5,1", value_delimiter = ',', value_name = "K,K,K")]
    topk: Vec<usize>,
    /// Edges kept at a node; must be what the agent's network was made for
    #[arg(long, value_name = "N")]
    max_actions: Option<u64>,
    /// Where the lines go
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Where folders of datasets in PGPR's format are, for a dataset that was not imported
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
}

/// An agent with what it was made from.
struct Source {
    embedding: StageKey,
    agent: StageKey,
    /// The graph that a trained agent walked; imported ones take the dataset's default graph.
    graph: Option<StageKey>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    if args.topk.len() != 3 || args.topk.contains(&0) {
        return Err(BadInput("--topk: three numbers of at least 1, such as 25,5,1".into()).into());
    }
    let users = user_range(&args.users)?;
    let found = sources::find(&args.dataset, args.data_root.as_deref(), context)?;
    found.check_users(&users)?;
    let store = ArtefactStore::at(&context.store);
    let db = context.db.is_file().then(|| Database::open_tables(&context.db)).transpose()?;
    let source = find_agent(&args, db.as_ref(), &store)?;
    drop(db);
    check_network(&args, &store, &source.agent)?;
    let dataset = found.bring(context)?;
    let plan = plan(&args, &users, &dataset, &source)?;
    let keys: Vec<StageKey> = plan.stages.iter().map(|s| s.key.clone()).collect();
    let settings = run_options::plain_settings()?;
    let work = sweep::Work { grid: None, plan: &plan, anew: &[] };
    let outcome = sweep::Session::begin(&work, context)?.execute(&plan, &settings)?;
    match outcome.ending {
        Ending::Finished if outcome.failed == 0 => {}
        Ending::Interrupted => return Ok(exit::INTERRUPTED),
        _ => anyhow::bail!(
            "a stage did not run to its end; `advrec query \"SELECT * FROM failures\"` shows errors and logs"
        ),
    }
    let graph = source.graph.clone().unwrap_or_else(|| keys[0].clone());
    let rollout_key = &keys[keys.len() - 2];
    let ranking_key = &keys[keys.len() - 1];
    let graph = Graph::load(&store.path(StageKind::Graph, &graph))?;
    let rollout = Rollout::load(&store.path(StageKind::Rollout, rollout_key), &graph.space)?;
    write_lines(&args.out, &rollout, &graph)?;
    let metrics = store.manifest(StageKind::Ranking, ranking_key)?.metrics;
    match context.output {
        Output::Json => writeln!(io::stdout(), "{}", serde_json::to_string(&metrics)?)?,
        Output::Human => {
            writeln!(io::stdout(), "{} users in {}", rollout.users.len(), args.out.display())?;
            for metric in metrics {
                writeln!(
                    io::stdout(),
                    "{:<10} {:<15} {:>9.4}  n {}",
                    metric.split,
                    metric.name,
                    metric.value,
                    metric.n
                )?;
            }
        }
    }
    Ok(exit::DONE)
}

fn user_range(text: &str) -> Result<String, BadInput> {
    let range = match text.split_once("..") {
        Some((a, b)) => a.parse::<u32>().ok().zip(b.parse::<u32>().ok()),
        None => text.parse::<u32>().ok().map(|n| (0, n)),
    };
    match range {
        Some((first, end)) if first < end => Ok(format!("{first}..{end}")),
        None if text == "all" => Ok("all".to_owned()),
        _ => Err(BadInput(format!("--users {text:?}: expected A..B with A < B, a number, or all"))),
    }
}

fn find_agent(args: &Args, db: Option<&Database>, store: &ArtefactStore) -> anyhow::Result<Source> {
    if let Some(import) = db.map(|db| db.import(&args.agent)).transpose()?.flatten() {
        if import.dataset != args.dataset {
            let text = format!(
                "--agent {}: its weights belong to dataset {}, not {}",
                args.agent, import.dataset, args.dataset
            );
            return Err(BadInput(text).into());
        }
        let (embedding, agent) = (import.embedding_key, import.agent_key);
        return Ok(Source { embedding, agent, graph: None });
    }
    let folder = store.root().join("artefacts").join(StageKind::Agent.name());
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut keys: Vec<StageKey> = names
        .filter_map(|entry| StageKey::parse(entry.file_name().to_str()?))
        .filter(|key| args.agent.len() >= 6 && key.as_str().starts_with(&args.agent))
        .collect();
    match keys.len() {
        1 => {
            let key = keys.remove(0);
            let stage = store.manifest(StageKind::Agent, &key)?.stage;
            let embedding = stage.input("embedding").context("the agent has no embedding")?.clone();
            let graph = stage.input("graph").cloned();
            Ok(Source { embedding, agent: key, graph })
        }
        0 => {
            let known = db.map(Database::import_ids).transpose()?.unwrap_or_default().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let text = format!(
                "--agent {}: neither imported weights (known: {known}) nor the start of a trained \
                 agent's key (at least 6 digits; see `advrec query \"SELECT key FROM stages WHERE kind = 'agent'\"`)",
                args.agent
            );
            Err(BadInput(text).into())
        }
        n => Err(BadInput(format!("--agent {}: {n} agents' keys start so", args.agent)).into()),
    }
}

fn check_network(args: &Args, store: &ArtefactStore, agent: &StageKey) -> anyhow::Result<()> {
    let params = store.manifest(StageKind::Agent, agent)?.stage.params;
    let params: AgentParams = serde_json::from_value(Value::Object(params))?;
    match args.max_actions {
        Some(n) if n != params.max_actions => Err(BadInput(format!(
            "--max-actions {n}: the agent's network was made for {}",
            params.max_actions
        ))
        .into()),
        _ => Ok(()),
    }
}

/// Graph (for imported weights), rollout and ranking.
fn plan(args: &Args, users: &str, dataset: &StageKey, source: &Source) -> anyhow::Result<Plan> {
    let input = |role: &str, key: &StageKey| StageInput { role: role.into(), key: key.clone() };
    let mut plan = Plan::default();
    let mut add = |stage: Stage, needs: Vec<usize>| {
        let key = stage.key();
        plan.stages.push(PlannedStage { key: key.clone(), stage, needs, cells: 1 });
        (plan.stages.len() - 1, key)
    };
    let (graph, mut needs) = match &source.graph {
        Some(key) => (key.clone(), Vec::new()),
        None => {
            let Value::Object(params) = serde_json::to_value(GraphParams::default())? else {
                anyhow::bail!("graph parameters are not an object");
            };
            let stage = Stage::new(StageKind::Graph, params, vec![input("dataset", dataset)]);
            let (index, key) = add(stage, Vec::new());
            (key, vec![index])
        }
    };
    let params = json!({
        "users": users, "topk": args.topk, "dropout_at_eval": false, "seed": 0, "attack": "none",
    });
    let inputs = vec![
        input("graph", &graph),
        input("embedding", &source.embedding),
        input("agent", &source.agent),
    ];
    let (index, rollout) =
        add(Stage::new(StageKind::Rollout, object(params), inputs), needs.clone());
    needs.push(index);
    let inputs = vec![input("graph", &graph), input("rollout", &rollout)];
    add(Stage::new(StageKind::Ranking, object(json!({"cutoff": 10})), inputs), needs);
    Ok(plan)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// One line of the output.
#[derive(Serialize)]
struct Line<'a> {
    user: u32,
    /// Indices of products, best first.
    top10: &'a [u32],
    /// Every path of the beam, `[relation, entity type, index]` a node.
    paths: Vec<Vec<(&'static str, &'static str, u32)>>,
    /// Of each path, under the agent.
    probabilities: &'a [f32],
}

/// One line a user: the list, best first, and every path of the beam with its probability.
fn write_lines(out: &Path, rollout: &Rollout, graph: &Graph) -> anyhow::Result<()> {
    let partial = out.with_extension("partial");
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(fs::File::create(&partial)?);
        for (i, user) in rollout.users.iter().enumerate() {
            let range = rollout.offsets[i] as usize..rollout.offsets[i + 1] as usize;
            let paths =
                rollout.paths[range.clone()].iter().map(|p| describe(p, &graph.space)).collect();
            let line = Line {
                user: *user,
                top10: rollout.list(i),
                paths,
                probabilities: &rollout.probabilities[range],
            };
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&partial, out)?;
        Ok(())
    };
    write().with_context(|| {
        let _ = fs::remove_file(&partial);
        format!("could not write {}", out.display())
    })
}
