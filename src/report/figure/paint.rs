//! Paints a sheet as SVG or as PNG, both from the same shapes.

use super::frame::{FONT, FONT_FILE, LINE_OF_EM, MM, load_font};
use super::layout::{Shape, Sheet, Side};
use super::{Figure, FigureError};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE};

/// Pixels of a PNG in an inch.
const DPI: u32 = 300;
/// Units of the drawing a pixel: what is drawn finer is averaged, which makes edges smooth.
const FINER: u32 = 2;

/// In which way the two backends of plotters differ with text.
#[derive(Clone, Copy)]
struct TextRule {
    /// Size that makes an em one unit high.
    size: f64,
    /// How far below its place the middle of a text comes out, in ems.
    above: f64,
}

/// SVG takes ems to be 1/1.24 of the size, and centres by the height of small letters.
const SVG: TextRule = TextRule { size: 1.24, above: 0.0 };
/// Pixels are of a line that is as high as the size, with the base line half a size below its top.
const PIXELS: TextRule = TextRule { size: LINE_OF_EM, above: 0.16 };

impl Figure {
    /// The figure as SVG, with its caption as title and, where `font`, with the font inside.
    ///
    /// # Errors
    /// [`FigureError::Drawing`] where plotters fails.
    pub fn to_svg(&self, font: bool) -> Result<String, FigureError> {
        load_font();
        let sheet = self.lay_out();
        let size = (sheet.width.round() as u32, sheet.height.round() as u32);
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area, &sheet, SVG).map_err(|e| self.failed(&e))?;
        drop(area);
        let (width, height) = (f64::from(size.0) / MM, f64::from(size.1) / MM);
        let pixels = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
        let label = escaped(&self.caption);
        let family = format!("font-family=\"{FONT}\"");
        let lengths = format!(
            "width=\"{width:.1}mm\" height=\"{height:.1}mm\" role=\"img\" \
             fill=\"none\" font-family=\"{FONT}, DejaVu Sans, sans-serif\""
        );
        // What the whole says need not be said by every part; nor what is so anyway.
        let no_stroke = "stroke=\"none\" stroke-width=\"1\"";
        for said in [&family, "fill=\"none\"", "opacity=\"1\"", no_stroke] {
            svg = svg.replace(&format!(" {said}"), "");
        }
        svg = svg.replacen(&pixels, &lengths, 1);
        // The first element of the drawing comes after the head.
        let head = svg.find('>').map_or(0, |at| at + 1);
        let mut inside = format!("\n<title>{label}</title>");
        if font {
            inside += &format!("\n<style>{}</style>", font_face());
        }
        svg.insert_str(head, &inside);
        Ok(svg)
    }

    /// The figure as PNG with 300 pixels in an inch: 992 across.
    ///
    /// # Errors
    /// [`FigureError::Drawing`] where plotters fails, [`FigureError::Encoding`] where PNG does.
    pub fn to_png(&self) -> Result<Vec<u8>, FigureError> {
        load_font();
        let sheet = self.lay_out();
        let even = |length: f64| (length / f64::from(FINER)).round() as u32;
        let (width, height) = (even(sheet.width), even(sheet.height));
        let fine = (width * FINER, height * FINER);
        let mut pixels = vec![0; fine.0 as usize * fine.1 as usize * 3];
        let area = BitMapBackend::with_buffer(&mut pixels, fine).into_drawing_area();
        paint(&area, &sheet, PIXELS).map_err(|e| self.failed(&e))?;
        drop(area);
        let encoding = |source| FigureError::Encoding { figure: self.name.clone(), source };
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Drawings are flat: rows as they are come out smaller than their differences.
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::NoFilter);
        let per_metre = (f64::from(DPI) / 0.0254).round() as u32;
        let unit = png::Unit::Meter;
        let dimensions = png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit };
        encoder.set_pixel_dims(Some(dimensions));
        let mut writer = encoder.write_header().map_err(encoding)?;
        writer.write_image_data(&averaged(&pixels, width as usize)).map_err(encoding)?;
        writer.finish().map_err(encoding)?;
        Ok(file)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> FigureError {
        FigureError::Drawing { figure: self.name.clone(), reason: error.to_string() }
    }
}

/// The CSS that gives a page the figures' font.
pub fn font_face() -> String {
    format!(
        "@font-face{{font-family:'{FONT}';src:url(data:font/ttf;base64,{})}}",
        base64(FONT_FILE)
    )
}

fn paint<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    sheet: &Sheet,
    rule: TextRule,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let whole = |&(x, y): &(f64, f64)| (x.round() as i32, y.round() as i32);
    let rgb = |(r, g, b)| RGBColor(r, g, b);
    for shape in &sheet.shapes {
        match shape {
            Shape::Line { points, colour, width } => {
                let points: Vec<_> = points.iter().map(whole).collect();
                let style = ShapeStyle::from(rgb(*colour)).stroke_width(width.round() as u32);
                area.draw(&PathElement::new(points, style))?;
            }
            Shape::Area { points, colour, opacity } => {
                let points: Vec<_> = points.iter().map(whole).collect();
                area.draw(&Polygon::new(points, rgb(*colour).mix(*opacity).filled()))?;
            }
            Shape::Circle { centre, radius, colour, opacity } => {
                area.draw(&Circle::new(
                    whole(centre),
                    radius.round() as i32,
                    rgb(*colour).mix(*opacity).filled(),
                ))?;
            }
            Shape::Text { at, text, em, side, upwards, colour } => {
                let anchor = match side {
                    Side::Left => HPos::Left,
                    Side::Middle => HPos::Center,
                    Side::Right => HPos::Right,
                };
                let mut font = (FONT, em * rule.size).into_font();
                let (mut x, mut y) = *at;
                if *upwards {
                    font = font.transform(FontTransform::Rotate270);
                    x += rule.above * em;
                } else {
                    y += rule.above * em;
                }
                let (colour, place) = (rgb(*colour), Pos::new(anchor, VPos::Center));
                let style = TextStyle::from(font).color(&colour).pos(place);
                area.draw(&Text::new(text.as_str(), whole(&(x, y)), style))?;
            }
        }
    }
    area.present()
}

/// Every pixel the mean of the finer ones. `width`: of the result.
fn averaged(fine: &[u8], width: usize) -> Vec<u8> {
    let finer = FINER as usize;
    let row = width * finer * 3;
    let mut out = Vec::with_capacity(fine.len() / (finer * finer));
    for rows in fine.chunks_exact(row * finer) {
        for x in 0..width {
            for channel in 0..3 {
                let parts = (0..finer * finer).map(|i| {
                    let place = (i / finer) * row + (x * finer + i % finer) * 3 + channel;
                    usize::from(rows[place])
                });
                out.push((parts.sum::<usize>() / (finer * finer)) as u8);
            }
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            out.push(match digit <= chunk.len() {
                true => char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]),
                false => '=',
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        let of = |text: &str| base64(text.as_bytes());
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in known {
            assert_eq!(of(plain), coded);
        }
    }

    #[test]
    fn pixels_are_means_of_finer_ones() {
        let row = |a: u8, b: u8| [a, 0, 8, b, 0, 8];
        let fine = [row(10, 20), row(30, 40)].concat();
        assert_eq!(averaged(&fine, 1), [25, 0, 8]);
    }
}
