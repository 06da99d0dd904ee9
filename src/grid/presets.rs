//! Presets: parameters under a name, in the grid under `presets` or built into the program, that a
//! grid or an entry of `include` begins from with `extends`.

use super::catalogue::{CATALOGUE, SEED};
use super::document::{self, Content, Key, Node};
use super::error::{Fault, Place, quoted};
use super::parameter::nearest;
use super::read::Reader;
use super::spec::{Settings, Values};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// The presets of the program: name and text. No preset is ever found elsewhere, so that a grid's
/// text and the program are enough to expand it.
const BUILT_IN: [(&str, &str); 2] = [
    ("paper", include_str!("../../presets/paper.yaml")),
    ("quick", include_str!("../../presets/quick.yaml")),
];

/// Most presets that extend each other in a row; reading nests once for each.
const MAX_CHAIN: usize = 32;

/// A preset that is built into the program.
#[derive(Debug)]
pub struct BuiltIn {
    pub name: &'static str,
    /// One line for people.
    pub description: String,
    /// What it sets, by the names of the catalogue, in its order.
    pub params: Vec<(&'static str, Value)>,
}

/// The presets of the program, by name.
pub fn built_in() -> Vec<BuiltIn> {
    let mut reader = Reader::new();
    reader.read_built_in();
    let built_in = BUILT_IN.iter().map(|(name, text)| {
        let root = document::parse(text);
        let description = root.iter().flat_map(entries).find(|(key, _)| key.text == "description");
        let description = match description.map(|(_, node)| &node.content) {
            Some(Content::Scalar { text, .. }) => text.clone(),
            _ => String::new(),
        };
        let settings = reader.presets.known.get(*name).map(|preset| &preset.settings);
        let params = settings.into_iter().flatten().map(|(parameter, setting)| {
            (CATALOGUE[*parameter].name, reader.values.get(setting.value).as_ref().clone())
        });
        BuiltIn { name, description, params: params.collect() }
    });
    built_in.collect()
}

/// The names of the presets of the program.
pub(super) fn names() -> [&'static str; BUILT_IN.len()] {
    BUILT_IN.map(|(name, _)| name)
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.content {
        Content::Map(entries) => entries,
        _ => &[],
    }
}

/// The presets that a grid can name.
#[derive(Default)]
pub(super) struct Presets {
    known: HashMap<String, Preset>,
    /// The names of those that are being read, each extended by the one before.
    chain: Vec<String>,
    /// Built-in presets that are named, with what they set.
    named: BTreeMap<String, Map<String, Value>>,
}

struct Preset {
    settings: Settings,
    /// Where the grid defines it; `None` for a preset of the program.
    place: Option<Place>,
    used: bool,
}

impl Presets {
    /// The built-in presets that were named.
    pub(super) fn built_in(&mut self) -> BTreeMap<String, Map<String, Value>> {
        std::mem::take(&mut self.named)
    }
}

impl Reader {
    fn read_built_in(&mut self) {
        for (name, text) in BUILT_IN {
            // A fault in one of them is told as one of the grid; a test keeps them free of any.
            match document::parse(text) {
                Ok(root) => {
                    let settings = self.preset(name, &root, &HashMap::new());
                    self.presets
                        .known
                        .insert(name.to_owned(), Preset { settings, place: None, used: true });
                }
                Err(fault) => self.faults.push(fault),
            }
        }
        // Named by each other, not yet by a grid.
        self.presets.named.clear();
    }

    /// Reads the presets of the program and of the grid, which win where they have the same name:
    /// else a preset that the program learns later would change the meaning of old grids.
    pub(super) fn read_presets(&mut self, node: Option<&Node>) {
        self.read_built_in();
        let Some(node) = node.filter(|node| !node.is_null()) else { return };
        let Content::Map(entries) = &node.content else {
            let message = format!("`presets` takes a mapping, not {}", node.describe());
            self.fault(node.place, message, "write `presets: {name: {parameter: value}}`");
            return;
        };
        let own: HashMap<&str, (&Key, &Node)> =
            entries.iter().map(|(key, node)| (key.text.as_str(), (key, node))).collect();
        for (key, _) in entries {
            self.presets.known.remove(&key.text);
        }
        for (key, node) in entries {
            if let Some(name) = self.name(&node_of(key), "a preset") {
                self.own_preset(&name, key.place, node, &own);
            }
        }
    }

    fn own_preset(
        &mut self,
        name: &str,
        place: Place,
        node: &Node,
        own: &HashMap<&str, (&Key, &Node)>,
    ) {
        if self.presets.known.get(name).is_some_and(|preset| preset.place.is_some()) {
            return;
        }
        self.presets.chain.push(name.to_owned());
        let settings = self.preset(name, node, own);
        self.presets.chain.pop();
        let preset = Preset { settings, place: Some(place), used: false };
        self.presets.known.insert(name.to_owned(), preset);
    }

    /// What a preset sets: what it extends first, its own parameters over that.
    fn preset(&mut self, name: &str, node: &Node, own: &HashMap<&str, (&Key, &Node)>) -> Settings {
        let mut settings = Settings::new();
        let Content::Map(entries) = &node.content else {
            let message = format!("preset `{name}` takes a mapping, not {}", node.describe());
            self.fault(node.place, message, "write `{parameter: value}`");
            return settings;
        };
        let mut found = Vec::new();
        for (key, node) in entries {
            match key.text.as_str() {
                "extends" => settings = self.extended_among(node, own),
                "description" => {
                    self.description(node);
                }
                "seeds" | "axes" | "zip" | "include" | "exclude" | "presets" => {
                    let message = format!("`{}` in a preset, which holds parameters", key.text);
                    self.fault(key.place, message, "write it at the top of the grid");
                }
                _ => self.flatten(key, node, None, &["extends", "description"], &mut found),
            }
        }
        for entry in self.distinct(found) {
            if entry.parameter == SEED {
                self.fault(entry.key, "`seed` in a preset", "list the seeds under `seeds`");
            } else if let Some(setting) = self.setting(entry.parameter, entry.node) {
                settings.insert(entry.parameter, setting);
            }
        }
        settings
    }

    /// What the presets set that an `extends` names, later ones over earlier ones.
    pub(super) fn extended(&mut self, node: &Node) -> Settings {
        self.extended_among(node, &HashMap::new())
    }

    fn extended_among(&mut self, node: &Node, own: &HashMap<&str, (&Key, &Node)>) -> Settings {
        let mut settings = Settings::new();
        let help = "write `extends: NAME`, or `extends: [NAME, NAME]`, where the later one wins";
        let names = match &node.content {
            Content::List(items) if items.is_empty() => {
                self.fault(node.place, "`extends` is empty", help);
                return settings;
            }
            Content::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for name in names {
            let Content::Scalar { text, .. } = &name.content else {
                let message = format!("`extends` takes names of presets, not {}", name.describe());
                self.fault(name.place, message, help);
                continue;
            };
            settings.extend(self.named(text, name.place, own));
        }
        settings
    }

    /// What the preset of a name sets. Presets of the grid that are not read yet are in `own`.
    fn named(&mut self, name: &str, place: Place, own: &HashMap<&str, (&Key, &Node)>) -> Settings {
        if let Some(at) = self.presets.chain.iter().position(|other| other == name) {
            let mut circle = self.presets.chain[at..].to_vec();
            circle.push(name.to_owned());
            let message = format!("preset `{name}` extends itself: {}", circle.join(" → "));
            self.fault(place, message, "remove one `extends` of the circle");
            return Settings::new();
        }
        if let Some((key, node)) = own.get(name) {
            if self.presets.chain.len() >= MAX_CHAIN {
                let message = format!("more than {MAX_CHAIN} presets extend each other in a row");
                self.fault(place, message, "write some of them as one");
                return Settings::new();
            }
            self.own_preset(name, key.place, node, own);
        }
        let Some(preset) = self.presets.known.get_mut(name) else {
            let fault = self.unknown_preset(name, place, own);
            self.faults.push(fault);
            return Settings::new();
        };
        preset.used = true;
        let mut settings = preset.settings.clone();
        if preset.place.is_none() {
            // Its own text is not the grid's: the name stands for it in messages.
            settings.values_mut().for_each(|setting| setting.place = place);
            self.presets.named.insert(name.to_owned(), by_name(&settings, &self.values));
        }
        settings
    }

    fn unknown_preset(
        &self,
        name: &str,
        place: Place,
        own: &HashMap<&str, (&Key, &Node)>,
    ) -> Fault {
        let fault = Fault::new(place, format!("unknown preset {}", quoted(name)));
        let known = self.presets.known.keys().map(String::as_str).chain(own.keys().copied());
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.dedup();
        match nearest(name, known.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => {
                known.truncate(20);
                fault.help(format!("known: {}", known.join(", ")))
            }
        }
    }

    /// Refuses presets that nothing names.
    pub(super) fn unused_presets(&mut self) {
        let unused = self.presets.known.iter().filter(|(_, preset)| !preset.used);
        let unused = unused.filter_map(|(name, preset)| Some((name, preset.place?)));
        for (name, place) in unused {
            self.faults.push(
                Fault::new(place, format!("no `extends` names preset `{name}`"))
                    .help(format!("write `extends: {name}`, or remove the preset")),
            );
        }
    }
}

/// A key as a value.
fn node_of(key: &Key) -> Node {
    let content = Content::Scalar { text: key.text.clone(), meaning: document::Meaning::Text };
    Node { content, place: key.place }
}

fn by_name(settings: &Settings, values: &Values) -> Map<String, Value> {
    let named = settings.iter().map(|(parameter, setting)| {
        (CATALOGUE[*parameter].name.to_owned(), values.get(setting.value).as_ref().clone())
    });
    named.collect()
}
