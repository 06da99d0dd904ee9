//! A grid as written: parameters fixed for all cells, axes, extra and dropped combinations.

use super::catalogue::COUNT;
use super::error::{Fault, Place};
use super::parameter::ParameterId;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most combinations that a grid may make, before any are dropped or merged; more are refused.
pub const MAX_COMBINATIONS: usize = 1_000_000;

/// Index of a value in [`Values`]; 0 stands for no value.
pub type ValueId = u32;

/// Every distinct value of a grid, once, so that cells share them and compare by index.
#[derive(Debug)]
pub struct Values {
    values: Vec<Arc<Value>>,
    ids: HashMap<(ParameterId, String), ValueId>,
}

impl Values {
    pub fn new() -> Self {
        Self { values: vec![Arc::new(Value::Null)], ids: HashMap::new() }
    }

    /// The index of a value of a parameter.
    pub fn intern(&mut self, parameter: ParameterId, value: Value) -> ValueId {
        let next = self.values.len() as ValueId;
        let id = *self.ids.entry((parameter, value.to_string())).or_insert(next);
        if id == next {
            self.values.push(Arc::new(value));
        }
        id
    }

    pub fn get(&self, id: ValueId) -> &Arc<Value> {
        &self.values[id as usize]
    }
}

/// A parameter set to a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    pub parameter: ParameterId,
    pub value: ValueId,
    /// Where the value stands.
    pub place: Place,
}

/// Settings by parameter.
pub type Settings = BTreeMap<ParameterId, Setting>;

/// Settings that are made together.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub settings: Vec<Setting>,
    /// Equal for settings that were written in one mapping; 0 for the grid's fixed parameters.
    pub group: usize,
}

/// A condition on one parameter: any of the values.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub parameter: ParameterId,
    pub values: Vec<Setting>,
    /// Where the parameter is named.
    pub place: Place,
}

impl Test {
    pub fn passes(&self, value: ValueId) -> bool {
        self.values.iter().any(|s| s.value == value)
    }
}

/// An axis, or a zip group.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its parameters, for messages.
    pub name: String,
    pub place: Place,
    /// Only cells that pass every test have the axis.
    pub when: Vec<Test>,
    pub choices: Vec<Choice>,
}

/// An entry of `include`.
#[derive(Clone, Debug, PartialEq)]
pub struct Include {
    pub place: Place,
    /// What its presets set.
    pub base: Settings,
    pub choices: Vec<Choice>,
}

/// An entry of `exclude`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exclude {
    pub place: Place,
    pub tests: Vec<Test>,
}

/// A grid as written.
#[derive(Debug)]
pub struct Spec {
    pub name: String,
    pub description: Option<String>,
    pub seeds: Vec<ValueId>,
    pub seeds_place: Place,
    /// The built-in presets that the grid names, each with what it sets: what its text does not tell.
    pub built_in: BTreeMap<String, Map<String, Value>>,
    /// What presets set that the grid does not fix itself.
    pub base: Settings,
    pub fixed: Choice,
    /// Axes and zip groups in the order of the text.
    pub axes: Vec<Axis>,
    pub include: Vec<Include>,
    pub exclude: Vec<Exclude>,
    pub values: Values,
    /// The values of parameters that nothing sets; 0 where there is no default.
    pub defaults: [ValueId; COUNT],
}

/// The grid makes more than [`MAX_COMBINATIONS`].
pub fn too_many(place: Place) -> Fault {
    Fault::new(place, format!("the grid makes more than {MAX_COMBINATIONS} combinations"))
        .help("split it into several grids")
}
