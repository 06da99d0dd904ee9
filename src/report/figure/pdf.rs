//! Writes a sheet as PDF of its own size, its text as text in the bundled font.

use super::frame::{FONT_FILE, MM, load_font};
use super::layout::{Point, Shape, Sheet, Side};
use super::picture::Colour;
use super::{Figure, FigureError};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::writers::{ExtGraphicsState, Resources};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use std::collections::BTreeMap;
use std::io::Write as _;
use ttf_parser::{Face, GlyphId};

/// Points in a unit of the drawing.
const POINT: f32 = (72.0 / 25.4 / MM) as f32;
/// The bundled font is a part of DejaVu's, which six letters before its name say.
const FONT_NAME: Name<'_> = Name(b"ADVREC+DejaVuSansCondensed");
const FONT: Name<'_> = Name(b"F");
/// Of the codes of text: those of a font are the numbers of its glyphs.
const CODES: SystemInfo<'_> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
/// How far the handles of a quarter of a circle are from its ends, in radii.
const HANDLE: f32 = 0.552_285;

/// The objects of the file.
struct Objects {
    catalog: Ref,
    pages: Ref,
    page: Ref,
    content: Ref,
    font: Ref,
    glyphs: Ref,
    descriptor: Ref,
    file: Ref,
    unicode: Ref,
    info: Ref,
}

impl Objects {
    fn new() -> Self {
        let mut numbers = (1..).map(Ref::new);
        // Numbers do not come to an end before i32 does.
        let mut next = || numbers.next().unwrap_or(Ref::new(1));
        Self {
            catalog: next(),
            pages: next(),
            page: next(),
            content: next(),
            font: next(),
            glyphs: next(),
            descriptor: next(),
            file: next(),
            unicode: next(),
            info: next(),
        }
    }
}

impl Figure {
    /// The figure as PDF of one page, with its caption as title and the font inside. The same figure gives the
    /// same bytes.
    ///
    /// # Errors
    /// [`FigureError::Drawing`] where the font cannot be read or something cannot be compressed.
    pub fn to_pdf(&self) -> Result<Vec<u8>, FigureError> {
        load_font();
        let failed = |reason: String| FigureError::Drawing { figure: self.name.clone(), reason };
        let face = Face::parse(FONT_FILE, 0).map_err(|e| failed(e.to_string()))?;
        let packed = |bytes: &[u8]| packed(bytes).map_err(|e| failed(e.to_string()));
        let sheet = self.lay_out();
        let mut drawing = Drawing::new(&face, &sheet);
        drawing.shapes(&sheet.shapes);
        let objects = Objects::new();
        let mut pdf = Pdf::new();
        pdf.catalog(objects.catalog).pages(objects.pages).lang(TextStr("en"));
        pdf.pages(objects.pages).kids([objects.page]).count(1);
        let mut page = pdf.page(objects.page);
        let (width, height) = (sheet.width as f32 * POINT, sheet.height as f32 * POINT);
        page.parent(objects.pages).media_box(Rect::new(0.0, 0.0, width, height));
        page.contents(objects.content);
        drawing.resources(&mut page.resources(), &objects);
        page.finish();
        let Drawing { content, letters, .. } = drawing;
        let content = packed(&content.finish())?;
        pdf.stream(objects.content, &content).filter(Filter::FlateDecode);
        describe_font(&mut pdf, &objects, &face, &letters);
        let file = packed(FONT_FILE)?;
        let mut stream = pdf.stream(objects.file, &file);
        stream.filter(Filter::FlateDecode);
        stream.pair(Name(b"Length1"), FONT_FILE.len() as i32);
        stream.finish();
        pdf.document_info(objects.info).title(TextStr(&self.caption)).creator(TextStr("advrec"));
        Ok(pdf.finish())
    }
}

/// Compressed as PDF has it.
fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The letters that occur, by the number of their glyph.
type Letters = BTreeMap<u16, char>;

fn describe_font(pdf: &mut Pdf, objects: &Objects, face: &Face<'_>, letters: &Letters) {
    let units = f32::from(face.units_per_em());
    // PDF's unit is a thousandth of an em.
    let thousandths = |length: f32| length * 1000.0 / units;
    pdf.type0_font(objects.font)
        .base_font(FONT_NAME)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(objects.glyphs)
        .to_unicode(objects.unicode);
    let mut font = pdf.cid_font(objects.glyphs);
    font.subtype(CidFontType::Type2)
        .base_font(FONT_NAME)
        .system_info(CODES)
        .font_descriptor(objects.descriptor)
        .default_width(0.0)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = font.widths();
    for glyph in letters.keys() {
        let advance = face.glyph_hor_advance(GlyphId(*glyph)).unwrap_or_default();
        widths.consecutive(*glyph, [thousandths(f32::from(advance))]);
    }
    widths.finish();
    font.finish();
    let edges = face.global_bounding_box();
    let edge = |length: i16| thousandths(f32::from(length));
    pdf.font_descriptor(objects.descriptor)
        .name(FONT_NAME)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(edge(edges.x_min), edge(edges.y_min), edge(edges.x_max), edge(edges.y_max)))
        .italic_angle(0.0)
        .ascent(edge(face.ascender()))
        .descent(edge(face.descender()))
        .cap_height(edge(face.capital_height().unwrap_or_else(|| face.ascender())))
        // No part of the font says it; readers use it where they have no font, and here they have one.
        .stem_v(80.0)
        .font_file2(objects.file);
    let mut unicode = UnicodeCmap::<u16>::new(Name(b"Letters"), CODES);
    for (glyph, letter) in letters {
        unicode.pair(*glyph, *letter);
    }
    pdf.cmap(objects.unicode, &unicode.finish());
}

/// The page while it is drawn.
struct Drawing<'a> {
    face: &'a Face<'a>,
    content: Content,
    letters: Letters,
    /// In percent, as far as they occur; each has a name by its number.
    opacities: Vec<u8>,
    /// What areas are filled with.
    filled: Option<(Colour, u8)>,
}

impl<'a> Drawing<'a> {
    fn new(face: &'a Face<'a>, sheet: &Sheet) -> Self {
        let mut content = Content::new();
        // The sheet's units, from the upper left corner down.
        content.transform([POINT, 0.0, 0.0, -POINT, 0.0, sheet.height as f32 * POINT]);
        content.set_line_join(LineJoinStyle::RoundJoin);
        Self { face, content, letters: Letters::new(), opacities: Vec::new(), filled: None }
    }

    fn resources(&self, resources: &mut Resources<'_>, objects: &Objects) {
        resources.fonts().pair(FONT, objects.font);
        let mut states = resources.ext_g_states();
        for opacity in &self.opacities {
            let mut state = states.insert(Name(&state(*opacity))).start::<ExtGraphicsState<'_>>();
            state.non_stroking_alpha(f32::from(*opacity) / 100.0);
        }
    }

    fn shapes(&mut self, shapes: &[Shape]) {
        for shape in shapes {
            match shape {
                Shape::Line { points, colour, width } => {
                    let [r, g, b] = parts(*colour);
                    self.content.set_stroke_rgb(r, g, b).set_line_width(width.round() as f32);
                    self.path(points);
                    self.content.stroke();
                }
                Shape::Area { points, colour, opacity } => {
                    self.fill(*colour, *opacity);
                    self.path(points);
                    self.content.fill_nonzero();
                }
                Shape::Circle { centre, radius, colour, opacity } => {
                    self.fill(*colour, *opacity);
                    self.circle(*centre, *radius);
                    self.content.fill_nonzero();
                }
                Shape::Text { at, text, em, side, upwards, colour } => {
                    self.fill(*colour, 1.0);
                    self.text(*at, text, *em as f32, *side, *upwards);
                }
            }
        }
    }

    fn fill(&mut self, colour: Colour, opacity: f64) {
        let opacity = (opacity * 100.0).round().clamp(0.0, 100.0) as u8;
        if self.filled == Some((colour, opacity)) {
            return;
        }
        self.filled = Some((colour, opacity));
        if !self.opacities.contains(&opacity) {
            self.opacities.push(opacity);
        }
        let [r, g, b] = parts(colour);
        self.content.set_parameters(Name(&state(opacity))).set_fill_rgb(r, g, b);
    }

    fn path(&mut self, points: &[Point]) {
        for (at, (x, y)) in points.iter().enumerate() {
            let (x, y) = (tenths(*x), tenths(*y));
            match at {
                0 => self.content.move_to(x, y),
                _ => self.content.line_to(x, y),
            };
        }
    }

    fn circle(&mut self, (x, y): Point, radius: f64) {
        let (x, y, r) = (tenths(x), tenths(y), radius as f32);
        let h = HANDLE * r;
        self.content.move_to(x + r, y);
        self.content.cubic_to(x + r, y + h, x + h, y + r, x, y + r);
        self.content.cubic_to(x - h, y + r, x - r, y + h, x - r, y);
        self.content.cubic_to(x - r, y - h, x - h, y - r, x, y - r);
        self.content.cubic_to(x + h, y - r, x + r, y - h, x + r, y);
    }

    fn text(&mut self, (x, y): Point, text: &str, em: f32, side: Side, upwards: bool) {
        let (mut codes, mut width) = (Vec::new(), 0.0);
        for letter in text.chars() {
            // The first glyph is the box of what a font has not.
            let glyph = self.face.glyph_index(letter).unwrap_or(GlyphId(0));
            self.letters.entry(glyph.0).or_insert(letter);
            codes.extend(glyph.0.to_be_bytes());
            width += f32::from(self.face.glyph_hor_advance(glyph).unwrap_or_default());
        }
        let units = f32::from(self.face.units_per_em());
        let before = width * em / units
            * match side {
                Side::Left => 0.0,
                Side::Middle => 0.5,
                Side::Right => 1.0,
            };
        // As in SVG the middle of a text is that of its small letters.
        let small = self.face.glyph_index('x').and_then(|x| self.face.glyph_bounding_box(x));
        let below = f32::from(small.map_or(0, |edges| edges.y_max)) * em / units / 2.0;
        let (x, y) = (x as f32, y as f32);
        // Upright letters in a drawing whose heights grow downwards; or turned to be read from below.
        let matrix = match upwards {
            false => [1.0, 0.0, 0.0, -1.0, x - before, y + below],
            true => [0.0, -1.0, -1.0, 0.0, x + below, y + before],
        };
        self.content.begin_text().set_font(FONT, em).set_text_matrix(matrix);
        self.content.show(Str(&codes)).end_text();
    }
}

/// The name of what sets an opacity.
fn state(percent: u8) -> Vec<u8> {
    format!("O{percent}").into_bytes()
}

fn parts((r, g, b): Colour) -> [f32; 3] {
    [r, g, b].map(|part| (f32::from(part) / 255.0 * 1000.0).round() / 1000.0)
}

/// Rounded to a tenth of a unit, which nobody sees and which keeps files small.
fn tenths(length: f64) -> f32 {
    ((length * 10.0).round() / 10.0) as f32
}
