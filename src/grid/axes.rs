//! Reading of axes and zip groups, and what they must be among each other.

use super::catalogue::{CATALOGUE, COUNT, SECTIONS, SEED};
use super::document::{Content, Key, Node};
use super::error::quoted;
use super::parameter::{self, ParameterId, nearest, plain};
use super::ranges::RANGES;
use super::read::{Found, Reader, unknown};
use super::spec::{Axis, Choice, Setting, Settings, ValueId};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

impl Reader {
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

    pub(super) fn axes(&mut self, node: &Node) -> Vec<Axis> {
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
        if let Content::Map(entries) = &node.content
            && !node.is_range()
        {
            values = None;
            let faults = self.faults.len();
            for (inner, node) in entries {
                match inner.text.as_str() {
                    "values" => values = Some(node),
                    "when" => when = self.tests(node, "when"),
                    text => {
                        let message = format!("unknown key {} of an axis", quoted(text));
                        let keys = RANGES.into_iter().chain(["values", "when"]);
                        let help = match nearest(text, keys) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "an axis takes `values` and `when`".to_owned(),
                        };
                        self.fault(inner.place, message, help);
                    }
                }
            }
            if values.is_none() && self.faults.len() > faults {
                // Most likely they are under the key that is unknown.
                return None;
            }
        }
        let Some(values) = values else {
            self.fault(key.place, format!("axis `{name}` has no `values`"), "add `values: […]`");
            return None;
        };
        let Some(items) = self.listed(parameter, values) else {
            let message = format!("axis `{name}` takes a list, not {}", values.describe());
            self.fault(values.place, message, "put the values in brackets: `[…]`");
            return None;
        };
        if matches!(&values.content, Content::List(items) if items.is_empty()) {
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

    pub(super) fn zip(&mut self, node: &Node) -> Vec<Axis> {
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
        let mut columns: Vec<(&Found<'_>, Vec<Cow<'_, Node>>)> = Vec::new();
        for entry in &found {
            let name = CATALOGUE[entry.parameter].name;
            if entry.parameter == SEED {
                self.fault(entry.key, "`seed` is no axis", "list the seeds under `seeds`");
                continue;
            }
            match self.listed(entry.parameter, entry.node) {
                Some(items) if !items.is_empty() => columns.push((entry, items)),
                // Its range was at fault.
                Some(_) if entry.node.content != Content::List(Vec::new()) => return None,
                _ => {
                    let message = format!("`{name}` takes a list of values in a zip group");
                    self.fault(entry.node.place, message, "give every list the same length");
                }
            }
        }
        let (first, items) = columns.first()?;
        let rows = items.len();
        for (entry, items) in &columns[1..] {
            if items.len() != rows {
                let message = format!(
                    "the list of `{}` has length {}, that of `{}` {rows}",
                    CATALOGUE[entry.parameter].name,
                    items.len(),
                    CATALOGUE[first.parameter].name
                );
                self.fault(entry.node.place, message, "paired lists have the same length");
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

    /// Refuses parameters that are both fixed and varied.
    pub(super) fn fixed_and_varied(&mut self, fixed: &Choice, axes: &[Axis]) {
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
    pub(super) fn check_conditions(
        &mut self,
        fixed: &Choice,
        base: &Settings,
        axes: &[Axis],
        defaults: &[ValueId; COUNT],
    ) {
        let mut known: HashMap<ParameterId, HashSet<ValueId>> = HashMap::new();
        for setting in fixed.settings.iter().chain(base.values()) {
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
                for Setting { value, place, .. } in &test.values {
                    if !values.contains(value) && defaults[test.parameter] != *value {
                        let value = quoted(&plain(self.values.get(*value)));
                        let message = format!("`{name}` is never {value} before this axis");
                        self.fault(*place, message, "remove the value from `when`");
                    }
                }
            }
            for setting in axis.choices.iter().flat_map(|c| &c.settings) {
                known.entry(setting.parameter).or_default().insert(setting.value);
            }
        }
    }
}
