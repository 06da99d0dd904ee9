//! When each stage of the last sweep ran in which slot, and how many slots were busy.

use super::super::database::{ReportError, failed};
use super::frame::{BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, SKY, VERMILION};
use super::picture::{Axis, Colour, Figure, Key, Mark, Panel, Pattern, Pen, Sample};
use super::{Kind, Source};
use rusqlite::Connection;
use std::collections::BTreeSet;

pub const KIND: Kind = Kind { id: "timeline", needs: "a sweep with attempts that ended", draw };

/// One attempt at a stage; times in seconds from the first start.
struct Attempt {
    kind: String,
    slot: i64,
    from: f64,
    to: f64,
    succeeded: bool,
}

/// The last sweep that ran anything, and of the grid where one is asked for.
fn read(db: &Connection, grid: Option<&str>) -> Result<Vec<Attempt>, ReportError> {
    let what = "the view `runs`";
    let sql = "
        WITH last AS (
            SELECT max(w.id) AS id FROM sweeps w LEFT JOIN grids g ON g.id = w.grid_id
            WHERE (?1 IS NULL OR g.name = ?1)
                AND EXISTS (SELECT 1 FROM attempts a WHERE a.sweep_id = w.id AND a.ended IS NOT NULL))
        SELECT kind, coalesce(slot, 0), 86400.0 * (julianday(started) - min(julianday(started)) OVER ()),
               86400.0 * (julianday(ended) - min(julianday(started)) OVER ()), state = 'done'
        FROM runs WHERE sweep_id = (SELECT id FROM last) AND ended IS NOT NULL
        ORDER BY started, attempt";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        Ok(Attempt {
            kind: row.get(0)?,
            slot: row.get(1)?,
            from: row.get(2)?,
            to: row.get(3)?,
            succeeded: row.get(4)?,
        })
    });
    rows.map_err(failed(what))?.collect::<Result<_, _>>().map_err(failed(what))
}

/// Kinds of stages in their order, each with its colour.
const COLOURS: [(&str, Colour); 9] = [
    ("graph", PALE),
    ("embedding", SKY),
    ("agent", BLUE),
    ("calibration", GREY),
    ("rollout", VERMILION),
    ("ranking", ORANGE),
    ("drift", PURPLE),
    ("detector", GREEN),
    ("detection", BLACK),
];

fn colour(kind: &str) -> Colour {
    COLOURS.iter().find(|(name, _)| *name == kind).map_or(GREY, |(_, colour)| *colour)
}

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let mut attempts = read(source.db, source.grid)?;
    apart(&mut attempts);
    let end = attempts.iter().map(|a| a.to).fold(0.0, f64::max);
    if attempts.is_empty() || end <= 0.0 {
        return Ok(Vec::new());
    }
    let (unit, size) = match end {
        _ if end < 180.0 => ("seconds", 1.0),
        _ if end < 3.0 * 3600.0 => ("minutes", 60.0),
        _ => ("hours", 3600.0),
    };
    let slots: BTreeSet<i64> = attempts.iter().map(|a| a.slot).collect();
    let slots: Vec<i64> = slots.into_iter().collect();
    let row = |slot| slots.iter().position(|known| *known == slot).unwrap_or_default();
    let mut bars: Vec<Mark> = attempts
        .iter()
        .map(|a| Mark::Bar {
            row: row(a.slot),
            from: a.from / size,
            to: a.to / size,
            colour: colour(&a.kind),
            crossed: !a.succeeded,
        })
        .collect();
    // What came to nothing must not be hidden by what ran after it.
    bars.sort_by_key(|bar| matches!(bar, Mark::Bar { crossed: true, .. }));
    let kinds: BTreeSet<&str> = attempts.iter().map(|a| a.kind.as_str()).collect();
    let known = COLOURS.iter().filter(|(kind, _)| kinds.contains(kind));
    let mut legend: Vec<Key> = known
        .map(|(kind, colour)| Key { label: (*kind).to_owned(), sample: Sample::Patch(*colour) })
        .collect();
    if kinds.iter().any(|kind| COLOURS.iter().all(|(known, _)| known != kind)) {
        legend.push(Key { label: "other".to_owned(), sample: Sample::Patch(GREY) });
    }
    if attempts.iter().any(|a| !a.succeeded) {
        legend.push(Key { label: "did not succeed".to_owned(), sample: Sample::Crossed });
    }
    let label = format!("{unit} since the first start");
    let percent = |busy: f64| 100.0 * (busy / slots.len() as f64).min(1.0);
    let points =
        occupancy(&attempts, end).iter().map(|(t, busy)| (t / size, percent(*busy))).collect();
    let pen = Pen::new(BLUE, Pattern::Solid);
    let panels = vec![
        Panel {
            title: String::new(),
            x: Axis::linear("", 0.0, end / size),
            y: Axis::names("", slots.iter().map(|slot| format!("slot {slot}")).collect()),
            marks: bars,
            low: true,
        },
        Panel {
            title: String::new(),
            x: Axis::linear(&label, 0.0, end / size),
            y: Axis::linear("busy slots (%)", 0.0, 105.0),
            marks: vec![Mark::Line { points, band: Vec::new(), pen, dots: false }],
            low: true,
        },
    ];
    let busy: f64 = attempts.iter().map(|a| a.to - a.from).sum();
    let share = percent(busy / end);
    let caption = format!(
        "Stages of the last sweep by slot, and how many slots were busy: {share:.0} % of the time on average"
    );
    let name = KIND.id.to_owned();
    Ok(vec![Figure { name, caption, legend, columns: 1, panels }])
}

/// A slot runs one stage at a time: what ended is recorded a moment later than it ended, often after the next
/// began.
fn apart(attempts: &mut [Attempt]) {
    for at in 0..attempts.len() {
        let (before, rest) = attempts.split_at_mut(at);
        if let Some(last) = before.iter_mut().rfind(|a| a.slot == rest[0].slot) {
            last.to = last.to.min(rest[0].from);
        }
    }
}

/// Windows of time over which busy slots are averaged: the moments between two stages are not worth a line.
const WINDOWS: usize = 120;

/// How many slots are busy on average in each of [`WINDOWS`] windows up to `end`, by its middle.
fn occupancy(attempts: &[Attempt], end: f64) -> Vec<(f64, f64)> {
    let width = end / WINDOWS as f64;
    let window = |at: usize| {
        let (from, to) = (at as f64 * width, (at + 1) as f64 * width);
        let within = |a: &Attempt| (a.to.min(to) - a.from.max(from)).max(0.0);
        ((from + to) / 2.0, attempts.iter().map(within).sum::<f64>() / width)
    };
    (0..WINDOWS).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(slot: i64, from: f64, to: f64) -> Attempt {
        Attempt { kind: "rollout".to_owned(), slot, from, to, succeeded: true }
    }

    #[test]
    fn busy_slots_are_counted_by_hand() {
        let attempts = [attempt(0, 0.0, 2.0), attempt(1, 1.0, 3.0), attempt(0, 2.0, 2.5)];
        let windows = occupancy(&attempts, 3.0);
        let at = |time: f64| windows.iter().rfind(|(middle, _)| *middle <= time).unwrap().1;
        for (time, busy) in [(0.5, 1.0), (1.5, 2.0), (2.25, 2.0), (2.75, 1.0)] {
            assert!((at(time) - busy).abs() < 1e-9, "{time}");
        }
    }

    #[test]
    fn a_slot_is_never_busy_twice() {
        let mut attempts = [attempt(0, 0.0, 2.1), attempt(1, 1.0, 9.0), attempt(0, 2.0, 4.0)];
        apart(&mut attempts);
        assert_eq!(attempts.map(|a| a.to), [2.0, 9.0, 4.0]);
    }
}
