//! Takes the wanted files out of the pinned wheels, into a folder laid out as libtorch's own archive is.
//!
//! Leaves out everything that is not needed to compile and run against the CPU library: Python modules, CUDA kernels.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

use crate::wheel::Wheel;

/// Unpacks what `wheel`, the file at `path`, has to give into `folder`.
///
/// # Errors
/// If the wheel cannot be read, lacks an expected entry, or the folder cannot be written.
pub(crate) fn unpack(wheel: &Wheel, path: &Path, folder: &Path) -> Result<()> {
    let reading = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(reading)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).with_context(reading)?;
    let mut n_files = vec![0_u64; wheel.takes.len()];
    let mut n_bytes = 0;
    for idx in 0..archive.len() {
        let mut entry = archive.by_index(idx).with_context(reading)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().with_context(reading)?.into_owned();
        let Some((take_idx, relative)) = destination(wheel, &name) else { continue };
        let target = folder.join(relative);
        n_bytes += write(&mut entry, &target).with_context(|| {
            format!("cannot write {} (is the disk full? unpacked libtorch takes 500 MB)", target.display())
        })?;
        n_files[take_idx] += 1;
    }
    for (count, (from, _)) in n_files.iter().zip(wheel.takes) {
        if *count == 0 {
            bail!("{} holds no {from}", path.display());
        }
    }
    let (n_files, megabytes) = (n_files.iter().sum::<u64>(), n_bytes as f64 / 1e6);
    println!("unpacked {n_files} files, {megabytes:.1} MB, from {}", wheel.file);
    Ok(())
}

/// Which rule of the wheel takes this entry, and the path it gets; none for an entry that is not wanted.
fn destination(wheel: &Wheel, entry: &str) -> Option<(usize, PathBuf)> {
    wheel.takes.iter().enumerate().find_map(|(idx, (from, to))| {
        let relative = PathBuf::from(format!("{to}{}", entry.strip_prefix(from)?));
        // An archive must not write outside its folder.
        let stays_inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        stays_inside.then_some((idx, relative))
    })
}

fn write(entry: &mut impl io::Read, target: &Path) -> io::Result<u64> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    io::copy(entry, &mut File::create(target)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wheel::WHEELS;

    fn taken(entry: &str) -> Option<String> {
        destination(&WHEELS[0], entry).map(|(_, path)| path.to_string_lossy().into_owned())
    }

    #[test]
    fn headers_and_cpu_libraries_are_taken_from_the_torch_wheel() {
        assert_eq!(taken("torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        assert_eq!(taken("torch/lib/libtorch_cpu.so").as_deref(), Some("lib/libtorch_cpu.so"));
        assert_eq!(taken("torch/lib/libgomp-a34b3233.so.1").as_deref(), Some("lib/libgomp-a34b3233.so.1"));
    }

    #[test]
    fn cuda_python_and_escaping_entries_are_left() {
        for entry in [
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libc10_cuda.so",
            "torch/lib/libtorch.so",
            "torch/__init__.py",
            "torch/include/../../../etc/passwd",
            "torch/include//etc/passwd/..",
        ] {
            assert_eq!(taken(entry), None, "{entry}");
        }
    }
}
