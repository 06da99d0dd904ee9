//! The marks of figures as shapes.

use super::frame::{self, BLACK, DOT, LINE, SMALL, SPECK, THIN, VEIL, WHITE, fitted};
use super::layout::{Point, ROW, Rect, Shape, Side};
use super::picture::{Colour, Mark, Marker, Panel, Pen};

/// Draws the band of a line, below every line.
pub fn draw_band(mark: &Mark, inner: &Rect, panel: &Panel, shapes: &mut Vec<Shape>) {
    let Mark::Line { points, band, pen, .. } = mark else { return };
    if band.len() != points.len() || band.len() < 2 {
        return;
    }
    let side = |of: fn(&(f64, f64)) -> f64| {
        let ends = points.iter().zip(band).map(move |(point, ends)| (point.0, of(ends)));
        ends.map(|(x, y)| (panel.x_of(x, inner), panel.y_of(y, inner))).collect::<Vec<Point>>()
    };
    let points = side(|ends| ends.0).into_iter().chain(side(|ends| ends.1).into_iter().rev());
    // Many bands over one another must not turn dark.
    let banded = |mark: &&Mark| matches!(mark, Mark::Line { band, .. } if !band.is_empty());
    let bands = panel.marks.iter().filter(banded).count();
    let opacity = 0.13 * (4.0 / bands.max(4) as f64);
    shapes.push(Shape::Area { points: points.collect(), colour: pen.colour, opacity });
}

/// Draws a mark between the axes of its panel.
pub fn draw(mark: &Mark, inner: &Rect, panel: &Panel, shapes: &mut Vec<Shape>) {
    let at = |(x, y): Point| (panel.x_of(x, inner), panel.y_of(y, inner));
    match mark {
        Mark::Line { points, pen, dots, .. } => {
            let points: Vec<Point> = points.iter().copied().map(at).collect();
            stroke(&points, *pen, LINE, shapes);
            if *dots {
                shapes.extend(points.into_iter().map(|centre| Shape::Circle {
                    centre,
                    radius: DOT,
                    colour: pen.colour,
                    opacity: 1.0,
                }));
            }
        }
        Mark::Level { at, pen } => {
            let y = panel.y_of(*at, inner);
            stroke(&[(inner.left, y), (inner.right, y)], *pen, LINE, shapes);
        }
        Mark::Upright { at, pen } => {
            let x = panel.x_of(*at, inner);
            stroke(&[(x, inner.top), (x, inner.bottom)], *pen, LINE, shapes);
        }
        Mark::Dot { at: place, colour } => {
            let (centre, radius) = (at(*place), 1.4 * DOT);
            let circle = |radius, colour| Shape::Circle { centre, radius, colour, opacity: 1.0 };
            shapes.extend([circle(radius, WHITE), circle(DOT, *colour)]);
        }
        Mark::Cloud { points, marker, colour } => {
            shapes.extend(points.iter().map(|point| speck(at(*point), *marker, *colour, VEIL)));
        }
        Mark::Field { column, row, shade, text: written, .. } => {
            let (x, y) = at((*column as f64, *row as f64));
            let wide = panel.x.share(1.0) - panel.x.share(0.0);
            let high = panel.y.share(1.0) - panel.y.share(0.0);
            let half = (
                wide * (inner.right - inner.left) / 2.0 - 0.5 * THIN,
                high * (inner.bottom - inner.top) / 2.0 - 0.5 * THIN,
            );
            let colour = frame::shade(*shade);
            shapes.push(rectangle((x - half.0, y - half.1), (x + half.0, y + half.1), colour));
            shapes.push(Shape::Text {
                at: (x, y),
                text: fitted(written, SMALL, 2.0 * half.0),
                em: SMALL,
                side: Side::Middle,
                upwards: false,
                colour: frame::ink_on(colour),
            });
        }
        Mark::Box { row, five, values, colour } => {
            let y = panel.y_of(*row as f64, inner);
            let [least, q1, median, q3, most] = five.map(|value| panel.x_of(value, inner));
            let half = 0.3 * ROW;
            let whiskers = vec![(least, y), (most, y)];
            shapes.push(Shape::Line { points: whiskers, colour: *colour, width: LINE });
            // The edge as an area around another: a closed path of thick lines is not drawn whole.
            shapes.push(rectangle((q1, y - half), (q3, y + half), *colour));
            if q3 - q1 > 2.0 * LINE {
                let inner = ((q1 + LINE, y - half + LINE), (q3 - LINE, y + half - LINE));
                shapes.push(rectangle(inner.0, inner.1, WHITE));
            }
            let middle = vec![(median, y - half), (median, y + half)];
            shapes.push(Shape::Line { points: middle, colour: *colour, width: 2.0 * LINE });
            shapes.extend(values.iter().map(|value| Shape::Circle {
                centre: (panel.x_of(*value, inner), y),
                radius: 0.7 * DOT,
                colour: BLACK,
                opacity: 1.0,
            }));
        }
        Mark::Bar { row, from, to, colour, crossed } => {
            let y = panel.y_of(*row as f64, inner);
            let (left, right) = (panel.x_of(*from, inner), panel.x_of(*to, inner));
            // A moment, too, is seen.
            let right = right.max(left + THIN);
            let (low, high) = ((left, y - 0.36 * ROW), (right, y + 0.36 * ROW));
            shapes.push(rectangle(low, high, *colour));
            if right - left > 6.0 * THIN {
                // Between one and the next of the same colour.
                let points = vec![(left, low.1), (left, high.1)];
                shapes.push(Shape::Line { points, colour: WHITE, width: THIN });
            }
            if *crossed {
                cross(low, high, shapes);
            }
        }
    }
}

/// One of many small marks.
pub fn speck(centre: Point, marker: Marker, colour: Colour, opacity: f64) -> Shape {
    let (x, y) = centre;
    match marker {
        Marker::Circle => Shape::Circle { centre, radius: SPECK, colour, opacity },
        Marker::Triangle => {
            // With the area of the circle, about its middle.
            let (half, high) = (1.35 * SPECK, 2.34 * SPECK);
            let points = vec![
                (x, y - high * 2.0 / 3.0),
                (x + half, y + high / 3.0),
                (x - half, y + high / 3.0),
            ];
            Shape::Area { points, colour, opacity }
        }
    }
}

/// A filled one.
pub fn rectangle(low: Point, high: Point, colour: Colour) -> Shape {
    let points = vec![low, (high.0, low.1), high, (low.0, high.1)];
    Shape::Area { points, colour, opacity: 1.0 }
}

/// Two diagonals and the edges between two corners.
pub fn cross(low: Point, high: Point, shapes: &mut Vec<Shape>) {
    let around = vec![low, (high.0, low.1), high, (low.0, high.1), low];
    for points in [around, vec![low, high], vec![(low.0, high.1), (high.0, low.1)]] {
        shapes.push(Shape::Line { points, colour: BLACK, width: THIN });
    }
}

/// Draws joined points in the pattern of a pen, which runs on around corners.
pub fn stroke(points: &[Point], pen: Pen, width: f64, shapes: &mut Vec<Shape>) {
    let pattern = frame::strokes(pen.dash);
    let colour = pen.colour;
    if pattern.is_empty() {
        shapes.push(Shape::Line { points: points.to_vec(), colour, width });
        return;
    }
    let (mut part, mut left) = (0, pattern[0]);
    let mut drawn: Vec<Point> = points.first().copied().into_iter().collect();
    for ends in points.windows(2) {
        let (mut from, to) = (ends[0], ends[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                if part % 2 == 0 {
                    drawn.push(to);
                }
                break;
            }
            let share = left / length;
            from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            if part % 2 == 0 {
                drawn.push(from);
                shapes.push(Shape::Line { points: std::mem::take(&mut drawn), colour, width });
            } else {
                drawn = vec![from];
            }
            part = (part + 1) % pattern.len();
            left = pattern[part];
        }
    }
    if part % 2 == 0 && drawn.len() > 1 {
        shapes.push(Shape::Line { points: drawn, colour, width });
    }
}
