//! Parts of a plot: canvas, caption, mesh, marks and legends. Lengths in pixels.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use super::{Failure, INK};

/// A drawing area of an SVG in memory.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Text styles.
pub(crate) mod text {
    use plotters::prelude::*;
    use plotters::style::text_anchor::{HPos, Pos, VPos};

    use super::super::INK;

    /// Ends at the point.
    pub(crate) const RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
    /// Begins at the point.
    pub(crate) const LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
    /// Has the point in its middle.
    pub(crate) const CENTRE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Center };

    /// Text of a size, in ink.
    pub(crate) fn style(size: u32, anchor: Pos) -> TextStyle<'static> {
        ("sans-serif", size).into_font().color(&INK).pos(anchor)
    }
}

/// How one value is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Circle(RGBColor),
    Triangle(RGBColor),
    Cross(RGBColor),
    /// A filled area, of this opacity.
    Band(RGBColor, f64),
    /// Text alone.
    Nothing,
}

/// An entry of a legend.
pub(crate) type Key<'a> = (&'a str, Mark);

/// The SVG of what `draw` draws on white.
pub(crate) fn canvas(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<(), Failure>) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root)?;
        root.present()?;
    }
    Ok(svg)
}

/// The title, at the top left.
pub(crate) fn caption(root: &Area<'_>, title: &str) -> Result<(), Failure> {
    let style = ("sans-serif", 19).into_font().style(FontStyle::Bold).color(&INK).pos(text::LEFT);
    Ok(root.draw_text(title, &style, (18, 28))?)
}

/// A short text beside a mark, on white, so that lines do not cross it.
pub(crate) fn note(root: &Area<'_>, note: &str, (x, y): (i32, i32)) -> Result<(), Failure> {
    let corners = [(x - 3, y - 9), (x + width(note)?, y + 9)];
    root.draw(&Rectangle::new(corners, WHITE.mix(0.85).filled()))?;
    Ok(root.draw_text(note, &text::style(14, text::LEFT), (x, y))?)
}

/// An ample guess at the width of a text: how wide it is, is known only where it is shown.
fn width(text: &str) -> Result<i32, Failure> {
    Ok(i32::try_from(text.chars().count())? * 8)
}

/// Ticks, their labels, and light lines; `names` are those of the two axes.
pub(crate) fn mesh<'a, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<X, Y>>,
    names: [&str; 2],
    x_label: impl Fn(&f64) -> String,
    y_label: impl Fn(&f64) -> String,
) -> Result<(), Failure>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let [x_name, y_name] = names;
    Ok(chart
        .configure_mesh()
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label)
        .bold_line_style(INK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.mix(0.6))
        .label_style(("sans-serif", 14, &INK))
        .axis_desc_style(("sans-serif", 15, &INK))
        .draw()?)
}

/// A mark at a value; marks let those below shine through.
pub(crate) fn mark<'a, CT>(area: &DrawingArea<SVGBackend<'a>, CT>, mark: Mark, at: CT::From) -> Result<(), Failure>
where
    CT: CoordTranslate,
    CT::From: Clone + 'static,
{
    match mark {
        Mark::Circle(colour) => area.draw(&Circle::new(at, 4, colour.mix(0.75).filled()))?,
        Mark::Triangle(colour) => area.draw(&TriangleMarker::new(at, 5, colour.mix(0.75).filled()))?,
        Mark::Cross(colour) => area.draw(&Cross::new(at, 3, colour.mix(0.8).stroke_width(1)))?,
        Mark::Band(..) | Mark::Nothing => {}
    }
    Ok(())
}

/// A legend, one entry below the other, from this corner on.
pub(crate) fn legend(root: &Area<'_>, (x, y): (i32, i32), keys: &[Key<'_>]) -> Result<(), Failure> {
    let height = 22 * i32::try_from(keys.len())?;
    let corners = [(x - 8, y - 8), (x + 190, y + height)];
    root.draw(&Rectangle::new(corners, WHITE.mix(0.85).filled()))?;
    root.draw(&Rectangle::new(corners, INK.mix(0.2).stroke_width(1)))?;
    for ((name, kind), row) in keys.iter().zip(0..) {
        entry(root, (x, y + 7 + 22 * row), name, *kind)?;
    }
    Ok(())
}

/// A legend in one line, from this point on.
pub(crate) fn legend_line(root: &Area<'_>, (mut x, y): (i32, i32), keys: &[Key<'_>]) -> Result<(), Failure> {
    for (name, kind) in keys {
        entry(root, (x, y), name, *kind)?;
        x += 44 + width(name)?;
    }
    Ok(())
}

fn entry(root: &Area<'_>, (x, y): (i32, i32), name: &str, kind: Mark) -> Result<(), Failure> {
    if let Mark::Band(colour, alpha) = kind {
        root.draw(&Rectangle::new([(x, y - 6), (x + 16, y + 6)], colour.mix(alpha).filled()))?;
    } else {
        mark(root, kind, (x + 8, y))?;
    }
    Ok(root.draw_text(name, &text::style(14, text::LEFT), (x + 26, y))?)
}
