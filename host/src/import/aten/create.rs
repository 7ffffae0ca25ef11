//! What does not depend on the input: sizes, ranges, tensors of one value.

use derate_core::shape::DataType;

use super::argument::{Argument, truncated};
use super::emit::{axis, extents};
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal, numbered_data_type};

fn data_type(call: &Call<'_>, default: DataType) -> DataType {
    match call.args.named("dtype") {
        Some(Argument::DataType(data_type)) => *data_type,
        Some(Argument::Int(number)) => numbered_data_type(*number).unwrap_or(default),
        _ => default,
    }
}

impl Lowering {
    /// `size`: self, axis or all; `numel`; `dim`.
    pub(super) fn size(&mut self, call: &Call<'_>) -> Lowered {
        self.builder.bookkeeping();
        let x = call.args.first()?;
        let whole = |count: u64| i64::try_from(count).map(Argument::Int).map_err(|_| Refusal::new("too many elements"));
        match call.op {
            "numel" | "sym_numel" => whole(x.elements()),
            "dim" => whole(u64::try_from(x.rank()).unwrap_or(0)),
            "is_floating_point" => Ok(Argument::Bool(matches!(
                x.data_type(),
                DataType::Fp64 | DataType::Fp32 | DataType::Bf16 | DataType::Fp16
            ))),
            "stride" | "sym_stride" => Err(Refusal::new("strides are not followed")),
            _ => match call.args.get(1, "dim") {
                None | Some(Argument::None) => {
                    Ok(Argument::List(x.extents().iter().map(|&extent| Argument::Int(i64::from(extent))).collect()))
                }
                Some(_) => {
                    let at = axis(call.args.int(1, "dim")?, x.rank())?;
                    let extent = x.extents().get(at).ok_or_else(|| Refusal::new("size of a scalar"))?;
                    Ok(Argument::Int(i64::from(*extent)))
                }
            },
        }
    }

    /// `arange`, `zeros`, `full_like`, `new_ones`, …
    pub(super) fn create(&mut self, call: &Call<'_>) -> Lowered {
        self.builder.bookkeeping();
        let args = call.args;
        let like = call.op.ends_with("_like");
        if like || call.op.starts_with("new_") {
            let x = args.first()?;
            let sizes = if like { x.extents().to_vec() } else { extents(&args.ints(1, "size")?)? };
            let value = match call.op {
                "zeros_like" | "new_zeros" => Some(0.0),
                "ones_like" | "new_ones" => Some(1.0),
                "full_like" => args.get(1, "fill_value").and_then(Argument::float),
                "new_full" => args.get(2, "fill_value").and_then(Argument::float),
                _ => None,
            };
            return Ok(Argument::Tensor(Tensor::known(sizes, data_type(call, x.data_type()), value)));
        }
        let tensor = match call.op {
            "arange" => return arange(call),
            "scalar_tensor" | "tensor" => return constant(call),
            "eye" => {
                let n = args.int(0, "n")?;
                Tensor::known(extents(&[n, args.int_or(1, "m", n)?])?, data_type(call, DataType::Fp32), None)
            }
            "linspace" => Tensor::known(extents(&[args.int(2, "steps")?])?, data_type(call, DataType::Fp32), None),
            "randint" => {
                let at = usize::from(args.positional.len() > 2).saturating_add(1);
                Tensor::known(extents(&args.sizes(at, "size")?)?, data_type(call, DataType::Int64), None)
            }
            op => {
                let value = match op {
                    "zeros" => Some(0.0),
                    "ones" => Some(1.0),
                    "full" => args.get(1, "fill_value").and_then(Argument::float),
                    _ => None,
                };
                Tensor::known(extents(&args.sizes(0, "size")?)?, data_type(call, DataType::Fp32), value)
            }
        };
        Ok(Argument::Tensor(tensor))
    }

    /// `meshgrid`: vectors; each repeated along the others.
    pub(super) fn meshgrid(&mut self, call: &Call<'_>) -> Lowered {
        let vectors = call.args.tensor_list(0, "tensors")?;
        let sizes: Vec<u32> =
            vectors.iter().map(|vector| u32::try_from(vector.elements()).unwrap_or(u32::MAX)).collect();
        let exchanged = call.args.str_or(1, "indexing", "ij") == "xy";
        let mut grids = Vec::with_capacity(vectors.len());
        for (at, vector) in vectors.iter().enumerate() {
            let mut own = vec![1; sizes.len()];
            if let (Some(place), Some(&size)) = (own.get_mut(at), sizes.get(at)) {
                *place = size;
            }
            let mut all = sizes.clone();
            if exchanged && all.len() > 1 {
                own.swap(0, 1);
                all.swap(0, 1);
            }
            let line = self.view(vector, own)?;
            grids.push(self.expanded(&line, all)?);
        }
        Ok(Argument::tensors(grids))
    }
}

/// `arange`: end; start, end; start, end, step.
fn arange(call: &Call<'_>) -> Lowered {
    let numbers = call.args.positional.iter().map_while(|argument| match argument {
        Argument::Bool(_) | Argument::None => None,
        argument => argument.float(),
    });
    let numbers: Vec<f64> = numbers.take(3).collect();
    let named = |name| call.args.named(name).and_then(Argument::float);
    let (start, end, step) = match *numbers.as_slice() {
        [end] => (0.0, end, 1.0),
        [start, end] => (start, end, 1.0),
        [start, end, step] => (start, end, step),
        _ => (0.0, named("end").ok_or_else(|| Refusal::new("a range without an end that is known"))?, 1.0),
    };
    let (start, end) = (named("start").unwrap_or(start), named("end").unwrap_or(end));
    let step = named("step").unwrap_or(step);
    let count = ((end - start) / step).ceil();
    if !(0.0..=f64::from(u32::MAX)).contains(&count) {
        return Err(Refusal::new(format!("a range from {start} to {end} by {step}")));
    }
    let whole = [start, end, step].iter().all(|number| number.fract() == 0.0);
    let default = if whole { DataType::Int64 } else { DataType::Fp32 };
    Ok(Argument::Tensor(Tensor::known(extents(&[truncated(count)])?, data_type(call, default), None)))
}

/// `scalar_tensor`, `tensor`: a number, or lists of them.
fn constant(call: &Call<'_>) -> Lowered {
    let value = call.args.positional.first().or_else(|| call.args.named.first().map(|(_, value)| value));
    let mut sizes = Vec::new();
    let mut inner = value;
    while let Some(Argument::List(items)) = inner {
        sizes.push(u32::try_from(items.len()).unwrap_or(u32::MAX));
        inner = items.first();
    }
    let default = match inner {
        Some(Argument::Int(_)) => DataType::Int64,
        Some(Argument::Bool(_)) => DataType::Bool,
        Some(Argument::Unknown(why)) => return Err(Refusal::new(why.clone())),
        _ => DataType::Fp32,
    };
    let one = inner.and_then(Argument::float).filter(|_| sizes.iter().all(|&size| size == 1));
    Ok(Argument::Tensor(Tensor::known(sizes, data_type(call, default), one)))
}
