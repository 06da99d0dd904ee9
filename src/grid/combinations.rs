//! Reading of `include` and `exclude` entries and of conditions: alternatives, and their products.

use super::catalogue::{CATALOGUE, SEED};
use super::document::{Content, Key, Node};
use super::error::Place;
use super::parameter::ParameterId;
use super::read::{Found, Reader};
use super::spec::{Choice, Exclude, Include, MAX_COMBINATIONS, Setting, Settings, Test, too_many};
use std::borrow::Cow;

impl Reader {
    /// A value, or each value of a list or a range.
    fn alternatives(&mut self, parameter: ParameterId, node: &Node) -> Vec<Setting> {
        let Some(items) = self.several(parameter, node) else {
            return self.setting(parameter, node).into_iter().collect();
        };
        items.iter().filter_map(|item| self.setting(parameter, item)).collect()
    }

    /// The elements of a list of alternatives; `None` for a value by itself.
    fn several<'a>(
        &mut self,
        parameter: ParameterId,
        node: &'a Node,
    ) -> Option<Vec<Cow<'a, Node>>> {
        match &node.content {
            Content::List(items) if items.is_empty() => {
                let message = format!("`{}` has an empty list", CATALOGUE[parameter].name);
                self.fault(node.place, message, "give at least one value");
                Some(Vec::new())
            }
            // Of a parameter that takes a list, alternatives are a list of lists.
            Content::List(items)
                if CATALOGUE[parameter].takes_list()
                    && !matches!(items[0].content, Content::List(_) | Content::Map(_)) =>
            {
                None
            }
            _ => self.listed(parameter, node),
        }
    }

    /// As [`Self::alternatives`], where a mapping in the list sets further parameters.
    fn mapped_alternatives(&mut self, parameter: ParameterId, node: &Node) -> Vec<Vec<Setting>> {
        let Some(items) = self.several(parameter, node) else {
            return self.setting(parameter, node).into_iter().map(|s| vec![s]).collect();
        };
        let mut alternatives = Vec::with_capacity(items.len());
        for item in &items {
            if let Content::Map(entries) = &item.content {
                let mut found = Vec::new();
                self.mapping_value(parameter, item.place, entries, &mut found);
                let choices = self.choices(found, item.place);
                alternatives.extend(choices.into_iter().map(|choice| choice.settings));
            } else {
                alternatives.extend(self.setting(parameter, item).map(|setting| vec![setting]));
            }
        }
        alternatives
    }

    /// The product of the alternatives of several parameters, the first varying slowest.
    pub(super) fn choices(&mut self, found: Vec<Found<'_>>, place: Place) -> Vec<Choice> {
        self.groups += 1;
        let group = self.groups;
        let mut choices = vec![Choice { settings: Vec::new(), group }];
        for entry in self.distinct(found) {
            if entry.parameter == SEED {
                self.fault(entry.key, "`seed` is no axis", "list the seeds under `seeds`");
                continue;
            }
            let alternatives = self.mapped_alternatives(entry.parameter, entry.node);
            let product = choices.len().saturating_mul(alternatives.len());
            // All products of the grid together: many of them could fill the memory, too.
            self.made = self.made.saturating_add(product);
            if self.made > 2 * MAX_COMBINATIONS || product > MAX_COMBINATIONS {
                self.faults.push(too_many(place));
                return Vec::new();
            }
            let mut next = Vec::with_capacity(product);
            for (choice, settings) in
                choices.iter().flat_map(|c| alternatives.iter().map(move |s| (c, s)))
            {
                let mut choice = choice.clone();
                for setting in settings {
                    self.add(setting, &mut choice.settings);
                }
                next.push(choice);
            }
            choices = next;
        }
        choices
    }

    /// Adds a setting to those that are made with it, which may come from a mapping with parameters
    /// of its own.
    fn add(&mut self, setting: &Setting, settings: &mut Vec<Setting>) {
        match settings.iter().find(|other| other.parameter == setting.parameter) {
            Some(first) => {
                let name = CATALOGUE[setting.parameter].name;
                let message = format!("`{name}` is set twice, first on line {}", first.place.line);
                self.fault(setting.place, message, "keep one of the two");
            }
            None => settings.push(*setting),
        }
    }

    /// Reads every element of a list.
    pub(super) fn entries<T>(
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

    pub(super) fn include(&mut self, node: &Node) -> Option<Include> {
        let entries = self.parameters(node, "include")?;
        let mut base = Settings::new();
        let mut found = Vec::new();
        for (key, node) in entries {
            match key.text.as_str() {
                "extends" => base = self.extended(node),
                _ => self.flatten(key, node, None, &["extends"], &mut found),
            }
        }
        Some(Include { place: node.place, base, choices: self.choices(found, node.place) })
    }

    pub(super) fn exclude(&mut self, node: &Node) -> Option<Exclude> {
        let tests = self.tests(node, "exclude");
        (!tests.is_empty()).then_some(Exclude { place: node.place, tests })
    }

    pub(super) fn tests(&mut self, node: &Node, name: &str) -> Vec<Test> {
        let Some(entries) = self.parameters(node, name) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, node) in entries {
            self.flatten(key, node, None, &[], &mut found);
        }
        let mut tests = Vec::new();
        for entry in self.distinct(found) {
            let values = self.alternatives(entry.parameter, entry.node);
            if !values.is_empty() {
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
}
