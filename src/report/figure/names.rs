//! What attacks and datasets are called in figures, and the pens of series.

use super::frame::{self, BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION};
use super::picture::{Colour, Pattern, Pen};
use super::results::{Parameters, attack, number, text, timing};

/// A dataset's name without what every dataset's begins with.
pub fn dataset(name: &str) -> String {
    name.strip_prefix("Amazon_").unwrap_or(name).replace('_', " ")
}

/// An attack as papers write it: FGSM ℓ∞.
pub fn attack_name(id: &str) -> String {
    let family = |id: &str| match id {
        "fgsm" | "pgd" | "jsma" | "spsa" => id.to_uppercase(),
        "deepfool" => "DeepFool".to_owned(),
        "mi_fgsm" => "MI-FGSM".to_owned(),
        "none" => "clean".to_owned(),
        other => other.replace('_', " "),
    };
    for (norm, sign) in [("_linf", "ℓ∞"), ("_l1", "ℓ1"), ("_l2", "ℓ2")] {
        if let Some((before, after)) = id.split_once(norm) {
            return format!("{} {sign}{}", family(before), after.replace('_', " "));
        }
    }
    family(id)
}

/// Attack, ε and timing; what `but` names is left out.
pub fn attack_label(parameters: &Parameters, but: &[&str]) -> String {
    let mut label = attack_name(attack(parameters));
    if attack(parameters) == "none" {
        return label;
    }
    let wanted = |name: &str| !but.contains(&name);
    if let Some(epsilon) = number(parameters, "epsilon").filter(|_| wanted("epsilon")) {
        label += &format!(" ε={epsilon}");
    }
    if timing(parameters) != "always" && wanted("timing") {
        label += &format!(", {}", timing(parameters).replace('_', " "));
        if let Some(frequency) = number(parameters, "frequency").filter(|_| wanted("frequency")) {
            label += &format!(" {frequency}");
        }
    }
    if let Some(other) = text(parameters, "transfer.algorithm").filter(|_| wanted("transfer")) {
        label += &format!(", from {}", other.replace('_', " "));
    }
    if let Some(lambda) = number(parameters, "adaptive.lambda") {
        label += &format!(", λ={lambda}");
    }
    label
}

/// Hands out a colour for each attack: its own where it is free, so that an attack looks alike in all
/// figures; the paper's Figure 2 has ℓ∞ blue and ℓ1 green.
#[derive(Default)]
pub struct Pens {
    taken: Vec<(String, Pen)>,
}

impl Pens {
    /// The pen of a series by its name. `id`: of its attack.
    pub fn of(&mut self, name: &str, id: &str) -> Pen {
        if let Some((_, pen)) = self.taken.iter().find(|(known, _)| known == name) {
            return *pen;
        }
        let own = Pen::new(colour(id), dash(id));
        let others = [own.dash, Pattern::Solid, Pattern::Dashed, Pattern::DashDot, Pattern::Dotted]
            .into_iter()
            .flat_map(|dash| frame::SERIES.map(|colour| Pen::new(colour, dash)));
        let free = |pen: &Pen| self.taken.iter().all(|(_, taken)| taken != pen);
        // More series than pens begin again; nobody tells so many lines apart anyway.
        let pen = std::iter::once(own).chain(others).find(free).unwrap_or(own);
        self.taken.push((name.to_owned(), pen));
        pen
    }
}

/// The colour of an attack by its id.
pub fn colour(id: &str) -> Colour {
    match id {
        "none" => GREY,
        "deepfool" => PURPLE,
        _ if id.contains("jsma") => ORANGE,
        _ if id.contains("_linf") => BLUE,
        _ if id.contains("_l1") => GREEN,
        _ if id.contains("_l2") => VERMILION,
        "mi_fgsm" => SKY,
        _ => BLACK,
    }
}

fn dash(id: &str) -> Pattern {
    match id {
        "none" => Pattern::Dotted,
        _ if id.starts_with("noise") => Pattern::Dashed,
        _ if id.starts_with("pgd") => Pattern::DashDot,
        _ => Pattern::Solid,
    }
}

/// The line of the clean level.
pub const CLEAN: Pen = Pen::new(BLACK, Pattern::Solid);

/// What tells series apart, without the comma before it and JSON's quotes.
pub fn differences(labels: Vec<String>) -> Vec<String> {
    let plain = |label: String| label.trim_start_matches(", ").replace(['"'], "");
    labels.into_iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attacks_are_called_as_in_papers() {
        let names =
            ["fgsm_linf", "fgsm_l1_abs", "noise_l2", "mi_fgsm", "deepfool", "jsma_full", "none"];
        let called = names.map(attack_name);
        let wanted =
            ["FGSM ℓ∞", "FGSM ℓ1 abs", "noise ℓ2", "MI-FGSM", "DeepFool", "jsma full", "clean"];
        assert_eq!(called, wanted);
        let timed =
            json!({"attack": "pgd_linf", "epsilon": 0.5, "timing": "strategic", "frequency": 0.2});
        let timed = timed.as_object().unwrap();
        assert_eq!(attack_label(timed, &[]), "PGD ℓ∞ ε=0.5, strategic 0.2");
        assert_eq!(attack_label(timed, &["epsilon", "frequency"]), "PGD ℓ∞, strategic");
    }

    #[test]
    fn no_two_series_look_alike() {
        let mut pens = Pens::default();
        let first = pens.of("FGSM ℓ∞ ε=0.1", "fgsm_linf");
        assert_eq!(first, Pen::new(BLUE, Pattern::Solid));
        let all: Vec<Pen> = (0..20).map(|i| pens.of(&i.to_string(), "fgsm_linf")).collect();
        let distinct = all.iter().enumerate().all(|(i, pen)| !all[..i].contains(pen));
        assert!(distinct && !all.contains(&first));
        assert_eq!(pens.of("FGSM ℓ∞ ε=0.1", "another"), first);
    }
}
