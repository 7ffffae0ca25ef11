//! Commands: the lines that a report tells people to run, and why; above all, what to measure next.
//!
//! A group of n rows *carries* the part of the summed error that goes beyond n times the mean: Σ|error| − n · MAPE, in percent.
//! The group that carries most is the one whose error, brought down to that of the rest, would lower the whole most. Where
//! the whole is excellent, only a group counts whose MAPE is no accident: two standard errors above the mean.

use derate_core::hardware::Hardware;
use derate_core::shape::Precision;
use serde::Serialize;

use super::analysis::Subject;
use super::format::{count, percent};
use super::group::{Group, Splits};
use super::row::{Regime, RowAnalysis};
use super::slowdown::on_device;
use crate::calibrate::{Dataset, ErrorSummary, Grade};
use crate::sweep::{Kind, Scenario};

/// Rows below which a whole dataset cannot tell the coefficients apart.
const FEW_ROWS: usize = 30;

/// Rows below which a scenario is not told.
const FEW_IN_SCENARIO: usize = 5;

/// One recommended sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextSweep {
    /// The command line.
    pub command: String,
    /// Why, in one sentence.
    pub reason: String,
    /// Contents of the file that the command names with `--spec`; null where it names none.
    pub spec: Option<String>,
    /// The command line that calibrates on its rows afterwards.
    pub then: String,
}

/// Writes the recommended factors into the description.
pub(super) fn apply(subject: &Subject<'_>) -> String {
    let mut line = format!("derate apply {}", quoted(subject.profile));
    let name = subject.target.thermal_profile.name;
    if subject.target.hardware.thermal_profiles().first().is_none_or(|first| first.name != name) {
        line += &format!(" --thermal-profile {}", quoted(name));
    }
    line + &hardware_option(subject.hardware_file)
}

/// The option that names the description, where it is not the detected one.
fn hardware_option(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!(" --hardware {}", quoted(file)))
}

/// What the rows of a next sweep must share with those there are.
pub(super) struct Place<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) precision: Precision,
    pub(super) hardware: &'a Hardware<'a>,
    pub(super) hardware_file: Option<&'a str>,
}

impl Place<'_> {
    /// What most rows of the precision are of; of as many, MLPs.
    fn kind(&self) -> Kind {
        let of = |kind: Kind| {
            let rows = self.dataset.rows.iter().filter(|row| row.precision == self.precision);
            rows.filter(|row| row.net.kind() == kind).count()
        };
        Kind::ALL.into_iter().rev().max_by_key(|kind| of(*kind)).unwrap_or(Kind::Mlp)
    }

    /// A sweep into a file of its own, and the calibration on it, together with the files there are where `with_earlier`.
    fn sweep(&self, sweep: Sweep, with_earlier: bool) -> NextSweep {
        let Dataset { device, files, threads, .. } = self.dataset;
        let kind = self.kind().name();
        let output = format!("results/{kind}_sweep_{}_{device}.csv", sweep.name);
        let mut command = format!("derate sweep {kind} {} --device {device}", sweep.options);
        if self.precision != Precision::Fp32 {
            command += &format!(" --precision {}", self.precision.name());
        }
        if let Some(threads) = threads {
            command += &format!(" --threads {threads}");
        }
        let hardware = hardware_option(self.hardware_file);
        command += &format!("{hardware} --output {output}");
        let earlier: String = files.iter().filter(|_| with_earlier).map(|file| quoted(file) + " ").collect();
        let then = format!("derate calibrate --input {earlier}{output}{hardware}");
        NextSweep { command, reason: sweep.reason, spec: sweep.spec, then }
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

/// A sweep, but for what every command line of the device has.
#[derive(Default)]
struct Sweep {
    /// Which configurations, as options.
    options: String,
    /// The same, as part of a file's name.
    name: String,
    reason: String,
    spec: Option<String>,
}

/// Recommended sweeps, most useful first; none where no group stands out.
pub(super) fn next_sweeps(
    rows: &[RowAnalysis],
    splits: &Splits,
    whole: &ErrorSummary,
    place: &Place<'_>,
) -> Vec<NextSweep> {
    if rows.len() < FEW_ROWS {
        let reason = format!(
            "{} cannot tell the coefficients apart, and a held-out error on so few is itself uncertain; a full sweep has 150 and more, \
             those of `--quick` among them.",
            count(rows.len(), "row")
        );
        let full = Sweep { options: "--full".into(), name: "full".into(), reason, spec: None };
        return vec![place.sweep(full, false)];
    }
    let mut sweeps = Vec::new();
    for scenario in Scenario::ALL.into_iter().filter(|&scenario| on_device(scenario, place.hardware)) {
        let there = rows.iter().filter(|row| row.scenario == scenario).count();
        if there < FEW_IN_SCENARIO {
            let reason = format!(
                "Only {} of scenario {scenario}: too few to tell how the device does there.",
                count(there, "row")
            );
            let options = format!("--scenario {scenario}");
            sweeps.push(Sweep { options, name: scenario.name().into(), reason, spec: None });
        }
    }
    if let Some(Heaviest { split, group, share }) = heaviest(splits, whole) {
        let reason = format!(
            "{} carry {} of the summed error with {} of the rows: held-out MAPE {} over {}.",
            split.describe(group, place.kind()),
            percent(share * 100.0),
            percent(group.rows as f64 / rows.len() as f64 * 100.0),
            percent(group.calibrated.summary.mape_pct),
            count(group.rows, "row"),
        );
        // A scenario can be both scarce and heavy; it is said once.
        if group.rows >= FEW_IN_SCENARIO || split != Split::Scenario {
            sweeps.push(Sweep { reason, ..split.sweep(group, rows, place.kind()) });
        }
    }
    sweeps.into_iter().map(|sweep| place.sweep(sweep, true)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Split {
    Scenario,
    Batch,
    Layers,
    Regime,
}

impl Split {
    fn groups(self, splits: &Splits) -> &[Group] {
        match self {
            Self::Scenario => &splits.scenario,
            Self::Batch => &splits.batch,
            Self::Layers => &splits.layers,
            Self::Regime => &splits.regime,
        }
    }

    fn describe(self, group: &Group, kind: Kind) -> String {
        let value = &group.value;
        match self {
            Self::Scenario => format!("Rows of scenario {value}"),
            Self::Batch => format!("Rows of batch {value}"),
            Self::Layers => format!("Networks of {}", count(value.parse().unwrap_or(0), kind.layer())),
            Self::Regime => format!("The {value} rows"),
        }
    }

    /// The sweep that has more of the group, in configurations that the data do not have.
    fn sweep(self, group: &Group, rows: &[RowAnalysis], kind: Kind) -> Sweep {
        let value = &group.value;
        let sweep = |options: String, name: String| Sweep { options, name, ..Sweep::default() };
        match self {
            Self::Scenario => {
                let there = |batch: &u32| rows.iter().any(|row| row.scenario.name() == value && row.batch == *batch);
                let batches = [2, 3, 16, 1, 8, 4, 32, 5, 12].into_iter().filter(|batch| !there(batch)).take(3);
                let batches = batches.map(|batch: u32| batch.to_string()).collect::<Vec<_>>();
                let [list, name] = [",", "_"].map(|between| batches.join(between));
                sweep(format!("--scenario {value} --batch {list}"), format!("{value}_batch{name}"))
            }
            Self::Batch => sweep(format!("--full --batch {value}"), format!("full_batch{value}")),
            Self::Layers => Sweep {
                spec: value.parse().ok().map(|layers| spec_of_layers(kind, layers)),
                ..sweep(format!("--spec {}_{value}layer.toml", kind.name()), format!("{value}layer"))
            },
            Self::Regime => {
                // Intensity grows with the batch: each weight is used once for each row of the input.
                let batch = if *value == Regime::Compute.name() { 128 } else { 2 };
                sweep(format!("--full --batch {batch}"), format!("full_batch{batch}"))
            }
        }
    }
}

struct Heaviest<'a> {
    split: Split,
    group: &'a Group,
    /// Its part of the summed error, from 0 to 1.
    share: f64,
}

/// The group that carries most; `None` where every group is like the whole. Of equals, the first split: scenarios have a sweep of
/// their own.
fn heaviest<'a>(splits: &'a Splits, whole: &ErrorSummary) -> Option<Heaviest<'a>> {
    let mean = whole.mape_pct;
    let total = mean * whole.n as f64;
    let carried = |group: &Group| (group.calibrated.summary.mape_pct - mean) * group.rows as f64;
    let accident = |group: &Group| {
        whole.grade() == Grade::Excellent && carried(group) < 2.0 * whole.std_pct * (group.rows as f64).sqrt()
    };
    let mut best: Option<Heaviest<'_>> = None;
    for split in [Split::Scenario, Split::Batch, Split::Layers, Split::Regime] {
        for group in split.groups(splits).iter().filter(|group| !accident(group)) {
            // A hundredth of the sum is rounding, not a finding.
            let least = best.as_ref().map_or(0.01 * total, |best| carried(best.group) * (1.0 + 1e-9));
            if carried(group) > least {
                let share = group.calibrated.summary.mape_pct * group.rows as f64 / total;
                best = Some(Heaviest { split, group, share });
            }
        }
    }
    best
}

/// 27 MLPs, or 36 stacks of convolutions, of one depth, from small to large.
fn spec_of_layers(kind: Kind, layers: usize) -> String {
    if kind == Kind::Conv2d {
        return format!(
            "in_channels = [16, 64]\nout_channels = [24, 96, 128]\nkernel_size = [3]\nnum_layers = [{layers}]\n\
             image_size = [10, 20, 40]\nbatch_size = [1, 8]\n"
        );
    }
    let hidden = [128, 512, 1024].map(|width| {
        let dims = vec![width; layers];
        format!("    {{ hidden_dims = {dims:?}, output_dim = {width} }},\n")
    });
    format!("input_dim = [64, 256, 1024]\nhidden = [\n{}]\nbatch_size = [1, 16, 128]\n", hidden.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::with_two_core_cpu;
    use crate::sweep::{Plan, Scope};

    #[test]
    fn the_file_of_parameters_is_a_plan() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (kind, networks) in [(Kind::Mlp, 27), (Kind::Conv2d, 36)] {
            std::fs::write(file.path(), spec_of_layers(kind, 4)).expect("written");
            with_two_core_cpu(|hardware| {
                let scope = Scope::Spec(file.path());
                let plan = Plan::new(kind, scope, hardware, &[Precision::Fp32], None).expect("a plan");
                assert_eq!(plan.configurations.len(), networks);
                assert!(plan.configurations.iter().all(|configuration| configuration.net.layers() == 4));
            });
        }
    }

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("results/a-1.csv"), "results/a-1.csv");
        assert_eq!(quoted("my data/it's.csv"), "'my data/it'\\''s.csv'");
    }
}
