//! Rooflines of several devices in one SVG: attainable throughput over operational intensity, both logarithmic.

use plotters::prelude::*;

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

/// The roofs of a device in one precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// Device and precision.
    pub label: String,
    /// Peak throughput in FLOP/s.
    pub peak: f64,
    /// Bandwidth of the backing store in bytes per second.
    pub bandwidth: f64,
}

/// One line for each roof: `min(peak, intensity · bandwidth)`.
///
/// # Errors
/// [`ReportError::Plot`], which a plot in memory does not meet.
pub fn svg(title: &str, roofs: &[Roof]) -> Result<String, ReportError> {
    draw(title, roofs).map_err(|error| ReportError::Plot { plot: title.to_owned(), message: error.to_string() })
}

fn draw(title: &str, roofs: &[Roof]) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    // From a decade below the first ridge point to a decade above the last.
    let ridges = || roofs.iter().map(|roof| roof.peak / roof.bandwidth);
    let low = ridges().fold(f64::MAX, f64::min) / 30.0;
    let high = ridges().fold(0.0, f64::max) * 10.0;
    let top = roofs.iter().map(|roof| roof.peak).fold(0.0, f64::max) * 2.0;
    let bottom = roofs.iter().map(|roof| roof.bandwidth * low).fold(f64::MAX, f64::min) / 2.0;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (960, 560)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18).into_font().color(&INK))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d((low..high).log_scale(), (bottom / 1e9..top / 1e9).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("operational intensity, FLOP/B")
            .y_desc("attainable throughput, GFLOP/s")
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .draw()?;
        for (number, roof) in roofs.iter().enumerate() {
            let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or(INK);
            let dashed = number >= COLOURS.len();
            let style = if dashed { colour.stroke_width(1) } else { colour.stroke_width(2) };
            let ridge = roof.peak / roof.bandwidth;
            let points = [low, ridge, high].map(|i| (i, (i * roof.bandwidth).min(roof.peak) / 1e9));
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(format!(
                    "{}: {} GFLOP/s, {} GB/s",
                    roof.label,
                    short(&(roof.peak / 1e9)),
                    short(&(roof.bandwidth / 1e9))
                ))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(INK.mix(0.3))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// A number in few digits.
fn short(value: &f64) -> String {
    match *value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_roof_is_labelled_with_its_peak_and_bandwidth() {
        let roof = |label: &str, peak, bandwidth| Roof { label: label.to_owned(), peak, bandwidth };
        let svg = svg("Rooflines", &[roof("small fp32", 1e9, 1e8), roof("large int8", 1e15, 3e12)]).expect("a drawing");
        for text in ["small fp32: 1.0 GFLOP/s, 0.100 GB/s", "large int8: 1000000 GFLOP/s, 3000 GB/s", "Rooflines"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
