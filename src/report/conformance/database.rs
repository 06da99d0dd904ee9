//! Reads trials from the database.

use super::trials::{Arm, Detector, Drift, Parameters, Setting, Trial, ordered};
use crate::report::database::{ReportError, failed};
use crate::report::results::{self, MetricName};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The metrics that are read: kind of stage, split, name.
const METRICS: [[&str; 3]; 8] = [
    ["ranking", "all_users", "ndcg"],
    ["rollout", "all", "realised_frequency"],
    ["rollout", "all", "l1_mean"],
    ["rollout", "all", "l2_mean"],
    ["rollout", "all", "linf_mean"],
    ["detection", "all", "f1"],
    ["detection", "all", "recall"],
    ["detection", "all", "prevalence"],
];

/// A cell of the paper's agent, neither defended nor with an attack that goes beyond the paper's.
fn is_papers(params: &Parameters) -> bool {
    let text = |name: &str| params.get(name).and_then(Json::as_str);
    text("agent.algorithm") == Some("actor_critic")
        && !params.contains_key("agent.imported")
        && matches!(text("defense"), None | Some("none"))
        && !params.keys().any(|name| {
            ["transfer.", "adaptive.", "adversarial_training."]
                .iter()
                .any(|section| name.starts_with(section))
        })
}

/// Whether a parameter is the attack's.
fn is_of_attack(name: &str) -> bool {
    !name.contains('.') && !matches!(name, "dataset" | "seed" | "defense")
}

/// Whether it is of what is measured beside the ranking.
fn is_beside(name: &str) -> bool {
    name.starts_with("detector.")
        || name.starts_with("drift.")
        || matches!(name, "seed" | "defense" | "rollout.direct")
}

/// Keys of the stages with a cell's results.
struct Stages {
    rollout: Option<String>,
    ranking: Option<String>,
    detection: Option<String>,
}

/// Reads the settings of one grid, or of all, those of a dataset together.
///
/// # Errors
/// If the database cannot be read.
pub fn read(db: &Connection, grid: Option<&str>) -> Result<Vec<Setting>, ReportError> {
    let mut values = Vec::new();
    for [kind, split, name] in METRICS {
        let metric = MetricName { kind: kind.into(), split: split.into(), name: name.into() };
        values.push((kind, name, results::values(db, &metric)?));
    }
    let mut settings: BTreeMap<[String; 4], Setting> = BTreeMap::new();
    for (grid, params, stages) in cells(db, grid)? {
        if !is_papers(&params) {
            continue;
        }
        let part = |wanted: &dyn Fn(&str) -> bool| -> Parameters {
            let own = params.iter().filter(|(name, _)| wanted(name));
            own.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut context = part(&|name| !is_of_attack(name) && !is_beside(name));
        let text = |name: &str| params.get(name).and_then(Json::as_str).unwrap_or("").to_owned();
        let (dataset, users) = (text("dataset"), text("rollout.users"));
        context.remove("rollout.users");
        let key = serde_json::to_string(&context).unwrap_or_default();
        let key = [dataset.clone(), grid.clone(), key, users.clone()];
        let setting = settings.entry(key).or_insert_with(|| Setting {
            grid,
            dataset,
            users,
            context,
            ..Setting::default()
        });
        let Some(seed) = params.get("seed").and_then(Json::as_u64) else { continue };
        let trial = |kinds: &[&str]| {
            let value = |(kind, name, values): &(&str, &'static str, HashMap<String, f64>)| {
                let key = match *kind {
                    "ranking" => &stages.ranking,
                    "rollout" => &stages.rollout,
                    _ => &stages.detection,
                };
                let of_kind = kinds.contains(kind).then_some(key.as_ref()).flatten();
                Some((*name, *values.get(of_kind?)?))
            };
            let rollout = stages.rollout.clone().unwrap_or_default();
            Trial { rollout, values: values.iter().filter_map(value).collect() }
        };
        let attack = part(&is_of_attack);
        // Cells that differ in the detector alone share the ranking.
        add(&mut setting.arms, &attack, seed, trial(&["ranking", "rollout"]));
        if stages.detection.is_some() {
            let detector = part(&|name| name.starts_with("detector."));
            let at = setting.detectors.iter().position(|known| known.parameters == detector);
            let at = at.unwrap_or_else(|| {
                setting.detectors.push(Detector { parameters: detector, ..Detector::default() });
                setting.detectors.len() - 1
            });
            add(&mut setting.detectors[at].arms, &attack, seed, trial(&["detection", "rollout"]));
        }
    }
    let mut settings: Vec<Setting> = settings.into_values().collect();
    tell_apart(&mut settings);
    let drift = Arc::new(drift(db)?);
    settings.iter_mut().for_each(|setting| setting.drift = Arc::clone(&drift));
    Ok(settings)
}

fn add(arms: &mut Vec<Arm>, attack: &Parameters, seed: u64, trial: Trial) {
    let at = arms.iter().position(|arm| arm.attack == *attack).unwrap_or_else(|| {
        arms.push(Arm { attack: attack.clone(), trials: BTreeMap::new() });
        arms.len() - 1
    });
    arms[at].trials.entry(seed).or_insert(trial);
}

/// The parameters in which one of several sets differs from any other.
fn differing(own: &Parameters, all: &[&Parameters]) -> Parameters {
    let differing =
        own.iter().filter(|(name, value)| all.iter().any(|other| other.get(*name) != Some(*value)));
    differing.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Gives settings of one dataset and users in one grid the parameters in which they differ, and their
/// detectors likewise.
fn tell_apart(settings: &mut [Setting]) {
    let named =
        settings.iter().map(|s| ([&s.dataset, &s.grid, &s.users].map(Clone::clone), &s.context));
    let named: Vec<([String; 3], Parameters)> =
        named.map(|(name, context)| (name, context.clone())).collect();
    for (setting, (name, context)) in settings.iter_mut().zip(&named) {
        let alike = named.iter().filter(|(other, _)| other == name);
        let alike: Vec<&Parameters> = alike.map(|(_, context)| context).collect();
        setting.differs = differing(context, &alike);
        let detectors: Vec<Parameters> =
            setting.detectors.iter().map(|detector| detector.parameters.clone()).collect();
        let all: Vec<&Parameters> = detectors.iter().collect();
        for detector in &mut setting.detectors {
            detector.differs = differing(&detector.parameters, &all);
        }
    }
}

fn cells(
    db: &Connection,
    grid: Option<&str>,
) -> Result<Vec<(String, Parameters, Stages)>, ReportError> {
    let what = "the view `cell_results`";
    // Asked once: a question for each cell would go through all detections each time.
    let sql = "SELECT cs.cell_id, s.key FROM stages s JOIN cell_stages cs ON cs.stage_key = s.key
        WHERE s.kind = 'detection' AND s.state = 'done'";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let detections: HashMap<i64, String> =
        rows.map_err(failed(what))?.collect::<Result<_, _>>().map_err(failed(what))?;
    let sql = "SELECT cell_id, grid, params, rollout, ranking FROM cell_results
        WHERE ?1 IS NULL OR grid = ?1 ORDER BY grid, cell_id";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        let detection = detections.get(&row.get(0)?).cloned();
        let stages = Stages { rollout: row.get(3)?, ranking: row.get(4)?, detection };
        Ok((row.get::<_, String>(1)?, row.get::<_, String>(2)?, stages))
    });
    let mut cells = Vec::new();
    for row in rows.map_err(failed(what))? {
        let (grid, params, stages) = row.map_err(failed(what))?;
        let json = |source| ReportError::Json { what: "the parameters of a cell", source };
        cells.push((grid, serde_json::from_str(&params).map_err(json)?, stages));
    }
    Ok(cells)
}

fn drift(db: &Connection) -> Result<Drift, ReportError> {
    let what = "the drift between rollouts";
    let [kind, split, name] = ["drift", "all", "mmd_biased"].map(str::to_owned);
    let values = results::values(db, &MetricName { kind, split, name })?;
    let sql = "SELECT one.stage_key, one.input_key, coalesce(other.input_key, one.input_key)
        FROM stages s
        JOIN stage_inputs one ON one.stage_key = s.key AND one.role = 'rollout'
        LEFT JOIN stage_inputs other ON other.stage_key = s.key AND other.role = 'other'
        WHERE s.kind = 'drift' AND s.state = 'done'";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    });
    let mut found = Drift::default();
    for row in rows.map_err(failed(what))? {
        let (stage, one, other) = row.map_err(failed(what))?;
        if let Some(value) = values.get(&stage) {
            found.mmd.entry(ordered(&one, &other)).or_insert(*value);
            found.compared.extend([one, other]);
        }
    }
    Ok(found)
}
