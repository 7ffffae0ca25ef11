//! Importers: files and short descriptions to graphs. Each format is a module of its own; all build through [`build::Builder`].
//!
//! Nothing is counted silently as zero: a node that no op of core describes is listed in [`Import::unsupported`], and what it
//! computes enters the graph as an input.

pub(crate) mod build;

use std::collections::BTreeMap;

use derate_core::shape::DataType;

use crate::graph_buf::GraphBuf;
use crate::zoo;

/// What a file or description held.
#[derive(Clone, Debug)]
pub struct Import {
    /// The network.
    pub graph: GraphBuf,
    /// Nodes that could not be counted.
    pub unsupported: Vec<Unsupported>,
    /// Nodes that take no time and hold no memory: shape arithmetic, constants, assertions, identities.
    pub bookkeeping: usize,
}

/// A node that could not be counted, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unsupported {
    /// Name of the node in the file.
    pub name: String,
    /// Its op type, as the file calls it.
    pub op: String,
    /// What is missing.
    pub reason: String,
}

/// Values that a file leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Extent of the outermost axis of every input where the file leaves it open.
    pub batch: Option<u32>,
    /// Extents of named dimensions.
    pub dims: BTreeMap<String, u32>,
    /// Shapes of the inputs, in their order, for formats that do not hold them.
    pub inputs: Vec<Vec<u32>>,
    /// Data type of networks that are described rather than read.
    pub data_type: DataType,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: None, dims: BTreeMap::new(), inputs: Vec::new(), data_type: DataType::Fp32 }
    }
}

/// A file or description that is no graph.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}{message}", at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default())]
pub struct ImportError {
    /// The file or description.
    pub file: String,
    /// The node, tensor or key, where it is known.
    pub at: Option<String>,
    /// What is wrong, with the value and what is allowed.
    pub message: String,
}

/// Reads a graph: a network of the zoo, `zoo:NAME` or `zoo:NAME@BATCH`.
///
/// # Errors
/// [`ImportError`] for a name that the zoo does not have, or a batch that is no positive number.
pub fn import(source: &str, options: &Options) -> Result<Import, ImportError> {
    let error = |message: String| ImportError { file: source.to_owned(), at: None, message };
    let known = || zoo::NETWORKS.join(", ");
    let named = source
        .strip_prefix("zoo:")
        .ok_or_else(|| error(format!("must be `zoo:NAME@BATCH`; NAME is one of {}", known())))?;
    let (name, batch) = match named.split_once('@') {
        Some((name, batch)) => (name, Some(batch)),
        None => (named, None),
    };
    let batch = match batch.map(str::parse::<u32>) {
        Some(Ok(batch)) if batch > 0 => batch,
        None => options.batch.unwrap_or(1),
        Some(_) => return Err(error("the batch after `@` must be a whole number, 1 or more".to_owned())),
    };
    let graph = zoo::network(name, batch, options.data_type)
        .ok_or_else(|| error(format!("the zoo has no `{name}`; it has {}", known())))?
        .map_err(|refused| error(refused.to_string()))?;
    Ok(Import { graph, unsupported: Vec::new(), bookkeeping: 0 })
}
