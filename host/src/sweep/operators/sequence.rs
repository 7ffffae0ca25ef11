//! A low-discrepancy sequence: points that fill a cube evenly from the first on, the same on every machine. No unit.
//!
//! Sources: Halton, "On the efficiency of certain quasi-random sequences of points in evaluating multi-dimensional integrals",
//! Numerische Mathematik 2, 1960; digits scrambled by a factor as in Matoušek, "On the L2-discrepancy for anchored boxes", Journal
//! of Complexity 14(4), 1998.

/// Base of each coordinate, and the factor of its digits: without one, two large bases run side by side for some hundred points. The
/// factors are those of which the first 256 points fill the cells of each pair of axes most evenly, chosen one axis after the other.
const AXES: [(u32, u32); 8] = [(2, 1), (3, 1), (5, 2), (7, 1), (11, 2), (13, 6), (17, 16), (19, 8)];

/// Point `n` of the sequence, each coordinate from 0 to below 1.
///
/// ```text
/// n + 1 = Σ d_i · b^i          digits in base b
/// x     = Σ (f · d_i mod b) · b^(−i − 1)
/// ```
/// One division of whole numbers a coordinate, which rounds alike everywhere.
fn point(n: u32) -> [f64; AXES.len()] {
    AXES.map(|(base, factor)| {
        let (base, factor) = (u64::from(base), u64::from(factor));
        let (mut rest, mut digits, mut scale) = (u64::from(n) + 1, 0_u64, 1_u64);
        while rest > 0 {
            digits = digits * base + rest % base * factor % base;
            scale *= base;
            rest /= base;
        }
        // Below 2^53: 33 bits of n, and one digit more.
        digits as f64 / scale as f64
    })
}

/// Sizes drawn from one point of the sequence, a coordinate each.
#[derive(Debug)]
pub(super) struct Draw {
    point: [f64; AXES.len()],
    used: usize,
    n: u32,
}

/// How a size is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// To a multiple of 8, as networks are made for vector units.
    Eight,
    /// To a power of two.
    Power,
    /// To an odd number, which no vector or tile divides.
    Odd,
}

impl Draw {
    pub(super) fn new(n: u32) -> Self {
        Self { point: point(n), used: 0, n }
    }

    /// Number of the point.
    pub(super) const fn n(&self) -> u32 {
        self.n
    }

    /// Rounding of all sizes of the point: of four points two to multiples of 8, one to powers of two, one to odd numbers.
    pub(super) const fn rounding(&self) -> Rounding {
        match self.n % 4 {
            0 | 2 => Rounding::Eight,
            1 => Rounding::Power,
            _ => Rounding::Odd,
        }
    }

    /// The next coordinate.
    pub(super) fn unit(&mut self) -> f64 {
        let unit = self.point.get(self.used).copied().unwrap_or(0.5);
        self.used += 1;
        unit
    }

    /// A whole number from `low` to `high`, evenly on a log axis.
    pub(super) fn log(&mut self, low: u32, high: u32) -> u32 {
        let (low, high) = (f64::from(low.max(1)), f64::from(high.max(low).max(1)));
        (low * (high / low).powf(self.unit())).round() as u32
    }

    /// As [`Draw::log`], rounded as the point is; sizes below 8 stay as they are.
    pub(super) fn size(&mut self, low: u32, high: u32) -> u32 {
        let value = self.log(low, high);
        let rounded = match self.rounding() {
            _ if value < 8 => value,
            Rounding::Eight => (value + 4) / 8 * 8,
            Rounding::Power => 1 << f64::from(value).log2().round() as u32,
            Rounding::Odd => value | 1,
        };
        rounded.clamp(low, high)
    }

    /// An element of a list that is not empty.
    pub(super) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        let at = (self.unit() * list.len() as f64) as usize;
        list[at.min(list.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_points_by_hand() {
        // 1 is 0.1 in base 2 and 0.1 in base 3; its digit doubled is 0.2 in base 5.
        let [a, b, c, ..] = point(0);
        assert_eq!((a, b, c), (1.0 / 2.0, 1.0 / 3.0, 2.0 / 5.0));
        // 6 = 110 in base 2, mirrored 0.011; 20 in base 3, mirrored 0.02; 11 in base 5, doubled 0.22.
        let [a, b, c, ..] = point(5);
        assert_eq!((a, b, c), (3.0 / 8.0, 2.0 / 9.0, 12.0 / 25.0));
    }

    #[test]
    fn each_prefix_fills_each_axis_and_each_pair_of_axes_evenly() {
        for prefix in [64, 128, 256] {
            let points: Vec<_> = (0..prefix).map(point).collect();
            let quarter = |x: f64| (x * 4.0) as usize;
            for one in 0..AXES.len() {
                for other in (0..AXES.len()).filter(|&other| other != one) {
                    let mut cells = [[0_u32; 4]; 4];
                    for point in &points {
                        cells[quarter(point[one])][quarter(point[other])] += 1;
                    }
                    // Random points scatter by the root of a sixteenth; the worst cell of 28 pairs by three times that.
                    let limit = 2.0 * f64::from(prefix / 16).sqrt();
                    let even = cells.iter().flatten().all(|&count| f64::from(count.abs_diff(prefix / 16)) <= limit);
                    assert!(even, "axes {one} and {other}, {prefix} points: {cells:?}");
                    let rows = cells.map(|row| row.iter().sum::<u32>());
                    assert!(rows.iter().all(|&count| count.abs_diff(prefix / 4) <= 4), "axis {one}: {rows:?}");
                }
            }
        }
    }

    #[test]
    fn sizes_are_rounded_as_their_point() {
        for n in 0..400 {
            let mut draw = Draw::new(n);
            let size = draw.size(9, 2_000);
            assert!((9..=2_000).contains(&size), "{size}");
            match draw.rounding() {
                // The ends of the range are kept.
                Rounding::Eight => assert!(size.is_multiple_of(8) || size == 9),
                Rounding::Power => assert!(size.is_power_of_two() || size == 9 || size == 2_000),
                Rounding::Odd => assert!(size % 2 == 1 || size == 2_000),
            }
        }
    }
}
