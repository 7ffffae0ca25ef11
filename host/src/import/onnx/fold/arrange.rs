//! Constants rearranged: other shapes, parts, repetitions, concatenations.

use std::rc::Rc;

use derate_core::shape::DataType;

use super::{Constant, constant, few};
use crate::import::onnx::call::{Call, Stop, axis, wrong};
use crate::import::onnx::graph::Importer;
use crate::import::onnx::layout::{permutation, reshaped, slice_ranges, split_sizes, squeezed, unsqueezed};
use crate::import::onnx::value::{Elements, KNOWN, Stored, elements};

/// What a node that only arranges elements gives; `None` for others, and where what it depends on is not known.
pub(super) fn evaluate(
    importer: &Importer,
    call: &Call<'_>,
    stored: &[Option<Rc<Stored>>],
) -> Result<Option<Vec<Constant>>, Stop> {
    let at = |position: usize| stored.get(position).and_then(Option::as_ref);
    let Some(first) = at(0) else { return Ok(None) };
    let list = |position: usize| at(position).and_then(|value| value.known()).map(|elements| elements.ints());
    let same = |dims: Vec<u32>| {
        Ok(Some(vec![constant(dims, first.data_type, || first.known().map(|elements| (*elements).clone()))]))
    };
    match call.op() {
        "Reshape" => same(reshaped(importer, call, &first.dims)?),
        "Flatten" => {
            let split = usize::try_from(flatten_axis(call, first.dims.len())?).unwrap_or(0);
            let (outer, inner) = first.dims.split_at_checked(split).unwrap_or((&first.dims, &[]));
            let extent = |dims| u32::try_from(elements(dims)).map_err(|_| Stop::Wrong("too many elements".to_owned()));
            same(vec![extent(outer)?, extent(inner)?])
        }
        "Squeeze" => same(squeezed(importer, call, &first.dims)?),
        "Unsqueeze" => same(unsqueezed(importer, call, &first.dims)?),
        "Transpose" => {
            let order = permutation(call, first.dims.len())?;
            let dims: Vec<u32> = order.iter().filter_map(|&axis| first.dims.get(axis).copied()).collect();
            let strides = strides(&first.dims);
            let steps: Vec<usize> = order.iter().filter_map(|&axis| strides.get(axis).copied()).collect();
            let values = || first.known()?.pick(positions(&dims, &steps).into_iter());
            Ok(Some(vec![constant(dims.clone(), first.data_type, values)]))
        }
        "Slice" => {
            let ranges = slice_ranges(importer, call, &first.dims)?;
            let lists: Vec<Vec<usize>> =
                if few(&first.dims) { ranges.iter().map(|range| range.indices()).collect() } else { Vec::new() };
            let dims = ranges.iter().map(|range| range.count).collect();
            Ok(Some(vec![constant(dims, first.data_type, || selected(first, &lists))]))
        }
        "Split" => {
            let along = call.axis("axis", 0, first.dims.len())?;
            let mut start = 0;
            let mut parts = Vec::new();
            for size in split_sizes(importer, call, first.dims.get(along).copied().unwrap_or(0))? {
                let mut dims = first.dims.clone();
                if let Some(extent) = dims.get_mut(along) {
                    *extent = size;
                }
                let end = start + index(size);
                let values = || selected(first, &replaced(&first.dims, along, (start..end).collect()));
                parts.push(constant(dims, first.data_type, values));
                start = end;
            }
            Ok(Some(parts))
        }
        "Gather" => {
            let along = axis(call.int("axis", 0)?, first.dims.len())?;
            let Some(indices) = at(1) else { return Ok(None) };
            let extent = first.dims.get(along).copied().unwrap_or(0);
            let mut dims = first.dims.get(..along).unwrap_or_default().to_vec();
            dims.extend(&indices.dims);
            dims.extend(first.dims.get(along + 1..).unwrap_or_default());
            let Some(list) = list(1) else { return Ok(Some(vec![constant(dims, first.data_type, || None)])) };
            let extent = i64::from(extent);
            let mut chosen = Vec::new();
            for index in list {
                let from_start = if index < 0 { index + extent } else { index };
                match usize::try_from(from_start) {
                    Ok(found) if from_start < extent => chosen.push(found),
                    _ => return wrong(format!("index {index} into an axis of extent {extent}")),
                }
            }
            let values = || selected(first, &replaced(&first.dims, along, chosen));
            Ok(Some(vec![constant(dims, first.data_type, values)]))
        }
        "Expand" | "Tile" => {
            let Some(list) = list(1) else { return Ok(None) };
            let Some(list) = list.iter().map(|&value| u32::try_from(value).ok()).collect::<Option<Vec<u32>>>() else {
                return wrong(format!("{list:?} has an extent outside 0 ..= 4294967295"));
            };
            let rank = list.len().max(first.dims.len());
            let pad = |dims: &[u32]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
            let (from, list) = (pad(&first.dims), pad(&list));
            let mut dims = Vec::new();
            for (&extent, &wanted) in from.iter().zip(&list) {
                let extent = match call.op() {
                    "Tile" => extent.checked_mul(wanted),
                    _ if extent == 1 => Some(wanted),
                    _ if wanted == 1 || wanted == extent => Some(extent),
                    _ => None,
                };
                let Some(extent) = extent else {
                    return wrong(format!("shape {:?} cannot become {list:?}", first.dims));
                };
                dims.push(extent);
            }
            let values = || {
                let lists: Vec<Vec<usize>> = dims
                    .iter()
                    .zip(&from)
                    .map(|(&extent, &from)| (0..index(extent)).map(|at| at % index(from).max(1)).collect())
                    .collect();
                first.known()?.pick(select(&from, &lists).into_iter())
            };
            Ok(Some(vec![constant(dims.clone(), first.data_type, values)]))
        }
        "Concat" => concat(call, stored),
        "ConstantOfShape" => {
            let Some(list) = list(0) else { return Ok(None) };
            let dims: Option<Vec<u32>> = list.iter().map(|&extent| u32::try_from(extent).ok()).collect();
            let Some(dims) = dims else {
                return wrong(format!("shape {list:?} has an extent outside 0 ..= 4294967295"));
            };
            let value = match call.tensor("value")? {
                Some(tensor) => importer.peek("value", tensor).map_err(Stop::Wrong)?,
                None => Some((DataType::Fp32, Elements::Float(vec![0.0]))),
            };
            let Some((data_type, value)) = value else { return Ok(None) };
            let count = index(u32::try_from(elements(&dims).min(KNOWN)).unwrap_or(0));
            let values = || value.pick(std::iter::repeat_n(0, count));
            Ok(Some(vec![constant(dims, data_type, values)]))
        }
        "NonZero" => {
            let Some(values) = first.known() else { return Ok(None) };
            let strides = strides(&first.dims);
            let places: Vec<usize> =
                values.floats().iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(at, _)| at).collect();
            let mut found = Vec::new();
            for (&stride, &extent) in strides.iter().zip(&first.dims) {
                found.extend(places.iter().map(|at| at.checked_div(stride).unwrap_or(0) % index(extent).max(1)));
            }
            let found = found.into_iter().filter_map(|at| i64::try_from(at).ok()).collect();
            let extent = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let dims = vec![extent(first.dims.len()), extent(places.len())];
            Ok(Some(vec![constant(dims, DataType::Int64, || Some(Elements::Int(found)))]))
        }
        _ => Ok(None),
    }
}

fn concat(call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Vec<Constant>>, Stop> {
    let all: Vec<&Rc<Stored>> = stored.iter().flatten().collect();
    let Some(first) = all.first() else { return Ok(None) };
    let along = call.axis("axis", 0, first.dims.len())?;
    let mut dims = first.dims.clone();
    let mut total = 0_u32;
    for part in &all {
        let fits = part.dims.len() == dims.len()
            && part.dims.iter().zip(&dims).enumerate().all(|(axis, (x, y))| axis == along || x == y);
        if !fits {
            return wrong(format!("shapes {dims:?} and {:?} differ beside axis {along}", part.dims));
        }
        total = match total.checked_add(part.dims.get(along).copied().unwrap_or(0)) {
            Some(total) => total,
            None => return wrong("an extent is above 4294967295"),
        };
    }
    if let Some(extent) = dims.get_mut(along) {
        *extent = total;
    }
    let outer = elements(dims.get(..along).unwrap_or_default());
    let values = || {
        let known: Vec<_> = all.iter().map(|part| part.known()).collect::<Option<_>>()?;
        let rows =
            |part: &Stored| usize::try_from(elements(part.dims.get(along..).unwrap_or_default())).unwrap_or(usize::MAX);
        let (mut ints, mut floats) = (Vec::new(), Vec::new());
        for row in 0..usize::try_from(outer).ok()? {
            for (part, values) in all.iter().zip(&known) {
                let width = rows(part);
                let range = row.checked_mul(width)?..(row + 1).checked_mul(width)?;
                match &**values {
                    Elements::Int(values) => ints.extend(values.get(range)?),
                    Elements::Float(values) => floats.extend(values.get(range)?),
                }
            }
        }
        match (ints.is_empty(), floats.is_empty()) {
            (_, true) => Some(Elements::Int(ints)),
            (true, false) => Some(Elements::Float(floats)),
            (false, false) => None,
        }
    };
    Ok(Some(vec![constant(dims.clone(), first.data_type, values)]))
}

/// The axis of a `Flatten`, at which a shape is cut in two; the rank is allowed too.
pub(in super::super) fn flatten_axis(call: &Call<'_>, rank: usize) -> Result<i64, Stop> {
    let rank = i64::try_from(rank).unwrap_or(i64::MAX);
    let given = call.int("axis", 1)?;
    let found = if given < 0 { given.saturating_add(rank) } else { given };
    if (0..=rank).contains(&found) { Ok(found) } else { wrong(format!("axis {given} of a tensor of rank {rank}")) }
}

fn index(extent: u32) -> usize {
    usize::try_from(extent).unwrap_or(usize::MAX)
}

/// Distance of neighbours along each axis.
pub(super) fn strides(dims: &[u32]) -> Vec<usize> {
    let mut strides = vec![1_usize; dims.len()];
    let mut product = 1_usize;
    for (stride, &extent) in strides.iter_mut().zip(dims).rev() {
        *stride = product;
        product = product.saturating_mul(index(extent));
    }
    strides
}

/// Positions in a source of all elements of a result with these extents, a step along each axis being so many elements.
pub(super) fn positions(dims: &[u32], steps: &[usize]) -> Vec<usize> {
    if dims.contains(&0) {
        return Vec::new();
    }
    let mut found = vec![0_usize];
    for (&extent, &step) in dims.iter().zip(steps) {
        found = found.iter().flat_map(|&base| (0..index(extent)).map(move |at| base + at * step)).collect();
    }
    found
}

/// Positions of the elements with these indices along each axis.
fn select(dims: &[u32], lists: &[Vec<usize>]) -> Vec<usize> {
    if lists.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let mut found = vec![0_usize];
    for (list, stride) in lists.iter().zip(strides(dims)) {
        found = found.iter().flat_map(|&base| list.iter().map(move |&at| base + at * stride)).collect();
    }
    found
}

fn selected(stored: &Stored, lists: &[Vec<usize>]) -> Option<Elements> {
    if lists.len() != stored.dims.len() {
        return None;
    }
    stored.known()?.pick(select(&stored.dims, lists).into_iter())
}

/// All indices of each axis, but of one only those given.
fn replaced(dims: &[u32], along: usize, chosen: Vec<usize>) -> Vec<Vec<usize>> {
    let all = dims.iter().map(|&extent| (0..index(extent).min(usize::try_from(KNOWN).unwrap_or(0))).collect());
    let mut lists: Vec<Vec<usize>> = all.collect();
    if let Some(list) = lists.get_mut(along) {
        *list = chosen;
    }
    lists
}
