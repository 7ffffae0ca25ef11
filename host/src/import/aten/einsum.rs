//! Einsum: sums over labelled axes, as contractions of one pair of operands after the other.

use derate_core::op::{Contraction, Op, Reduce, ReduceKind};
use derate_core::shape::Shape;

use super::argument::Argument;
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

/// A tensor with a label for each axis.
#[derive(Clone, Debug)]
struct Term {
    tensor: Tensor,
    labels: Vec<char>,
}

impl Term {
    fn extent(&self, label: char) -> Option<u32> {
        let at = self.labels.iter().position(|&own| own == label)?;
        self.tensor.extents().get(at).copied()
    }
}

/// Labels of one term; `…` stands for the outer axes of those that have more than labels, which get labels of their own.
fn labels(text: &str, ellipsis: &[char], rank: Option<usize>) -> Result<Vec<char>, Refusal> {
    let (before, after) = text.split_once("...").map_or((text, None), |(before, after)| (before, Some(after)));
    let mut labels: Vec<char> = before.chars().collect();
    if let Some(after) = after {
        let own = labels.len().saturating_add(after.chars().count());
        let many = rank.map_or(ellipsis.len(), |rank| rank.saturating_sub(own));
        labels.extend(ellipsis.iter().skip(ellipsis.len().saturating_sub(many)));
        labels.extend(after.chars());
    }
    if rank.is_some_and(|rank| rank != labels.len()) || !labels.iter().all(|label| label.is_alphanumeric()) {
        return Err(Refusal::new(format!("{text:?} does not label the axes")));
    }
    if labels.iter().enumerate().any(|(at, label)| labels.iter().take(at).any(|other| other == label)) {
        return Err(Refusal::new(format!("{text:?}: a diagonal is not counted")));
    }
    Ok(labels)
}

impl Lowering {
    /// `einsum`: equation, tensors.
    pub(super) fn einsum(&mut self, call: &Call<'_>) -> Lowered {
        let Some(Argument::Str(equation)) = call.args.get(0, "equation") else {
            return Err(Refusal::new("no equation"));
        };
        let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
        let tensors = call.args.tensor_list(1, "tensors")?;
        let (inputs, output) = equation.split_once("->").map_or((equation.as_str(), None), |(i, o)| (i, Some(o)));
        let inputs: Vec<&str> = inputs.split(',').collect();
        if inputs.len() != tensors.len() {
            return Err(Refusal::new(format!("{equation:?} of {} tensors", tensors.len())));
        }
        // Digits label the axes of an ellipsis, which no equation uses itself.
        let widest = inputs.iter().zip(&tensors).filter(|(text, _)| text.contains("..."));
        let widest =
            widest.map(|(text, tensor)| tensor.rank().saturating_sub(text.chars().count().saturating_sub(3))).max();
        let ellipsis: Vec<char> = ('0'..='7').take(widest.unwrap_or(0)).collect();
        let mut terms = Vec::with_capacity(tensors.len());
        for (text, tensor) in inputs.iter().zip(tensors) {
            terms.push(Term { labels: labels(text, &ellipsis, Some(tensor.rank()))?, tensor });
        }
        let result = match output {
            Some(text) => labels(text, &ellipsis, None)?,
            None => {
                let mut all: Vec<char> = terms.iter().flat_map(|term| term.labels.iter().copied()).collect();
                all.sort_unstable();
                let once = |label: &char| all.iter().filter(|other| *other == label).count() == 1;
                let kept =
                    all.iter().copied().filter(once).filter(|label| !ellipsis.contains(label)).collect::<Vec<_>>();
                [ellipsis.clone(), kept].concat()
            }
        };
        let mut terms = terms.into_iter();
        let mut left = terms.next().ok_or_else(|| Refusal::new("no tensors"))?;
        let mut rest: Vec<Term> = terms.collect();
        if rest.is_empty() {
            left = self.summed(call, left, &result)?;
            return self.ordered(&left, &result).map(Argument::Tensor);
        }
        while !rest.is_empty() {
            let right = rest.remove(0);
            let wanted: Vec<char> = if rest.is_empty() {
                result.clone()
            } else {
                let later =
                    |label: &char| result.contains(label) || rest.iter().any(|term| term.labels.contains(label));
                let mut wanted: Vec<char> = left.labels.iter().copied().filter(later).collect();
                wanted
                    .extend(right.labels.iter().copied().filter(|label| later(label) && !left.labels.contains(label)));
                wanted
            };
            left = self.contracted(call, left, right, wanted)?;
        }
        Ok(Argument::Tensor(left.tensor))
    }

    /// Sums over the labels that nobody wants.
    fn summed(&mut self, call: &Call<'_>, term: Term, wanted: &[char]) -> Result<Term, Refusal> {
        let mut axes = 0_u8;
        for (at, label) in (0_u32..).zip(&term.labels) {
            if !wanted.contains(label) {
                axes |= 1_u8.checked_shl(at).ok_or_else(|| Refusal::new("more than eight axes"))?;
            }
        }
        if axes == 0 {
            return Ok(term);
        }
        let op = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false });
        let tensor = self.emit(call.node, op, &[&term.tensor])?;
        Ok(Term { tensor, labels: term.labels.into_iter().filter(|label| wanted.contains(label)).collect() })
    }

    fn ordered(&mut self, term: &Term, wanted: &[char]) -> Result<Tensor, Refusal> {
        let place = |label: &char| term.labels.iter().position(|own| own == label);
        let order: Option<Vec<usize>> = wanted.iter().map(place).collect();
        let order = order.ok_or_else(|| Refusal::new("an axis of the result is in no operand"))?;
        self.permuted(&term.tensor, &order)
    }

    fn contracted(&mut self, call: &Call<'_>, a: Term, b: Term, wanted: Vec<char>) -> Result<Term, Refusal> {
        let with = |other: &Term| [wanted.as_slice(), other.labels.as_slice()].concat();
        let (of_a, of_b) = (with(&b), with(&a));
        let a = self.summed(call, a, &of_a)?;
        let b = self.summed(call, b, &of_b)?;
        let mut extents = [1_u32; 4];
        let [batch, m, n, k] = &mut extents;
        let times = |product: &mut u32, extent: u32| -> Result<(), Refusal> {
            *product = product.checked_mul(extent).ok_or_else(|| Refusal::new("too many elements"))?;
            Ok(())
        };
        for &label in &a.labels {
            let extent = a.extent(label).unwrap_or(1);
            match (b.extent(label), wanted.contains(&label)) {
                (Some(other), _) if other != extent => {
                    return Err(Refusal::new(format!("axis {label} has extents {extent} and {other}")));
                }
                (Some(_), true) => times(batch, extent)?,
                (Some(_), false) => times(k, extent)?,
                (None, _) => times(m, extent)?,
            }
        }
        for &label in b.labels.iter().filter(|label| !a.labels.contains(label)) {
            times(n, b.extent(label).unwrap_or(1))?;
        }
        let of_result = |label: &char| a.extent(*label).or_else(|| b.extent(*label));
        let shape: Option<Vec<u32>> = wanted.iter().map(of_result).collect();
        let shape = shape.ok_or_else(|| Refusal::new("an axis of the result is in no operand"))?;
        let [batch, m, n, k] = extents;
        let op = Op::Contraction(Contraction { shape: Shape::new(&shape)?, batch, m, n, k });
        let right = self.cast(call.node, &b.tensor, a.tensor.data_type())?;
        let tensor = self.emit(call.node, op, &[&a.tensor, &right])?;
        Ok(Term { tensor, labels: wanted })
    }
}
