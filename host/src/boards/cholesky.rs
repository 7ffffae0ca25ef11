//! Cholesky factor of a covariance.
//!
//! ```text
//! A = L Lᵀ      L lower triangular
//! ```
//! **Source**: G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, 2013, section 4.2.

/// The factor of a positive definite matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Cholesky {
    /// Row `i` has `i + 1` entries.
    rows: Vec<Vec<f64>>,
}

/// Inner product over the shorter one.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}

impl Cholesky {
    /// Factors a symmetric matrix, whose entry at row and column no greater than it `entry` gives; `None` where it is not positive definite.
    #[must_use]
    pub fn of(size: usize, entry: impl Fn(usize, usize) -> f64) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(size);
        for row in 0..size {
            let mut this: Vec<f64> = Vec::with_capacity(row + 1);
            for (column, above) in rows.iter().enumerate() {
                let left = entry(row, column) - dot(&this, above);
                this.push(left / above.last()?);
            }
            let square = entry(row, row) - dot(&this, &this);
            if !(square > 0.0 && square.is_finite()) {
                return None;
            }
            this.push(square.sqrt());
            rows.push(this);
        }
        Some(Self { rows })
    }

    /// `L⁻¹ b`.
    #[must_use]
    pub fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(b.len());
        for (row, b) in self.rows.iter().zip(b) {
            let left = b - dot(&x, row);
            x.push(left / row.last().copied().unwrap_or(1.0));
        }
        x
    }

    /// `A⁻¹ b`.
    #[must_use]
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.forward(b);
        for (at, row) in self.rows.iter().enumerate().rev() {
            let value = x[at] / row[at];
            x[at] = value;
            for (x, factor) in x[..at].iter_mut().zip(row) {
                *x -= value * factor;
            }
        }
        x
    }

    /// Diagonal of `A⁻¹`: squared lengths of the columns of `L⁻¹`.
    #[must_use]
    pub fn inverse_diagonal(&self) -> Vec<f64> {
        let length = |column: usize| {
            // Column of L⁻¹: zero above the diagonal.
            let mut x: Vec<f64> = Vec::with_capacity(self.rows.len() - column);
            for (at, row) in self.rows.iter().enumerate().skip(column) {
                let right = if at == column { 1.0 } else { 0.0 };
                let left = right - dot(&x, &row[column..]);
                x.push(left / row[at]);
            }
            dot(&x, &x)
        };
        (0..self.rows.len()).map(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_by_three_by_hand() {
        // L = [2; 6 1; -8 5 3], A = L Lᵀ = [4 12 -16; 12 37 -43; -16 -43 98].
        let a = [[4.0, 12.0, -16.0], [12.0, 37.0, -43.0], [-16.0, -43.0, 98.0]];
        let factor = Cholesky::of(3, |row, column| a[row][column]).expect("positive definite");
        assert_eq!(factor.rows, [vec![2.0], vec![6.0, 1.0], vec![-8.0, 5.0, 3.0]]);
        // A · (1, 2, 3) = (4 + 24 - 48, 12 + 74 - 129, -16 - 86 + 294).
        let x = factor.solve(&[-20.0, -43.0, 192.0]);
        assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(x, y): (&f64, f64)| (x - y).abs() < 1e-9), "{x:?}");
        // The determinant is (2 · 1 · 3)² = 36; minors 37 · 98 - 43² = 1777, 4 · 98 - 16² = 136, 4 · 37 - 12² = 4.
        let diagonal = factor.inverse_diagonal();
        let known = [1777.0 / 36.0, 136.0 / 36.0, 4.0 / 36.0];
        assert!(diagonal.iter().zip(known).all(|(x, y)| (x - y).abs() < 1e-9), "{diagonal:?}");
        assert_eq!(Cholesky::of(2, |row, column| if row == column { 1.0 } else { 2.0 }), None);
    }
}
