//! A JSON Schema (draft 2020-12) of grids, from the catalogue, by which editors complete and check them. It
//! knows keys, types and ranges; what only whole cells show is for the program to say.

use super::catalogue::{CATALOGUE, SECTIONS, SEED};
use super::parameter::{Kind, Parameter, Range, attack_ids};
use super::presets;
use super::ranges::RANGES;
use crate::attack;
use serde_json::{Map, Value, json};
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Columns of a line of the schema's text, where it can be broken: a parameter is on one, as a change
/// of it then is.
const WIDTH: usize = 480;

/// Where a parameter stands, which decides the shape of what it may be given.
#[derive(Clone, Copy)]
enum Form {
    /// At the top of a grid or in a preset: one value.
    One,
    /// In `include`, `exclude` and `when` and in a mapping: a value, or a list or range of alternatives.
    Any,
    /// On an axis: a list or range.
    Several,
    /// In a zip group: as on an axis, and `~` leaves a row without a value.
    Column,
}

/// The text of the schema: what fits into a line is on one.
pub fn schema() -> String {
    let mut text = String::new();
    write(&document(), 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, indent: usize, text: &mut String) {
    let line = value.to_string();
    let parts: Vec<(String, &Value)> = match value {
        _ if indent + line.len() <= WIDTH => Vec::new(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (format!("{}: ", json!(key)), value)).collect()
        }
        Value::Array(items) => items.iter().map(|item| (String::new(), item)).collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() {
        return text.push_str(&line);
    }
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    text.push(open);
    for (at, (key, value)) in parts.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(key);
        write(value, indent + 2, text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

fn document() -> Value {
    let list = |description: &str, items: Value| json!({"description": description, "type": ["array", "null"], "items": items});
    let mut root = closed(
        Form::One,
        [
            ("name", grid_name("by this name the database and the reports know the grid")),
            (
                "description",
                json!({"description": "one line for people", "type": ["string", "null"]}),
            ),
            ("extends", reference("extends")),
            ("presets", presets_schema()),
            ("seeds", seeds()),
            ("axes", axes()),
            ("zip", list("paired lists, each group an axis", closed(Form::Column, Map::new()))),
            ("include", list("cells beside the product of the axes", reference("include"))),
            ("exclude", list("cells of the product to leave out", reference("tests"))),
        ],
    );
    root["required"] = json!(["name"]);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "advrec grid".into();
    root["description"] = "what `advrec sweep` runs: parameters, axes and seeds".into();
    root["$defs"] = Value::Object(definitions());
    root
}

/// What the schema says more than once. Of each parameter, all that it may be given anywhere: a value, a
/// mapping, a list or range of them. Of each [`Form`], which of these shapes it takes. `parameters`, what
/// all of them are, is open, for [`closed`] to close.
fn definitions() -> Map<String, Value> {
    let mut definitions: Map<String, Value> =
        CATALOGUE.iter().map(|p| (p.name.to_owned(), given(p))).collect();
    let mut define = |name: &str, value: Value| {
        definitions.insert(name.to_owned(), value);
    };
    let mut keys: Map<String, Value> =
        without_seed().map(|p| (p.name.to_owned(), reference(p.name))).collect();
    for section in SECTIONS {
        define(section, object(section_keys(section)));
        define(&format!("{section}-mapping"), mapping(section_keys(section)));
        keys.insert(section.to_owned(), reference(section));
    }
    define("parameters", json!({ "properties": keys }));
    define("mapping", mapping(Map::new()));
    define("include", closed(Form::Any, [("extends", reference("extends"))]));
    define("tests", closed(Form::Any, [(CATALOGUE[SEED].name, reference(CATALOGUE[SEED].name))]));
    let no_range: Map<String, Value> =
        RANGES.map(|name| (name.to_owned(), false.into())).into_iter().collect();
    let item = ["string", "number", "boolean", "object"];
    let cell = ["string", "number", "boolean", "object", "null"];
    let several = |item: &[&str]| json!({"type": ["array", "object"], "items": {"type": item}, "properties": {"id": false}});
    define("one", json!({"type": item, "properties": no_range}));
    define("one-list", json!({"type": ["array", "object"], "items": {"type": "integer"}}));
    define("several", several(&item));
    define("several-lists", several(&["array", "object"]));
    define("column", several(&cell));
    define("column-lists", several(&["array", "object", "null"]));
    let name = json!({"anyOf": [{"enum": presets::names()}, {"type": "string"}]});
    define(
        "extends",
        json!({
            "description": "presets whose parameters the others go over; of several the later wins",
            "anyOf": [name, {"type": "array", "items": name, "minItems": 1}],
        }),
    );
    let mut axis = object(
        [
            (
                "values".to_owned(),
                json!({"type": ["array", "object"], "properties": {"id": false}}),
            ),
            ("when".to_owned(), reference("tests")),
        ]
        .into_iter()
        .collect(),
    );
    axis["required"] = json!(["values"]);
    define("axis", axis);
    define("range", range());
    definitions
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// An object with these keys and no others.
fn object(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

impl Form {
    /// The shape that a parameter has in this form, which may be one whose values are `lists`.
    fn shape(self, lists: bool) -> Value {
        match (self, lists) {
            (Form::Any, _) => true.into(),
            (Form::One, false) => reference("one"),
            (Form::One, true) => reference("one-list"),
            (Form::Several, false) => reference("several"),
            (Form::Several, true) => reference("several-lists"),
            (Form::Column, false) => reference("column"),
            (Form::Column, true) => reference("column-lists"),
        }
    }

    /// The shape of a section whose parameters are in this form.
    fn section_shape(self, section: &str) -> Value {
        if let Form::Any = self {
            return true.into();
        }
        let lists = of_section(section).filter(|p| p.takes_list());
        let lists = lists.map(|p| (p.last_name().to_owned(), self.shape(true)));
        json!({
            "properties": lists.collect::<Map<_, _>>(),
            "additionalProperties": self.shape(false),
        })
    }
}

/// The parameters but the seed, which `seeds` sets.
fn without_seed() -> impl Iterator<Item = &'static Parameter> {
    CATALOGUE.iter().enumerate().filter(|(id, _)| *id != SEED).map(|(_, parameter)| parameter)
}

fn of_section(section: &str) -> impl Iterator<Item = &'static Parameter> {
    let own = move |p: &&Parameter| p.name.split_once('.').is_some_and(|(of, _)| of == section);
    CATALOGUE.iter().filter(own)
}

/// The parameters of a section by their last names.
fn section_keys(section: &str) -> Map<String, Value> {
    of_section(section).map(|p| (p.last_name().to_owned(), reference(p.name))).collect()
}

/// The parameters but the seed, the sections, these keys, and no others. A reference stands by itself, in
/// `allOf`: some editors overlook what is beside it.
fn closed<K: Into<String>>(form: Form, others: impl IntoIterator<Item = (K, Value)>) -> Value {
    let parameters = without_seed().filter(|p| !has_pattern(p));
    let parameters = parameters.map(|p| (p.name.to_owned(), form.shape(p.takes_list())));
    let sections = SECTIONS.map(|section| (section.to_owned(), form.section_shape(section)));
    let others = others.into_iter().map(|(key, value)| (key.into(), value));
    let mut closed = object(parameters.chain(sections).chain(others).collect());
    closed["allOf"] = json!([reference("parameters")]);
    closed["patternProperties"] = json!({ pattern(): form.shape(false) });
    closed
}

/// Whether [`pattern`] matches the name of a parameter: it has a section, and its shape is the usual one.
fn has_pattern(parameter: &Parameter) -> bool {
    parameter.name.contains('.') && !parameter.takes_list()
}

/// A pattern of names, shorter than their list: `^(agent\.(batch|epochs)|drift\.(paths))$`.
fn pattern() -> String {
    let sections = SECTIONS.map(|section| {
        let names = of_section(section).filter(|p| has_pattern(p)).map(Parameter::last_name);
        format!("{section}\\.({})", names.collect::<Vec<_>>().join("|"))
    });
    format!("^({})$", sections.join("|"))
}

/// A value as a mapping: its own under `id`, beside other parameters and those of its section.
fn mapping(section: Map<String, Value>) -> Value {
    let id = ("id".to_owned(), json!({"description": "the value itself"}));
    let mut mapping = closed(Form::Any, std::iter::once(id).chain(section));
    mapping["required"] = json!(["id"]);
    mapping["title"] = "value with parameters of its own".into();
    mapping
}

/// All that a parameter may be given.
fn given(parameter: &Parameter) -> Value {
    let own = reference(parameter.name);
    let mapping = match parameter.name.split_once('.') {
        Some((section, _)) => reference(&format!("{section}-mapping")),
        None => reference("mapping"),
    };
    let mut given = vec![
        value(parameter),
        json!({"allOf": [mapping, {"properties": {"id": own}}]}),
        json!({"type": "array", "items": {"anyOf": [own, {"type": "null"}]}, "minItems": 1}),
    ];
    let has_ranges = matches!(parameter.kind, Kind::Int(_) | Kind::Float(_));
    given.extend(has_ranges.then(|| reference("range")));
    let mut given = json!({"description": parameter.doc, "anyOf": given});
    if let Some(default) = parameter.default_value() {
        given["default"] = default;
    }
    given
}

fn axes() -> Value {
    let axes = without_seed().map(|parameter| {
        let (own, shape) = (reference(parameter.name), Form::Several.shape(parameter.takes_list()));
        let axis = json!({
            "description": parameter.doc,
            "anyOf": [own, reference("axis")],
            "allOf": [shape],
            "properties": {"values": own},
        });
        (parameter.name.to_owned(), axis)
    });
    let mut axes = object(axes.collect());
    axes["description"] = "each value of each axis makes a cell".into();
    axes["type"] = json!(["object", "null"]);
    axes
}

fn seeds() -> Value {
    let seed = json!({"type": "integer", "minimum": 0});
    json!({
        "description": "what every random choice derives from: a list, or N for 1 to N",
        "default": 1,
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "array", "items": {"anyOf": [seed, reference("range")]}, "minItems": 1},
            reference("range"),
        ],
    })
}

fn presets_schema() -> Value {
    json!({
        "description": "parameters under a name, for `extends`",
        "type": ["object", "null"],
        "additionalProperties": closed(
            Form::One,
            [
                ("description", json!({"type": ["string", "null"]})),
                ("extends", reference("extends")),
            ],
        ),
    })
}

fn grid_name(description: &str) -> Value {
    json!({
        "description": description,
        "type": ["string", "integer"],
        "pattern": "^[a-z0-9_-]{1,64}$",
    })
}

/// One of the ranges.
fn range() -> Value {
    let number = json!({"type": "number"});
    let forms = RANGES.map(|name| {
        let (last, description) = match name {
            "range" => (json!({"type": "integer"}), "whole numbers: first, last, step"),
            "linspace" => (json!({"type": "integer", "minimum": 2}), "start, stop, count"),
            _ => (
                json!({"type": "integer", "minimum": 2}),
                "start, stop (the values, not exponents), count",
            ),
        };
        let (number, least) = match name {
            "range" => (json!({"type": "integer"}), 2),
            "logspace" => (json!({"type": "number", "exclusiveMinimum": 0}), 3),
            _ => (number.clone(), 3),
        };
        let bounds = json!({
            "description": description,
            "type": "array",
            "prefixItems": [number, number, last],
            "minItems": least,
            "maxItems": 3,
        });
        json!({
            "title": name,
            "type": "object",
            "properties": {name: bounds},
            "required": [name],
            "additionalProperties": false,
        })
    });
    json!({"description": "stands for the list of its values", "anyOf": forms})
}

/// A value of a parameter by itself.
fn value(parameter: &Parameter) -> Value {
    match parameter.kind {
        Kind::Choice(choices) => {
            // `true` is the word where there is such a word.
            let bools = [true, false].into_iter().filter(|b| choices.contains(&&*b.to_string()));
            let choices = choices.iter().map(|c| Value::from(*c));
            json!({"enum": choices.chain(bools.map(Value::from)).collect::<Vec<_>>()})
        }
        Kind::Attack => {
            let summaries = attack::ATTACKS.iter().map(|attack| attack.summary);
            let summaries: Vec<&str> = std::iter::once("no attack").chain(summaries).collect();
            json!({"enum": attack_ids(), "enumDescriptions": summaries})
        }
        Kind::Int(range) => within(json!({"type": "integer"}), range),
        Kind::Float(range) => within(json!({"type": "number"}), range),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Name => json!({
            "type": ["string", "number"],
            "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
        }),
        Kind::Ints(count) => json!({
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "minItems": count,
            "maxItems": count,
        }),
        Kind::Users => json!({
            "type": ["string", "integer"],
            "minimum": 1,
            "pattern": "^(all|[0-9]+ *\\.\\. *[0-9]+)$",
        }),
    }
}

fn within(mut value: Value, range: Range) -> Value {
    let number = |bound: f64| match bound.fract() == 0.0 {
        true => Value::from(bound as i64),
        false => Value::from(bound),
    };
    match range.low {
        Included(low) => value["minimum"] = number(low),
        Excluded(low) => value["exclusiveMinimum"] = number(low),
        Unbounded => {}
    }
    match range.high {
        Included(high) => value["maximum"] = number(high),
        Excluded(high) => value["exclusiveMaximum"] = number(high),
        Unbounded => {}
    }
    value
}

#[cfg(test)]
mod tests;
