//! Held-out errors of layers and networks on measured silicon.
use derate::evaluate::layers::{Holdout, evaluate, read};
use derate_core::calibration::{Machine, Protocol, Runtime};
use derate_core::shape::Precision;

fn main() -> anyhow::Result<()> {
    let data = std::path::PathBuf::from(std::env::var("DERATE_SHARED")?).join("data");
    type Set = (&'static str, &'static str, Precision, Runtime, u32, &'static [&'static str]);
    let sets: [Set; 5] = [
        ("i7-12700k", "190W", Precision::Fp32, Runtime::EagerCpu, 12, &["i7_12700K_fp32", "intel_core_i7_12700k_fp32"]),
        ("jetson-agx-orin-64gb", "30W", Precision::Fp32, Runtime::EagerGpu, 1, &["jetson_orin_30w_fp32"]),
        (
            "jetson-agx-orin-64gb",
            "50W",
            Precision::Fp32,
            Runtime::EagerGpu,
            1,
            &["jetson_orin_50w_fp32", "jetson_orin_agx_50w_fp32"],
        ),
        ("jetson-agx-orin-64gb", "30W", Precision::Fp16, Runtime::EagerGpu, 1, &["jetson_orin_30w_fp16"]),
        (
            "jetson-agx-orin-64gb",
            "50W",
            Precision::Fp16,
            Runtime::EagerGpu,
            1,
            &["jetson_orin_50w_fp16", "jetson_orin_agx_50w_fp16"],
        ),
    ];
    for (device, mode, precision, runtime, threads, files) in sets {
        let file = derate::hardware_file::HardwareFile::read(&std::path::PathBuf::from(format!(
            "hw-specs/devices/{device}.toml"
        )))?;
        let parts = file.parts()?;
        let hardware = parts.hardware()?;
        let mode = hardware.thermal_profiles().iter().find(|m| m.name == mode).expect("mode");
        let machine = Machine::of(&hardware, mode, precision, runtime, Protocol::PerOp, threads)?;
        println!("{machine:?}");
        let files: Vec<_> = files.iter().map(|f| data.join("silicon").join(format!("{f}.csv"))).collect();
        let start = std::time::Instant::now();
        let samples = read(&files, &data.join("graphs"), precision)?;
        println!("{} rows read in {:?}", samples.len(), start.elapsed());
        for holdout in [Holdout::Model, Holdout::Family] {
            let start = std::time::Instant::now();
            for held in evaluate(&samples, machine, precision, holdout)? {
                let mut layers: Vec<f64> = Vec::new();
                let mut groups: std::collections::BTreeMap<&str, (f64, f64)> = Default::default();
                let (mut inside, mut counted) = (0, 0);
                for (p, s) in held.predictions.iter().zip(&samples) {
                    let g = groups.entry(&p.group).or_default();
                    g.0 += p.measured;
                    g.1 += p.predicted;
                    if s.has_kernels() {
                        layers.push((p.predicted / p.measured - 1.0).abs() * 100.0);
                        if let Some([low, high]) = p.interval {
                            counted += 1;
                            inside += usize::from(low <= p.measured && p.measured <= high);
                        }
                    }
                }
                if std::env::var("SHOW").is_ok() && held.coefficients > 5 {
                    for (g, (m, p)) in &groups {
                        println!("   {g:40} {:8.2} ms {:+.1} %", m * 1e3, (p / m - 1.0) * 100.0);
                    }
                }
                if std::env::var("ROWS").is_ok() && held.coefficients > 5 {
                    let mut v: Vec<_> = held
                        .predictions
                        .iter()
                        .zip(&samples)
                        .filter(|(p, _)| p.group.starts_with("vit_b_32"))
                        .collect();
                    v.sort_by(|a, b| (b.0.predicted - b.0.measured).total_cmp(&(a.0.predicted - a.0.measured)));
                    for (p, s) in v.iter().take(25) {
                        println!(
                            "   {:60} {:9.3} ms {:9.3} {} {} {}",
                            p.name,
                            p.measured * 1e3,
                            p.predicted * 1e3,
                            p.class,
                            p.regime,
                            s.kinds[0]
                        );
                    }
                }
                layers.sort_by(f64::total_cmp);
                let errors: Vec<f64> = groups.values().map(|(m, p)| (p / m - 1.0).abs() * 100.0).collect();
                println!(
                    "{device} {} {:?} {}: n {} layer median {:.1} model MAPE {:.1} worst {:.0} cover {:.1}% of {counted}",
                    mode.name,
                    holdout,
                    held.predictor,
                    held.coefficients,
                    layers[layers.len() / 2],
                    errors.iter().sum::<f64>() / errors.len() as f64,
                    errors.iter().fold(0.0, |a: f64, b| a.max(*b)),
                    100.0 * inside as f64 / counted.max(1) as f64
                );
            }
            println!("  {:?}", start.elapsed());
        }
    }
    Ok(())
}
