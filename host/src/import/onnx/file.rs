//! The file: mapped, decoded without copying weights, its stored tensors checked against what is there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use derate_core::shape::DataType;
use prost::Message;

use super::call::data_type;
use super::proto::{Model, Tensor};
use super::value::{Data, Source, Stored, elements};
use super::wire;
use crate::import::ImportError;

/// Maps a file and decodes it.
pub(super) fn decode(path: &Path) -> Result<Model, ImportError> {
    let error = |message: String| ImportError { file: path.display().to_string(), at: None, message };
    let file = File::open(path).map_err(|source| error(source.to_string()))?;
    let kind = file.metadata().map_err(|source| error(source.to_string()))?;
    if !kind.is_file() {
        return Err(error("not a file".to_owned()));
    }
    if kind.len() == 0 {
        return Err(error("the file is empty".to_owned()));
    }
    // SAFETY: the map is read-only and private to this process. Whoever shortens the file meanwhile makes a later read fail with a
    // signal, as with every mapped file; nothing here depends on two reads giving the same bytes.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|source| error(source.to_string()))?;
    // From here on every `Bytes` of the model is a reference into the map: weights are neither copied nor read.
    let bytes = Bytes::from_owner(map);
    wire::check(&bytes).map_err(error)?;
    Model::decode(bytes).map_err(|source| error(format!("not an ONNX model: {source}")))
}

/// A file's real path and its length in bytes, or why it cannot be used.
type Found = Result<(PathBuf, u64), String>;

/// Files that stored tensors lie in, each looked at once.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    files: RefCell<HashMap<String, Found>>,
}

impl Folder {
    /// The folder of this model.
    pub(super) fn of(model: &Path) -> Self {
        let parent = model.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { path: parent.to_owned(), files: RefCell::default() }
    }

    /// Where a file of weights is, and its length in bytes; it must be inside the model's folder, also behind links.
    fn find(&self, location: &str) -> Found {
        if let Some(found) = self.files.borrow().get(location) {
            return found.clone();
        }
        let found = self.look(location);
        self.files.borrow_mut().insert(location.to_owned(), found.clone());
        found
    }

    fn look(&self, location: &str) -> Found {
        let relative = Path::new(location);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !inside || location.contains('\\') {
            return Err(format!(
                "its data is in {location:?}; only a relative path without `..` is allowed, to a file in the model's folder"
            ));
        }
        let path = self.path.join(relative);
        let failed = |source: std::io::Error| format!("its data is in {}: {source}", path.display());
        let (real, root) = (path.canonicalize().map_err(failed)?, self.path.canonicalize().map_err(failed)?);
        if !real.starts_with(&root) {
            return Err(format!("its data is in {location:?}, a link that leaves the model's folder"));
        }
        let kind = real.metadata().map_err(failed)?;
        if kind.is_file() {
            Ok((real, kind.len()))
        } else {
            Err(format!("its data is in {location:?}, which is no file"))
        }
    }

    /// A stored tensor, taken for a constant; `Ok(Err(reason))` for one whose element type has no counterpart.
    pub(super) fn stored(&self, name: &str, tensor: &Tensor) -> Result<Result<Stored, String>, String> {
        let dims = dims(&tensor.dims)?;
        let data_type = match data_type(tensor.data_type) {
            Ok(data_type) => data_type,
            Err(kind) => return Ok(Err(format!("{name} has elements of type {kind} ({})", tensor.data_type))),
        };
        let bytes = data_type.bytes(elements(&dims)).map_err(|source| source.to_string())?.0;
        let source =
            if tensor.data_location == 1 { self.external(tensor, bytes)? } else { inline(tensor, bytes, data_type)? };
        Ok(Ok(Stored {
            name: name.to_owned(),
            dims,
            data_type,
            storage: data_type,
            learned: false,
            part: None,
            data: Data::from_source(source),
        }))
    }

    fn external(&self, tensor: &Tensor, bytes: u64) -> Result<Source, String> {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let number = |key: &str, default: u64| match entry(key) {
            None => Ok(default),
            Some(text) => text.parse::<u64>().map_err(|_| format!("{key} {text:?} of its external data is no number")),
        };
        let location = entry("location").ok_or("its data is external, but has no location")?;
        let (offset, length) = (number("offset", 0)?, number("length", bytes)?);
        if length != bytes {
            return Err(format!("its external data has {length} bytes, its shape and type need {bytes}"));
        }
        let (path, available) = self.find(location)?;
        if offset.checked_add(length).is_none_or(|end| end > available) {
            return Err(format!(
                "its data is bytes {offset} to {} of {location:?}, which has {available} bytes",
                offset.saturating_add(length)
            ));
        }
        Ok(Source::File(path, offset))
    }
}

/// Data in the file itself. A tensor without any data is a shape alone, as in files stripped of their weights.
fn inline(tensor: &Tensor, bytes: u64, data_type: DataType) -> Result<Source, String> {
    let chunks = |chunks: &[Bytes], size: u64| -> Result<Vec<Bytes>, String> {
        let found: u64 = chunks.iter().map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX)).sum();
        let wanted = bytes.checked_div(data_type.size().0).unwrap_or(0).saturating_mul(size);
        if found == wanted {
            Ok(chunks.to_vec())
        } else {
            Err(format!("its data has {found} bytes, its shape needs {wanted}"))
        }
    };
    if let Some(raw) = tensor.raw_data.as_ref().filter(|raw| !raw.is_empty()) {
        return if u64::try_from(raw.len()) == Ok(bytes) {
            Ok(Source::Raw(raw.clone()))
        } else {
            Err(format!("its data has {} bytes, its shape and type need {bytes}", raw.len()))
        };
    }
    if !tensor.float_data.is_empty() {
        return Ok(Source::Floats(chunks(&tensor.float_data, 4)?));
    }
    if !tensor.double_data.is_empty() {
        return Ok(Source::Doubles(chunks(&tensor.double_data, 8)?));
    }
    // The length of variable-length integers says little: too few are found when they are read.
    for list in [&tensor.int32_data, &tensor.int64_data, &tensor.uint64_data] {
        if !list.is_empty() {
            return Ok(Source::Varints(list.clone()));
        }
    }
    Ok(Source::None)
}

/// Extents of a stored tensor.
pub(super) fn dims(dims: &[i64]) -> Result<Vec<u32>, String> {
    let extents: Vec<u32> = dims
        .iter()
        .map(|&extent| {
            u32::try_from(extent).map_err(|_| format!("extent {extent} of its shape is not in 0 ..= 4294967295"))
        })
        .collect::<Result<_, _>>()?;
    if extents.iter().try_fold(1_u64, |product, &extent| product.checked_mul(u64::from(extent))).is_none() {
        return Err(format!("its shape {dims:?} has more than 2^64 - 1 elements"));
    }
    Ok(extents)
}
