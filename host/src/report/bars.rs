//! Bars, as SVG: one number for each of several things, on a logarithmic axis, coloured by group.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;

const INK: RGBColor = RGBColor(40, 40, 40);
/// Colours of Okabe and Ito (2008), which the colour-blind can tell apart.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(140, 140, 140),
];

/// Height of a bar with its gap, in pixels.
const STEP: i32 = 22;
/// Widths of the drawing: labels, bars, numbers.
const WIDTHS: [i32; 3] = [360, 420, 110];
/// Height of the title.
const TOP: i32 = 56;

/// Bars of (label, positive value, group), in this order.
///
/// # Errors
/// [`ReportError::Plot`], which a plot in memory does not meet.
pub fn svg(title: &str, unit: &str, bars: &[(String, f64, String)]) -> Result<String, ReportError> {
    draw(title, unit, bars).map_err(|error| ReportError::Plot { plot: title.to_owned(), message: error.to_string() })
}

fn draw(
    title: &str,
    unit: &str,
    bars: &[(String, f64, String)],
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let [labels, width, numbers] = WIDTHS;
    let count = i32::try_from(bars.len())?;
    let size = (u32::try_from(labels + width + numbers)?, u32::try_from(TOP + STEP * count + 16)?);
    let values = || bars.iter().map(|(_, value, _)| *value).filter(|value| *value > 0.0);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN_POSITIVE, f64::max));
    // A bar begins a third of a decade below the least value, so that even that one shows.
    let (low, high) = (low.log10() - 0.33, high.log10());
    let mut groups: Vec<&str> = Vec::new();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let style =
            |size: u32, h_pos| ("sans-serif", size).into_font().color(&INK).pos(Pos { h_pos, v_pos: VPos::Center });
        root.draw_text(&format!("{title}, {unit} (logarithmic)"), &style(18, HPos::Left), (16, 26))?;
        for (row, (label, value, group)) in (0..).zip(bars) {
            let y = TOP + STEP * row;
            let share = if high > low { (value.log10() - low) / (high - low) } else { 1.0 };
            let length = (share.clamp(0.0, 1.0) * f64::from(width)).round() as i32;
            let colour = groups.iter().position(|known| known == group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            let colour = COLOURS.get(colour % COLOURS.len()).copied().unwrap_or(INK);
            let middle = y + STEP / 2;
            root.draw_text(label, &style(12, HPos::Right), (labels - 8, middle))?;
            root.draw(&Rectangle::new([(labels, y + 3), (labels + length, y + STEP - 3)], colour.filled()))?;
            let number = if *value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.3}") };
            root.draw_text(&number, &style(12, HPos::Left), (labels + length + 6, middle))?;
        }
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_label_and_number() {
        let bars = [("one".to_owned(), 1.0, "a".to_owned()), ("thousand".to_owned(), 1000.0, "b".to_owned())];
        let svg = svg("Latency", "ms", &bars).expect("a drawing");
        for text in ["one", "thousand", "1.000", "1000", "Latency, ms"] {
            assert!(svg.contains(text), "{text}");
        }
        // The longer bar is as wide as there is room: 420 pixels from 360 on.
        assert!(svg.contains("width=\"420\""), "{svg}");
    }
}
