//! Order in which a round visits the members of a block: indices, no unit.
//!
//! Source: Williams, "Experimental Designs Balanced for the Estimation of Residual Effects of
//! Treatments", Australian Journal of Scientific Research A 2(2), 1949.
//!
//! A configuration leaves its data in the caches and its heat in the package, so who comes after
//! whom matters. Rotating a list keeps neighbours together for ever; this design makes each follow
//! each other one equally often, with no randomness to record.

/// Visiting order of `n` members in round `round` (from 0).
///
/// Rows of a Williams square, forwards in even periods and mirrored in odd ones:
///
/// ```text
/// first row 0, n−1, 1, n−2, 2, …; row r adds r modulo n
/// ```
/// Over rounds 0 to 2n − 1 each ordered pair of different members is adjacent exactly twice, and
/// each member stands at each position exactly twice.
#[must_use]
pub fn visiting_order(n: usize, round: usize) -> Vec<usize> {
    let row = (0..n).map(|place| {
        let start = if place % 2 == 0 { place / 2 } else { n - 1 - place / 2 };
        (start + round % n) % n
    });
    let mut order: Vec<usize> = row.collect();
    if n > 0 && round / n % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn first_rounds_by_hand() {
        assert_eq!(visiting_order(4, 0), [0, 3, 1, 2]);
        assert_eq!(visiting_order(4, 1), [1, 0, 2, 3]);
        assert_eq!(visiting_order(4, 4), [2, 1, 3, 0]);
        assert_eq!(visiting_order(1, 7), [0]);
        assert!(visiting_order(0, 3).is_empty());
    }

    #[test]
    fn neighbours_and_positions_are_balanced() {
        for n in 2..=12 {
            let mut neighbours = BTreeMap::new();
            let mut positions = BTreeMap::new();
            for round in 0..2 * n {
                let order = visiting_order(n, round);
                for (place, member) in order.iter().enumerate() {
                    *positions.entry((place, *member)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *neighbours.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(neighbours.len(), n * (n - 1), "n = {n}");
            assert!(neighbours.values().all(|&count| count == 2), "n = {n}");
            assert_eq!(positions.len(), n * n, "n = {n}");
            assert!(positions.values().all(|&count| count == 2), "n = {n}");
        }
    }
}
