//! Ranges of numbers, which stand for the list of their values: `{linspace: [0.1, 0.5, 5]}`,
//! `{logspace: [1e-3, 1, 4]}`, `{range: [1, 10]}` and `{range: [1, 10, 3]}`.

use super::catalogue::CATALOGUE;
use super::document::{Content, Meaning, Node};
use super::error::{Fault, quoted};
use super::parameter::{Kind, ParameterId};
use super::read::Reader;
use super::spec::MAX_COMBINATIONS;
use std::borrow::Cow;

/// The keys that make a mapping a range.
pub(super) const RANGES: [&str; 3] = ["linspace", "logspace", "range"];

/// Significant digits that the values of a range are rounded to: `0.3`, not `0.30000000000000004`,
/// and the same value whatever the machine's logarithm makes of the last bit.
const DIGITS: usize = 12;

impl Node {
    /// Whether the value is meant as a range.
    pub(super) fn is_range(&self) -> bool {
        match &self.content {
            Content::Map(entries) => {
                entries.iter().any(|(key, _)| RANGES.contains(&key.text.as_str()))
            }
            _ => false,
        }
    }
}

impl Reader {
    /// The values of a list with its ranges written out; a range by itself is a list. `None` for
    /// anything else. A range that is at fault is left out.
    pub(super) fn listed<'a>(
        &mut self,
        parameter: ParameterId,
        node: &'a Node,
    ) -> Option<Vec<Cow<'a, Node>>> {
        let items = match &node.content {
            Content::List(items) => items.as_slice(),
            _ if node.is_range() => std::slice::from_ref(node),
            _ => return None,
        };
        let mut listed = Vec::with_capacity(items.len());
        for item in items {
            if item.is_range() {
                listed.extend(self.written_out(parameter, item).into_iter().map(Cow::Owned));
            } else {
                listed.push(Cow::Borrowed(item));
            }
        }
        Some(listed)
    }

    /// The values of a range as the text could have them, each at the place of the range.
    fn written_out(&mut self, parameter: ParameterId, node: &Node) -> Vec<Node> {
        let values = values(node, MAX_COMBINATIONS - self.ranged).and_then(|values| {
            fits(parameter, &values, node)?;
            Ok(values)
        });
        match values {
            Ok(values) => {
                self.ranged += values.len();
                let scalar = |value: Meaning| Node {
                    content: Content::Scalar { text: shown(value), meaning: value },
                    place: node.place,
                };
                values.into_iter().map(scalar).collect()
            }
            Err(fault) => {
                self.faults.push(fault);
                Vec::new()
            }
        }
    }
}

/// Whether a parameter takes the values of a range.
fn fits(parameter: ParameterId, values: &[Meaning], node: &Node) -> Result<(), Fault> {
    let parameter = &CATALOGUE[parameter];
    match parameter.kind {
        Kind::Float(_) => Ok(()),
        Kind::Int(_) => match values.iter().find(|v| !matches!(v, Meaning::Int(_))) {
            None => Ok(()),
            Some(value) => Err(Fault::new(
                node.place,
                format!(
                    "`{}` takes whole numbers, and the range has `{}`",
                    parameter.name,
                    shown(*value)
                ),
            )
            .help("write `{range: [FIRST, LAST, STEP]}`, or a count that makes every value whole")),
        },
        kind => Err(Fault::new(
            node.place,
            format!("`{}` takes {kind}, not a range of numbers", parameter.name),
        )
        .help("write the values out: `[…]`")),
    }
}

fn shown(value: Meaning) -> String {
    match value {
        Meaning::Int(int) => int.to_string(),
        Meaning::Float(float) => float.to_string(),
        Meaning::Bool(_) | Meaning::Text => String::new(),
    }
}

/// The values of a range, at most `left` of them; whole ones as whole numbers.
fn values(node: &Node, left: usize) -> Result<Vec<Meaning>, Fault> {
    let Content::Map(entries) = &node.content else { return Ok(Vec::new()) };
    let first = entries.iter().find(|(key, _)| RANGES.contains(&key.text.as_str()));
    let Some((key, bounds)) = first else { return Ok(Vec::new()) };
    if let Some((other, _)) = entries.iter().find(|(other, _)| other != key) {
        return Err(Fault::new(
            other.place,
            format!("{} beside `{}`", quoted(&other.text), key.text),
        )
        .help("a range is a mapping of one key; to an axis with `when` give it as `values`"));
    }
    let name = key.text.as_str();
    let form = match name {
        "range" => "`{range: [FIRST, LAST]}` or `{range: [FIRST, LAST, STEP]}`, whole numbers",
        "logspace" => "`{logspace: [START, STOP, COUNT]}`, the values themselves, not exponents",
        _ => "`{linspace: [START, STOP, COUNT]}`",
    };
    let wrong = |what: String, at: &Node| {
        Err(Fault::new(at.place, format!("`{name}` takes {what}")).help(format!("write {form}")))
    };
    let Content::List(items) = &bounds.content else {
        return wrong(format!("a list of numbers, not {}", bounds.describe()), bounds);
    };
    let mut numbers = Vec::with_capacity(3);
    for item in items.iter().take(4) {
        match item.content {
            Content::Scalar { meaning: meaning @ Meaning::Int(_), .. } => numbers.push(meaning),
            Content::Scalar { meaning: meaning @ Meaning::Float(float), .. }
                if float.is_finite() =>
            {
                numbers.push(meaning);
            }
            _ => return wrong(format!("numbers, not {}", item.describe()), item),
        }
    }
    match (name, numbers.as_slice()) {
        ("range", [Meaning::Int(first), Meaning::Int(last)]) => {
            whole(*first, *last, 1, bounds, left)
        }
        ("range", [Meaning::Int(first), Meaning::Int(last), Meaning::Int(step)]) => {
            whole(*first, *last, *step, bounds, left)
        }
        ("range", [_, _] | [_, _, _]) => {
            let float = numbers.iter().position(|n| !matches!(n, Meaning::Int(_))).unwrap_or(0);
            wrong(format!("whole numbers, not {}", items[float].describe()), &items[float])
        }
        ("linspace" | "logspace", [start, stop, Meaning::Int(count)]) => {
            let number = |meaning: &Meaning| match *meaning {
                Meaning::Float(float) => float,
                Meaning::Int(int) => int as f64,
                Meaning::Bool(_) | Meaning::Text => f64::NAN,
            };
            let (start, stop) = (number(start), number(stop));
            spaced(name, start, stop, *count, items, left)
        }
        ("linspace" | "logspace", [_, _, _]) => {
            wrong(format!("a whole number as its count, not {}", items[2].describe()), &items[2])
        }
        _ => {
            let wanted = if name == "range" { "two or three" } else { "three" };
            wrong(format!("{wanted} numbers, not {}", items.len()), bounds)
        }
    }
}

/// `first`, `first + step`, … up to `last`, which is among them where a step reaches it.
fn whole(
    first: i64,
    last: i64,
    step: i64,
    bounds: &Node,
    left: usize,
) -> Result<Vec<Meaning>, Fault> {
    let at_fault = |message: &str, help: &str| Err(Fault::new(bounds.place, message).help(help));
    if first == last {
        return at_fault("the range begins where it ends", "write the one value instead");
    }
    if step == 0 {
        return at_fault("the step of the range is 0", "give the distance between two values");
    }
    if (last < first) != (step < 0) {
        return at_fault(
            "the range leads away from its end",
            "give the smaller number first, or a step below 0 to count down",
        );
    }
    // Wider than any i64, so that no step can overflow.
    let (first, last, step) = (i128::from(first), i128::from(last), i128::from(step));
    let count = (last - first) / step + 1;
    if count > left as i128 {
        return Err(too_long(bounds));
    }
    let values = (0..count).map(|i| Meaning::Int((first + i * step) as i64));
    Ok(values.collect())
}

/// `count` values from `start` to `stop`, both included, at equal distances or, for `logspace`, equal
/// ratios.
fn spaced(
    name: &str,
    start: f64,
    stop: f64,
    count: i64,
    items: &[Node],
    left: usize,
) -> Result<Vec<Meaning>, Fault> {
    let at_fault = |at: &Node, message: String, help: &str| {
        Err(Fault::new(at.place, message).help(help.to_owned()))
    };
    if count < 2 {
        let message = format!("a range of {} values", items[2].describe());
        return at_fault(&items[2], message, "the count is 2 or more: both ends are values");
    }
    if start == stop {
        let message = "the range begins where it ends".to_owned();
        return at_fault(&items[1], message, "write the one value instead");
    }
    let logarithmic = name == "logspace";
    if logarithmic && let Some(end) = [start, stop].iter().position(|end| *end <= 0.0) {
        let message = format!("`logspace` cannot reach {}", items[end].describe());
        return at_fault(
            &items[end],
            message,
            "both ends are above 0: the values themselves, not exponents",
        );
    }
    if count as u64 > left as u64 {
        return Err(too_long(&items[2]));
    }
    let last = (count - 1) as f64;
    let largest = start.abs().max(stop.abs());
    let value = |i: i64| {
        // The ends are what was written, to the last bit.
        match i {
            0 => return start,
            _ if i + 1 == count => return stop,
            _ => {}
        }
        let share = i as f64 / last;
        let value = if logarithmic {
            10f64.powf(start.log10() * (1.0 - share) + stop.log10() * share)
        } else {
            start * (1.0 - share) + stop * share
        };
        // What is left of a zero after rounding of its parts is zero.
        let zero = !logarithmic && value.abs() < largest * 1e-14;
        if zero { 0.0 } else { rounded(value) }
    };
    let values: Vec<f64> = (0..count).map(value).collect();
    if values.windows(2).any(|pair| (pair[0] < pair[1]) != (start < stop) || pair[0] == pair[1]) {
        let message = format!("the values are too close to each other for {DIGITS} digits");
        return at_fault(&items[2], message, "give a smaller count, or ends further apart");
    }
    Ok(values.into_iter().map(number).collect())
}

/// A number as the text would have it: `2` for 2.0, which parameters of both kinds take.
fn number(value: f64) -> Meaning {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        Meaning::Int(value as i64)
    } else {
        Meaning::Float(value)
    }
}

/// The nearest number of [`DIGITS`] significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

fn too_long(at: &Node) -> Fault {
    Fault::new(at.place, format!("the ranges of the grid make more than {MAX_COMBINATIONS} values"))
        .help("split it into several grids")
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;
    use proptest::prelude::*;

    fn shown_values(text: &str) -> Result<String, String> {
        let node = document::parse(text).unwrap();
        let values = values(&node, 1000);
        let values = values.map_err(|f| format!("{}; {}", f.message, f.help.unwrap_or_default()));
        Ok(values?.into_iter().map(shown).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn values_are_short_and_in_order() {
        for (text, values) in [
            ("{linspace: [0.1, 0.5, 5]}", "0.1 0.2 0.3 0.4 0.5"),
            ("{linspace: [0, 1, 4]}", "0 0.333333333333 0.666666666667 1"),
            ("{linspace: [0.5, -0.5, 3]}", "0.5 0 -0.5"),
            ("{linspace: [-0.2, 0.7, 10]}", "-0.2 -0.1 0 0.1 0.2 0.3 0.4 0.5 0.6 0.7"),
            ("{linspace: [1, 9, 5]}", "1 3 5 7 9"),
            ("{logspace: [1e-3, 1, 4]}", "0.001 0.01 0.1 1"),
            ("{logspace: [1, 8, 4]}", "1 2 4 8"),
            ("{logspace: [100, 1, 3]}", "100 10 1"),
            ("{range: [1, 4]}", "1 2 3 4"),
            ("{range: [1, 10, 3]}", "1 4 7 10"),
            ("{range: [1, 9, 3]}", "1 4 7"),
            ("{range: [3, 1, -1]}", "3 2 1"),
            (
                "{range: [-9223372036854775808, 9223372036854775807, 9223372036854775807]}",
                "-9223372036854775808 -1 9223372036854775806",
            ),
        ] {
            assert_eq!(shown_values(text).as_deref(), Ok(values), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let mut found = String::new();
        for text in [
            "{linspace: 0.1}",
            "{linspace: [0.1, 0.5]}",
            "{linspace: [0.1, 0.5, 2.5]}",
            "{linspace: [0.1, much, 5]}",
            "{linspace: [0.1, .inf, 5]}",
            "{linspace: [0.1, 0.5, 0]}",
            "{linspace: [0.1, 0.5, 1]}",
            "{linspace: [0.1, 0.1, 3]}",
            "{linspace: [0.1, 0.10000000000001, 9]}",
            "{linspace: [0.1, 0.5, 1001]}",
            "{linspace: {start: 0, stop: 1, count: 3}}",
            "{linspace: [0, 1, 3], logspace: [1, 2, 3]}",
            "{logspace: [0, 1, 3]}",
            "{logspace: [1, -1, 3]}",
            "{range: [1]}",
            "{range: [1, 2, 3, 4]}",
            "{range: [1, 2.5]}",
            "{range: [1, 1]}",
            "{range: [1, 5, 0]}",
            "{range: [5, 1]}",
            "{range: [1, 5, -1]}",
            "{range: [-9223372036854775808, 9223372036854775807]}",
        ] {
            found.push_str(&format!("{text} -> {}\n", shown_values(text).unwrap_err()));
        }
        insta::assert_snapshot!(found, @r"
        {linspace: 0.1} -> `linspace` takes a list of numbers, not `0.1`; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0.1, 0.5]} -> `linspace` takes three numbers, not 2; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0.1, 0.5, 2.5]} -> `linspace` takes a whole number as its count, not `2.5`; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0.1, much, 5]} -> `linspace` takes numbers, not `much`; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0.1, .inf, 5]} -> `linspace` takes numbers, not `.inf`; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0.1, 0.5, 0]} -> a range of `0` values; the count is 2 or more: both ends are values
        {linspace: [0.1, 0.5, 1]} -> a range of `1` values; the count is 2 or more: both ends are values
        {linspace: [0.1, 0.1, 3]} -> the range begins where it ends; write the one value instead
        {linspace: [0.1, 0.10000000000001, 9]} -> the values are too close to each other for 12 digits; give a smaller count, or ends further apart
        {linspace: [0.1, 0.5, 1001]} -> the ranges of the grid make more than 1000000 values; split it into several grids
        {linspace: {start: 0, stop: 1, count: 3}} -> `linspace` takes a list of numbers, not a mapping; write `{linspace: [START, STOP, COUNT]}`
        {linspace: [0, 1, 3], logspace: [1, 2, 3]} -> `logspace` beside `linspace`; a range is a mapping of one key; to an axis with `when` give it as `values`
        {logspace: [0, 1, 3]} -> `logspace` cannot reach `0`; both ends are above 0: the values themselves, not exponents
        {logspace: [1, -1, 3]} -> `logspace` cannot reach `-1`; both ends are above 0: the values themselves, not exponents
        {range: [1]} -> `range` takes two or three numbers, not 1; write `{range: [FIRST, LAST]}` or `{range: [FIRST, LAST, STEP]}`, whole numbers
        {range: [1, 2, 3, 4]} -> `range` takes two or three numbers, not 4; write `{range: [FIRST, LAST]}` or `{range: [FIRST, LAST, STEP]}`, whole numbers
        {range: [1, 2.5]} -> `range` takes whole numbers, not `2.5`; write `{range: [FIRST, LAST]}` or `{range: [FIRST, LAST, STEP]}`, whole numbers
        {range: [1, 1]} -> the range begins where it ends; write the one value instead
        {range: [1, 5, 0]} -> the step of the range is 0; give the distance between two values
        {range: [5, 1]} -> the range leads away from its end; give the smaller number first, or a step below 0 to count down
        {range: [1, 5, -1]} -> the range leads away from its end; give the smaller number first, or a step below 0 to count down
        {range: [-9223372036854775808, 9223372036854775807]} -> the ranges of the grid make more than 1000000 values; split it into several grids
        ");
    }

    proptest! {
        #[test]
        fn a_range_runs_from_end_to_end(
            (start, stop) in (-1e6f64..1e6, -1e6f64..1e6), count in 2i64..200, log in any::<bool>()
        ) {
            let (name, start, stop) = match log {
                true => ("logspace", start.abs() + 1e-6, stop.abs() + 1e-6),
                false => ("linspace", start, stop),
            };
            let node = document::parse(&format!("{{{name}: [{start}, {stop}, {count}]}}")).unwrap();
            // Ends so near to each other that their values coincide.
            let Ok(values) = values(&node, 1000) else { return Ok(()) };
            let values: Vec<f64> = values.into_iter().map(|v| shown(v).parse().unwrap()).collect();
            prop_assert_eq!(values.len() as i64, count);
            prop_assert_eq!((values[0], values[values.len() - 1]), (start, stop));
            let up = start < stop;
            prop_assert!(values.windows(2).all(|w| (w[0] < w[1]) == up), "{:?}", values);
        }
    }
}
