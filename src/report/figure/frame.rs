//! The frame of every figure: sizes, colours, the bundled font, axes with ticks.

use super::picture::{Axis, Colour, Pattern};
use plotters::style::{FontStyle, IntoFont, register_font};
use std::sync::Once;

/// Units of the drawing in a millimetre: 600 in an inch, so that whole numbers place everything well.
pub const MM: f64 = 600.0 / 25.4;
/// Width of a figure: a column of a two-column paper, 84 mm.
pub const WIDTH: f64 = 84.0 * MM;

const POINT: f64 = 600.0 / 72.0;
/// Height of an em of the text at axes and in legends: 7 points.
pub const TEXT: f64 = 7.0 * POINT;
/// Of the text in the fields of heat maps.
pub const SMALL: f64 = 6.0 * POINT;
pub const LINE: f64 = 1.0 * POINT;
pub const THIN: f64 = 0.5 * POINT;
pub const DOT: f64 = 1.6 * POINT;
/// Half the width of one of many marks, and how much it hides of those below it.
pub const SPECK: f64 = 0.9 * POINT;
pub const VEIL: f64 = 0.6;

/// The font by this name is part of the program and of every SVG.
pub const FONT: &str = "DejaVu Sans Condensed";
/// The letters that figures need of it: Latin, Greek, signs of mathematics.
pub static FONT_FILE: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSansCondensed.ttf");
/// What plotters calls the size of a font is the height of its line; an em of this font is less.
pub const LINE_OF_EM: f64 = (1901.0 + 483.0) / 2048.0;

// The colours of Okabe and Ito (2008), which people with any colour vision tell apart. Their yellow is
// left out: on white it is hardly seen.
pub const BLACK: Colour = (0, 0, 0);
pub const BLUE: Colour = (0, 114, 178);
pub const GREEN: Colour = (0, 158, 115);
pub const VERMILION: Colour = (213, 94, 0);
pub const ORANGE: Colour = (230, 159, 0);
pub const PURPLE: Colour = (204, 121, 167);
pub const SKY: Colour = (86, 180, 233);
pub const GREY: Colour = (110, 110, 110);
pub const PALE: Colour = (222, 222, 222);
pub const WHITE: Colour = (255, 255, 255);

/// Colours of series without a colour of their own, in the order of their use.
pub const SERIES: [Colour; 7] = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK];

/// The colour of a heat map: from nearly white to dark blue, lightness falling evenly.
pub fn shade(share: f64) -> Colour {
    let share = share.clamp(0.0, 1.0);
    let stops = [(247.0, 251.0, 255.0), (107.0, 174.0, 214.0), (8.0, 48.0, 107.0)];
    let (low, high, t) = match share {
        s if s < 0.5 => (stops[0], stops[1], s * 2.0),
        s => (stops[1], stops[2], s * 2.0 - 1.0),
    };
    let mix = |a: f64, b: f64| (a + (b - a) * t).round() as u8;
    (mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
}

/// Black or white, whichever is read better on a colour.
pub fn ink_on((r, g, b): Colour) -> Colour {
    let linear = |part: u8| (f64::from(part) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    // Where both have the same contrast by the rule of WCAG 2.
    if luminance > 0.179 { BLACK } else { WHITE }
}

/// Lengths of strokes and gaps in turn; none for a solid line.
pub fn strokes(dash: Pattern) -> &'static [f64] {
    const U: f64 = POINT;
    match dash {
        Pattern::Solid => &[],
        Pattern::DashDot => &[4.5 * U, 1.8 * U, 0.9 * U, 1.8 * U],
        Pattern::Dashed => &[3.2 * U, 1.8 * U],
        Pattern::Dotted => &[0.9 * U, 1.5 * U],
    }
}

/// Makes the bundled font known to plotters, which has no other.
pub fn load_font() {
    static LOADED: Once = Once::new();
    // A damaged font is told by whatever draws with it first.
    LOADED.call_once(|| drop(register_font(FONT, FontStyle::Normal, FONT_FILE)));
}

/// Width of a text whose em has this height.
pub fn text_width(text: &str, em: f64) -> f64 {
    load_font();
    let size = (FONT, em * LINE_OF_EM).into_font().box_size(text);
    size.map_or(0.0, |(width, _)| f64::from(width))
}

/// The text, cut and ended by an ellipsis where it is wider than `room`.
pub fn fitted(text: &str, em: f64, room: f64) -> String {
    if text_width(text, em) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter: String = kept.iter().chain(&['…']).collect();
        if text_width(&shorter, em) <= room {
            return shorter;
        }
    }
    String::new()
}

/// The ticks of an axis with their labels; of numbers about `wanted` of them.
pub fn ticks(axis: &Axis, wanted: usize) -> Vec<(f64, String)> {
    match axis {
        Axis::Names { names, .. } => {
            names.iter().enumerate().map(|(at, name)| (at as f64, name.clone())).collect()
        }
        Axis::Numbers { from, to, logarithmic: true, .. } => decades(*from, *to, wanted),
        Axis::Numbers { from, to, .. } => {
            let rough = (to - from) / wanted.max(1) as f64;
            let power = 10f64.powf(rough.log10().floor());
            let ends = |step: f64| ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
            let steps = [0.5, 1.0, 2.0, 5.0, 10.0].map(|m| m * power);
            let fit = steps.iter().position(|step| *step >= rough * 0.999).unwrap_or(4);
            // A single tick says no scale.
            let alone = |step: f64| ends(step).1 - ends(step).0 < 1.0;
            let fit = if alone(steps[fit]) { fit.saturating_sub(1) } else { fit };
            let step = steps[fit];
            let digits = (-step.log10().floor()).max(0.0) as usize;
            let (first, last) = ends(step);
            let count = (last - first).max(0.0) as usize;
            (0..=count)
                .map(|i| {
                    // Adding 0 makes a negative zero a plain one.
                    let value = (first + i as f64) * step + 0.0;
                    (value, format!("{value:.digits$}").replace('-', "−"))
                })
                .collect()
        }
    }
}

/// 1, 2 and 5 times powers of ten; powers of ten alone where these would be too many.
fn decades(from: f64, to: f64, wanted: usize) -> Vec<(f64, String)> {
    let powers = (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
    let of = |factors: &[f64]| -> Vec<(f64, String)> {
        powers
            .clone()
            .flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)))
            .filter(|v| (from * 0.999..=to * 1.001).contains(v))
            .map(|v| (v, format!("{}", (v * 1e9).round() / 1e9)))
            .collect()
    };
    let (fine, coarse) = (of(&[1.0, 2.0, 5.0]), of(&[1.0]));
    if fine.len() <= wanted + 3 || coarse.len() < 2 { fine } else { coarse }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, wanted: usize) -> Vec<String> {
        ticks(axis, wanted).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        let axis = Axis::linear("", 0.0, 1.0);
        assert_eq!(labels(&axis, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::linear("", -3.0, 12.0);
        assert_eq!(labels(&axis, 4), ["0", "5", "10"]);
        let axis = Axis::linear("", -2.8, 4.0);
        assert_eq!(labels(&axis, 3), ["−2", "0", "2", "4"]);
        let axis = Axis::linear("", -0.3, 0.3);
        assert_eq!(labels(&axis, 3), ["−0.2", "0.0", "0.2"]);
        let axis = Axis::of_sizes("", [0.05, 1.0].into_iter());
        assert_eq!(labels(&axis, 4), ["0.05", "0.1", "0.2", "0.5", "1"]);
        let axis = Axis::of_sizes("", [0.001, 10.0].into_iter());
        assert_eq!(labels(&axis, 4), ["0.001", "0.01", "0.1", "1", "10"]);
    }

    #[test]
    fn the_font_has_the_letters_of_the_field() {
        let missing = text_width("\u{4e00}", 100.0);
        for letter in "εℓ∞₁₂λθ×–−≥…".chars() {
            let width = text_width(&letter.to_string(), 100.0);
            assert!(width > 0.0 && width != missing, "{letter}");
        }
    }

    #[test]
    fn text_is_cut_to_its_room() {
        let room = text_width("fgsm_linf…", TEXT);
        assert_eq!(fitted("fgsm_linf, strategic", TEXT, room), "fgsm_linf…");
        assert_eq!(fitted("short", TEXT, 1e4), "short");
        assert_eq!(fitted("anything", TEXT, 0.0), "");
    }

    #[test]
    fn heat_maps_grow_darker_and_their_text_stays_readable() {
        let luminance = |(r, g, b): Colour| u32::from(r) + u32::from(g) + u32::from(b);
        let shades: Vec<Colour> = (0..=10).map(|i| shade(f64::from(i) / 10.0)).collect();
        assert!(shades.windows(2).all(|w| luminance(w[0]) > luminance(w[1])));
        assert_eq!((ink_on(shades[0]), ink_on(shades[10])), (BLACK, WHITE));
    }
}
