//! A grid as written: parameters fixed for all cells, axes, extra and dropped combinations. Reading
//! checks everything that can be said of a key or a value by itself.

use super::document::{Content, Key, Meaning, Node};
use super::error::{Fault, Place, quoted};
use super::parameter::{self, CATALOGUE, COUNT, ParameterId, SECTIONS, SEED, nearest, plain};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most combinations that a grid may make, before any are dropped or merged; more are refused.
pub const MAX_COMBINATIONS: usize = 1_000_000;

/// Most axes and zip groups together; expansion nests once for each.
const MAX_AXES: usize = 64;

/// Keys of the file that are no parameters.
const KEYS: [&str; 7] = ["name", "description", "seeds", "axes", "zip", "include", "exclude"];

/// Index of a value in [`Values`]; 0 stands for no value.
pub type ValueId = u32;

/// Every distinct value of a grid, once, so that cells share them and compare by index.
#[derive(Debug)]
pub struct Values {
    values: Vec<Arc<Value>>,
    ids: HashMap<(ParameterId, String), ValueId>,
}

impl Values {
    fn new() -> Self {
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
    pub values: Vec<ValueId>,
    pub place: Place,
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
    pub fixed: Choice,
    /// Axes and zip groups in the order of the text.
    pub axes: Vec<Axis>,
    pub include: Vec<Include>,
    pub exclude: Vec<Exclude>,
    pub values: Values,
    /// The values of parameters that nothing sets; 0 where there is no default.
    pub defaults: [ValueId; COUNT],
}

/// A parameter found in a mapping, sections written out.
struct Found<'a> {
    parameter: ParameterId,
    key: Place,
    node: &'a Node,
}

struct Reader {
    faults: Vec<Fault>,
    values: Values,
    groups: usize,
}

/// Reads a grid.
///
/// # Errors
/// Every fault found, in no order.
pub fn read(root: &Node) -> Result<Spec, Vec<Fault>> {
    let mut reader = Reader { faults: Vec::new(), values: Values::new(), groups: 0 };
    let spec = reader.grid(root);
    match spec {
        Some(mut spec) if reader.faults.is_empty() => {
            spec.values = reader.values;
            Ok(spec)
        }
        _ => Err(reader.faults),
    }
}

impl Reader {
    fn fault(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault::new(place, message).help(help));
    }

    fn grid(&mut self, root: &Node) -> Option<Spec> {
        let Content::Map(entries) = &root.content else {
            self.fault(
                root.place,
                format!("a grid is a mapping of keys to values, not {}", root.describe()),
                "begin with `name: …` and `dataset: …`",
            );
            return None;
        };
        let defaults = std::array::from_fn(|id| match CATALOGUE[id].default_value() {
            Some(value) => self.values.intern(id, value),
            None => 0,
        });
        let (mut name, mut description, mut seeds) = (None, None, None);
        let (mut axes, mut include, mut exclude) = (Vec::new(), Vec::new(), Vec::new());
        let mut fixed = Vec::new();
        for (key, node) in entries {
            match key.text.as_str() {
                "name" => name = Some(self.name(node)),
                "description" => match &node.content {
                    Content::Scalar { text, .. } => description = Some(text.clone()),
                    Content::Null => {}
                    _ => self.fault(node.place, "`description` takes text", "write one line"),
                },
                "seeds" => seeds = Some((self.seeds(node), node.place)),
                "axes" => axes.extend(self.axes(node)),
                "zip" => axes.extend(self.zip(node)),
                "include" => include = self.entries(node, "include", Self::include),
                "exclude" => exclude = self.entries(node, "exclude", Self::exclude),
                _ => self.flatten(key, node, None, &KEYS, &mut fixed),
            }
        }
        let name = name.unwrap_or_else(|| {
            self.fault(
                Place { width: 1, ..root.place },
                "the grid has no `name`",
                "add `name: my-grid`",
            );
            None
        });
        let fixed = self.distinct(fixed);
        let fixed = fixed.iter().filter_map(|f| self.setting(f.parameter, f.node)).collect();
        let fixed = Choice { settings: fixed, group: 0 };
        let (seeds, seeds_place) =
            seeds.unwrap_or_else(|| (vec![self.values.intern(SEED, Value::from(1))], Place::START));
        if let Some(axis) = axes.get(MAX_AXES) {
            let message = format!("more than {MAX_AXES} axes and zip groups");
            self.fault(axis.place, message, "split the grid into several");
        }
        self.fixed_and_varied(&fixed, &axes);
        self.check_conditions(&fixed, &axes, &defaults);
        Some(Spec {
            name: name?,
            description,
            seeds,
            seeds_place,
            fixed,
            axes,
            include,
            exclude,
            values: Values::new(),
            defaults,
        })
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        match &node.content {
            Content::Scalar { text, .. }
                if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) =>
            {
                Some(text.clone())
            }
            _ => {
                self.fault(
                    node.place,
                    format!("{} is no name for a grid", node.describe()),
                    "use up to 64 lower-case letters, digits, `_` and `-`",
                );
                None
            }
        }
    }

    fn seeds(&mut self, node: &Node) -> Vec<ValueId> {
        let help = "write a list such as `[1, 2, 3]`, or a count N from 1 for the seeds 1 to N";
        match &node.content {
            Content::Scalar { meaning: Meaning::Int(count), .. } => {
                if (1..=MAX_COMBINATIONS as i64).contains(count) {
                    return (1..=*count).map(|s| self.values.intern(SEED, s.into())).collect();
                }
                let message = format!("`seeds` cannot count {}", node.describe());
                self.fault(node.place, message, help);
            }
            Content::List(items) if items.is_empty() => {
                self.fault(node.place, "`seeds` is empty", help);
            }
            Content::List(items) => {
                let mut seeds = Vec::with_capacity(items.len());
                let mut seen = HashSet::new();
                for item in items {
                    if let Some(seed) = self.setting(SEED, item) {
                        if !seen.insert(seed.value) {
                            let message = format!("seed {} is there twice", item.describe());
                            self.fault(item.place, message, "remove one of the two");
                        }
                        seeds.push(seed.value);
                    }
                }
                return seeds;
            }
            _ => {
                let message = format!("`seeds` takes whole numbers, not {}", node.describe());
                self.fault(node.place, message, help);
            }
        }
        Vec::new()
    }

    /// The parameters below a key, sections and `{id: …}` mappings written out.
    fn flatten<'a>(
        &mut self,
        key: &Key,
        node: &'a Node,
        section: Option<&str>,
        others: &[&str],
        found: &mut Vec<Found<'a>>,
    ) {
        if section.is_none() && SECTIONS.contains(&key.text.as_str()) {
            match &node.content {
                Content::Map(entries) => {
                    for (inner, node) in entries {
                        self.flatten(inner, node, Some(&key.text), &[], found);
                    }
                }
                _ => self.fault(
                    node.place,
                    format!("`{}` is a section, not a parameter", key.text),
                    format!("write `{}: {{parameter: value}}`", key.text),
                ),
            }
            return;
        }
        let name = match section {
            Some(section) => format!("{section}.{}", key.text),
            None => key.text.clone(),
        };
        let Some(parameter) = parameter::find(&name) else {
            self.faults.push(unknown(&name, key.place, others));
            return;
        };
        match &node.content {
            Content::Map(entries) => self.mapping_value(parameter, node.place, entries, found),
            _ => found.push(Found { parameter, key: key.place, node }),
        }
    }

    /// A value written as a mapping: `id` is the parameter's own, the rest sets other parameters.
    fn mapping_value<'a>(
        &mut self,
        parameter: ParameterId,
        place: Place,
        entries: &'a [(Key, Node)],
        found: &mut Vec<Found<'a>>,
    ) {
        let mut own = false;
        for (key, node) in entries {
            if key.text == "id" {
                own = true;
                found.push(Found { parameter, key: key.place, node });
            } else {
                self.flatten(key, node, None, &["id"], found);
            }
        }
        if !own {
            let name = CATALOGUE[parameter].name;
            self.fault(
                place,
                format!("the mapping does not say what `{name}` is"),
                format!("give the value of `{name}` as `id`"),
            );
        }
    }

    /// Refuses parameters that are there twice.
    fn distinct<'a>(&mut self, found: Vec<Found<'a>>) -> Vec<Found<'a>> {
        let mut seen: HashMap<ParameterId, Place> = HashMap::new();
        let mut distinct = Vec::with_capacity(found.len());
        for entry in found {
            match seen.get(&entry.parameter) {
                Some(first) => {
                    let name = CATALOGUE[entry.parameter].name;
                    let message = format!("`{name}` is set twice, first on line {}", first.line);
                    self.fault(entry.key, message, "keep one of the two");
                }
                None => {
                    seen.insert(entry.parameter, entry.key);
                    distinct.push(entry);
                }
            }
        }
        distinct
    }

    fn setting(&mut self, parameter: ParameterId, node: &Node) -> Option<Setting> {
        match CATALOGUE[parameter].value(node) {
            Ok(value) => {
                let value = self.values.intern(parameter, value);
                Some(Setting { parameter, value, place: node.place })
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// A value, or each value of a list.
    fn alternatives(&mut self, parameter: ParameterId, node: &Node) -> Vec<Setting> {
        let takes_list = CATALOGUE[parameter].takes_list();
        match &node.content {
            Content::List(items) if items.is_empty() => {
                let message = format!("`{}` has an empty list", CATALOGUE[parameter].name);
                self.fault(node.place, message, "give at least one value");
                Vec::new()
            }
            Content::List(items) if !takes_list || matches!(items[0].content, Content::List(_)) => {
                items.iter().filter_map(|item| self.setting(parameter, item)).collect()
            }
            _ => self.setting(parameter, node).into_iter().collect(),
        }
    }

    /// The product of the alternatives of several parameters, the first varying slowest.
    fn choices(&mut self, found: Vec<Found<'_>>, place: Place) -> Vec<Choice> {
        self.groups += 1;
        let group = self.groups;
        let mut choices = vec![Choice { settings: Vec::new(), group }];
        for entry in self.distinct(found) {
            if entry.parameter == SEED {
                self.fault(entry.key, "`seed` is no axis", "list the seeds under `seeds`");
                continue;
            }
            let alternatives = self.alternatives(entry.parameter, entry.node);
            if choices.len().saturating_mul(alternatives.len()) > MAX_COMBINATIONS {
                self.faults.push(too_many(place));
                return Vec::new();
            }
            choices = choices
                .iter()
                .flat_map(|choice| {
                    alternatives.iter().map(|setting| {
                        let mut choice = choice.clone();
                        choice.settings.push(*setting);
                        choice
                    })
                })
                .collect();
        }
        choices
    }

    /// A value of an axis: a plain one, or a mapping.
    fn axis_value(&mut self, parameter: ParameterId, node: &Node) -> Vec<Choice> {
        if let Content::Map(entries) = &node.content {
            let mut found = Vec::new();
            self.mapping_value(parameter, node.place, entries, &mut found);
            return self.choices(found, node.place);
        }
        self.groups += 1;
        let group = self.groups;
        let setting = self.setting(parameter, node);
        setting.map(|s| Choice { settings: vec![s], group }).into_iter().collect()
    }

    fn axes(&mut self, node: &Node) -> Vec<Axis> {
        let Content::Map(entries) = &node.content else {
            if !node.is_null() {
                let message = format!("`axes` takes a mapping, not {}", node.describe());
                self.fault(node.place, message, "write `axes: {parameter: [values]}`");
            }
            return Vec::new();
        };
        entries.iter().filter_map(|(key, node)| self.axis(key, node)).collect()
    }

    fn axis(&mut self, key: &Key, node: &Node) -> Option<Axis> {
        let name = key.text.as_str();
        let Some(parameter) = parameter::find(name) else {
            if SECTIONS.contains(&name) {
                let message = format!("`{name}` is a section and cannot be an axis");
                self.fault(key.place, message, format!("write `{name}.parameter: [values]`"));
            } else {
                self.faults.push(unknown(name, key.place, &[]));
            }
            return None;
        };
        if parameter == SEED {
            self.fault(key.place, "`seed` is no axis", "list the seeds under `seeds`");
            return None;
        }
        let mut when = Vec::new();
        let mut values = Some(node);
        if let Content::Map(entries) = &node.content {
            values = None;
            for (inner, node) in entries {
                match inner.text.as_str() {
                    "values" => values = Some(node),
                    "when" => when = self.tests(node, "when"),
                    text => {
                        let message = format!("unknown key {} of an axis", quoted(text));
                        self.fault(inner.place, message, "an axis takes `values` and `when`");
                    }
                }
            }
        }
        let Some(values) = values else {
            self.fault(key.place, format!("axis `{name}` has no `values`"), "add `values: […]`");
            return None;
        };
        let Content::List(items) = &values.content else {
            let message = format!("axis `{name}` takes a list, not {}", values.describe());
            self.fault(values.place, message, "put the values in brackets: `[…]`");
            return None;
        };
        if items.is_empty() {
            let message = format!("axis `{name}` is empty");
            self.fault(values.place, message, "give it at least one value, or remove it");
            return None;
        }
        let choices: Vec<Choice> =
            items.iter().flat_map(|item| self.axis_value(parameter, item)).collect();
        self.no_repetition(&choices, "is twice on the axis");
        Some(Axis { name: name.to_owned(), place: key.place, when, choices })
    }

    fn no_repetition(&mut self, choices: &[Choice], what: &str) {
        let mut seen = HashSet::new();
        for choice in choices {
            let identity: Vec<_> = choice.settings.iter().map(|s| (s.parameter, s.value)).collect();
            if let Some(first) = choice.settings.first()
                && !seen.insert(identity)
            {
                let value = quoted(&plain(self.values.get(first.value)));
                self.fault(first.place, format!("{value} {what}"), "remove one of the two");
            }
        }
    }

    fn zip(&mut self, node: &Node) -> Vec<Axis> {
        self.entries(node, "zip", Self::zip_group)
    }

    fn zip_group(&mut self, node: &Node) -> Option<Axis> {
        let Content::Map(entries) = &node.content else {
            let message = format!("a zip group is a mapping, not {}", node.describe());
            self.fault(node.place, message, "write `- {attack: […], epsilon: […]}`");
            return None;
        };
        let mut found = Vec::new();
        for (key, node) in entries {
            self.flatten(key, node, None, &[], &mut found);
        }
        let found = self.distinct(found);
        let mut columns: Vec<(&Found<'_>, &[Node])> = Vec::new();
        for entry in &found {
            let name = CATALOGUE[entry.parameter].name;
            match &entry.node.content {
                _ if entry.parameter == SEED => {
                    self.fault(entry.key, "`seed` is no axis", "list the seeds under `seeds`");
                }
                Content::List(items) if !items.is_empty() => columns.push((entry, items)),
                _ => {
                    let message = format!("`{name}` takes a list of values in a zip group");
                    self.fault(entry.node.place, message, "give every list the same length");
                }
            }
        }
        let (first, items) = *columns.first()?;
        let rows = items.len();
        for (entry, items) in &columns[1..] {
            if items.len() != rows {
                let message = format!(
                    "`{}` has {} values where `{}` has {rows}",
                    CATALOGUE[entry.parameter].name,
                    items.len(),
                    CATALOGUE[first.parameter].name
                );
                self.fault(entry.node.place, message, "paired lists have one length");
                return None;
            }
        }
        let mut choices = Vec::with_capacity(rows);
        for row in 0..rows {
            self.groups += 1;
            let settings = columns.iter().filter_map(|(entry, items)| {
                let item = &items[row];
                if item.is_null() { None } else { self.setting(entry.parameter, item) }
            });
            choices.push(Choice { settings: settings.collect(), group: self.groups });
        }
        self.no_repetition(&choices, "and what is paired with it are twice in the group");
        let names: Vec<_> = columns.iter().map(|(f, _)| CATALOGUE[f.parameter].name).collect();
        Some(Axis { name: names.join(", "), place: first.key, when: Vec::new(), choices })
    }

    /// Reads every element of a list.
    fn entries<T>(
        &mut self,
        node: &Node,
        name: &str,
        read: fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match &node.content {
            Content::List(items) => items.iter().filter_map(|item| read(self, item)).collect(),
            Content::Null => Vec::new(),
            _ => {
                let message = format!("`{name}` takes a list, not {}", node.describe());
                self.fault(node.place, message, "begin each entry with `- `");
                Vec::new()
            }
        }
    }

    fn include(&mut self, node: &Node) -> Option<Include> {
        let entries = self.parameters(node, "include")?;
        let mut found = Vec::new();
        for (key, node) in entries {
            self.flatten(key, node, None, &[], &mut found);
        }
        Some(Include { place: node.place, choices: self.choices(found, node.place) })
    }

    fn exclude(&mut self, node: &Node) -> Option<Exclude> {
        let tests = self.tests(node, "exclude");
        (!tests.is_empty()).then_some(Exclude { place: node.place, tests })
    }

    fn tests(&mut self, node: &Node, name: &str) -> Vec<Test> {
        let Some(entries) = self.parameters(node, name) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, node) in entries {
            self.flatten(key, node, None, &[], &mut found);
        }
        let mut tests = Vec::new();
        for entry in self.distinct(found) {
            let values = self.alternatives(entry.parameter, entry.node);
            if !values.is_empty() {
                let values = values.iter().map(|s| s.value).collect();
                tests.push(Test { parameter: entry.parameter, values, place: entry.key });
            }
        }
        tests
    }

    fn parameters<'a>(&mut self, node: &'a Node, name: &str) -> Option<&'a [(Key, Node)]> {
        match &node.content {
            Content::Map(entries) if !entries.is_empty() => Some(entries),
            _ => {
                let what = match &node.content {
                    Content::Map(_) => "an empty mapping".to_owned(),
                    _ => node.describe(),
                };
                let message = format!("`{name}` takes a mapping of parameters, not {what}");
                self.fault(node.place, message, "write `{parameter: value}`");
                None
            }
        }
    }

    /// Refuses parameters that are both fixed and varied.
    fn fixed_and_varied(&mut self, fixed: &Choice, axes: &[Axis]) {
        let fixed: HashMap<_, _> = fixed.settings.iter().map(|s| (s.parameter, s.place)).collect();
        for axis in axes {
            let mut told = HashSet::new();
            for setting in axis.choices.iter().flat_map(|c| &c.settings) {
                if let Some(place) = fixed.get(&setting.parameter)
                    && told.insert(setting.parameter)
                {
                    let name = CATALOGUE[setting.parameter].name;
                    let message = format!("`{name}` is an axis, but fixed on line {}", place.line);
                    self.fault(setting.place, message, "remove one of the two");
                }
            }
        }
    }

    /// Refuses `when` that names what is not decided where the axis stands, or can never hold.
    fn check_conditions(&mut self, fixed: &Choice, axes: &[Axis], defaults: &[ValueId; COUNT]) {
        let mut known: HashMap<ParameterId, HashSet<ValueId>> = HashMap::new();
        for setting in &fixed.settings {
            known.entry(setting.parameter).or_default().insert(setting.value);
        }
        for (at, axis) in axes.iter().enumerate() {
            for test in &axis.when {
                let name = CATALOGUE[test.parameter].name;
                let Some(values) = known.get(&test.parameter) else {
                    let varied = |axis: &Axis| {
                        let mut settings = axis.choices.iter().flat_map(|c| &c.settings);
                        settings.any(|s| s.parameter == test.parameter)
                    };
                    if test.parameter != SEED && axes[at..].iter().any(varied) {
                        let message = format!("`{name}` is decided after axis `{}`", axis.name);
                        let help = format!("move the axis of `{name}` further up");
                        self.fault(test.place, message, help);
                    } else {
                        let message = format!("no axis before `{}` sets `{name}`", axis.name);
                        self.fault(test.place, message, "name the parameter of an earlier axis");
                    }
                    continue;
                };
                for value in &test.values {
                    if !values.contains(value) && defaults[test.parameter] != *value {
                        let value = quoted(&plain(self.values.get(*value)));
                        let message = format!("`{name}` is never {value} in this grid");
                        self.fault(test.place, message, "remove the value from `when`");
                    }
                }
            }
            for setting in axis.choices.iter().flat_map(|c| &c.settings) {
                known.entry(setting.parameter).or_default().insert(setting.value);
            }
        }
    }
}

/// The grid makes more than [`MAX_COMBINATIONS`].
pub fn too_many(place: Place) -> Fault {
    Fault::new(place, format!("the grid makes more than {MAX_COMBINATIONS} combinations"))
        .help("split it into several grids")
}

fn unknown(name: &str, place: Place, others: &[&str]) -> Fault {
    let fault = Fault::new(place, format!("unknown parameter {}", quoted(name)));
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    let namesakes: Vec<String> = CATALOGUE
        .iter()
        .filter(|p| p.last_name() == last)
        .map(|p| format!("`{}`", p.name))
        .collect();
    if !namesakes.is_empty() {
        return fault.help(format!("did you mean {}?", namesakes.join(" or ")));
    }
    let names = CATALOGUE.iter().map(|p| p.name);
    let sections = if others.is_empty() { [].iter() } else { SECTIONS.iter() };
    let lasts = CATALOGUE.iter().map(|p| p.last_name());
    match nearest(name, others.iter().chain(sections).copied().chain(names)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => match nearest(last, lasts) {
            Some(near) => {
                let full = CATALOGUE.iter().find(|p| p.last_name() == near);
                fault.help(format!("did you mean `{}`?", full.map_or(near, |p| p.name)))
            }
            None => fault.help("`advrec plan --parameters` lists all parameters"),
        },
    }
}
