//! From YAML to a [`Spec`]: checks everything that can be said of a key or a value by itself.

use super::catalogue::{CATALOGUE, SECTIONS, SEED};
use super::document::{Content, Key, Meaning, Node};
use super::error::{Fault, Place, quoted};
use super::parameter::{self, ParameterId, nearest};
use super::presets::Presets;
use super::spec::{Choice, MAX_COMBINATIONS, Setting, Settings, Spec, ValueId, Values, too_many};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Most axes and zip groups together; expansion nests once for each.
const MAX_AXES: usize = 64;

/// Keys of the file that are no parameters.
pub(super) const KEYS: [&str; 9] =
    ["name", "description", "extends", "presets", "seeds", "axes", "zip", "include", "exclude"];

/// A parameter found in a mapping, sections written out.
pub(super) struct Found<'a> {
    pub(super) parameter: ParameterId,
    pub(super) key: Place,
    pub(super) node: &'a Node,
}

/// What reading has come to so far.
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
    pub(super) values: Values,
    /// How many groups of settings there are; see [`Choice::group`].
    pub(super) groups: usize,
    /// How many values ranges have made.
    pub(super) ranged: usize,
    /// How many choices products of alternatives have made.
    pub(super) made: usize,
    pub(super) presets: Presets,
}

/// Reads a grid.
///
/// # Errors
/// Every fault found, in no order.
pub fn read(root: &Node) -> Result<Spec, Vec<Fault>> {
    let mut reader = Reader::new();
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
    pub(super) fn new() -> Self {
        Self {
            faults: Vec::new(),
            values: Values::new(),
            groups: 0,
            ranged: 0,
            made: 0,
            presets: Presets::default(),
        }
    }

    pub(super) fn fault(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
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
        // First, since any entry may name a preset.
        let presets = entries.iter().find(|(key, _)| key.text == "presets");
        self.read_presets(presets.map(|(_, node)| node));
        let mut base = Settings::new();
        for (key, node) in entries {
            match key.text.as_str() {
                "presets" => {}
                "extends" => base = self.extended(node),
                "name" => name = Some(self.name(node, "a grid")),
                "description" => description = self.description(node),
                "seeds" => seeds = Some((self.seeds(node), node.place)),
                "axes" => axes.extend(self.axes(node)),
                "zip" => axes.extend(self.zip(node)),
                "include" => include = self.entries(node, "include", Self::include),
                "exclude" => exclude = self.entries(node, "exclude", Self::exclude),
                _ => self.flatten(key, node, None, &KEYS, &mut fixed),
            }
        }
        let name = name.unwrap_or_else(|| {
            let start = Place { width: 1, ..root.place };
            self.fault(start, "the grid has no `name`", "add `name: my-grid`");
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
        for setting in &fixed.settings {
            base.remove(&setting.parameter);
        }
        self.check_conditions(&fixed, &base, &axes, &defaults);
        self.unused_presets();
        Some(Spec {
            name: name?,
            description,
            seeds,
            seeds_place,
            built_in: self.presets.built_in(),
            base,
            fixed,
            axes,
            include,
            exclude,
            values: Values::new(),
            defaults,
        })
    }

    /// The description of a grid or of a preset.
    pub(super) fn description(&mut self, node: &Node) -> Option<String> {
        match &node.content {
            Content::Scalar { text, .. } => return Some(text.clone()),
            Content::Null => {}
            _ => self.fault(node.place, "`description` takes text", "write one line"),
        }
        None
    }

    /// The name of a grid or of a preset.
    pub(super) fn name(&mut self, node: &Node, of: &str) -> Option<String> {
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
                    format!("{} is no name for {of}", node.describe()),
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
                if *count > 0 {
                    self.faults.push(too_many(node.place));
                    return Vec::new();
                }
                let message = format!("`seeds` cannot count {}", node.describe());
                self.fault(node.place, message, help);
            }
            Content::List(items) if items.is_empty() => {
                self.fault(node.place, "`seeds` is empty", help);
            }
            _ if matches!(node.content, Content::List(_)) || node.is_range() => {
                let items = self.listed(SEED, node).unwrap_or_default();
                let mut seeds = Vec::with_capacity(items.len());
                let mut seen = HashSet::new();
                for item in &items {
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
    pub(super) fn flatten<'a>(
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
            Content::Map(entries) if !node.is_range() => {
                self.mapping_value(parameter, node.place, entries, found);
            }
            _ => found.push(Found { parameter, key: key.place, node }),
        }
    }

    /// A value written as a mapping: `id` is the parameter's own, the rest sets other parameters.
    pub(super) fn mapping_value<'a>(
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
                // `detector.attack: {id: …, epsilon: …}` means the detector's own ε.
                let section = CATALOGUE[parameter].name.split_once('.').map(|(section, _)| section);
                let section =
                    section.filter(|s| parameter::find(&format!("{s}.{}", key.text)).is_some());
                self.flatten(key, node, section, &["id", "linspace", "logspace", "range"], found);
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
    pub(super) fn distinct<'a>(&mut self, found: Vec<Found<'a>>) -> Vec<Found<'a>> {
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

    pub(super) fn setting(&mut self, parameter: ParameterId, node: &Node) -> Option<Setting> {
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
}

/// An unknown parameter, and what may have been meant: one of the catalogue or of `others`.
pub(super) fn unknown(name: &str, place: Place, others: &[&str]) -> Fault {
    let fault = Fault::new(place, format!("unknown parameter {}", quoted(name)));
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    let namesakes: Vec<String> = CATALOGUE
        .iter()
        .filter(|p| p.last_name() == last)
        .map(|p| format!("`{}`", p.name))
        .collect();
    if let Some((last, others)) = namesakes.split_last() {
        let others = others.join(", ");
        let or = if others.is_empty() { "" } else { " or " };
        return fault.help(format!("did you mean {others}{or}{last}?"));
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
