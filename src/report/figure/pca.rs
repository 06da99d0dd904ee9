//! Clean and attacked action sequences on the first two principal components of both together.

use super::super::database::{ReportError, failed, identity};
use super::super::setting::told_apart;
use super::frame::{BLACK, GREY};
use super::names::{Pens, attack_label, dataset};
use super::picture::{Axis, Colour, Figure, Key, Mark, Marker, Panel, Sample};
use super::results::{
    Group, Outcome, Parameters, attack, file_name, grouped, is_special, of_attack,
};
use super::{Kind, Source};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::collections::HashMap;

pub const KIND: Kind = Kind {
    id: "pca",
    needs: "drift between clean and attacked cells (`drift.compare: references` or `all`), compared by this \
            version",
    draw,
};

/// Attacks in one figure: more would not go on a page with its caption.
const MOST: usize = 8;

/// What a comparison of clean and attacked sequences came to, under its first seed.
struct Pair {
    seed: Option<i64>,
    shares: [f64; 2],
    clean: Cloud,
    attacked: Cloud,
}

struct Cloud {
    sequences: i64,
    points: Vec<(f64, f64)>,
}

/// By what identifies the results of the attacked cell.
type Pairs = HashMap<(String, String), Pair>;

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let pairs = read(source.db, source.grid)?;
    // Results of drift are of either side with each other; those of attacks with the clean ones count.
    let mut seen = Vec::new();
    let mut attacked: Vec<Outcome> = Vec::new();
    for outcome in source.of_kind("drift").filter(|o| against_clean(o)) {
        let mut parameters = outcome.parameters.clone();
        parameters.remove("other");
        let key = identity(&outcome.grid, &parameters);
        if pairs.contains_key(&key) && !seen.contains(&key) {
            seen.push(key);
            attacked.push(Outcome::without_values(outcome, parameters));
        }
    }
    let groups = grouped(attacked.iter(), &[], |_| true);
    let mut figures = Vec::new();
    let several = groups.len() > 1 || groups.iter().any(|group| group.datasets().len() > 1);
    for group in &groups {
        for name in group.datasets() {
            // A figure of one dataset needs no name in its file's.
            let own = if several { format!("-{}", file_name(name)) } else { String::new() };
            let base = format!("{}{}{own}", KIND.id, group.suffix);
            figures.extend(of_dataset(group, name, &base, &pairs));
        }
    }
    Ok(figures)
}

fn against_clean(outcome: &Outcome) -> bool {
    let Some(Json::Object(other)) = outcome.parameters.get("other") else { return false };
    attack(other) == "none" && attack(&outcome.parameters) != "none"
}

/// The figures of a dataset, as many as its attacks need.
fn of_dataset(group: &Group<'_>, name: &str, base: &str, pairs: &Pairs) -> Vec<Figure> {
    let mut rows: Vec<(Parameters, &Pair)> = group
        .of(name)
        .filter_map(|o| {
            let pair = pairs.get(&identity(&o.grid, &o.parameters))?;
            Some((of_attack(&o.parameters, &[]), pair))
        })
        .collect();
    rows.sort_by_cached_key(|(own, _)| (is_special(own), identity("", own)));
    let labels = rows.iter().map(|(own, _)| attack_label(own, &[])).collect();
    let labels = told_apart(labels, &rows.iter().map(|(own, _)| own).collect::<Vec<_>>());
    let mut pens = Pens::default();
    let colours: Vec<Colour> = rows
        .iter()
        .zip(&labels)
        .map(|((own, _), label)| pens.of(label, attack(own)).colour)
        .collect();
    let all: Vec<(&Pair, Colour, String)> = rows
        .iter()
        .zip(colours)
        .zip(labels)
        .map(|((row, colour), label)| (row.1, colour, label))
        .collect();
    let pages = all.chunks(MOST).enumerate();
    let figures = pages.map(|(page, rows)| {
        let part = if page > 0 { format!("-part-{}", page + 1) } else { String::new() };
        let one_colour = rows.iter().all(|row| row.1 == rows[0].1);
        let attacked = if one_colour { rows[0].1 } else { BLACK };
        let key = |label: &str, marker, colour| Key {
            label: label.to_owned(),
            sample: Sample::Speck { marker, colour },
        };
        Figure {
            name: format!("{base}{part}"),
            caption: group.caption(&caption(name, rows.iter().map(|row| row.0))),
            legend: vec![
                key("clean paths", Marker::Circle, GREY),
                key("attacked paths", Marker::Triangle, attacked),
            ],
            columns: rows.len().min(2),
            panels: rows.iter().map(|(pair, colour, label)| panel(pair, *colour, label)).collect(),
        }
    });
    figures.collect()
}

fn caption<'a>(name: &str, pairs: impl Iterator<Item = &'a Pair> + Clone) -> String {
    let sides = pairs.clone().flat_map(|pair| [&pair.clean, &pair.attacked]);
    let most = |of: fn(&Cloud) -> usize| sides.clone().map(of).max().unwrap_or_default();
    let (points, sequences) =
        (most(|c| c.points.len()), most(|c| c.sequences.unsigned_abs() as usize));
    let seeds: Vec<i64> = pairs.filter_map(|pair| pair.seed).collect();
    let seed = match seeds.first() {
        Some(seed) if seeds.iter().all(|other| other == seed) => format!(", seed {seed}"),
        _ => ", the first seed of each".to_owned(),
    };
    format!(
        "Action sequences of clean and attacked paths on {}{seed}: the first two principal components of both \
         sets of a panel together, which they share as axes; each panel has components of its own, from up to \
         {sequences} sequences a set, of which up to {points} are drawn",
        dataset(name)
    )
}

fn panel(pair: &Pair, colour: Colour, label: &str) -> Panel {
    let both = || pair.clean.points.iter().chain(&pair.attacked.points);
    let axis = |at: usize, values: &mut dyn Iterator<Item = f64>| {
        let label = format!("PC {} ({:.0} % of variance)", at + 1, 100.0 * pair.shares[at]);
        Axis::around(&label, values)
    };
    let cloud = |cloud: &Cloud, marker, colour| Mark::Cloud {
        points: cloud.points.clone(),
        marker,
        colour,
    };
    Panel {
        title: label.to_owned(),
        x: axis(0, &mut both().map(|point| point.0)),
        y: axis(1, &mut both().map(|point| point.1)),
        marks: vec![
            cloud(&pair.clean, Marker::Circle, GREY),
            cloud(&pair.attacked, Marker::Triangle, colour),
        ],
        low: false,
    }
}

fn read(db: &Connection, grid: Option<&str>) -> Result<Pairs, ReportError> {
    let what = "the table `projections`";
    // Where several clean cells or seeds are there, the first counts.
    let sql = "
        WITH known AS MATERIALIZED (
            SELECT k.cell_id, k.grid, k.params, k.shared_parameters, k.rollout,
                   coalesce(json_extract(k.params, '$.attack'), 'none') = 'none' AS clean
            FROM cell_results k WHERE (?1 IS NULL OR k.grid = ?1) AND k.rollout IS NOT NULL)
        SELECT a.grid, a.shared_parameters, json_extract(a.params, '$.seed') AS seed, i.role, p.share_1,
               p.share_2, p.rollout_sequences, p.rollout_points, p.other_sequences, p.other_points
        FROM known a
        JOIN cell_stages cs ON cs.cell_id = a.cell_id
        JOIN projections p ON p.stage_key = cs.stage_key
        JOIN stages s ON s.key = p.stage_key AND s.state = 'done'
        JOIN stage_inputs i ON i.stage_key = p.stage_key AND i.role IN ('rollout', 'other')
            AND i.input_key = a.rollout
        JOIN stage_inputs o ON o.stage_key = p.stage_key AND o.role IN ('rollout', 'other')
            AND o.role <> i.role
        WHERE NOT a.clean AND EXISTS (
            SELECT 1 FROM known c WHERE c.rollout = o.input_key AND c.grid = a.grid AND c.clean)
        ORDER BY a.grid, seed, a.cell_id";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut pairs = Pairs::new();
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, json): (String, String) = (row.get(0)?, row.get(1)?);
            let parameters: Parameters = serde_json::from_str(&json).unwrap_or_default();
            let key = identity(&grid, &parameters);
            if pairs.contains_key(&key) {
                return Ok(());
            }
            let cloud = |at: usize| -> rusqlite::Result<Cloud> {
                let points: String = row.get(at + 1)?;
                let points = serde_json::from_str(&points).unwrap_or_default();
                Ok(Cloud { sequences: row.get(at)?, points })
            };
            let (rollout, other) = (cloud(6)?, cloud(8)?);
            let (attacked, clean) = match row.get::<_, String>(3)?.as_str() {
                "rollout" => (rollout, other),
                _ => (other, rollout),
            };
            let shares = [row.get(4)?, row.get(5)?];
            pairs.insert(key, Pair { seed: row.get(2)?, shares, clean, attacked });
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(pairs)
}
