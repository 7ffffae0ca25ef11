//! Numbers of a file as the numbers that ops take; and arithmetic of shapes, done while reading.

use super::{Call, Reader, Step, Stop};

/// Most numbers that arithmetic of shapes gives.
const MOST: usize = 64;

impl Reader<'_> {
    /// A window's number: positive, at most 65535.
    pub(super) fn positive(&self, call: &Call<'_>, what: &str, value: i32) -> Step<u16> {
        u16::try_from(value).ok().filter(|&value| value > 0).ok_or_else(|| {
            Stop::Error(self.builder.error(&call.name, format!("{what} {value}; 1 to 65535 is possible")))
        })
    }

    /// An axis of the file, counted from the end where negative.
    pub(super) fn axis(&self, call: &Call<'_>, axis: i64, rank: usize) -> Step<usize> {
        let count = i64::try_from(rank).unwrap_or(i64::MAX);
        let from_the_front = if axis < 0 { axis.saturating_add(count) } else { axis };
        usize::try_from(from_the_front).ok().filter(|&axis| axis < rank).ok_or_else(|| {
            Stop::Error(self.builder.error(&call.name, format!("axis {axis} of a tensor of {rank} axes")))
        })
    }

    /// An extent, positive.
    pub(super) fn extent(&self, call: &Call<'_>, extent: i64) -> Step<u32> {
        u32::try_from(extent).ok().filter(|&extent| extent > 0).ok_or_else(|| {
            Stop::Error(self.builder.error(&call.name, format!("extent {extent}; 1 to {} is possible", u32::MAX)))
        })
    }

    /// Numbers of an operand that must be known while reading.
    pub(super) fn known(&self, call: &Call<'_>, place: usize, what: &str) -> Step<Vec<i64>> {
        let index = self.operand(call, place)?;
        self.numbers(index).ok_or_else(|| {
            let message = format!("its {what} ({}) are computed when the network runs", self.name(index));
            Stop::Unsupported(message)
        })
    }

    /// Does an operator on shapes; `false` for one that computes on tensors.
    pub(super) fn arithmetic_of_shapes(&mut self, call: &Call<'_>) -> Step<bool> {
        let Some(numbers) = self.shape_numbers(call)? else { return Ok(false) };
        let Some(&output) = call.outputs.first() else { return Ok(false) };
        if let Some(value) = self.values.get_mut(output) {
            value.numbers = Some(numbers);
        }
        Ok(true)
    }

    /// Numbers that an operator gives, where its operands are known.
    fn shape_numbers(&self, call: &Call<'_>) -> Step<Option<Vec<i64>>> {
        let operand = |place: usize| call.inputs.get(place).copied().flatten();
        // SHAPE and RANK are known of any tensor.
        if let (77 | 110, Some(index)) = (call.builtin, operand(0)) {
            let extents = self.extents(index)?;
            let extents: Vec<i64> = extents.into_iter().map(i64::from).collect();
            let rank = i64::try_from(extents.len()).unwrap_or(i64::MAX);
            return Ok(Some(if call.builtin == 77 { extents } else { vec![rank] }));
        }
        let mut known = Vec::new();
        for &index in call.inputs.iter().flatten() {
            // A computed tensor, or one of real numbers: no arithmetic of shapes.
            match self.numbers(index).filter(|numbers| numbers.len() <= MOST) {
                Some(numbers) => known.push(numbers),
                None => return Ok(None),
            }
        }
        Ok(fold(call, &known).filter(|numbers| numbers.len() <= MOST))
    }
}

/// Arithmetic on known numbers; `None` for what it does not know.
fn fold(call: &Call<'_>, operands: &[Vec<i64>]) -> Option<Vec<i64>> {
    let first = operands.first()?;
    let pairs = |function: fn(i64, i64) -> Option<i64>| -> Option<Vec<i64>> {
        let second = operands.get(1)?;
        let length = first.len().max(second.len());
        let at = |numbers: &[i64], index: usize| numbers.get(if numbers.len() == 1 { 0 } else { index }).copied();
        (0..length).map(|index| function(at(first, index)?, at(second, index)?)).collect()
    };
    match call.builtin {
        // ADD, SUB, MUL, DIV, FLOOR_DIV, MAXIMUM, MINIMUM.
        0 => pairs(i64::checked_add),
        41 => pairs(i64::checked_sub),
        18 => pairs(i64::checked_mul),
        42 | 90 => pairs(i64::checked_div),
        55 => pairs(|a, b| Some(a.max(b))),
        57 => pairs(|a, b| Some(a.min(b))),
        // CONCATENATION, PACK.
        2 | 83 => Some(operands.concat()),
        // RESHAPE, SQUEEZE, CAST, EXPAND_DIMS keep the numbers.
        22 | 43 | 53 | 70 => Some(first.clone()),
        // REDUCE_PROD, SUM.
        81 => Some(vec![first.iter().try_fold(1_i64, |product, &number| product.checked_mul(number))?]),
        74 => Some(vec![first.iter().try_fold(0_i64, |sum, &number| sum.checked_add(number))?]),
        // GATHER.
        36 => {
            let pick = |&index: &i64| first.get(usize::try_from(index).ok()?).copied();
            operands.get(1)?.iter().map(pick).collect()
        }
        // SLICE and STRIDED_SLICE along one axis.
        65 | 45 => {
            let [_, begin, end, ..] = operands else { return None };
            let ([begin], [end]) = (begin.as_slice(), end.as_slice()) else { return None };
            let length = i64::try_from(first.len()).ok()?;
            let from_the_front =
                |index: i64| if index < 0 { index.saturating_add(length) } else { index }.clamp(0, length);
            let options = call.operator.options::<super::schema::StridedSliceOptions<'_>>();
            let mask = |mask: Option<i32>| mask.is_some_and(|mask| mask & 1 == 1);
            let start = if mask(options.map(|o| o.begin_mask())) { 0 } else { from_the_front(*begin) };
            let stop = if call.builtin == 65 {
                if *end < 0 { length } else { start.saturating_add(*end).min(length) }
            } else if mask(options.map(|o| o.shrink_axis_mask())) {
                start.saturating_add(1).min(length)
            } else if mask(options.map(|o| o.end_mask())) {
                length
            } else {
                from_the_front(*end)
            };
            let step =
                operands.get(3).filter(|_| call.builtin == 45).map_or(Some(1), |steps| steps.first().copied())?;
            let step = usize::try_from(step).ok().filter(|&step| step > 0)?;
            let part = first.get(usize::try_from(start).ok()?..usize::try_from(stop).ok()?)?;
            Some(part.iter().step_by(step).copied().collect())
        }
        _ => None,
    }
}
