//! Arithmetic on constants: numbers of shapes, mostly.

use std::rc::Rc;

use derate_core::shape::{DataType, Shape};

use super::arrange::{positions, strides};
use super::{Constant, constant, few};
use crate::import::onnx::call::{Call, Stop, axis, data_type, wrong};
use crate::import::onnx::value::{Elements, Stored, is_float};

/// Functions of one element that keep shape and type.
pub(super) fn is_unary(op: &str) -> bool {
    matches!(
        op,
        "Neg"
            | "Abs"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sqrt"
            | "Exp"
            | "Log"
            | "Sigmoid"
            | "Tanh"
            | "Reciprocal"
            | "Sign"
            | "Relu"
            | "Clip"
            | "Softplus"
            | "Erf"
            | "Sin"
            | "Cos"
            | "Not"
    )
}

/// Functions of two elements.
pub(super) fn is_binary(op: &str) -> bool {
    matches!(op, "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Min" | "Max")
}

fn is_comparison(op: &str) -> bool {
    matches!(op, "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Xor")
}

/// What arithmetic gives; `None` for other nodes, and where elements are not known.
pub(super) fn evaluate(call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Constant>, Stop> {
    let at = |position: usize| stored.get(position).and_then(Option::as_ref);
    let Some(first) = at(0) else { return Ok(None) };
    let op = call.op();
    if is_unary(op) {
        let values = || unary(op, &*first.known()?);
        return Ok(Some(constant(first.dims.clone(), first.data_type, values)));
    }
    if is_binary(op) || is_comparison(op) {
        return many(call, stored);
    }
    match op {
        "Cast" | "CastLike" => {
            let to = match at(1) {
                Some(like) => like.data_type,
                None => match data_type(i32::try_from(call.int("to", 0)?).unwrap_or(0)) {
                    Ok(to) => to,
                    Err(kind) => return Err(Stop::Unsupported(format!("a cast to elements of type {kind}"))),
                },
            };
            Ok(Some(constant(first.dims.clone(), to, || Some(converted(&*first.known()?, to)))))
        }
        "Where" => {
            let (Some(x), Some(y)) = (at(1), at(2)) else { return Ok(None) };
            let dims = broadcast(&[&first.dims, &x.dims, &y.dims])?;
            let values = || {
                let (chosen, x_at, y_at) = (spread(first, &dims)?, spread(x, &dims)?, spread(y, &dims)?);
                Some(match (x_at, y_at) {
                    (Elements::Int(x), Elements::Int(y)) => Elements::Int(choose(&chosen.ints(), &x, &y)),
                    (x, y) => Elements::Float(choose(&chosen.ints(), &x.floats(), &y.floats())),
                })
            };
            Ok(Some(constant(dims.clone(), x.data_type, values)))
        }
        "Range" => {
            let (Some(limit), Some(delta)) = (at(1), at(2)) else { return Ok(None) };
            let (Some(start), Some(limit), Some(delta)) = (first.known(), limit.known(), delta.known()) else {
                return Ok(None);
            };
            let one = |values: &Elements| values.floats().first().copied();
            let (Some(start), Some(limit), Some(delta)) = (one(&start), one(&limit), one(&delta)) else {
                return wrong("a bound of it is empty");
            };
            let count = ((limit - start) / delta).ceil().max(0.0);
            if !count.is_finite() || count > f64::from(u32::MAX) {
                return wrong(format!("{start} to {limit} by {delta} has no end within 2^32 elements"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in the range")]
            let count = count as u32;
            let values = || {
                let list = (0..count).map(|step| delta.mul_add(f64::from(step), start)).collect();
                Some(converted(&Elements::Float(list), first.data_type))
            };
            Ok(Some(constant(vec![count], first.data_type, values)))
        }
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(call, first, at(1)),
        _ => Ok(None),
    }
}

fn choose<T: Copy>(chosen: &[i64], x: &[T], y: &[T]) -> Vec<T> {
    chosen.iter().zip(x.iter().zip(y)).map(|(&chosen, (&x, &y))| if chosen != 0 { x } else { y }).collect()
}

/// Elements in another type; integers from floats are cut.
fn converted(values: &Elements, to: DataType) -> Elements {
    match to {
        DataType::Bool => Elements::Int(values.floats().iter().map(|&value| i64::from(value != 0.0)).collect()),
        to if is_float(to) => Elements::Float(values.floats()),
        _ => Elements::Int(values.ints()),
    }
}

fn unary(op: &str, values: &Elements) -> Option<Elements> {
    if let Elements::Int(values) = values {
        let each = |value: i64| match op {
            "Neg" => value.checked_neg(),
            "Abs" => value.checked_abs(),
            "Sign" => Some(value.signum()),
            "Not" => Some(i64::from(value == 0)),
            "Relu" => Some(value.max(0)),
            _ => None,
        };
        return values.iter().map(|&value| each(value)).collect::<Option<_>>().map(Elements::Int);
    }
    let each = |value: f64| {
        Some(match op {
            "Neg" => -value,
            "Abs" => value.abs(),
            "Floor" => value.floor(),
            "Ceil" => value.ceil(),
            "Round" => value.round_ties_even(),
            "Sqrt" => value.sqrt(),
            "Exp" => value.exp(),
            "Log" => value.ln(),
            "Reciprocal" => value.recip(),
            "Tanh" => value.tanh(),
            "Sin" => value.sin(),
            "Cos" => value.cos(),
            "Relu" => value.max(0.0),
            _ => return None,
        })
    };
    values.floats().into_iter().map(each).collect::<Option<_>>().map(Elements::Float)
}

/// Arithmetic of two operands; of more, one after the other.
fn many(call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Constant>, Stop> {
    let all: Vec<&Rc<Stored>> = stored.iter().flatten().collect();
    let Some((first, rest)) = all.split_first() else { return Ok(None) };
    let shapes: Vec<&[u32]> = all.iter().map(|value| value.dims.as_slice()).collect();
    let dims = broadcast(&shapes)?;
    let truth = is_comparison(call.op());
    let data_type = if truth { DataType::Bool } else { first.data_type };
    let fmod = call.flag("fmod", false)?;
    let values = || {
        let mut sum = spread(first, &dims)?;
        for value in rest {
            sum = match (sum, spread(value, &dims)?) {
                (Elements::Int(x), Elements::Int(y)) => {
                    Elements::Int(x.iter().zip(&y).map(|(&x, &y)| ints(call.op(), x, y, fmod)).collect::<Option<_>>()?)
                }
                (x, y) => {
                    let pairs = x.floats().into_iter().zip(y.floats());
                    let list: Vec<f64> = pairs.map(|(x, y)| floats(call.op(), x, y)).collect::<Option<_>>()?;
                    if truth { converted(&Elements::Float(list), DataType::Bool) } else { Elements::Float(list) }
                }
            };
        }
        Some(sum)
    };
    Ok(Some(constant(dims.clone(), data_type, values)))
}

fn ints(op: &str, x: i64, y: i64, fmod: bool) -> Option<i64> {
    match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        "Mod" if fmod => x.checked_rem(y),
        // The sign is that of the divisor.
        "Mod" => x.checked_rem(y).map(|rest| if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest }),
        "Pow" => x.checked_pow(u32::try_from(y).ok()?),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        "Equal" => Some(i64::from(x == y)),
        "Less" => Some(i64::from(x < y)),
        "Greater" => Some(i64::from(x > y)),
        "LessOrEqual" => Some(i64::from(x <= y)),
        "GreaterOrEqual" => Some(i64::from(x >= y)),
        "And" => Some(i64::from(x != 0 && y != 0)),
        "Or" => Some(i64::from(x != 0 || y != 0)),
        "Xor" => Some(i64::from((x != 0) != (y != 0))),
        _ => None,
    }
}

#[allow(clippy::float_cmp, reason = "the operator compares exactly")]
fn floats(op: &str, x: f64, y: f64) -> Option<f64> {
    let truth = |value: bool| Some(f64::from(u8::from(value)));
    match op {
        "Add" => Some(x + y),
        "Sub" => Some(x - y),
        "Mul" => Some(x * y),
        "Div" => Some(x / y),
        "Mod" => Some(x % y),
        "Pow" => Some(x.powf(y)),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        "Equal" => truth(x == y),
        "Less" => truth(x < y),
        "Greater" => truth(x > y),
        "LessOrEqual" => truth(x <= y),
        "GreaterOrEqual" => truth(x >= y),
        _ => None,
    }
}

/// Shape of several operands broadcast against each other.
fn broadcast(shapes: &[&[u32]]) -> Result<Vec<u32>, Stop> {
    let mut shape = Shape::new(&[])?;
    for dims in shapes {
        shape = shape.broadcast(&Shape::new(dims)?)?;
    }
    Ok(shape.extents().to_vec())
}

/// The elements of a constant under a shape that it is broadcast to.
fn spread(stored: &Stored, dims: &[u32]) -> Option<Elements> {
    if !few(dims) {
        return None;
    }
    let outer = dims.len().checked_sub(stored.dims.len())?;
    let mut steps = vec![0; outer];
    steps.extend(
        strides(&stored.dims).iter().zip(&stored.dims).map(|(&stride, &extent)| if extent == 1 { 0 } else { stride }),
    );
    stored.known()?.pick(positions(dims, &steps).into_iter())
}

fn reduce(call: &Call<'_>, data: &Stored, axes: Option<&Rc<Stored>>) -> Result<Option<Constant>, Stop> {
    let rank = data.dims.len();
    let listed = match (call.ints("axes")?, axes) {
        (Some(axes), _) => Some(axes),
        (None, Some(axes)) => match axes.known() {
            Some(axes) => Some(axes.ints()),
            None => return Ok(None),
        },
        (None, None) => None,
    };
    let none = call.flag("noop_with_empty_axes", false)?;
    let axes: Vec<usize> = match listed {
        Some(axes) if !axes.is_empty() => axes.into_iter().map(|at| axis(at, rank)).collect::<Result<_, _>>()?,
        _ if none => Vec::new(),
        _ => (0..rank).collect(),
    };
    let keep = call.flag("keepdims", true)?;
    let kept = |at: usize, extent: u32| if !axes.contains(&at) { Some(extent) } else { keep.then_some(1) };
    let dims: Vec<u32> = data.dims.iter().enumerate().filter_map(|(at, &extent)| kept(at, extent)).collect();
    let values = || {
        let known = data.known()?;
        // Where each element of the operand goes.
        let mut steps = vec![0_usize; rank];
        let mut product = 1_usize;
        for (at, step) in steps.iter_mut().enumerate().rev() {
            if !axes.contains(&at) {
                *step = product;
                product = product.saturating_mul(usize::try_from(*data.dims.get(at)?).ok()?);
            }
        }
        let goes = positions(&data.dims, &steps);
        let combine = |x: f64, y: f64| match call.op() {
            "ReduceProd" => x * y,
            "ReduceSum" => x + y,
            "ReduceMax" => x.max(y),
            _ => x.min(y),
        };
        let mut found: Vec<Option<f64>> = vec![None; product];
        for (to, value) in goes.into_iter().zip(known.floats()) {
            let slot = found.get_mut(to)?;
            *slot = Some(slot.map_or(value, |sum| combine(sum, value)));
        }
        // Sums and products of integers are exact up to 2^53, far beyond any extent.
        let list = found.into_iter().map(|value| value.unwrap_or(if call.op() == "ReduceProd" { 1.0 } else { 0.0 }));
        Some(converted(&Elements::Float(list.collect()), data.data_type))
    };
    Ok(Some(constant(dims.clone(), data.data_type, values)))
}
