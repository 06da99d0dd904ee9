//! Curves of trainings as small pictures, one for each kind of stage.

use super::curves::{Curve, KINDS, Kind, SHOWN, Seen};
use super::escaped;
use std::fmt::Write as _;

/// Size of a picture in its own units, and the room around the curves.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 52.0;
const EDGE: f64 = 8.0;
const BELOW: f64 = 22.0;

/// The pictures of all kinds that have curves: those of trainings that run before those that are done.
pub fn panels(done: &[Curve], seen: &Seen) -> String {
    let panels: String = KINDS
        .iter()
        .map(|kind| {
            let all = seen.curves().chain(done).filter(|curve| curve.kind == kind.stage);
            panel(kind, &all.take(SHOWN).collect::<Vec<_>>())
        })
        .collect();
    if panels.is_empty() {
        return panels;
    }
    format!("<div class=\"live-panels\">\n{panels}</div>\n")
}

fn panel(kind: &Kind, curves: &[&Curve]) -> String {
    let Some(scale) = Scale::of(curves) else { return String::new() };
    let title = format!("{}: {} by epoch", kind.stage, kind.quantity);
    let mut html = format!(
        "<figure>\n<figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}; the last values are listed below\">\n\
         <path class=\"live-axes\" d=\"M{LEFT} {EDGE}V{}H{}\"/>\n",
        HEIGHT - BELOW,
        WIDTH - EDGE
    );
    let mut text = |x: f64, y: f64, anchor: &str, said: &str| {
        let _ = writeln!(html, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{said}</text>");
    };
    text(LEFT - 4.0, EDGE + 8.0, "end", &number(scale.high));
    text(LEFT - 4.0, HEIGHT - BELOW, "end", &number(scale.low));
    text(LEFT, HEIGHT - 6.0, "start", "1");
    text(WIDTH - EDGE, HEIGHT - 6.0, "end", &scale.last.to_string());
    text((LEFT + WIDTH) / 2.0, HEIGHT - 6.0, "middle", "epoch");
    for (at, curve) in curves.iter().enumerate() {
        let _ =
            writeln!(html, "<path class=\"live-curve live-{at}\" d=\"{}\"/>", scale.path(curve));
    }
    html += "</svg>\n<ul>\n";
    for (at, curve) in curves.iter().enumerate() {
        html += &entry(at, curve);
    }
    html + "</ul>\n</figure>\n"
}

/// What a curve is, and where it is now.
fn entry(at: usize, curve: &Curve) -> String {
    let Some((epoch, value)) = curve.points.last_key_value() else { return String::new() };
    let key = curve.key.get(..12).unwrap_or(&curve.key);
    let state = match curve.running {
        true => format!(" at epoch {epoch}, running"),
        false => String::new(),
    };
    format!(
        "<li><svg class=\"live-sample\" viewBox=\"0 0 28 8\" aria-hidden=\"true\">\
         <path class=\"live-curve live-{at}\" d=\"M0 4H28\"/></svg> {} <small>{}</small>: {}{state}</li>\n",
        escaped(key),
        escaped(&curve.setting),
        number(*value)
    )
}

/// Where epochs and values are in a picture.
struct Scale {
    last: u64,
    low: f64,
    high: f64,
}

impl Scale {
    /// One that holds all curves; `None` where there is no point.
    fn of(curves: &[&Curve]) -> Option<Self> {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let last = *points().map(|(epoch, _)| epoch).max()?;
        let low = points().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let high = points().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        Some(Self { last: last.max(2), low, high })
    }

    fn x(&self, epoch: u64) -> f64 {
        let share = epoch.saturating_sub(1) as f64 / (self.last - 1) as f64;
        LEFT + share * (WIDTH - LEFT - EDGE)
    }

    /// Equal values lie in the middle.
    fn y(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        let share = if span > 0.0 { (value - self.low) / span } else { 0.5 };
        HEIGHT - BELOW - share * (HEIGHT - BELOW - EDGE)
    }

    fn path(&self, curve: &Curve) -> String {
        let mut path = String::new();
        for (at, (&epoch, &value)) in curve.points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x(epoch), self.y(value));
        }
        if curve.points.len() == 1 {
            // With round ends a line of no length is a dot.
            path.push_str("h0");
        }
        path
    }
}

/// Three digits or so, for the end of an axis.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, f64)]) -> Curve {
        Curve {
            kind: "agent".to_owned(),
            key: "ab".repeat(32),
            setting: "seed 1".to_owned(),
            running: false,
            points: points.iter().copied().collect(),
        }
    }

    #[test]
    fn curves_fill_the_picture() {
        let (a, b) = (curve(&[(1, 0.0), (3, 2.0)]), curve(&[(2, 1.0)]));
        let scale = Scale::of(&[&a, &b]).unwrap();
        assert_eq!(scale.path(&a), "M52.0 128.0L312.0 8.0");
        assert_eq!(scale.path(&b), "M182.0 68.0h0");
        assert!(Scale::of(&[&curve(&[])]).is_none());
    }

    #[test]
    fn one_value_and_equal_ones_are_in_the_middle() {
        let flat = curve(&[(1, 5.0), (2, 5.0)]);
        assert_eq!(Scale::of(&[&flat]).unwrap().path(&flat), "M52.0 68.0L312.0 68.0");
        let one = curve(&[(1, 5.0)]);
        assert_eq!(Scale::of(&[&one]).unwrap().path(&one), "M52.0 68.0h0");
    }

    #[test]
    fn numbers_are_short() {
        let said = [0.0, 0.012_345, -1.234_5, 12_345.6, 1.23e-5, 6.0e9].map(number);
        assert_eq!(said, ["0", "0.0123", "-1.23", "12346", "1.2e-5", "6.0e9"]);
    }

    #[test]
    fn kinds_without_curves_have_no_picture() {
        assert_eq!(panels(&[], &Seen::default()), "");
        let html = panels(&[curve(&[(1, 0.5), (2, 0.75)])], &Seen::default());
        assert_eq!(html.matches("<figure>").count(), 1);
        assert!(html.contains("abababababab <small>seed 1</small>: 0.7500</li>"), "{html}");
    }
}
