//! From the JSON's graph to core's.

use std::collections::HashMap;

use derate_core::shape::DataType;

use super::schema::{self, Graph, Node, Program, SymArgument};
use super::sizes::Sizes;
use crate::import::aten::argument::{Args, Argument};
use crate::import::aten::tensor::Tensor;
use crate::import::aten::{Lowering, Stored};
use crate::import::{Import, ImportError, Options};

/// Core's data type for a `ScalarType` of the schema, whose numbers are not those of `c10`.
fn data_type(number: i64) -> Option<DataType> {
    Some(match number {
        1 | 2 | 29..=32 => DataType::Int8,
        3 | 28 => DataType::Int16,
        4 => DataType::Int32,
        5 => DataType::Int64,
        6 => DataType::Fp16,
        7 => DataType::Fp32,
        8 => DataType::Fp64,
        12 => DataType::Bool,
        13 => DataType::Bf16,
        _ => return None,
    })
}

/// The program as core's graph.
pub(super) fn lower(file: &str, name: &str, program: &Program, options: &Options) -> Result<Import, ImportError> {
    let graph = &program.graph_module.graph;
    let mut stored = HashMap::new();
    for spec in &program.graph_module.signature.input_specs {
        if let Some(spec) = &spec.parameter {
            stored.insert(spec.arg.name.as_str(), (spec.parameter_name.as_str(), true));
        }
        if let Some(spec) = &spec.buffer {
            stored.insert(spec.arg.name.as_str(), (spec.buffer_name.as_str(), false));
        }
        if let Some(spec) = &spec.tensor_constant {
            stored.insert(spec.arg.name.as_str(), (spec.tensor_constant_name.as_str(), false));
        }
    }
    let names = graph.inputs.iter().filter_map(|input| match input {
        schema::Argument::Tensor(name) => Some(name.as_str()),
        _ => None,
    });
    let inputs: Vec<&str> = names.clone().filter(|name| !stored.contains_key(name)).collect();
    let sizes = Sizes::bind(file, graph, &inputs, options)?;
    let mut reader = Reader {
        file,
        graph,
        sizes,
        lowering: Lowering::new(file, name),
        values: HashMap::new(),
        missing: HashMap::new(),
    };
    for input in names {
        reader.input(input, stored.get(input).copied())?;
    }
    for node in &graph.nodes {
        reader.node(node)?;
    }
    for output in &graph.outputs {
        if let schema::Argument::Tensor(name) = output
            && let Argument::Tensor(tensor) = reader.value(name)?
        {
            reader.lowering.output(&tensor).map_err(|refusal| reader.error(name, refusal.reason()))?;
        }
    }
    reader.lowering.builder.finish()
}

/// A result that is not computed.
struct Missing {
    /// Node, op and reason to list when something reads it, where the node is not listed yet.
    unlisted: Option<[String; 3]>,
}

struct Reader<'a> {
    file: &'a str,
    graph: &'a Graph,
    sizes: Sizes,
    lowering: Lowering,
    values: HashMap<&'a str, Argument>,
    /// Results of nodes that no op describes: they become inputs when something reads them.
    missing: HashMap<&'a str, Missing>,
}

impl<'a> Reader<'a> {
    fn error(&self, at: &str, message: impl Into<String>) -> ImportError {
        ImportError { file: self.file.to_owned(), at: Some(at.to_owned()), message: message.into() }
    }

    /// Extents and data type that the file gives a tensor.
    fn meta(&mut self, name: &str) -> Result<(Vec<u32>, DataType), ImportError> {
        let graph = self.graph;
        let meta = graph.tensor_values.get(name).ok_or_else(|| self.error(name, "no shape in tensor_values"))?;
        let mut extents = Vec::with_capacity(meta.sizes.len());
        for size in &meta.sizes {
            let value = self.sizes.value(size).map_err(|message| self.error(name, message))?;
            extents.push(u32::try_from(value).map_err(|_| self.error(name, format!("extent {value}")))?);
        }
        let data_type = data_type(meta.dtype).ok_or_else(|| {
            self.error(name, format!("data type {}; real numbers and integers are allowed", meta.dtype))
        })?;
        Ok((extents, data_type))
    }

    fn input(&mut self, name: &'a str, stored: Option<(&str, bool)>) -> Result<(), ImportError> {
        let (extents, data_type) = self.meta(name)?;
        let tensor = match stored {
            Some((full, learned)) => self.lowering.store(Stored { name: full.to_owned(), extents, data_type, learned }),
            None => self.lowering.input(name, &extents, data_type)?,
        };
        self.values.insert(name, Argument::Tensor(tensor));
        Ok(())
    }

    /// The value of this name.
    fn value(&mut self, name: &str) -> Result<Argument, ImportError> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let graph = self.graph;
        let Some(missing) = self.missing.get_mut(name) else {
            return Err(self.error(name, "is read before any node gives it"));
        };
        if let Some([node, op, reason]) = missing.unlisted.take() {
            self.lowering.builder.unsupported(&node, &op, reason);
        }
        if !graph.tensor_values.contains_key(name) {
            return Ok(Argument::Unknown(format!("{name} is not known")));
        }
        let (extents, data_type) = self.meta(name)?;
        let tensor = self.lowering.input(name, &extents, data_type)?;
        if let Some((&name, _)) = self.missing.get_key_value(name) {
            self.values.insert(name, Argument::Tensor(tensor.clone()));
        }
        Ok(Argument::Tensor(tensor))
    }

    fn size(&mut self, size: &SymArgument) -> Result<Argument, ImportError> {
        if let Some(value) = size.as_int {
            return Ok(Argument::Int(value));
        }
        let name = size.as_name.as_deref().unwrap_or_default();
        let graph = self.graph;
        match graph.sym_int_values.get(name) {
            Some(value) => self.sizes.value(value).map(Argument::Int).map_err(|message| self.error(name, message)),
            None => Ok(Argument::Unknown(format!("size {name} is not known"))),
        }
    }

    fn argument(&mut self, argument: &schema::Argument) -> Result<Argument, ImportError> {
        use schema::Argument as From;
        Ok(match argument {
            From::None => Argument::None,
            From::Tensor(name) => self.value(name)?,
            From::Tensors(names) => {
                Argument::List(names.iter().map(|name| self.value(name)).collect::<Result<_, _>>()?)
            }
            From::OptionalTensors(names) => {
                let value = |name: &Option<String>| name.as_ref().map_or(Ok(Argument::None), |name| self.value(name));
                Argument::List(names.iter().map(value).collect::<Result<_, _>>()?)
            }
            From::Int(value) => Argument::Int(*value),
            From::Ints(values) => Argument::List(values.iter().copied().map(Argument::Int).collect()),
            From::Float(value) => Argument::Float(*value),
            From::Floats(values) => Argument::List(values.iter().copied().map(Argument::Float).collect()),
            From::Bool(value) => Argument::Bool(*value),
            From::Str(word) => Argument::Str(word.clone()),
            From::ScalarType(number) => match data_type(*number) {
                Some(data_type) => Argument::DataType(data_type),
                None => Argument::Unknown(format!("data type {number} is not known")),
            },
            From::SymInt(size) => self.size(size)?,
            From::SymInts(sizes) => Argument::List(sizes.iter().map(|size| self.size(size)).collect::<Result<_, _>>()?),
            From::Symbolic => Argument::Unknown("a truth value or number that depends on sizes".to_owned()),
            // Devices, layouts and memory formats change nothing here.
            From::Other => Argument::None,
        })
    }

    fn node(&mut self, node: &'a Node) -> Result<(), ImportError> {
        use schema::Argument as From;
        let first = node.outputs.iter().find_map(|output| match output {
            From::Tensor(name) => Some(name.as_str()),
            From::Tensors(names) => names.first().map(String::as_str),
            _ => None,
        });
        let symbolic = |output: &From| matches!(output, From::SymInt(_) | From::Symbolic | From::None);
        if !node.outputs.is_empty() && node.outputs.iter().all(symbolic)
            || first.is_none() && !node.target.contains("higher_order")
        {
            // The file has the values of sizes; assertions give nothing.
            self.lowering.builder.bookkeeping();
            return Ok(());
        }
        let label = node.name.as_deref().or(first).unwrap_or(&node.target);
        let mut args = Args::default();
        for input in &node.inputs {
            let argument = self.argument(&input.arg)?;
            if input.kind != Some(2) {
                args.positional.push(argument.clone());
            }
            args.named.push((input.name.clone(), argument));
        }
        let result = match operator(&node.target) {
            Some(op) => self.lowering.call(label, op, &args),
            None => Err(crate::import::aten::Refusal::new("no op of core describes it")),
        };
        let results: Vec<Argument> = match result {
            Ok(Argument::List(results)) => results,
            Ok(result) => vec![result],
            Err(refusal) => {
                self.lowering.builder.unsupported(label, &node.target, refusal.reason());
                Vec::new()
            }
        };
        let mut results = results.into_iter();
        for output in &node.outputs {
            let names = match output {
                From::Tensor(name) => std::slice::from_ref(name),
                From::Tensors(names) => names.as_slice(),
                _ => {
                    results.next();
                    continue;
                }
            };
            for name in names {
                self.give(label, node, name, results.next())?;
            }
        }
        Ok(())
    }

    /// Keeps a result, if its shape is the file's.
    fn give(&mut self, label: &str, node: &Node, name: &'a str, result: Option<Argument>) -> Result<(), ImportError> {
        let Some(Argument::Tensor(tensor)) = result else {
            let unlisted = match result {
                Some(Argument::Unknown(why)) => Some([label.to_owned(), node.target.clone(), why]),
                _ => None,
            };
            self.missing.insert(name, Missing { unlisted });
            return Ok(());
        };
        if !self.graph.tensor_values.contains_key(name) {
            self.values.insert(name, Argument::Tensor(tensor));
            return Ok(());
        }
        let (extents, data_type) = self.meta(name)?;
        if tensor.extents() != extents {
            let reason = format!("counted as {:?}, which the file gives as {extents:?}", tensor.extents());
            let unlisted = Some([label.to_owned(), node.target.clone(), reason]);
            self.missing.insert(name, Missing { unlisted });
            return Ok(());
        }
        let tensor = match tensor.value() {
            Some(value) => Tensor::known(extents, data_type, Some(value)),
            None => tensor,
        };
        self.values.insert(name, Argument::Tensor(tensor));
        Ok(())
    }
}

/// The name of an op without namespace and overload, for those of ATen and of the quantizer.
fn operator(target: &str) -> Option<&str> {
    let name = target.strip_prefix("torch.ops.").unwrap_or(target);
    let name = name
        .strip_prefix("aten.")
        .or_else(|| name.strip_prefix("quantized_decomposed."))
        .or_else(|| name.strip_prefix("mkldnn."))?;
    Some(name.split('.').next().unwrap_or(name))
}
