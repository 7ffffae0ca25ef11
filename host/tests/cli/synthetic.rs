//! A sweep of a device that does not exist, by simple arithmetic; times in milliseconds.

use std::fmt::Write;

use crate::common::COLUMNS;

/// One configuration: `layers` hidden layers of `width`, input and output of `width` too.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) width: u64,
    pub(crate) layers: u64,
    pub(crate) batch: u64,
}

impl Row {
    fn macs(self) -> u64 {
        (self.layers + 1) * self.width * self.width
    }

    /// 3 µs for each of the linear layers and their ReLU, arithmetic at half of 512 GFLOP/s, weights at 0.6 of the bandwidth of
    /// the level that holds them; and up to 2 % of scatter, so that no model fits exactly.
    pub(crate) fn time_ms(self) -> f64 {
        let weights = 4 * self.macs();
        let bandwidth = match weights {
            0..=98_304 => 1e12,
            98_305..=2_097_152 => 4e11,
            2_097_153..=33_554_432 => 1.5e11,
            _ => 3e10,
        };
        let overhead = 3e-6 * (2 * self.layers + 1) as f64;
        let arithmetic = 2.0 * (self.batch * self.macs()) as f64 / (0.5 * 512e9);
        let seconds = overhead + f64::max(arithmetic, weights as f64 / (0.6 * bandwidth));
        let scatter = (self.width * 7 + self.layers * 13 + self.batch * 29) % 5;
        seconds * 1e3 * (0.98 + 0.01 * scatter as f64)
    }

    pub(crate) fn hidden_dims(self) -> String {
        format!("{:?}", vec![self.width; self.layers as usize])
    }
}

/// 40 configurations: overhead, caches, DRAM and arithmetic all show.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for width in [64, 256, 512, 1024, 4096] {
        for layers in [1, 2] {
            rows.extend([1, 8, 64, 256].map(|batch| Row { width, layers, batch }));
        }
    }
    rows
}

/// 12 of them, where it does not matter how well they are fitted.
pub(crate) fn few() -> Vec<Row> {
    rows().into_iter().filter(|row| row.layers == 1 && [64, 512, 4096].contains(&row.width)).collect()
}

/// The CSV of another tool: the 18 published columns and no other.
pub(crate) fn sweep(rows: &[Row]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for row in rows {
        let Row { width, layers, batch } = *row;
        let hidden = row.hidden_dims();
        let (time, memory) = (row.time_ms(), 4e-6 * row.macs() as f64);
        let throughput = batch as f64 / (time / 1e3);
        // What that tool estimated is its own affair: its columns are not read.
        writeln!(
            text,
            "mlp_{layers}layer,{width},\"{hidden}\",{width},{batch},cpu,fp32,{time},0.001,{memory},{throughput},1,1,1,1,memory,1,1"
        )
        .expect("a string takes everything");
    }
    text
}

/// The same with the needed columns alone, in another order, between columns that nobody knows.
pub(crate) fn sweep_of_needed_columns(rows: &[Row]) -> String {
    let mut text =
        "note,empirical_time_ms,precision,batch_size,device,hidden_dims,host,output_dim,input_dim\n".to_owned();
    for row in rows {
        let Row { width, batch, .. } = *row;
        let (hidden, time) = (row.hidden_dims(), row.time_ms());
        writeln!(text, "\"a, b\",{time},fp32,{batch},cpu,\"{hidden}\",box,{width},{width}")
            .expect("a string takes everything");
    }
    text
}

/// The same with a column `p10_ms` after the others, a tenth below the median.
pub(crate) fn sweep_with_percentile(rows: &[Row]) -> String {
    let text = sweep(rows);
    let mut lines = text.lines();
    let mut all = format!("{},p10_ms\n", lines.next().unwrap_or_default());
    for (line, row) in lines.zip(rows) {
        writeln!(all, "{line},{}", 0.9 * row.time_ms()).expect("a string takes everything");
    }
    all
}
