//! A report before it is written in a format: headings, tables and notes, with numbers that are not text
//! yet.

use super::source::Source;
use super::table1::Estimate;
use serde::Serialize;

/// A report of one subject, in the order in which it is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    pub title: String,
    pub parts: Vec<Part>,
}

/// What a report is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Heading(String),
    Paragraph(String),
    Table(Table),
    Notes(Notes),
}

/// A list of sentences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notes {
    pub title: Option<String>,
    pub intro: Option<String>,
    pub items: Vec<String>,
}

/// A table whose rows have a label and as many cells as there are columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Set off from the heading above, where one heading has several tables.
    pub caption: Option<String>,
    /// A sentence between caption and table.
    pub intro: Option<String>,
    /// What the labels of the rows are.
    pub stub: String,
    pub columns: Vec<Column>,
    pub groups: Vec<Group>,
    /// The dataset that all its numbers are of, where there is one.
    #[serde(skip)]
    pub dataset: Option<String>,
}

/// A column, and the one above it and its neighbours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Spans all neighbours that have the same.
    pub span: Option<String>,
    /// Below the span.
    pub title: String,
    /// In formats whose headers have a single line.
    pub alone: String,
}

/// Rows under one label, or under none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub label: Option<String>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub label: String,
    /// Numbers of the footnotes that belong to it.
    pub marks: Vec<usize>,
    pub cells: Vec<Cell>,
    /// Where each cell's number comes from; empty where no builder says it.
    #[serde(skip)]
    pub sources: Vec<Option<Source>>,
    /// The id of the attack that its numbers are of, where there is one.
    #[serde(skip)]
    pub attack: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Nothing belongs here.
    Blank,
    /// A number belongs here, and there is none.
    Missing,
    Text(String),
    /// A number to so many decimals.
    Number(f64, usize),
    /// A mean with its interval, to so many decimals.
    Estimate(Estimate, usize),
}

impl Document {
    /// The tables, each with the heading that it stands under and its caption, as one text.
    pub fn tables(&self) -> impl Iterator<Item = (String, &Table)> {
        let mut heading = self.title.as_str();
        self.parts.iter().filter_map(move |part| match part {
            Part::Heading(text) => {
                heading = text;
                None
            }
            Part::Table(table) => Some((table.titled(heading), table)),
            Part::Paragraph(_) | Part::Notes(_) => None,
        })
    }
}

impl Table {
    /// A table without groups.
    pub fn plain(stub: &str, columns: Vec<Column>, rows: Vec<Row>) -> Self {
        let groups = vec![Group { label: None, rows }];
        let stub = stub.to_owned();
        Self { caption: None, intro: None, stub, columns, groups, dataset: None }
    }

    /// The same under a caption.
    pub fn captioned(self, caption: impl Into<String>) -> Self {
        Self { caption: Some(caption.into()), ..self }
    }

    /// The same, said to be of a dataset.
    pub fn of_dataset(self, dataset: &str) -> Self {
        Self { dataset: Some(dataset.to_owned()), ..self }
    }

    /// The caption with the heading that the table stands under.
    pub fn titled(&self, heading: &str) -> String {
        match &self.caption {
            Some(caption) => format!("{heading}: {caption}"),
            None => heading.to_owned(),
        }
    }

    /// Spans of the header with the number of their columns, from the left.
    pub fn spans(&self) -> Vec<(Option<&str>, usize)> {
        let runs = self.columns.chunk_by(|a, b| a.span.is_some() && a.span == b.span);
        runs.map(|run| (run[0].span.as_deref(), run.len())).collect()
    }

    /// Whether any column stands under a span.
    pub fn has_spans(&self) -> bool {
        self.columns.iter().any(|column| column.span.is_some())
    }
}

impl Column {
    /// A column under no other.
    pub fn alone(title: impl Into<String>) -> Self {
        let title = title.into();
        Self { span: None, alone: title.clone(), title }
    }

    /// A column under `span`, called `alone` where there are no spans.
    pub fn under(
        span: impl Into<String>,
        title: impl Into<String>,
        alone: impl Into<String>,
    ) -> Self {
        Self { span: Some(span.into()), title: title.into(), alone: alone.into() }
    }

    /// A number of ours and the paper's of the same name, or ours alone.
    pub fn beside_paper(title: &str, with_paper: bool) -> Vec<Self> {
        match with_paper {
            true => vec![Self::under(title, "ours", title), Self::under(title, "paper", "paper")],
            false => vec![Self::alone(title)],
        }
    }

    /// Span and title, such as `NDCG paper`.
    pub fn full(&self) -> String {
        match &self.span {
            Some(span) => format!("{span} {}", self.title),
            None => self.title.clone(),
        }
    }
}

impl Row {
    pub fn new(label: impl Into<String>, cells: Vec<Cell>) -> Self {
        let (marks, sources) = (Vec::new(), Vec::new());
        Self { label: label.into(), marks, cells, sources, attack: None }
    }

    /// A row whose cells come with where their numbers are from.
    pub fn sourced(
        label: impl Into<String>,
        cells: impl IntoIterator<Item = (Cell, Option<Source>)>,
    ) -> Self {
        let (cells, sources) = cells.into_iter().unzip();
        Self { sources, ..Self::new(label, cells) }
    }

    /// The same, said to be of an attack.
    pub fn under(self, attack: &str) -> Self {
        Self { attack: Some(attack.to_owned()), ..self }
    }

    /// The label with the numbers of its footnotes.
    pub fn marked(&self) -> String {
        match self.marks.as_slice() {
            [] => self.label.clone(),
            marks => {
                let marks: String = marks.iter().map(|n| format!("[{n}]")).collect();
                format!("{} {marks}", self.label)
            }
        }
    }
}

impl Cell {
    /// A number, or nothing.
    pub fn number_or_blank(value: Option<f64>, decimals: usize) -> Self {
        value.map_or(Self::Blank, |value| Self::Number(value, decimals))
    }

    /// A number, or the sign that it is missing.
    pub fn number(value: Option<f64>, decimals: usize) -> Self {
        value.map_or(Self::Missing, |value| Self::Number(value, decimals))
    }

    /// An estimate, or the sign that it is missing.
    pub fn estimate(estimate: Option<&Estimate>, decimals: usize) -> Self {
        estimate.map_or(Self::Missing, |estimate| Self::Estimate(*estimate, decimals))
    }

    /// As text for people.
    pub fn text(&self) -> String {
        match self {
            Self::Blank => String::new(),
            Self::Missing => "–".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Number(value, decimals) => {
                let text = format!("{value:.decimals$}");
                match text.strip_prefix('-') {
                    Some(zero) if zero.bytes().all(|b| matches!(b, b'0' | b'.')) => zero.to_owned(),
                    _ => text,
                }
            }
            Self::Estimate(estimate, decimals) => estimate.text(*decimals),
        }
    }
}

impl Notes {
    /// Sentences without a title.
    pub fn bare(items: Vec<String>) -> Self {
        Self { title: None, intro: None, items }
    }

    /// Sentences under a title.
    pub fn titled(title: &str, items: Vec<String>) -> Self {
        Self { title: Some(title.to_owned()), intro: None, items }
    }
}
