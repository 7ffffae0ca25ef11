//! ONNX files: opset 11 to 21 of the standard operators, and the simple ones of `com.microsoft`.
//!
//! The file is mapped and decoded without its weights: only small constants that shapes depend on are read. The work goes
//! `file` (map, decode) → `inputs` (extents, which inputs are weights) → `graph` (node by node, in `order`) → the families of
//! ops (`dense`, `pool`, `elementwise`, `layout`, `index`, `norm`, `reduce`, `recurrent`, `quantized`, `microsoft`).
//!
//! **What counts as a parameter.** Weights of layers, where a layer takes them, each stored tensor once however many layers share
//! it (a bias counts with each layer that adds it). Other stored tensors with floating-point elements count where they are an
//! operand of a sum, a product, a concatenation, a gather or a matrix product. Statistics of batch normalisation, quantization
//! scales, scalars, integers, tensors of `Constant` nodes, subtrahends and divisors, masks (zeros and large negative values) and
//! tables of sines are stored, but not learned.
//!
//! **What is folded.** A node that depends on no input is computed here if it leads to shapes, and left out as a runtime would; only
//! what makes learned tensors larger or mixes them (a position embedding looked up, a table that goes through layers) stays an op,
//! so that each parameter is counted as it is stored.

mod call;
mod dense;
mod einsum;
mod elementwise;
mod file;
mod fold;
mod graph;
mod index;
mod inputs;
mod layout;
mod microsoft;
mod norm;
mod operand;
mod order;
mod pool;
mod proto;
mod quantized;
mod recurrent;
mod reduce;
#[cfg(test)]
mod tests;
mod value;
mod windows;
mod wire;

use std::path::Path;

use super::{Import, ImportError, Options};

/// Oldest and newest version of the operator set.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=21;

/// Reads the network of an ONNX file.
///
/// Weights may be inside, in files of their own in the model's folder, or absent.
///
/// # Errors
/// [`ImportError`] for a file that cannot be read or is no ONNX model, an opset outside 11 to 21, open dimensions that `options`
/// do not give, and nodes whose operands and attributes do not go together or contradict the shapes that the file declares.
pub fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let file = path.display().to_string();
    let error = |at: Option<String>, message: String| ImportError { file: file.clone(), at, message };
    let model = file::decode(path)?;
    let Some(graph) = &model.graph else {
        return Err(error(None, "not an ONNX model: it holds no graph".to_owned()));
    };
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = model.opset_import.iter().filter(|id| standard(&id.domain)).map(|id| id.version).max();
    let opset = match opset {
        Some(version) if OPSETS.contains(&version) => version,
        Some(version) => {
            let (first, last) = OPSETS.into_inner();
            return Err(error(
                None,
                format!("its operators are of opset {version}; opsets {first} to {last} are read"),
            ));
        }
        // A model of other domains alone.
        None if !model.opset_import.is_empty() => *OPSETS.end(),
        None => return Err(error(None, "not an ONNX model: it names no opset".to_owned())),
    };
    graph::import(path, graph, opset, options)
}
