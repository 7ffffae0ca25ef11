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
    /// Too many boxes: the layout would take minutes.
    #[error(
        "{boxes} boxes are too many to lay out as SVG ({LARGEST} at most): write DOT (`--output FILE.dot`) and lay it out with Graphviz, or group ops with `--fusion inference`"
    )]
    TooLarge {
        /// Number of boxes.
        boxes: usize,
    },
    /// The layout gave up.
    #[error(
        "the layout of this graph failed inside `layout-rs`: write DOT (`--output FILE.dot`) and lay it out with Graphviz"
    )]
    Layout,
}

/// Most boxes.
const LARGEST: usize = 3_000;

/// Most arrows beside each other that the layout leads past a row; its time grows with the cube of that. Further ones, the
/// longest, are drawn at the side.
const LANES: u32 = 4;
/// The same where that many are not enough: a network so dense is wide, unless most of its arrows are at the side.
const LANES_OF_DENSE: u32 = 1;

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
    let mut drawing = drawing.clone().collapsed();
    let rows = rows(&drawing).ok_or(SvgError::Layout)?;
    if drawing.boxes.len() > LARGEST {
        return Err(SvgError::TooLarge { boxes: drawing.boxes.len() });
    }
    let all = drawing.arrows.clone();
    let mut aside = take_long(&mut drawing.arrows, &rows, LANES);
    if !aside.is_empty() {
        drawing.arrows = all;
        aside = take_long(&mut drawing.arrows, &rows, LANES_OF_DENSE);
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
    canvas.draw();
    canvas.draw_aside(&aside);
    Ok(canvas.document(&drawing))
}

/// Row of each box, one below the lowest that it reads from; `None` where arrows go round in circles.
fn rows(drawing: &Drawing) -> Option<Vec<usize>> {
    let mut rows = vec![0_usize; drawing.boxes.len()];
    // Kernels stand where their first op does, so that an arrow may point to an earlier box: go on until nothing changes.
    for _ in 0..=drawing.boxes.len() {
        let mut changed = false;
        for &(from, to) in &drawing.arrows {
            let below = rows.get(from).map_or(0, |row| row + 1);
            if let Some(row) = rows.get_mut(to).filter(|row| **row < below) {
                *row = below;
                changed = true;
            }
        }
        if !changed {
            return Some(rows);
        }
    }
    None
}

/// Takes out the arrows for which there is no lane left; the shortest have theirs first. Each box keeps an arrow from the row above,
/// so that it stays in its row. What is left is sorted by the row of its end.
fn take_long(arrows: &mut Vec<(usize, usize)>, rows: &[usize], most: u32) -> Vec<(usize, usize)> {
    let row = |index: usize| rows.get(index).copied().unwrap_or(0);
    let mut lanes = vec![0_u32; rows.len()];
    let mut aside = Vec::new();
    arrows.sort_by_key(|&(from, to)| (row(to).saturating_sub(row(from)), to));
    arrows.retain(|&(from, to)| {
        let passed = lanes.get_mut(row(from) + 1..row(to)).unwrap_or_default();
        let free = passed.iter().all(|lane| *lane < most);
        if free {
            passed.iter_mut().for_each(|lane| *lane += 1);
        } else {
            aside.push((from, to));
        }
        free
    });
    // The layout follows all paths from the end of each new arrow: as long as there are none, that takes no time.
    arrows.sort_by_key(|&(_, to)| row(to));
    aside
}

fn lay_out(drawing: &Drawing, canvas: &mut Canvas) {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    // Its check for circles follows all paths, of which a chain of residual blocks has 2^blocks; `rows` has found none.
    graph.dag.set_validate(false);
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
    /// Middle and size of the boxes, in their order.
    boxes: Vec<(Point, Point)>,
    looks: Vec<StyleAttr>,
    texts: Vec<(Point, String)>,
    /// Points and control points of each arrow.
    arrows: Vec<Vec<(Point, Point)>>,
    body: String,
    least: Point,
    most: Point,
}

impl Default for Canvas {
    fn default() -> Self {
        let infinity = f64::INFINITY;
        Self {
            boxes: Vec::new(),
            looks: Vec::new(),
            texts: Vec::new(),
            arrows: Vec::new(),
            body: String::new(),
            least: Point::splat(infinity),
            most: Point::splat(-infinity),
        }
    }
}

/// Height over which the mean place of the boxes is taken, in pixels.
const SPAN: f64 = 1200.0;

impl Canvas {
    fn holds(&mut self, at: Point) {
        self.least = Point::new(self.least.x.min(at.x), self.least.y.min(at.y));
        self.most = Point::new(self.most.x.max(at.x), self.most.y.max(at.y));
    }

    /// Moves all so that the boxes at any height have their mean place at x = 0: a long network drifts to one side else, as each
    /// shortcut pushes it a little.
    fn straighten(&mut self) {
        let middles: Vec<Point> = self.boxes.iter().map(|(middle, _)| *middle).collect();
        let mean = |y: f64| {
            let (mut sum, mut weight) = (0.0, 0.0);
            for middle in &middles {
                let near = (1.0 - (middle.y - y).abs() / SPAN).max(0.0);
                sum += near * middle.x;
                weight += near;
            }
            if weight > 0.0 { sum / weight } else { 0.0 }
        };
        let moved = |at: Point| Point::new(at.x - mean(at.y), at.y);
        for (middle, _) in &mut self.boxes {
            *middle = moved(*middle);
        }
        for (at, _) in &mut self.texts {
            *at = moved(*at);
        }
        for (a, b) in self.arrows.iter_mut().flatten() {
            (*a, *b) = (moved(*a), moved(*b));
        }
    }

    /// Writes what the layout drew.
    fn draw(&mut self) {
        self.straighten();
        for ((middle, size), look) in std::mem::take(&mut self.boxes).into_iter().zip(std::mem::take(&mut self.looks)) {
            let least = Point::new(middle.x - size.x / 2.0, middle.y - size.y / 2.0);
            self.holds(least);
            self.holds(Point::new(least.x + size.x, least.y + size.y));
            let fill = look.fill_color.map_or_else(|| "none".to_owned(), hex);
            writeln!(
                self.body,
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="{}" fill="{fill}" stroke="{}"/>"#,
                least.x,
                least.y,
                size.x,
                size.y,
                look.rounded,
                hex(look.line_color)
            )
            .ok();
            self.boxes.push((middle, size));
        }
        for (at, text) in &self.texts {
            let top = at.y - (text.lines().count() as f64 - 1.0) * LINE / 2.0 + 4.0;
            for (number, line) in text.lines().enumerate() {
                let weight = if number == 0 { r#" font-weight="bold""# } else { "" };
                let (y, line) = (top + number as f64 * LINE, escaped(line));
                writeln!(self.body, r#"<text x="{:.1}" y="{y:.1}" text-anchor="middle"{weight}>{line}</text>"#, at.x)
                    .ok();
            }
        }
        for path in std::mem::take(&mut self.arrows) {
            self.arrow(&path);
        }
    }

    /// A cubic curve out of the first box; each further part mirrors the control point before it.
    fn arrow(&mut self, path: &[(Point, Point)]) {
        let [(start, out), (near, end), rest @ ..] = path else { return };
        for point in path.iter().flat_map(|&(a, b)| [a, b]) {
            self.holds(point);
        }
        let mut d = format!(
            "M {:.1} {:.1} C {:.1} {:.1}, {:.1} {:.1}, {:.1} {:.1}",
            start.x, start.y, out.x, out.y, near.x, near.y, end.x, end.y
        );
        for (near, end) in rest {
            write!(d, " S {:.1} {:.1}, {:.1} {:.1}", near.x, near.y, end.x, end.y).ok();
        }
        writeln!(self.body, r##"<path d="{d}" fill="none" stroke="#505050" marker-end="url(#head)"/>"##).ok();
    }

    /// Draws arrows past everything, on the right: the longer, the further out.
    fn draw_aside(&mut self, arrows: &[(usize, usize)]) {
        let edge = self.most.x;
        for &(from, to) in arrows {
            let (Some(&from), Some(&to)) = (self.boxes.get(from), self.boxes.get(to)) else { continue };
            let side = |(middle, size): (Point, Point)| Point::new(middle.x + size.x / 2.0, middle.y);
            let (start, end) = (side(from), side(to));
            let out = edge + 20.0 + (end.y - start.y).abs().sqrt() * 4.0;
            self.holds(Point::new(out, start.y));
            writeln!(
                self.body,
                r##"<path d="M {:.1} {:.1} C {out:.1} {:.1}, {out:.1} {:.1}, {:.1} {:.1}" fill="none" stroke="#b0b0b0" marker-end="url(#head)"/>"##,
                start.x, start.y, start.y, end.y, end.x, end.y
            )
            .ok();
        }
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
        self.boxes.push((Point::new(at.x + size.x / 2.0, at.y + size.y / 2.0), size));
        self.looks.push(look.clone());
    }

    fn draw_text(&mut self, at: Point, text: &str, _: &StyleAttr) {
        self.texts.push((at, text.to_owned()));
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        _: (bool, bool),
        _: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        self.arrows.push(path.to_vec());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::drawing::Tile;

    fn tiles(count: usize) -> Vec<Tile> {
        let tile = |index| Tile {
            lines: vec![format!("<op> & {index}"), "conv2d → 1×64×56×56".to_owned(), "1.2 M MAC, 3.4 MB".to_owned()],
            colour: None,
            group: None,
            is_source: index == 0,
        };
        (0..count).map(tile).collect()
    }

    fn drawing(count: usize, arrows: Vec<(usize, usize)>) -> Drawing {
        Drawing { title: "a < b".to_owned(), boxes: tiles(count), groups: Vec::new(), arrows, legend: Vec::new() }
    }

    /// Layers of seven ops, of which the first reads what all layers before gave.
    fn dense(layers: usize) -> Drawing {
        let mut arrows = Vec::new();
        for layer in 0..layers {
            let first = 1 + layer * 7;
            arrows.extend((0..7).map(|op| (first + op - 1, first + op)));
            arrows.extend((0..layer).map(|earlier| (earlier * 7, first)));
        }
        drawing(1 + layers * 7, arrows)
    }

    fn arrows(svg: &str) -> usize {
        svg.matches("marker-end=").count()
    }

    #[test]
    fn text_is_escaped_and_every_box_and_arrow_is_there() -> Result<(), SvgError> {
        let svg = write(&drawing(3, vec![(0, 1), (1, 2), (0, 2)]))?;
        assert!(svg.contains(">&lt;op&gt; &amp; 2</text>") && svg.contains(">a &lt; b</text>"), "{svg}");
        assert_eq!((svg.matches("<rect x=").count(), arrows(&svg)), (3, 3));
        // Nothing at all is a document too.
        assert!(write(&drawing(0, Vec::new()))?.ends_with("</svg>\n"));
        assert_eq!(arrows(&write(&drawing(2, Vec::new()))?), 0);
        Ok(())
    }

    #[test]
    fn arrows_without_a_lane_are_drawn_at_the_side() -> Result<(), SvgError> {
        let dense = dense(12);
        let rows = rows(&dense).ok_or(SvgError::Layout)?;
        let mut kept = dense.arrows.clone();
        let aside = take_long(&mut kept, &rows, LANES);
        assert_eq!(aside.len() + kept.len(), dense.arrows.len());
        assert!(!aside.is_empty());
        let shortest = aside.iter().map(|&(from, to)| rows[to] - rows[from]).min();
        assert!(shortest > Some(7), "{shortest:?}");
        assert_eq!(arrows(&write(&dense)?), dense.arrows.len());
        Ok(())
    }

    #[test]
    fn a_chain_of_many_residual_blocks_takes_no_time() -> Result<(), SvgError> {
        // 2^60 paths lead through it.
        let chain: Vec<_> = (0..60)
            .flat_map(|block| [(2 * block, 2 * block + 1), (2 * block + 1, 2 * block + 2), (2 * block, 2 * block + 2)])
            .collect();
        assert_eq!(arrows(&write(&drawing(121, chain))?), 180);
        Ok(())
    }

    #[test]
    fn what_cannot_be_laid_out_is_refused() {
        let circle = write(&drawing(3, vec![(0, 1), (1, 2), (2, 1)]));
        assert!(matches!(circle, Err(SvgError::Layout)));
        let large = write(&drawing(LARGEST + 1, Vec::new()));
        assert!(matches!(&large, Err(SvgError::TooLarge { boxes }) if *boxes == LARGEST + 1));
        assert!(large.is_err_and(|error| error.to_string().contains("FILE.dot")));
    }
}
