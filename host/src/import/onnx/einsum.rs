//! Einsum: sums of products over named axes.
//!
//! Operands are taken pair by pair from the left. Of each pair, axes that neither the result nor a later operand names are summed:
//! within one operand first (a reduction), then over both (a contraction). What is left of a single operand is brought into the order
//! of the result (a transpose).

use derate_core::op::{Contraction, Op, Reduce, ReduceKind, Transpose};
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, axis_u8, unsupported, wrong};
use super::graph::{Importer, Outputs, shape};
use super::reduce::mask;
use super::value::Value;

/// A tensor, with a letter for each axis.
#[derive(Clone, Debug)]
struct Term {
    id: TensorId,
    letters: Vec<char>,
}

/// Letters of an ellipsis: outside the alphabet, outermost first.
fn hidden(count: usize) -> impl Iterator<Item = char> {
    ('\u{3b1}'..='\u{3c9}').take(count.min(8))
}

/// Letters of a term, with those of an ellipsis that stands for so many axes.
fn letters(term: &str, hidden_axes: usize, most: usize) -> Vec<char> {
    let all: Vec<char> = hidden(most).collect();
    let last = all.get(most.saturating_sub(hidden_axes)..).unwrap_or_default();
    match term.split_once("...") {
        Some((before, after)) => before.chars().chain(last.iter().copied()).chain(after.chars()).collect(),
        None => term.chars().collect(),
    }
}

impl Importer {
    /// A sum of products over named axes.
    pub(super) fn einsum(&mut self, call: &Call<'_>) -> Outputs {
        let equation: String = call.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match equation.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (equation.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != call.node.input.len() {
            return wrong(format!(
                "equation {equation:?} has {} terms for {} operands",
                terms.len(),
                call.node.input.len()
            ));
        }
        let mut ranks = Vec::new();
        for (position, term) in terms.iter().enumerate() {
            let named = term.replacen("...", "", 1).chars().count();
            let rank = self.dims(call, position)?.len();
            match rank.checked_sub(named) {
                Some(rest) if rest == 0 || term.contains("...") => ranks.push(rest),
                _ => return wrong(format!("term {term:?} of equation {equation:?} for an operand of {rank} axes")),
            }
        }
        let most = ranks.iter().copied().max().unwrap_or(0);
        if most > 8 {
            return wrong(format!("{most} axes behind an ellipsis; 8 are the most"));
        }
        let mut operands = Vec::new();
        for (position, (term, &rest)) in terms.iter().zip(&ranks).enumerate() {
            let letters = letters(term, rest, most);
            let mut sorted = letters.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != letters.len() {
                return unsupported(format!("equation {equation:?} takes a diagonal"));
            }
            operands.push(Term { id: self.tensor(call, position)?, letters });
        }
        let result = match right {
            Some(right) => letters(right, most, most),
            None => {
                // Hidden axes first, then in the order of the alphabet what stands once.
                let all: Vec<char> = operands.iter().flat_map(|term| term.letters.iter().copied()).collect();
                let mut once: Vec<char> = all
                    .iter()
                    .copied()
                    .filter(|c| c.is_ascii() && all.iter().filter(|d| *d == c).count() == 1)
                    .collect();
                once.sort_unstable();
                hidden(most).chain(once).collect()
            }
        };
        let mut operands = operands.into_iter();
        let Some(mut sum) = operands.next() else { return wrong("it has no operands") };
        let rest: Vec<Term> = operands.collect();
        for (position, term) in rest.iter().enumerate() {
            let later: Vec<char> =
                rest.iter().skip(position + 1).flat_map(|term| term.letters.iter().copied()).collect();
            let last = position + 1 == rest.len();
            let needed = |letter: char| result.contains(&letter) || later.contains(&letter);
            sum = self.pair(call, &equation, sum, term, &needed, last.then_some(result.as_slice()))?;
        }
        let sum = self.summed(call, sum, &|letter| result.contains(&letter))?;
        let order: Option<Vec<usize>> =
            result.iter().map(|letter| sum.letters.iter().position(|other| other == letter)).collect();
        let Some(order) = order.filter(|order| order.len() == sum.letters.len()) else {
            return wrong(format!("equation {equation:?} names an axis in its result only"));
        };
        if order.is_sorted() {
            return Ok(vec![Value::Tensor(sum.id)]);
        }
        let order: Vec<u8> = order.into_iter().map(axis_u8).collect::<Result<_, _>>()?;
        Ok(vec![Value::Tensor(self.emit(call, Op::Transpose(Transpose::new(&order)?), &[sum.id])?)])
    }

    /// A term without the axes that nothing needs.
    fn summed(&mut self, call: &Call<'_>, term: Term, needed: &dyn Fn(char) -> bool) -> Result<Term, Stop> {
        let gone: Vec<usize> =
            (0..term.letters.len()).filter(|&at| term.letters.get(at).is_some_and(|&letter| !needed(letter))).collect();
        if gone.is_empty() {
            return Ok(term);
        }
        let op = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: mask(&gone), keep_dims: false });
        let id = self.emit_part(call, "sum", op, &[term.id])?;
        Ok(Term { id, letters: term.letters.into_iter().filter(|&letter| needed(letter)).collect() })
    }

    fn pair(
        &mut self,
        call: &Call<'_>,
        equation: &str,
        a: Term,
        b: &Term,
        needed: &dyn Fn(char) -> bool,
        order: Option<&[char]>,
    ) -> Result<Term, Stop> {
        let in_b = b.letters.clone();
        let a = self.summed(call, a, &|letter| needed(letter) || in_b.contains(&letter))?;
        let in_a = a.letters.clone();
        let b = self.summed(call, b.clone(), &|letter| needed(letter) || in_a.contains(&letter))?;
        let (of_a, of_b) = (self.extents(a.id), self.extents(b.id));
        let extent = |term: &Term, dims: &[u32], letter: char| {
            term.letters.iter().position(|&other| other == letter).and_then(|at| dims.get(at).copied())
        };
        let mut kept: Vec<char> = Vec::new();
        let mut products = [1_u32; 4];
        let mut dims_of = Vec::new();
        let mut all = a.letters.clone();
        all.extend(b.letters.iter().filter(|letter| !a.letters.contains(letter)));
        for letter in all {
            let (in_a, in_b) = (extent(&a, &of_a, letter), extent(&b, &of_b, letter));
            let (place, extent) = match (in_a, in_b) {
                (Some(x), Some(y)) if x != y => {
                    return if x == 1 || y == 1 {
                        unsupported(format!("equation {equation:?} broadcasts axis {letter} of {of_a:?} and {of_b:?}"))
                    } else {
                        wrong(format!("axis {letter} of equation {equation:?} has extents {x} and {y}"))
                    };
                }
                (Some(x), Some(_)) => (if needed(letter) { 0 } else { 3 }, x),
                (Some(x), None) => (1, x),
                (None, Some(y)) => (2, y),
                (None, None) => continue,
            };
            if let Some(product) = products.get_mut(place) {
                *product = product
                    .checked_mul(extent)
                    .ok_or_else(|| Stop::Wrong("an extent is above 4294967295".to_owned()))?;
            }
            if place != 3 {
                kept.push(letter);
                dims_of.push((letter, extent));
            }
        }
        // The last product writes its result in the order that is asked for.
        if let Some(order) = order
            && order.len() == kept.len()
            && order.iter().all(|letter| kept.contains(letter))
        {
            kept = order.to_vec();
        }
        let dims: Vec<u32> = kept
            .iter()
            .filter_map(|letter| dims_of.iter().find(|(other, _)| other == letter).map(|(_, extent)| *extent))
            .collect();
        let [batch, m, n, k] = products;
        let op = Op::Contraction(Contraction { shape: shape(&dims)?, batch, m, n, k });
        Ok(Term { id: self.emit(call, op, &[a.id, b.id])?, letters: kept })
    }
}
