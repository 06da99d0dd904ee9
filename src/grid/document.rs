//! The grid's text as a small tree of YAML values with their places. The only file that knows which
//! YAML parser is used.

use super::error::{Fault, Place, lines, quoted};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting accepted; a grid needs five.
const MAX_DEPTH: usize = 32;
/// Largest tree accepted, in characters of text plus [`NODE_SIZE`] a node, aliases expanded: what
/// keeps a few lines of nested aliases from filling the memory.
const MAX_SIZE: usize = 1 << 24;
const NODE_SIZE: usize = 16;

/// A YAML value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub content: Content,
    pub place: Place,
}

/// A YAML value, by YAML 1.2's core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A scalar: its text as written, and what it means where that is not text.
    Scalar {
        text: String,
        meaning: Meaning,
    },
    List(Vec<Node>),
    /// In the order of the text; keys are distinct.
    Map(Vec<(Key, Node)>),
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub text: String,
    pub place: Place,
}

impl Node {
    /// What the value is, for messages: `a list`, `` `ten` ``, ….
    pub fn describe(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Scalar { text, .. } => quoted(text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) if self.is_range() => "a range".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
        }
    }

    pub fn is_null(&self) -> bool {
        self.content == Content::Null
    }

    fn size(&self) -> usize {
        NODE_SIZE
            + match &self.content {
                Content::Null => 0,
                Content::Scalar { text, .. } => text.len(),
                Content::List(items) => items.iter().map(Node::size).sum(),
                Content::Map(entries) => {
                    entries.iter().map(|(k, v)| NODE_SIZE + k.text.len() + v.size()).sum()
                }
            }
    }

    fn depth(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Content::Map(entries) => entries.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Parses a text that holds one YAML document.
///
/// # Errors
/// At the first place where the text is not YAML or not what a grid may hold: several documents,
/// tags, duplicate or composite keys, nesting or expansion beyond reason.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let lines = lines(text);
    refuse_control_characters(&lines)?;
    let mut builder = Builder { lines: &lines, ..Builder::default() };
    // The parser would count a byte order mark as a column.
    let mut parser = Parser::new_from_str(text);
    let mut ended = false;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let marker = *error.marker();
            builder.syntax(builder.place(&Span::empty(marker)), error.info())
        })?;
        match event {
            Event::DocumentStart(_) if ended => {
                return Err(Fault::new(builder.place(&span), "a second YAML document begins here")
                    .help("keep one document a file"));
            }
            Event::DocumentEnd => ended = true,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            event => builder.take(event, &span)?,
        }
    }
    builder.root.ok_or_else(|| {
        Fault::new(Place::START, "the grid is empty").help("begin with `name: …` and `dataset: …`")
    })
}

/// YAML forbids most control characters, and the parser takes NUL for the end of the text.
fn refuse_control_characters(lines: &[&str]) -> Result<(), Fault> {
    for (line, text) in lines.iter().enumerate() {
        if let Some(column) = text.chars().position(|c| c.is_control() && c != '\t') {
            let place = Place { line: line + 1, column: column + 1, width: 1 };
            return Err(Fault::new(place, "control character in the text")
                .help("save the file as plain text in UTF-8"));
        }
    }
    Ok(())
}

/// A collection that is not complete.
struct Open {
    content: Content,
    /// A key that waits for its value.
    key: Option<Key>,
    place: Place,
    anchor: usize,
    /// Where each key was first seen.
    seen: HashMap<String, usize>,
}

/// Builds the tree from the parser's events, without recursion.
#[derive(Default)]
struct Builder<'a> {
    lines: &'a [&'a str],
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    size: usize,
}

impl Builder<'_> {
    fn place(&self, span: &Span) -> Place {
        let (start, end) = (span.start, span.end);
        let width = if end.line() > start.line() {
            // The rest of the first line.
            let line = self.lines.get(start.line().saturating_sub(1)).copied().unwrap_or("");
            line.trim_end().chars().count().saturating_sub(start.col())
        } else {
            end.col().saturating_sub(start.col())
        };
        Place { line: start.line(), column: start.col() + 1, width: width.max(1) }
    }

    fn syntax(&self, place: Place, info: &str) -> Fault {
        if info.contains("recursion limit") {
            return too_deep(place);
        }
        let line = self.lines.get(place.line.saturating_sub(1)).copied().unwrap_or("");
        let help = if line.trim_start_matches(' ').starts_with('\t') || info.contains("tab") {
            "indent with spaces, not with tabs"
        } else {
            "check the indentation, quotes and brackets here and in the line before"
        };
        Fault::new(place, format!("not valid YAML: {info}")).help(help)
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        let place = self.place(span);
        match event {
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor, tag, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Content::Map(Vec::new()), anchor, tag, place)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = self.open.pop() else { return Ok(()) };
                let mut place = done.place;
                if span.end.line() == place.line {
                    place.width = (span.end.col() + 1).saturating_sub(place.column).max(1);
                }
                self.add(Node { content: done.content, place }, done.anchor)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_ref(), place)?;
                self.grow(NODE_SIZE + text.len(), place)?;
                self.add(Node { content: scalar(text.into_owned(), plain), place }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(place, "the alias stands within what it names")
                        .help("write the value out"));
                };
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(too_deep(place));
                }
                let (size, node) = (node.size(), Node { content: node.content.clone(), place });
                self.grow(size, place)?;
                self.add(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        place: Place,
    ) -> Result<(), Fault> {
        if tag.is_some() {
            return Err(tagged(place));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.grow(NODE_SIZE, place)?;
        self.open.push(Open { content, key: None, place, anchor, seen: HashMap::new() });
        Ok(())
    }

    fn grow(&mut self, by: usize, place: Place) -> Result<(), Fault> {
        self.size += by;
        if self.size > MAX_SIZE {
            return Err(Fault::new(place, "the grid is too large, its aliases written out")
                .help("split it into several grids"));
        }
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor > 0 {
            // The copy counts: anchors within anchors are copied once a level.
            self.grow(node.size(), node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.content {
            Content::Map(entries) => match parent.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Content::Scalar { text, .. } = node.content else {
                        return Err(Fault::new(node.place, "a key must be plain text")
                            .help("write `name: value`; lists and mappings are values"));
                    };
                    if let Some(line) = parent.seen.insert(text.clone(), node.place.line) {
                        return Err(Fault::new(
                            node.place,
                            format!("duplicate key {}, first on line {line}", quoted(&text)),
                        )
                        .help("keep one of the two"));
                    }
                    parent.key = Some(Key { text, place: node.place });
                }
            },
            Content::List(items) => items.push(node),
            Content::Null | Content::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn too_deep(place: Place) -> Fault {
    Fault::new(place, format!("nested more than {MAX_DEPTH} levels deep"))
        .help("a grid needs no more than five")
}

fn tagged(place: Place) -> Fault {
    Fault::new(place, "YAML tags have no meaning in a grid").help("leave the `!…` out")
}

/// Whether a tag makes a scalar text; every tag but `!!str` is refused.
fn is_text(tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(_) => Err(tagged(place)),
    }
}

/// Resolves a scalar by the core schema of YAML 1.2.
fn scalar(text: String, plain: bool) -> Content {
    if !plain {
        return Content::Scalar { text, meaning: Meaning::Text };
    }
    let meaning = match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => Meaning::Bool(true),
        "false" | "False" | "FALSE" => Meaning::Bool(false),
        _ => number(&text).unwrap_or(Meaning::Text),
    };
    Content::Scalar { text, meaning }
}

fn number(text: &str) -> Option<Meaning> {
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Meaning::Int);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Meaning::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Meaning::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Meaning::Float(f64::NAN)),
        _ => {}
    }
    if let Ok(int) = text.parse() {
        return Some(Meaning::Int(int));
    }
    // Rust also reads `inf` and `nan`, which are words in YAML.
    if text.bytes().any(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Meaning::Float);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, usize, String) {
        let fault = parse(text).unwrap_err();
        (fault.place.line, fault.place.column, fault.message)
    }

    fn value(text: &str) -> Content {
        parse(text).unwrap().content
    }

    fn meaning(text: &str) -> Meaning {
        match value(text) {
            Content::Scalar { meaning, .. } => meaning,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_mean_what_yaml_says() {
        assert_eq!(meaning("1e-4"), Meaning::Float(1e-4));
        assert_eq!(meaning("3"), Meaning::Int(3));
        assert_eq!(meaning("-3"), Meaning::Int(-3));
        assert_eq!(meaning("0x10"), Meaning::Int(16));
        assert_eq!(meaning("0..100"), Meaning::Text);
        assert_eq!(meaning("nan"), Meaning::Text);
        assert_eq!(meaning("no"), Meaning::Text);
        assert_eq!(meaning("true"), Meaning::Bool(true));
        assert_eq!(meaning("'true'"), Meaning::Text);
        assert_eq!(meaning("!!str 3"), Meaning::Text);
        assert_eq!((value("~"), value("null")), (Content::Null, Content::Null));
        assert_eq!(meaning("99999999999999999999"), Meaning::Float(1e20));
    }

    #[test]
    fn places_count_from_one() {
        let Content::Map(entries) = value("a: 1\nbé:\n  - [x, \"yy\"]\n") else { panic!() };
        assert_eq!(entries[0].0.place, Place { line: 1, column: 1, width: 1 });
        assert_eq!(entries[0].1.place, Place { line: 1, column: 4, width: 1 });
        assert_eq!(entries[1].0.place, Place { line: 2, column: 1, width: 2 });
        let Content::List(items) = &entries[1].1.content else { panic!() };
        assert_eq!(items[0].place, Place { line: 3, column: 5, width: 9 });
        let Content::List(items) = &items[0].content else { panic!() };
        assert_eq!(items[1].place, Place { line: 3, column: 9, width: 4 });
    }

    #[test]
    fn anchors_are_written_out() {
        let Content::Map(entries) = value("a: &x [1, 2]\nb: *x\n") else { panic!() };
        assert_eq!(entries[1].1.place.line, 2);
        let Content::List(items) = &entries[1].1.content else { panic!() };
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn what_a_grid_may_not_hold_is_refused() {
        for (text, line, column, message) in [
            ("", 1, 1, "the grid is empty"),
            ("# nothing", 1, 1, "the grid is empty"),
            ("a: 1\n---\nb: 2\n", 2, 1, "a second YAML document begins here"),
            ("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key `a`, first on line 1"),
            ("a: !x 1\n", 1, 7, "YAML tags have no meaning in a grid"),
            ("a: !!map {b: 1}\n", 1, 10, "YAML tags have no meaning in a grid"),
            ("? [a]\n: 1\n", 1, 3, "a key must be plain text"),
            ("a: &x [*x]\n", 1, 8, "the alias stands within what it names"),
            ("a: b\u{0}c: d\n", 1, 5, "control character in the text"),
        ] {
            let found = fault(text);
            assert_eq!(found, (line, column, message.to_owned()), "{text:?}");
        }
        assert!(fault("a: [1\n").2.starts_with("not valid YAML: "));
        let tab = parse("a:\n\tb: 1\n").unwrap_err();
        assert_eq!(tab.help.as_deref(), Some("indent with spaces, not with tabs"));
    }

    #[test]
    fn expansion_is_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let inner = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{inner}]\n"));
        }
        let (line, _, message) = fault(&text);
        assert_eq!(message, "the grid is too large, its aliases written out");
        assert_eq!(line, 6);
    }

    #[test]
    fn nesting_is_bounded() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(10_000)] {
            assert_eq!(fault(&text).2, "nested more than 32 levels deep");
        }
        // Aliases may not circumvent it.
        let mut text = "a0: &a0 [x]\n".to_owned();
        for i in 1..100 {
            text.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert_eq!(fault(&text).2, "nested more than 32 levels deep");
    }
}
