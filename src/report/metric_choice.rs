//! Which metrics a table shows, by the names that its reader gives.

use super::general::GeneralError;
use super::results::MetricName;
use super::table1::METRICS;
use crate::grid::nearest;
use std::collections::BTreeSet;

/// How many names a message lists.
const LISTED: usize = 12;

/// What several of may stand side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub metric: bool,
    pub split: bool,
}

/// The metrics that are asked for by name and split, as stages report them. Without names `ndcg`, or the
/// four of Table 1 where they are spread; without splits `valid` before `all`, or every one where they are
/// spread.
///
/// # Errors
/// If there is no such metric or split, or there are several that nothing spreads.
pub(super) fn choose(
    known: &[MetricName],
    names: &[String],
    splits: &[String],
    spread: Spread,
) -> Result<Vec<MetricName>, GeneralError> {
    // A cell has several drifts, one for each cell that it is compared with.
    let known: Vec<&MetricName> = known.iter().filter(|metric| metric.kind != "drift").collect();
    if known.is_empty() {
        return Err(GeneralError::Empty);
    }
    let defaults: Vec<String> = METRICS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = match (names, spread.metric) {
        ([], true) => &defaults[..],
        ([], false) => &defaults[..1],
        (names, _) => names,
    };
    let several =
        |what, values: &[String]| Err(GeneralError::Several { what, values: values.join(", ") });
    if names.len() > 1 && !spread.metric {
        return several("metric", names);
    }
    if splits.len() > 1 && !spread.split {
        return several("split", splits);
    }
    let mut chosen = Vec::new();
    for name in names {
        let of_name: Vec<&MetricName> =
            known.iter().filter(|metric| metric.name == *name).copied().collect();
        if of_name.is_empty() {
            let there = known.iter().map(|metric| metric.name.as_str());
            return Err(unknown(format!("the metric `{name}`"), name, there));
        }
        if splits.is_empty() && spread.split {
            chosen.extend(of_name.iter().filter(|m| m.kind == of_name[0].kind).copied().cloned());
            continue;
        }
        let preferred = ["valid", "all"].map(str::to_owned);
        if splits.is_empty() {
            let mut usual = preferred
                .iter()
                .filter_map(|split| of_name.iter().find(|metric| metric.split == *split));
            match (usual.next(), &of_name[..]) {
                (Some(metric), _) => chosen.push((*metric).clone()),
                (None, [metric]) => chosen.push((*metric).clone()),
                (None, _) => {
                    let splits: Vec<String> =
                        of_name.iter().take(LISTED).map(|m| m.split.clone()).collect();
                    return several("split", &splits);
                }
            }
        }
        for split in splits {
            let found = of_name.iter().find(|metric| metric.split == *split);
            let Some(found) = found else {
                let there = of_name.iter().map(|metric| metric.split.as_str());
                return Err(unknown(format!("`{name}` in the split `{split}`"), split, there));
            };
            chosen.push((*found).clone());
        }
    }
    Ok(chosen)
}

fn unknown<'a>(what: String, name: &str, there: impl Iterator<Item = &'a str>) -> GeneralError {
    let there: BTreeSet<&str> = there.collect();
    let near = suggestion(nearest(name, there.iter().copied()));
    let more = there.len().saturating_sub(LISTED);
    let mut listed = there.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        listed += &format!(" and {more} more");
    }
    GeneralError::Unknown { what, near, there: listed }
}

/// The nearest name as a question; nothing where none is near.
pub(super) fn suggestion(near: Option<&str>) -> String {
    near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"))
}
