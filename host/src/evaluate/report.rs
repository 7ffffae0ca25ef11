//! Reports of evaluations: tables for terminals and Markdown, a page for browsers, a document for programs.

pub mod html;
mod plots;

use derate_core::calibration::{Group, Regime};
use serde::Serialize;

use super::Study;
use super::summary::{Apart, Figures, Part, Summary};
use super::truth::Source;
use crate::report::Table;
use crate::report::table::Column::{Left, Right};

/// What was evaluated, on what, by which version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// Version of this tool.
    pub tool_version: &'static str,
    /// Name of the hardware description.
    pub hardware: String,
    /// Its power mode.
    pub thermal_profile: String,
    /// `eager-cpu` or `eager-gpu`.
    pub runtime: &'static str,
    /// Threads of the runtime.
    pub threads: u32,
    /// The stored calibration, where one was evaluated.
    pub profile: Option<String>,
    /// Files of measured rows.
    pub sources: Vec<Source>,
}

/// Everything that `derate evaluate` says; `--format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of what.
    pub provenance: Provenance,
    /// One for each set of rows that were fitted together.
    pub evaluations: Vec<Summary>,
}

/// A table under its heading.
struct Titled {
    title: String,
    table: Table<'static>,
}

/// Groups that are listed in a table for a terminal.
const LISTED: usize = 60;

impl Report {
    /// Of some studies.
    #[must_use]
    pub fn new(provenance: Provenance, studies: &[Study]) -> Self {
        Self { provenance, evaluations: studies.iter().map(Summary::of).collect() }
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.heading() + "\n";
        for summary in &self.evaluations {
            text += &format!("\n{}\n", summary.title);
            for Titled { title, table } in tables(summary) {
                text += &format!("\n{title}\n{}", table.text());
            }
            text += &format!("\n{}\n", worst(summary));
        }
        text
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# Evaluation\n\n{}\n", self.heading());
        for summary in &self.evaluations {
            text += &format!("\n## {}\n", summary.title);
            for Titled { title, table } in tables(summary) {
                text += &format!("\n### {title}\n\n{table}");
            }
            text += &format!("\n{}\n", worst(summary));
        }
        text += "\n## Provenance\n\n";
        text + &self.sources().markdown()
    }

    fn heading(&self) -> String {
        let Provenance { hardware, thermal_profile, runtime, threads, .. } = &self.provenance;
        let by = self.provenance.profile.as_ref().map_or(String::new(), |profile| format!(", profile {profile}"));
        format!(
            "{hardware}, {thermal_profile}, {runtime}, {threads} threads{by}; derate {}",
            self.provenance.tool_version
        )
    }

    fn sources(&self) -> Table<'static> {
        let mut table = Table::new([Left("file"), Left("form"), Right("rows"), Left("SHA-256")]);
        for source in &self.provenance.sources {
            table.row([source.file.clone(), source.form.to_owned(), source.rows.to_string(), source.sha256.clone()]);
        }
        table
    }
}

fn percent(value: f64) -> String {
    format!("{value:.1} %").replace('-', "−")
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.0} %", value * 100.0))
}

/// Columns of figures, and their cells.
const FIGURES: [&str; 8] = ["n", "median", "MAPE", "within 10 %", "max", "bias", "interval holds", "half-width"];

fn cells(figures: Option<&Figures>) -> Vec<String> {
    let Some(figures) = figures else { return vec!["-".to_owned(); FIGURES.len()] };
    let half_width = figures.half_width.map_or_else(|| "-".to_owned(), |factor| format!("×{factor:.2}"));
    vec![
        figures.n.to_string(),
        percent(figures.median_pct),
        percent(figures.mape_pct),
        share(Some(figures.within_10_share)),
        percent(figures.max_pct),
        percent(figures.bias_pct),
        share(figures.coverage),
        half_width,
    ]
}

fn figures(first: &[&'static str]) -> Table<'static> {
    let columns = first.iter().map(|name| Left(name)).chain(FIGURES.iter().map(|name| Right(name)));
    Table::new(columns.collect::<Vec<_>>())
}

fn of_parts(name: &'static str, parts: &[Part]) -> Table<'static> {
    let mut table = figures(&[name]);
    for part in parts {
        table.row(std::iter::once(part.name.clone()).chain(cells(part.rows.as_ref())));
    }
    table
}

fn tables(summary: &Summary) -> Vec<Titled> {
    let mut all = Vec::new();
    let mut add = |title: &str, table| all.push(Titled { title: title.to_owned(), table });
    let mut table = figures(&["predictor", "coefficients"]);
    for of in &summary.predictors {
        let first = [of.predictor.clone(), of.coefficients.to_string()];
        table.row(first.into_iter().chain(cells(of.rows.as_ref())));
    }
    add("Rows", table);
    if summary.predictors.iter().any(|of| of.wholes.is_some()) {
        let mut table = figures(&["predictor", "coefficients"]);
        for of in &summary.predictors {
            let first = [of.predictor.clone(), of.coefficients.to_string()];
            table.row(first.into_iter().chain(cells(of.wholes.as_ref())));
        }
        add("Whole models", table);
    }
    add("By regime", of_parts("regime", &summary.regimes));
    add("By kind of op", of_parts("kind", &summary.classes));
    add("Where the error sits (kind of op × regime; share of the absolute error in time, mean error)", heat(summary));
    if !summary.apart.is_empty() {
        let mut table = figures(&["family", "of"]);
        let both = |each: &Apart| [("rows", each.rows.clone()), ("whole models", each.wholes.clone())];
        for each in summary.apart.iter().chain(&summary.others) {
            let classes = each.classes.join(", ");
            let name = if classes.is_empty() { each.family.clone() } else { format!("{} ({classes})", each.family) };
            for (of, of_figures) in both(each).into_iter().filter(|(_, figures)| figures.is_some()) {
                table.row([name.clone(), of.to_owned()].into_iter().chain(cells(of_figures.as_ref())));
            }
        }
        add("Families with a class of ops that no other family has", table);
    }
    let mut table = Table::new([
        Left("group"),
        Right("rows"),
        Right("median"),
        Right("MAPE"),
        Right("bias"),
        Right("whole"),
        Right("interval"),
    ]);
    for part in summary.groups.iter().take(LISTED) {
        let figure = |of: &dyn Fn(&Figures) -> f64| part.rows.as_ref().map_or("-".to_owned(), |rows| percent(of(rows)));
        let interval = part
            .whole_interval
            .map(|[low, high]| format!("{}…+{}", percent((low - 1.0) * 100.0), percent((high - 1.0) * 100.0)));
        table.row([
            part.name.clone(),
            part.rows.as_ref().map_or(0, |rows| rows.n).to_string(),
            figure(&|rows| rows.median_pct),
            figure(&|rows| rows.mape_pct),
            figure(&|rows| rows.bias_pct),
            part.whole_error_pct.map_or_else(|| "-".to_owned(), percent),
            interval.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    add("By group", table);
    all
}

/// The heat map as a table.
fn heat(summary: &Summary) -> Table<'static> {
    let regimes = Regime::ALL.map(Regime::name);
    let mut table =
        Table::new(std::iter::once(Left("kind")).chain(regimes.iter().map(|regime| Right(regime))).collect::<Vec<_>>());
    for group in Group::ALL.map(Group::name) {
        let cell = |regime: &&str| {
            let cell = summary.cells.iter().find(|cell| cell.class == group && cell.regime == *regime);
            cell.map_or_else(
                || "-".to_owned(),
                |cell| format!("{}, {}", share(Some(cell.error_share)), percent(cell.mape_pct)),
            )
        };
        table.row(std::iter::once(group.to_owned()).chain(regimes.iter().map(cell)));
    }
    table
}

/// Where the error sits, in words.
fn worst(summary: &Summary) -> String {
    let Some(cell) = summary.cells.first() else { return "no row".to_owned() };
    let way = if cell.bias_pct > 0.0 { "too long" } else { "too short" };
    format!(
        "{} of the absolute error in time sits in {} ops bound by {}: {} rows, mean error {}, on average {} {way}.",
        share(Some(cell.error_share)),
        cell.class,
        cell.regime,
        cell.n,
        percent(cell.mape_pct),
        percent(cell.bias_pct.abs())
    )
}
