//! Annotated heat maps.

use super::picture::{Axis, Mark, Panel};

/// A matrix with names at its sides; what is missing has no field.
pub struct Heat {
    pub title: String,
    pub row_label: String,
    pub rows: Vec<String>,
    pub column_label: String,
    pub columns: Vec<String>,
    /// Row, column and value.
    pub values: Vec<(usize, usize, f64)>,
}

/// Columns from which a number has two digits and no zero before the point: there is no room for more.
const MANY: usize = 8;

/// Lays matrices out with one scale of colours for all, so that equal colours mean equal values. `digits`:
/// after the point.
pub fn panels(maps: Vec<Heat>, digits: usize) -> Vec<Panel> {
    let all = || maps.iter().flat_map(|map| map.values.iter().map(|v| v.2));
    let (low, high) =
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let shade = |value: f64| if high > low { (value - low) / (high - low) } else { 0.0 };
    let panels = maps.into_iter().map(|map| {
        let many = map.columns.len() >= MANY;
        let text = |value: f64| {
            let number = format!("{value:.0$}", if many { digits.min(2) } else { digits });
            match number.strip_prefix("0.").filter(|_| many) {
                Some(rest) => format!(".{rest}"),
                None => number.replace('-', "−"),
            }
        };
        let fields = map.values.iter().map(|&(row, column, value)| Mark::Field {
            column,
            row,
            shade: shade(value),
            text: text(value),
        });
        Panel {
            title: map.title,
            marks: fields.collect(),
            x: Axis::names(&map.column_label, map.columns),
            y: Axis::names(&map.row_label, map.rows),
            low: false,
        }
    });
    panels.collect()
}
