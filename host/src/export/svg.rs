//! SVG: boxes laid out in rows by `layout-rs`, top to bottom, with arrows between.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::{Point, Position};
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::drawing::{Colour, Drawing};

/// Why a graph was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum SvgError {
    /// Arrows over many rows: the layout would take minutes.
    #[error(
        "{boxes} boxes and arrows over {rows} rows in all are too much to lay out as SVG ({LARGEST} at most): write DOT (`--output FILE.dot`) and lay it out with Graphviz, or group ops with `--fusion inference`"
    )]
    TooLarge {
        /// Number of boxes.
        boxes: usize,
        /// Rows that all arrows cross.
        rows: usize,
    },
    /// The layout gave up.
    #[error(
        "the layout of this graph failed inside `layout-rs`: write DOT (`--output FILE.dot`) and lay it out with Graphviz"
    )]
    Layout,
}

/// Most boxes and rows that arrows cross, together: the layout's time grows with the square.
const LARGEST: usize = 20_000;

/// Height of a line of text, in pixels.
const LINE: f64 = 15.0;
/// Size of the font, in pixels.
const FONT: usize = 12;
/// Space around the drawing.
const MARGIN: f64 = 20.0;

/// The drawing as an SVG document, each kernel one box.
///
/// # Errors
/// [`SvgError`], where DOT is the way.
pub fn write(drawing: &Drawing) -> Result<String, SvgError> {
    let drawing = drawing.clone().collapsed();
    let rows = crossed_rows(&drawing);
    if drawing.boxes.len().saturating_add(rows) > LARGEST {
        return Err(SvgError::TooLarge { boxes: drawing.boxes.len(), rows });
    }
    let mut canvas = Canvas::default();
    if !drawing.boxes.is_empty() {
        // The layout asserts what it assumes. A graph that it does not expect must not end the program, nor print a trace.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let drawn = catch_unwind(AssertUnwindSafe(|| lay_out(&drawing, &mut canvas)));
        std::panic::set_hook(hook);
        drawn.map_err(|_| SvgError::Layout)?;
    }
    Ok(canvas.document(&drawing))
}

/// Rows that all arrows cross, each box standing one row below the lowest that it reads from.
fn crossed_rows(drawing: &Drawing) -> usize {
    let mut row = vec![0_usize; drawing.boxes.len()];
    // Kernels stand where their first op does, so that an arrow may point to an earlier box: go round until nothing changes.
    for _ in 0..drawing.boxes.len() {
        let mut changed = false;
        for &(from, to) in &drawing.arrows {
            let below = row.get(from).map_or(0, |row| row + 1);
            if let Some(row) = row.get_mut(to).filter(|row| **row < below) {
                *row = below;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let crossed = |&(from, to): &(usize, usize)| Some(row.get(to)?.saturating_sub(*row.get(from)?));
    drawing.arrows.iter().filter_map(crossed).sum()
}

fn lay_out(drawing: &Drawing, canvas: &mut Canvas) {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let black = Color::new(0x50_50_50_ff);
    let handles: Vec<_> = drawing
        .boxes
        .iter()
        .map(|drawn| {
            let fill = drawn.colour.unwrap_or(Colour(0xff_ff_ff));
            let fill = Color::new((fill.0 << 8) | 0xff);
            // Rounded corners mark what no op computes.
            let look = StyleAttr::new(black, 1, Some(fill), if drawn.is_source { 16 } else { 3 }, FONT);
            let widest = drawn.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            let size = Point::new(widest as f64 * 6.4 + 20.0, drawn.lines.len() as f64 * LINE + 10.0);
            graph.add_node(Element {
                shape: ShapeKind::Box(drawn.lines.join("\n")),
                pos: Position::new(Point::zero(), size, Point::zero(), Point::splat(16.0)),
                look,
                orientation: Orientation::TopToBottom,
                properties: None,
            })
        })
        .collect();
    for &(from, to) in &drawing.arrows {
        if let (Some(&from), Some(&to)) = (handles.get(from), handles.get(to)) {
            let look = StyleAttr::new(black, 1, None, 0, FONT);
            graph.add_edge(Arrow { look, ..Arrow::default() }, from, to);
        }
    }
    graph.do_it(false, false, false, canvas);
}

/// What the layout draws on. `SVGWriter` of `layout-rs` guesses the size of the picture too large, and its arrow heads need SVG 2.
#[derive(Debug)]
struct Canvas {
    body: String,
    least: Point,
    most: Point,
}

impl Default for Canvas {
    fn default() -> Self {
        let infinity = f64::INFINITY;
        Self { body: String::new(), least: Point::splat(infinity), most: Point::splat(-infinity) }
    }
}

impl Canvas {
    fn holds(&mut self, at: Point) {
        self.least = Point::new(self.least.x.min(at.x), self.least.y.min(at.y));
        self.most = Point::new(self.most.x.max(at.x), self.most.y.max(at.y));
    }

    /// The document: title and legend above what was drawn.
    fn document(&self, drawing: &Drawing) -> String {
        let (least, most) =
            if self.least.x.is_finite() { (self.least, self.most) } else { (Point::zero(), Point::zero()) };
        let head = if drawing.legend.is_empty() { 40.0 } else { 70.0 };
        let legend = drawing.legend.iter().map(|(text, _)| key_width(text)).sum::<f64>();
        let title = drawing.title.chars().count() as f64 * 10.0;
        let width = (most.x - least.x).max(legend).max(title) + 2.0 * MARGIN;
        let height = most.y - least.y + head + 2.0 * MARGIN;
        let mut svg = String::new();
        // Writing into a string does not fail.
        self.write(drawing, (width, height), (MARGIN - least.x, MARGIN + head - least.y), &mut svg).ok();
        svg
    }

    fn write(
        &self,
        drawing: &Drawing,
        (width, height): (f64, f64),
        (x, y): (f64, f64),
        svg: &mut String,
    ) -> std::fmt::Result {
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="Helvetica, Arial, sans-serif" font-size="{FONT}">"#
        )?;
        writeln!(
            svg,
            r##"<defs><marker id="head" viewBox="0 0 10 8" refX="10" refY="4" markerWidth="9" markerHeight="7" orient="auto"><path d="M 0 0 L 10 4 L 0 8 z" fill="#505050"/></marker></defs>"##
        )?;
        writeln!(svg, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##)?;
        let title = escaped(&drawing.title);
        writeln!(svg, r#"<text x="{MARGIN}" y="{}" font-size="18" font-weight="bold">{title}</text>"#, MARGIN + 14.0)?;
        let mut at = MARGIN;
        for (text, colour) in &drawing.legend {
            let top = MARGIN + 30.0;
            writeln!(svg, r##"<rect x="{at}" y="{top}" width="18" height="14" fill="{colour}" stroke="#505050"/>"##)?;
            writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, at + 25.0, top + 11.0, escaped(text))?;
            at += key_width(text);
        }
        writeln!(svg, r#"<g transform="translate({x:.1} {y:.1})">"#)?;
        svg.push_str(&self.body);
        writeln!(svg, "</g>\n</svg>")
    }
}

/// Pixels that an entry of the legend takes.
fn key_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0 + 45.0
}

/// Text of an element: markup escaped; control characters, which XML does not allow, become blanks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

impl RenderBackend for Canvas {
    fn draw_rect(&mut self, at: Point, size: Point, look: &StyleAttr, _: Option<String>, _: Option<ClipHandle>) {
        self.holds(at);
        self.holds(at.add(size));
        let fill = look.fill_color.map_or_else(|| "none".to_owned(), hex);
        writeln!(
            self.body,
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="{}" fill="{fill}" stroke="{}"/>"#,
            at.x,
            at.y,
            size.x,
            size.y,
            look.rounded,
            hex(look.line_color)
        )
        .ok();
    }

    fn draw_text(&mut self, at: Point, text: &str, _: &StyleAttr) {
        let top = at.y - (text.lines().count() as f64 - 1.0) * LINE / 2.0 + 4.0;
        for (number, line) in text.lines().enumerate() {
            let weight = if number == 0 { r#" font-weight="bold""# } else { "" };
            let y = top + number as f64 * LINE;
            writeln!(
                self.body,
                r#"<text x="{:.1}" y="{y:.1}" text-anchor="middle"{weight}>{}</text>"#,
                at.x,
                escaped(line)
            )
            .ok();
        }
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        _: (bool, bool),
        look: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        let [(start, out), (near, end), rest @ ..] = path else { return };
        for point in path.iter().flat_map(|&(a, b)| [a, b]) {
            self.holds(point);
        }
        // A cubic curve out of the first box; each further part mirrors the control point before it.
        let mut d = format!(
            "M {:.1} {:.1} C {:.1} {:.1}, {:.1} {:.1}, {:.1} {:.1}",
            start.x, start.y, out.x, out.y, near.x, near.y, end.x, end.y
        );
        for (near, end) in rest {
            write!(d, " S {:.1} {:.1}, {:.1} {:.1}", near.x, near.y, end.x, end.y).ok();
        }
        let stroke = hex(look.line_color);
        writeln!(self.body, r#"<path d="{d}" fill="none" stroke="{stroke}" marker-end="url(#head)"/>"#).ok();
    }

    // Boxes and arrows are all that is drawn.
    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}

/// `#rrggbb`: the fourth pair is the opacity, which not every viewer reads.
fn hex(colour: Color) -> String {
    let web = colour.to_web_color();
    web.get(..7).unwrap_or(&web).to_owned()
}
