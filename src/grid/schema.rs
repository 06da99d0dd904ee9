//! A JSON Schema (draft 2020-12) of grids, from the catalogue, by which editors complete and check them. It
//! knows keys, types and ranges; what only whole cells show is for the program to say.

use super::catalogue::{CATALOGUE, SECTIONS, SEED};
use super::parameter::{Kind, Parameter, Range, attack_ids};
use super::presets;
use super::ranges::RANGES;
use crate::attack;
use serde_json::{Map, Value, json};
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Where a parameter stands, which decides what it may be given.
#[derive(Clone, Copy)]
enum Form {
    /// At the top of a grid or in a preset: one value.
    Fixed,
    /// In an entry of `include` or in a mapping: a value, or a list or range of alternatives.
    Alternatives,
    /// In `exclude` and `when`: as above, and `seed` is among the parameters.
    Tests,
    /// In a zip group: a list or range.
    Column,
}

/// The schema.
pub fn schema() -> Value {
    let mut top = keys(Form::Fixed);
    for (key, value) in [
        ("name", grid_name("by this name the database and the reports know the grid")),
        ("description", json!({"description": "one line for people", "type": ["string", "null"]})),
        ("extends", reference("extends")),
        ("presets", presets_schema()),
        ("seeds", seeds()),
        ("axes", axes()),
        ("zip", list_of("paired lists, each group an axis", closed(keys(Form::Column), &[]))),
        ("include", list_of("cells beside the product of the axes", reference("include"))),
        ("exclude", list_of("cells of the product to leave out", reference("tests"))),
    ] {
        top.insert(key.to_owned(), value);
    }
    let mut root = closed(top, &["name"]);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "advrec grid".into();
    root["description"] = "what `advrec sweep` runs: parameters, axes and seeds".into();
    root["$defs"] = Value::Object(definitions());
    root
}

fn definitions() -> Map<String, Value> {
    let mut definitions = Map::new();
    let mut define = |name: &str, value: Value| {
        definitions.insert(name.to_owned(), value);
    };
    const FORMS: [Form; 3] = [Form::Fixed, Form::Alternatives, Form::Column];
    for parameter in &CATALOGUE {
        define(parameter.name, value(parameter));
        define(&format!("{} mapping", parameter.name), mapping(parameter));
        for form in FORMS {
            define(&format!("{} {}", parameter.name, form.suffix()), all_given(parameter, form));
        }
    }
    for section in SECTIONS {
        for form in FORMS {
            let keys = section_keys(section, form);
            define(&format!("{section} {}", form.suffix()), closed(keys, &[]));
        }
        let mut mapping = keys(Form::Alternatives);
        mapping.extend(section_keys(section, Form::Alternatives));
        define(&format!("{section} mapping"), mapping_of(mapping));
    }
    define("mapping", mapping_of(keys(Form::Alternatives)));
    let mut include = keys(Form::Alternatives);
    include.insert("extends".to_owned(), reference("extends"));
    define("include", closed(include, &[]));
    define("tests", closed(keys(Form::Tests), &[]));
    let name = json!({"anyOf": [{"enum": presets::names()}, {"type": "string"}]});
    define(
        "extends",
        json!({
            "description": "presets whose parameters the others go over; of several the later wins",
            "anyOf": [name, {"type": "array", "items": name, "minItems": 1}],
        }),
    );
    define("range", range());
    definitions
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{}", name.replace(' ', "%20"))})
}

/// An object with these keys and no others.
fn closed(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// A value as a mapping: its own under `id`, beside other parameters.
fn mapping_of(mut properties: Map<String, Value>) -> Value {
    properties.insert("id".to_owned(), json!({"description": "the value itself"}));
    closed(properties, &["id"])
}

fn list_of(description: &str, items: Value) -> Value {
    json!({"description": description, "type": ["array", "null"], "items": items})
}

impl Form {
    /// What ends the names of the definitions for it.
    fn suffix(self) -> &'static str {
        match self {
            Form::Fixed => "fixed",
            Form::Alternatives | Form::Tests => "some",
            Form::Column => "column",
        }
    }
}

/// The parameters and sections that stand in a mapping.
fn keys(form: Form) -> Map<String, Value> {
    let names = CATALOGUE.iter().enumerate();
    let names = names.filter(|(id, _)| *id != SEED || matches!(form, Form::Tests));
    let names = names.map(|(_, parameter)| parameter.name).chain(SECTIONS);
    names.map(|name| (name.to_owned(), given(name, form))).collect()
}

/// The parameters of a section by their last names.
fn section_keys(section: &str, form: Form) -> Map<String, Value> {
    let own = |p: &&Parameter| p.name.split_once('.').is_some_and(|(of, _)| of == section);
    CATALOGUE.iter().filter(own).map(|p| (p.last_name().to_owned(), given(p.name, form))).collect()
}

/// What a parameter or a section may be given.
fn given(name: &str, form: Form) -> Value {
    reference(&format!("{name} {}", form.suffix()))
}

/// What [`given`] refers to.
fn all_given(parameter: &Parameter, form: Form) -> Value {
    let mut some =
        vec![reference(parameter.name), reference(&format!("{} mapping", parameter.name))];
    match form {
        Form::Fixed => {}
        Form::Alternatives | Form::Tests => some.extend(several(parameter, false)),
        Form::Column => some = several(parameter, true),
    }
    json!({"description": parameter.doc, "anyOf": some})
}

/// A list of values, or a range in its place; in a zip group `~` leaves a row without one.
fn several(parameter: &Parameter, or_nothing: bool) -> Vec<Value> {
    let mut items =
        vec![reference(parameter.name), reference(&format!("{} mapping", parameter.name))];
    let range = matches!(parameter.kind, Kind::Int(_) | Kind::Float(_));
    items.extend(range.then(|| reference("range")));
    items.extend(or_nothing.then(|| json!({"type": "null"})));
    let list = json!({"type": "array", "items": {"anyOf": items}, "minItems": 1});
    std::iter::once(list).chain(range.then(|| reference("range"))).collect()
}

fn mapping(parameter: &Parameter) -> Value {
    let mut mapping = match parameter.name.split_once('.') {
        Some((section, _)) => reference(&format!("{section} mapping")),
        None => reference("mapping"),
    };
    mapping["properties"] =
        json!({"id": {"anyOf": [reference(parameter.name), {"type": "array"}]}});
    mapping
}

fn axes() -> Value {
    let axes = CATALOGUE.iter().enumerate().filter(|(id, _)| *id != SEED).map(|(_, parameter)| {
        let mut some = several(parameter, false);
        let mut properties = Map::new();
        properties.insert("values".to_owned(), json!({"anyOf": some}));
        properties.insert("when".to_owned(), reference("tests"));
        some.push(closed(properties, &["values"]));
        (parameter.name.to_owned(), json!({"description": parameter.doc, "anyOf": some}))
    });
    let mut axes = closed(axes.collect(), &[]);
    axes["type"] = json!(["object", "null"]);
    axes["description"] = "each value of each axis makes a cell".into();
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
    let mut preset = keys(Form::Fixed);
    preset.insert("description".to_owned(), json!({"type": ["string", "null"]}));
    preset.insert("extends".to_owned(), reference("extends"));
    json!({
        "description": "parameters under a name, for `extends`",
        "type": ["object", "null"],
        "additionalProperties": closed(preset, &[]),
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
        let mut properties = Map::new();
        let bounds = json!({
            "description": description,
            "type": "array",
            "prefixItems": [number, number, last],
            "minItems": least,
            "maxItems": 3,
        });
        properties.insert(name.to_owned(), bounds);
        closed(properties, &[name])
    });
    json!({"description": "stands for the list of its values", "anyOf": forms})
}

/// A value of a parameter by itself.
fn value(parameter: &Parameter) -> Value {
    let mut value = match parameter.kind {
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
    };
    value["description"] = parameter.doc.into();
    if let Some(default) = parameter.default_value() {
        value["default"] = default;
    }
    value
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
