//! What a figure shows, apart from how it is drawn: panels with axes, and marks in the units of the axes.

/// A figure of one or more panels, as wide as a column of a paper.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What its files are called, without their ending.
    pub name: String,
    /// A sentence or two for the caption; also what a screen reader says of the SVG.
    pub caption: String,
    pub legend: Vec<Key>,
    /// Panels beside each other: 1 or 2.
    pub columns: usize,
    pub panels: Vec<Panel>,
}

/// One pair of axes and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
    /// Whether it is lower than a panel of its width would be.
    pub low: bool,
}

/// The meaning of one direction of a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// Numbers; `from` is below `to`, and above 0 where the scale is logarithmic.
    Numbers { label: String, from: f64, to: f64, logarithmic: bool },
    /// Names at 0, 1, …; those of the vertical axis from the top down.
    Names { label: String, names: Vec<String> },
}

/// Something drawn in a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Points from left to right, joined. `band`: lower and upper end of the interval at each point, or
    /// nothing.
    Line {
        points: Vec<(f64, f64)>,
        band: Vec<(f64, f64)>,
        pen: Pen,
        dots: bool,
    },
    /// A line across the panel at a value of the vertical axis.
    Level {
        at: f64,
        pen: Pen,
    },
    /// A line from top to bottom at a value of the horizontal axis.
    Upright {
        at: f64,
        pen: Pen,
    },
    Dot {
        at: (f64, f64),
        colour: Colour,
    },
    /// Many small marks, each of which may lie on others.
    Cloud {
        points: Vec<(f64, f64)>,
        marker: Marker,
        colour: Colour,
    },
    /// A field of a heat map: its column and row, its place between the lowest (0) and the highest (1)
    /// colour, and what is written in it.
    Field {
        column: usize,
        row: usize,
        shade: f64,
        text: String,
    },
    /// A box plot lying in a row: minimum, quartiles and maximum, and the values themselves.
    Box {
        row: usize,
        five: [f64; 5],
        values: Vec<f64>,
        colour: Colour,
    },
    /// A bar in a row, such as a stage's time on a worker. `crossed`: it came to nothing.
    Bar {
        row: usize,
        from: f64,
        to: f64,
        colour: Colour,
        crossed: bool,
    },
}

/// An entry of the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub label: String,
    pub sample: Sample,
}

/// How the legend shows what an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    Line { pen: Pen, dots: bool },
    Patch(Colour),
    Speck { marker: Marker, colour: Colour },
    Crossed,
}

/// The shape of a small mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Circle,
    Triangle,
}

/// Red, green, blue.
pub type Colour = (u8, u8, u8);

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pen {
    pub colour: Colour,
    pub dash: Pattern,
}

/// The pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    Solid,
    DashDot,
    Dashed,
    Dotted,
}

impl Pen {
    pub const fn new(colour: Colour, dash: Pattern) -> Self {
        Self { colour, dash }
    }
}

impl Axis {
    /// A linear axis that holds the values with a little room; of equal ones, with room around them.
    pub fn around(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values);
        let room = match high - low {
            span if span > 0.0 => 0.06 * span,
            _ => 0.05 * high.abs().max(1.0),
        };
        // A quantity that is never negative does not get an axis that says it could be.
        let from = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        Self::linear(label, from, high + room)
    }

    pub fn linear(label: &str, from: f64, to: f64) -> Self {
        Self::Numbers { label: label.to_owned(), from, to, logarithmic: false }
    }

    /// An axis of positive values: logarithmic where they span more than a factor of eight.
    pub fn of_sizes(label: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let (low, high) = ends(values.clone());
        if low > 0.0 && high / low > 8.0 {
            let (from, to) = (low / 1.15, high * 1.15);
            return Self::Numbers { label: label.to_owned(), from, to, logarithmic: true };
        }
        Self::around(label, values)
    }

    pub fn names(label: &str, names: Vec<String>) -> Self {
        Self::Names { label: label.to_owned(), names }
    }

    pub fn label(&self) -> &str {
        match self {
            Self::Numbers { label, .. } | Self::Names { label, .. } => label,
        }
    }

    /// Where a value is between the two ends of the axis, as a share of its length.
    pub fn share(&self, value: f64) -> f64 {
        match self {
            Self::Numbers { from, to, logarithmic: true, .. } => {
                (value / from).ln() / (to / from).ln()
            }
            Self::Numbers { from, to, .. } => (value - from) / (to - from),
            Self::Names { names, .. } => (value + 0.5) / names.len().max(1) as f64,
        }
    }
}

/// The smallest and the largest of finite values; 0 and 0 of none.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 0.0) }
}

impl Mark {
    /// The values that the vertical axis must hold.
    pub fn heights(&self) -> Vec<f64> {
        match self {
            Self::Line { points, band, .. } => {
                points.iter().map(|p| p.1).chain(band.iter().flat_map(|b| [b.0, b.1])).collect()
            }
            Self::Level { at, .. } => vec![*at],
            Self::Dot { at, .. } => vec![at.1],
            Self::Cloud { points, .. } => points.iter().map(|point| point.1).collect(),
            _ => Vec::new(),
        }
    }
}
