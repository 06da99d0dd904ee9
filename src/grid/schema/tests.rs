//! The schema on grids, by a checker of the constructs that it uses.

use super::super::document::{Content, Meaning, Node, parse};
use super::super::fuzz::corpus;
use super::super::parameter::find;
use super::*;

/// A YAML value as JSON.
fn json_of(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Scalar { text, meaning } => match meaning {
            Meaning::Bool(bool) => Value::from(*bool),
            Meaning::Int(int) => Value::from(*int),
            Meaning::Float(float) => Value::from(*float),
            Meaning::Text => Value::from(text.as_str()),
        },
        Content::List(items) => items.iter().map(json_of).collect(),
        Content::Map(entries) => {
            entries.iter().map(|(key, node)| (key.text.clone(), json_of(node))).collect()
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.as_f64().is_some_and(|f| f.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    }
}

/// Whether [`pattern`] matches.
fn matches(key: &str) -> bool {
    find(key).is_some_and(|id| has_pattern(&CATALOGUE[id]))
}

/// Whether a value is what a schema says. Patterns of values are left to a whole implementation.
fn valid(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Value::Bool(all) = schema {
        return *all;
    }
    let Value::Object(keywords) = schema else { panic!("{schema}") };
    keywords.iter().all(|(keyword, of)| {
        let number = value.as_f64().zip(of.as_f64());
        let array = value.as_array();
        let object = value.as_object();
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "enumDescriptions"
            | "pattern" => true,
            "$ref" => {
                let path = of.as_str().unwrap().strip_prefix("#").unwrap();
                valid(value, root.pointer(path).unwrap(), root)
            }
            "type" => match of {
                Value::Array(names) => names.iter().any(|n| is_type(value, n.as_str().unwrap())),
                name => is_type(value, name.as_str().unwrap()),
            },
            "enum" => of.as_array().unwrap().contains(value),
            "allOf" => of.as_array().unwrap().iter().all(|schema| valid(value, schema, root)),
            "anyOf" => of.as_array().unwrap().iter().any(|schema| valid(value, schema, root)),
            "minimum" => number.is_none_or(|(value, of)| value >= of),
            "exclusiveMinimum" => number.is_none_or(|(value, of)| value > of),
            "maximum" => number.is_none_or(|(value, of)| value <= of),
            "exclusiveMaximum" => number.is_none_or(|(value, of)| value < of),
            "minItems" => array.is_none_or(|items| items.len() as u64 >= of.as_u64().unwrap()),
            "maxItems" => array.is_none_or(|items| items.len() as u64 <= of.as_u64().unwrap()),
            "items" => array.is_none_or(|items| items.iter().all(|item| valid(item, of, root))),
            "prefixItems" => array.is_none_or(|items| {
                items.iter().zip(of.as_array().unwrap()).all(|(item, of)| valid(item, of, root))
            }),
            "required" => object.is_none_or(|entries| {
                of.as_array().unwrap().iter().all(|key| entries.contains_key(key.as_str().unwrap()))
            }),
            "properties" => object.is_none_or(|entries| {
                let mut entries = entries.iter();
                entries.all(|(key, value)| of.get(key).is_none_or(|of| valid(value, of, root)))
            }),
            "patternProperties" => object.is_none_or(|entries| {
                let of = of.get(pattern()).unwrap();
                entries.iter().all(|(key, value)| !matches(key) || valid(value, of, root))
            }),
            "additionalProperties" => object.is_none_or(|entries| {
                let known = |key: &String| {
                    let by_name = keywords.get("properties").is_some_and(|p| p.get(key).is_some());
                    by_name || keywords.contains_key("patternProperties") && matches(key)
                };
                let mut others = entries.iter().filter(|(key, _)| !known(key));
                others.all(|(_, value)| of != false && valid(value, of, root))
            }),
            other => panic!("the checker does not know `{other}`"),
        }
    })
}

#[test]
fn grids_are_valid() {
    let schema = document();
    let documented = include_str!("../../../docs/grid.md").split("```yaml\n").skip(1);
    let documented: Vec<&str> =
        documented.map(|block| block.split_once("```").unwrap().0).collect();
    assert!(documented.len() >= 7);
    for text in corpus().into_iter().chain(documented) {
        let grid = json_of(&parse(text).unwrap());
        assert!(valid(&grid, &schema, &schema), "{text}");
    }
}

#[test]
fn what_an_editor_can_find_is_found() {
    let schema = document();
    for lines in [
        "sedes: 3",
        "agent: {epoch: 3}",
        "agent: {epochs: ten}",
        "agent: {gamma: 1.5}",
        "agent.epochs: [1, 2]",
        "embedding: {optimizer: adam}",
        "rollout: {topk: [25, 5]}",
        "rollout: {users: 0}",
        "attack: fgsm_inf",
        "seeds: 0",
        "seeds: []",
        "axes: {attack: none}",
        "axes: {attack: []}",
        "axes: {attack: [none, {id: fgsm_l1, epsilonn: 1}]}",
        "axes: {attack: [{id: fgsm_inf}]}",
        "axes: {epsilon: {linspace: [0, 1]}}",
        "axes: {epsilon: {logspace: [0, 1, 3]}}",
        "axes: {epsilon: {range: [0.5, 1]}}",
        "axes: {epsilon: {values: [1], wen: {attack: none}}}",
        "axes: {epsilon: {values: [1], when: {attack: fgsm_inf}}}",
        "axes: {seed: [1, 2]}",
        "axes: {attack: {range: [1, 2]}}",
        "zip: [{epsilon: 1}]",
        "include: [{atack: none}]",
        "exclude: [{agent: {epoch: 3}}]",
        "extends: []",
        "presets: {a: {seeds: 3}}",
        "presets: {a: {agent: {epochs: [1, 2]}}}",
        "agent: {epochs: {range: [1, 2]}}",
        "agent: {hidden: [[64, 32], [32, 16]]}",
        "rollout: {topk: [[25, 5, 1], [10, 5, 1]]}",
        "attack: {id: fgsm_l1, epsilon: {id: 0.1, epochs: 3}}",
        "axes: {epsilon: [[0.1]]}",
        "axes: {epsilon: [~, 0.1]}",
        "axes: {attack: {id: none}}",
        "axes: {agent.hidden: [64, 32]}",
        "axes: {epsilon: {values: 1}}",
        "zip: [{detector: {epsilon: 1}}]",
        "include: [{seed: 3}]",
        "include: [{agent.epoch: 3}]",
        "include: [{id: none}]",
        "axes: {detector.attack: [{id: fgsm_l1, gamma: 1}]}",
    ] {
        let text = format!("name: g\ndataset: d\n{lines}\n");
        let grid = json_of(&parse(&text).unwrap());
        assert!(!valid(&grid, &schema, &schema), "{lines}");
    }
}

#[test]
fn the_text_is_small_and_the_whole_schema() {
    let text = schema();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document());
    assert!(text.len() < 120_000, "{}", text.len());
}
