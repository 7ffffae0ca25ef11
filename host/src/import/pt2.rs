//! `torch.export` archives (`.pt2`): a zip whose graph is a JSON file, with the shape of every tensor.
//!
//! PyTorch from 2.8 on writes `<name>/models/<model>.json`, older versions `serialized_exported_program.json`; both hold the same
//! schema. Weight data are never read.

mod graph;
mod schema;
mod sizes;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::torch_archive::Archive;
use super::{Import, ImportError, Options};

/// Reads the archive at `path`.
///
/// Symbolic sizes are bound by [`Options::batch`] (axis 0 of the inputs), [`Options::dims`] (by symbol, such as `s77`) or
/// [`Options::inputs`].
///
/// # Errors
/// [`ImportError`] for a file that is no such archive, a graph that refers to what it does not hold, or a size that stays open;
/// nodes that no op describes are listed in [`Import::unsupported`].
pub fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let mut archive = Archive::open(path)?;
    let entry = model_entry(&archive)?;
    let text = archive.json(&entry)?;
    let program: schema::Program =
        serde_json::from_str(&text).map_err(|error| archive.error(&entry, format!("no exported program: {error}")))?;
    drop(text);
    let name = path.file_stem().map_or_else(|| "network".to_owned(), |stem| stem.to_string_lossy().into_owned());
    graph::lower(archive.file(), &name, &program, options)
}

/// The entry with the graph.
fn model_entry(archive: &Archive) -> Result<String, ImportError> {
    let names = archive.names();
    let older = names.iter().find(|name| {
        *name == "serialized_exported_program.json" || name.ends_with("/serialized_exported_program.json")
    });
    let mut models: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(".json") && (name.contains("/models/") || name.starts_with("models/")))
        .collect();
    models.sort();
    // An archive may hold several; the one that `torch.export.save` writes is called `model`.
    let model = models.iter().find(|name| name.ends_with("/model.json")).or(models.first()).copied();
    older.or(model).cloned().ok_or_else(|| ImportError {
        file: archive.file().to_owned(),
        at: None,
        message: "no models/*.json and no serialized_exported_program.json in it; is it written by torch.export.save?"
            .to_owned(),
    })
}
