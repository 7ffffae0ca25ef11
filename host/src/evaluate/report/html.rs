//! The page: one file, with its drawings inside, that needs nothing from elsewhere.

use anyhow::{Result, anyhow};

use super::{Report, Titled, plots, tables, worst};
use crate::evaluate::Study;

/// The style of the page.
const STYLE: &str = "body{font:15px/1.45 sans-serif;color:#282828;max-width:1080px;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;margin:.6em 0 1.4em;font-variant-numeric:tabular-nums}\
td,th{border-bottom:1px solid #ddd;padding:.25em .7em;text-align:right}td:first-child,th:first-child{text-align:left}\
svg{max-width:100%;height:auto;margin:.6em 0}h2{margin-top:2em}.wide{overflow-x:auto}code{font-size:.85em}";

/// The page of a report; the studies are those that it was made from.
///
/// # Errors
/// A drawing that fails, which one in memory does not.
pub fn page(report: &Report, studies: &[Study]) -> Result<String> {
    let heading = escaped(&report.heading());
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Evaluation: {heading}</title>\
         <style>{STYLE}</style></head><body>\n<h1>Evaluation</h1>\n<p>{heading}</p>\n"
    );
    for (summary, study) in report.evaluations.iter().zip(studies) {
        html += &format!("<h2>{}</h2>\n<p><b>{}</b></p>\n", escaped(&summary.title), escaped(&worst(summary)));
        for svg in plots::plots(summary, study).map_err(|error| anyhow!("a drawing failed: {error}"))? {
            html += &svg;
            html.push('\n');
        }
        for Titled { title, table } in tables(summary) {
            html +=
                &format!("<h3>{}</h3>\n<div class=\"wide\">{}</div>\n", escaped(&title), of_table(&table.markdown()));
        }
    }
    html += "<h2>Provenance</h2>\n<div class=\"wide\">";
    html += &of_table(&report.sources().markdown());
    Ok(html + "</div>\n</body></html>\n")
}

/// A table of Markdown as one of HTML.
fn of_table(markdown: &str) -> String {
    let mut html = String::from("<table>");
    // The second line is the rule below the headings.
    for (place, line) in markdown.lines().enumerate().filter(|(place, _)| *place != 1) {
        let tag = if place == 0 { "th" } else { "td" };
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
        html += "<tr>";
        for cell in inner.split('|') {
            html += &format!("<{tag}>{}</{tag}>", escaped(cell.replace('\u{0}', "|").trim()));
        }
        html += "</tr>\n";
    }
    html + "</table>"
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_cells_and_no_markup() {
        let html = of_table("| a   |   b |\n| --- | --: |\n| x\\|y | <i> |\n");
        assert_eq!(html, "<table><tr><th>a</th><th>b</th></tr>\n<tr><td>x|y</td><td>&lt;i&gt;</td></tr>\n</table>");
    }
}
