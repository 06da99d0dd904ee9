//! The queries that give a judgement's numbers, over public tables and views.

use super::claims::Rule;
use super::paths;
use super::trials::{Detector, Parameters, Setting};
use serde_json::Value as Json;

/// The query of each seed's numbers; of drift, which a view has over the seeds, of its means.
pub fn query(
    rule: &Rule,
    setting: &Setting,
    detector: Option<&Detector>,
    users: &[&str],
) -> String {
    let at = format!("grid = {} AND ", quoted(&setting.grid));
    let dataset = quoted(&setting.dataset);
    if matches!(rule, Rule::Drift { .. } | Rule::Nearer { .. }) {
        return format!(
            "SELECT attack, epsilon, other_attack, other_epsilon, value, lower, upper, n FROM drift \
             WHERE {at}dataset = {dataset} AND metric = 'mmd_biased'{}",
            conditions("parameters", &setting.differs, users)
        );
    }
    let param = |name: &str| format!("json_extract(c.params, '$.{name}')");
    let columns: Vec<String> = ["attack", "epsilon", "timing", "frequency", "seed"]
        .iter()
        .map(|name| format!("{} AS {name}", param(name)))
        .collect();
    let mut own = setting.differs.clone();
    own.insert("agent.algorithm".to_owned(), "actor_critic".into());
    let (stage, metrics) = match (rule, detector) {
        (_, Some(detector)) => {
            own.extend(detector.differs.clone());
            let metrics = match rule {
                Rule::Detection { .. } => "m.name IN ('f1', 'prevalence')",
                _ => "m.name = 'recall'",
            };
            let stage = "JOIN cell_stages o ON o.cell_id = c.cell_id \
                JOIN stages s ON s.key = o.stage_key AND s.kind = 'detection' \
                AND s.state = 'done'";
            (stage, format!("{metrics} AND m.split = 'all'"))
        }
        _ => {
            let stage = "JOIN stages s ON s.key = c.ranking AND s.state = 'done'";
            (stage, "m.name = 'ndcg' AND m.split = 'all_users'".to_owned())
        }
    };
    debug_assert_eq!(paths::is_of_detectors(rule), detector.is_some());
    format!(
        "SELECT {}, m.name, m.value FROM cell_results c {stage} \
         JOIN metrics m ON m.stage_key = s.key \
         WHERE c.{at}{} = {dataset} AND {metrics}{} ORDER BY 1, 2, 3, 4, 5",
        columns.join(", "),
        param("dataset"),
        conditions("c.params", &own, users)
    )
}

/// What each parameter has to be, and the users one of several.
fn conditions(column: &str, parameters: &Parameters, users: &[&str]) -> String {
    let conditions = parameters.iter().filter_map(|(name, value)| {
        let value = match value {
            Json::String(text) => quoted(text),
            Json::Number(number) => number.to_string(),
            Json::Bool(value) => u8::from(*value).to_string(),
            // As SQLite writes it.
            Json::Array(_) => quoted(&value.to_string()),
            Json::Null | Json::Object(_) => return None,
        };
        Some(format!(" AND json_extract({column}, '$.\"{name}\"') = {value}"))
    });
    let users: Vec<String> = users.iter().map(|range| quoted(range)).collect();
    let users = match users.as_slice() {
        [one] => format!("= {one}"),
        several => format!("IN ({})", several.join(", ")),
    };
    let of_users = format!(" AND json_extract({column}, '$.\"rollout.users\"') {users}");
    conditions.chain(std::iter::once(of_users)).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
