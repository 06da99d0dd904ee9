//! Puts a figure on a sheet: where the legend, the panels, their axes and marks are, as shapes.

use super::frame::{self, BLACK, DOT, GREY, LINE, MM, PALE, TEXT, THIN, WIDTH, fitted, text_width};
use super::marks::{self, cross, rectangle, stroke};
use super::picture::{Axis, Colour, Figure, Key, Mark, Panel, Sample};

/// Everything that is drawn, in units of which [`MM`] are a millimetre, from the upper left corner.
pub struct Sheet {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

pub type Point = (f64, f64);

/// What the painters know.
pub enum Shape {
    Line {
        points: Vec<Point>,
        colour: Colour,
        width: f64,
    },
    Area {
        points: Vec<Point>,
        colour: Colour,
        opacity: f64,
    },
    Circle {
        centre: Point,
        radius: f64,
        colour: Colour,
        opacity: f64,
    },
    /// A text by the middle of its height; `upwards`: turned to be read from below.
    Text {
        at: Point,
        text: String,
        em: f64,
        side: Side,
        upwards: bool,
        colour: Colour,
    },
}

/// Which end of a text its place says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Middle,
    Right,
}

const GAP: f64 = 1.2 * MM;
const LINE_HEIGHT: f64 = 1.4 * TEXT;
/// Height of a row of a heat map, of box plots or of bars.
pub const ROW: f64 = 5.2 * MM;
/// Height of the axes of numbers in a panel that has the width to itself, and in one of two.
const TALL: f64 = 44.0 * MM;
const LOW: f64 = 31.0 * MM;
/// Longest name below a column of a heat map.
const NAMES: f64 = 36.0 * MM;
/// Length of a sample in the legend.
const SAMPLE: f64 = 7.0 * MM;

/// Where the axes of a panel are.
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Figure {
    /// Lays the figure out, as high as it needs to be.
    pub fn lay_out(&self) -> Sheet {
        let mut shapes = Vec::new();
        let mut top = GAP;
        if !self.legend.is_empty() {
            top = legend(&self.legend, top, &mut shapes) + GAP;
        }
        let columns = self.columns.max(1);
        let width = WIDTH / columns as f64;
        // Axes below each other begin at the same place, those beside each other end at the same height.
        let mut lefts = vec![0.0_f64; columns];
        for (at, panel) in self.panels.iter().enumerate() {
            let left = &mut lefts[at % columns];
            *left = left.max(Margins::of(panel, width).left);
        }
        for row in self.panels.chunks(columns) {
            let below = row.iter().map(|p| Margins::of(p, width).below).fold(0.0, f64::max);
            let height = row.iter().map(|p| p.height(columns)).fold(0.0, f64::max);
            let above = match row.iter().all(|p| p.title.is_empty()) {
                true => 0.5 * TEXT,
                false => LINE_HEIGHT + 0.3 * TEXT,
            };
            for (at, panel) in row.iter().enumerate() {
                let left = at as f64 * width;
                let inner = Rect {
                    left: left + lefts[at],
                    top: top + above,
                    right: left + width - 2.0 * MM,
                    bottom: top + above + height,
                };
                panel.draw(&inner, left, &mut shapes);
            }
            top += above + height + below + GAP;
        }
        Sheet { width: WIDTH, height: top.ceil(), shapes }
    }
}

/// Room that the labels of a panel's axes take.
struct Margins {
    left: f64,
    below: f64,
}

impl Margins {
    fn of(panel: &Panel, width: f64) -> Self {
        let widest = match &panel.y {
            // Names leave the larger half of the width to what they name.
            Axis::Names { names, .. } => {
                let widest = names.iter().map(|n| text_width(n, TEXT)).fold(0.0, f64::max);
                widest.min(0.45 * width)
            }
            axis => {
                let ticks = frame::ticks(axis, 5);
                ticks.iter().map(|(_, label)| text_width(label, TEXT)).fold(0.0, f64::max)
            }
        };
        let label = if panel.y.label().is_empty() { 0.0 } else { LINE_HEIGHT };
        let left = GAP + label + widest + GAP;
        let ticks = match panel.slanted(width - left) {
            true => {
                let Axis::Names { names, .. } = &panel.x else { return Self { left, below: 0.0 } };
                names.iter().map(|n| text_width(n, TEXT)).fold(0.0, f64::max).min(NAMES) + GAP
            }
            false => LINE_HEIGHT + 0.1 * TEXT,
        };
        let label = if panel.x.label().is_empty() { 0.0 } else { LINE_HEIGHT };
        Self { left, below: GAP + ticks + label }
    }
}

impl Panel {
    fn height(&self, columns: usize) -> f64 {
        match &self.y {
            Axis::Names { names, .. } => names.len() as f64 * ROW,
            Axis::Numbers { .. } if columns > 1 || self.low => LOW,
            Axis::Numbers { .. } => TALL,
        }
    }

    /// Whether the names of the horizontal axis are too long to stand beside each other.
    fn slanted(&self, width: f64) -> bool {
        let Axis::Names { names, .. } = &self.x else { return false };
        let room = width / names.len().max(1) as f64 - 0.5 * TEXT;
        names.iter().any(|name| text_width(name, TEXT) > room)
    }

    /// `outer`: the left edge of the panel with its labels.
    fn draw(&self, inner: &Rect, outer: f64, shapes: &mut Vec<Shape>) {
        let heat = self.marks.iter().any(|m| matches!(m, Mark::Field { .. }));
        if !self.title.is_empty() {
            let middle = (inner.left + inner.right) / 2.0;
            let room = 2.0 * (middle - outer).min(inner.right - middle);
            let title = fitted(&self.title, TEXT, room);
            text(shapes, (middle, inner.top - 0.8 * TEXT), &title, TEXT, Side::Middle);
        }
        self.grid(inner, heat, shapes);
        for mark in &self.marks {
            marks::draw_band(mark, inner, self, shapes);
        }
        for mark in &self.marks {
            marks::draw(mark, inner, self, shapes);
        }
        if !heat {
            let corners = [(inner.left, inner.top), (inner.left, inner.bottom)];
            let foot = [(inner.left, inner.bottom), (inner.right, inner.bottom)];
            for points in [corners, foot] {
                shapes.push(Shape::Line { points: points.to_vec(), colour: BLACK, width: THIN });
            }
        }
        self.labels(inner, outer, shapes);
    }

    /// Pale lines at the ticks of numbers.
    fn grid(&self, inner: &Rect, heat: bool, shapes: &mut Vec<Shape>) {
        let mut line = |points: Vec<Point>| {
            shapes.push(Shape::Line { points, colour: PALE, width: THIN });
        };
        if let (Axis::Numbers { .. }, false) = (&self.y, heat) {
            for (value, _) in frame::ticks(&self.y, 5) {
                let y = self.y_of(value, inner);
                line(vec![(inner.left, y), (inner.right, y)]);
            }
        }
        if let (Axis::Numbers { .. }, false) = (&self.x, heat) {
            for (value, _) in self.x_ticks(inner) {
                let x = self.x_of(value, inner);
                line(vec![(x, inner.top), (x, inner.bottom)]);
            }
        }
    }

    /// As many as have room beside each other.
    fn x_ticks(&self, inner: &Rect) -> Vec<(f64, String)> {
        let mut ticks = frame::ticks(&self.x, ((inner.right - inner.left) / (8.0 * MM)) as usize);
        let mut end = f64::NEG_INFINITY;
        ticks.retain(|(value, label)| {
            let (x, half) = (self.x_of(*value, inner), text_width(label, TEXT) / 2.0);
            let fits = x - half > end + 0.3 * TEXT;
            if fits {
                end = x + half;
            }
            fits
        });
        ticks
    }

    fn labels(&self, inner: &Rect, outer: f64, shapes: &mut Vec<Shape>) {
        let label = if self.y.label().is_empty() { 0.0 } else { LINE_HEIGHT };
        for (value, name) in frame::ticks(&self.y, 5) {
            let room = inner.left - outer - 2.0 * GAP - label + 1.0;
            let at = (inner.left - 0.6 * GAP, self.y_of(value, inner));
            text(shapes, at, &fitted(&name, TEXT, room), TEXT, Side::Right);
        }
        let mut below = inner.bottom + GAP;
        if let (true, Axis::Names { names, .. }) = (self.slanted(inner.right - inner.left), &self.x)
        {
            for (at, name) in names.iter().enumerate() {
                let at = (self.x_of(at as f64, inner), below - 0.4 * GAP);
                shapes.push(Shape::Text {
                    at,
                    text: fitted(name, TEXT, NAMES),
                    em: TEXT,
                    side: Side::Right,
                    upwards: true,
                    colour: BLACK,
                });
            }
            let longest = names.iter().map(|n| text_width(n, TEXT)).fold(0.0, f64::max);
            below += longest.min(NAMES) + 0.3 * TEXT;
        } else {
            let ticks = match &self.x {
                Axis::Names { .. } => frame::ticks(&self.x, 0),
                Axis::Numbers { .. } => self.x_ticks(inner),
            };
            for (value, name) in ticks {
                let at = (self.x_of(value, inner), below + 0.45 * TEXT);
                text(shapes, at, &name, TEXT, Side::Middle);
            }
            below += LINE_HEIGHT + 0.1 * TEXT;
        }
        if !self.x.label().is_empty() {
            // In the middle of the axis, moved where it would run over an edge.
            let half = text_width(self.x.label(), TEXT) / 2.0;
            let middle = ((inner.left + inner.right) / 2.0)
                .min(inner.right + 1.0 * MM - half)
                .max(outer + half);
            text(shapes, (middle, below + 0.3 * TEXT), self.x.label(), TEXT, Side::Middle);
        }
        if !self.y.label().is_empty() {
            shapes.push(Shape::Text {
                at: (outer + GAP + 0.4 * TEXT, (inner.top + inner.bottom) / 2.0),
                text: fitted(self.y.label(), TEXT, inner.bottom - inner.top + 6.0 * MM),
                em: TEXT,
                side: Side::Middle,
                // A single letter stands as it is: ε on its back is another.
                upwards: self.y.label().chars().nth(1).is_some(),
                colour: BLACK,
            });
        }
    }

    pub fn x_of(&self, value: f64, inner: &Rect) -> f64 {
        inner.left + self.x.share(value) * (inner.right - inner.left)
    }

    pub fn y_of(&self, value: f64, inner: &Rect) -> f64 {
        let share = self.y.share(value);
        let height = inner.bottom - inner.top;
        match &self.y {
            Axis::Numbers { .. } => inner.bottom - share * height,
            Axis::Names { .. } => inner.top + share * height,
        }
    }
}

fn text(shapes: &mut Vec<Shape>, at: Point, text: &str, em: f64, side: Side) {
    let text = text.to_owned();
    shapes.push(Shape::Text { at, text, em, side, upwards: false, colour: BLACK });
}

/// Lays the legend out above everything, in as many lines as it needs; returns where it ends.
fn legend(keys: &[Key], top: f64, shapes: &mut Vec<Shape>) -> f64 {
    let before = SAMPLE + 0.8 * GAP;
    let widest = keys.iter().map(|key| text_width(&key.label, TEXT)).fold(0.0, f64::max);
    let columns = ((WIDTH - GAP) / (before + widest + 2.0 * GAP)).floor().max(1.0) as usize;
    let mut y = top - LINE_HEIGHT / 2.0;
    for (at, key) in keys.iter().enumerate() {
        if at % columns == 0 {
            y += LINE_HEIGHT;
        }
        let x = GAP + (at % columns) as f64 * (WIDTH - GAP) / columns as f64;
        let label = fitted(&key.label, TEXT, WIDTH - 2.0 * GAP - before);
        let half = 0.35 * TEXT;
        match key.sample {
            Sample::Line { pen, dots } => {
                stroke(&[(x, y), (x + SAMPLE, y)], pen, LINE, shapes);
                if dots {
                    let centre = (x + SAMPLE / 2.0, y);
                    shapes.push(Shape::Circle {
                        centre,
                        radius: DOT,
                        colour: pen.colour,
                        opacity: 1.0,
                    });
                }
            }
            Sample::Patch(colour) => {
                shapes.push(rectangle(
                    (x + 0.4 * SAMPLE, y - half),
                    (x + SAMPLE, y + half),
                    colour,
                ));
            }
            Sample::Speck { marker, colour } => {
                shapes.push(marks::speck((x + 0.8 * SAMPLE, y), marker, colour, 1.0));
            }
            Sample::Crossed => {
                let (low, high) = ((x + 0.4 * SAMPLE, y - half), (x + SAMPLE, y + half));
                shapes.push(rectangle(low, high, GREY));
                cross(low, high, shapes);
            }
        }
        text(shapes, (x + before, y), &label, TEXT, Side::Left);
    }
    y + LINE_HEIGHT / 2.0
}
