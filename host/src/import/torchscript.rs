//! TorchScript files (`torch.jit.save`): a zip with code in a part of Python, and a pickle of the modules and their weights.
//!
//! The code is followed from `forward` of the top module with the shapes of the inputs: sizes, lists and conditions are known then,
//! tensors are symbols. It is followed as at inference, without gradients. What cannot be decided is listed as unsupported. Weight
//! data are never read.

mod builtin;
mod code;
mod expression;
mod interpret;
mod object;
mod pickle;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;

use self::code::Code;
use self::pickle::Pickle;
use super::torch_archive::{Archive, MAX_TEXT};
use super::{Import, ImportError, Options};

/// Stack of the thread that follows the code: calls and expressions nest, within limits that this holds many times.
const STACK: usize = 256 << 20;

/// Reads the file at `path`. Such files have no shapes of inputs: [`Options::inputs`] gives them in order.
///
/// # Errors
/// [`ImportError`] for a file that is no TorchScript, a shape that is missing, or code that raises an error on these shapes; nodes
/// that no op describes are listed in [`Import::unsupported`].
pub fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let fail = |message: String| ImportError { file: path.display().to_string(), at: None, message };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("torchscript".to_owned()).stack_size(STACK);
        let reader = thread.spawn_scoped(scope, || read_here(path, options));
        let reader = reader.map_err(|error| fail(format!("no thread to read it: {error}")))?;
        reader.join().unwrap_or_else(|_| Err(fail("the reader stopped".to_owned())))
    })
}

fn read_here(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let mut archive = Archive::open(path)?;
    let data = archive.names().iter().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl")).cloned();
    let has_code = archive.names().iter().any(|name| name.contains("code/"));
    let Some(data) = data.filter(|_| has_code) else {
        let message =
            "no data.pkl and code/ in it; is it written by torch.jit.save? Weights alone (torch.save) are no graph";
        return Err(ImportError { file: archive.file().to_owned(), at: None, message: message.to_owned() });
    };
    let root = data.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let modules = pickled(&mut archive, &data)?;
    let constants = format!("{root}constants.pkl");
    let constants =
        if archive.names().contains(&constants) { pickled(&mut archive, &constants)? } else { Pickle::default() };
    let name = path.file_stem().map_or_else(|| "network".to_owned(), |stem| stem.to_string_lossy().into_owned());
    interpret::follow(archive, Code::new(root), modules, constants, &name, options)
}

fn pickled(archive: &mut Archive, entry: &str) -> Result<Pickle, ImportError> {
    let bytes = archive.read(entry, MAX_TEXT)?;
    Pickle::read(&bytes).map_err(|message| archive.error(entry, message))
}
