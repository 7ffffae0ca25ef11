//! A number that counts the operations it takes part in: formulas written with it count their own FLOPs.

use std::cell::Cell;
use std::ops::{Add, Div, Mul, Neg, Sub};

thread_local! {
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Number of operations on [`Number`]s that a computation does.
pub fn counted<T>(computation: impl FnOnce() -> T) -> u64 {
    let before = OPERATIONS.get();
    computation();
    OPERATIONS.get() - before
}

/// A real number, each operation on which counts one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(pub f64);

fn one(value: f64) -> Number {
    OPERATIONS.set(OPERATIONS.get() + 1);
    Number(value)
}

impl Add for Number {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        one(self.0 + other.0)
    }
}

impl Sub for Number {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        one(self.0 - other.0)
    }
}

impl Mul for Number {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        one(self.0 * other.0)
    }
}

impl Div for Number {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        one(self.0 / other.0)
    }
}

impl Neg for Number {
    type Output = Self;
    fn neg(self) -> Self {
        one(-self.0)
    }
}

impl Number {
    /// The larger of two: one comparison.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        one(self.0.max(other.0))
    }

    /// The smaller of two: one comparison.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        one(self.0.min(other.0))
    }

    /// Whether it is negative: one comparison.
    #[must_use]
    pub fn is_negative(self) -> bool {
        one(self.0).0 < 0.0
    }

    /// An elementary function: one operation, whichever.
    #[must_use]
    pub fn apply(self, function: impl Fn(f64) -> f64) -> Self {
        one(function(self.0))
    }

    /// e to this power.
    #[must_use]
    pub fn exp(self) -> Self {
        self.apply(f64::exp)
    }

    /// Natural logarithm.
    #[must_use]
    pub fn ln(self) -> Self {
        self.apply(f64::ln)
    }

    /// Hyperbolic tangent.
    #[must_use]
    pub fn tanh(self) -> Self {
        self.apply(f64::tanh)
    }

    /// Square root.
    #[must_use]
    pub fn sqrt(self) -> Self {
        self.apply(f64::sqrt)
    }

    /// Absolute value.
    #[must_use]
    pub fn abs(self) -> Self {
        self.apply(f64::abs)
    }

    /// This to the power of another.
    #[must_use]
    pub fn powf(self, other: Self) -> Self {
        one(self.0.powf(other.0))
    }

    /// 1 / (1 + exp(−x)).
    #[must_use]
    pub fn sigmoid(self) -> Self {
        Self(1.0) / (Self(1.0) + (-self).exp())
    }
}
