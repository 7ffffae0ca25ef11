//! Live bytes over the steps: as text for a terminal, and as SVG.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::export::bytes;

/// Widest plot of text, in characters.
const WIDTH: usize = 72;
/// Height of a plot of text, in lines.
const HEIGHT: usize = 8;

/// Bars of text; where there are more steps than fit, each bar is the most of several steps. Ends with a line break.
pub(super) fn text(live: &[u64]) -> String {
    let most = live.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return "  nothing\n".to_owned();
    }
    let per_bar = live.len().div_ceil(WIDTH).max(1);
    let bars: Vec<u64> = live.chunks(per_bar).map(|steps| steps.iter().copied().max().unwrap_or(0)).collect();
    // Eighths of a line that each bar is high; what is not nothing shows.
    let eighths = |&value: &u64| {
        let share = value as f64 / most as f64 * (HEIGHT * 8) as f64;
        if value == 0 { 0 } else { (share.round() as usize).max(1) }
    };
    let heights: Vec<usize> = bars.iter().map(eighths).collect();
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut plot = String::new();
    for row in (0..HEIGHT).rev() {
        let label = if row + 1 == HEIGHT { bytes(most) } else { String::new() };
        let line: String = heights
            .iter()
            .map(|height| BLOCKS.get(height.saturating_sub(row * 8).min(8)).copied().unwrap_or(' '))
            .collect();
        plot.push_str(format!("{label:>10} │{line}").trim_end());
        plot.push('\n');
    }
    let last = live.len().saturating_sub(1).to_string();
    let width = bars.len().saturating_sub(1).max(last.len() + 1);
    plot.push_str(&format!("{:>10} └{}\n{:12}0{last:>width$}\n", 0, "─".repeat(bars.len()), ""));
    plot
}

/// Why a drawing failed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const INK: RGBColor = RGBColor(40, 40, 40);

/// An SVG of live bytes over the steps, with the size of the arena as a line.
pub(super) fn live(title: &str, live: &[u64], arena: u64) -> Result<String, Failure> {
    let most = live.iter().copied().chain([arena, 1]).max().unwrap_or(1);
    let steps = live.len().max(1);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (900, 420)).into_drawing_area();
        root.fill(&WHITE)?;
        let left = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
        let bold = ("sans-serif", 19).into_font().style(FontStyle::Bold).color(&INK).pos(left);
        root.draw_text(title, &bold, (18, 28))?;
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .margin_top(52)
            .x_label_area_size(48)
            .y_label_area_size(90)
            .build_cartesian_2d(0.0..steps as f64, 0.0..most as f64 * 1.08)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("step")
            .y_desc("bytes alive")
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| bytes(value.round() as u64))
            .bold_line_style(INK.mix(0.12))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.mix(0.6))
            .label_style(("sans-serif", 14, &INK))
            .axis_desc_style(("sans-serif", 15, &INK))
            .draw()?;
        let bar = |(step, &value): (usize, &u64)| {
            Rectangle::new([(step as f64, 0.0), (step as f64 + 1.0, value as f64)], BLUE.mix(0.75).filled())
        };
        chart.draw_series(live.iter().enumerate().map(bar))?;
        let line = vec![(0.0, arena as f64), (steps as f64, arena as f64)];
        chart.draw_series([PathElement::new(line, ORANGE.stroke_width(2))])?;
        let right = Pos { h_pos: HPos::Right, v_pos: VPos::Bottom };
        let style = ("sans-serif", 14).into_font().color(&INK).pos(right);
        let (x, y) = chart.backend_coord(&(steps as f64, arena as f64));
        root.draw_text(&format!("arena {}", bytes(arena)), &style, (x - 4, y - 3))?;
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_by_hand() {
        let plot = text(&[8, 4, 1, 0]);
        let lines: Vec<&str> = plot.lines().collect();
        assert_eq!(lines.len(), HEIGHT + 2);
        assert_eq!(lines[0], "       8 B │█");
        assert_eq!(lines[HEIGHT / 2], "           │██");
        assert_eq!(lines[HEIGHT - 1], "           │███");
        assert_eq!(lines[HEIGHT], "         0 └────");
        // 1000 steps in at most 72 bars; nothing at all is no plot.
        assert!(text(&vec![5; 1000]).lines().all(|line| line.chars().count() <= WIDTH + 12));
        assert_eq!(text(&[]), "  nothing\n");
    }
}
