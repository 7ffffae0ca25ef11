//! Lower bound of the traffic of tilings of a convolution: [`super::bound`] with a halo.
//!
//! A convolution is a product of m = batch · positions, n = `c_out`, k = `c_in`, B times as large as it has taps. Tiles have all taps of
//! their windows, and each reads its own halo. Windows of two neighbouring tiles of an axis share
//! `reach` − `stride` input positions, less what lies in the padding; of an axis with `t` input positions in all, that is a share h of
//! them at the least, so that T tiles move t · (1 − h + h · T). Over d axes and M tiles of positions
//!
//! ```text
//! f(M) = Π (1 − h_i + h_i · T_i) ≥ (1 − h + h · (M / F)^(1/d))^d        h = min h_i,  f ≥ 1
//! ```
//! where F is how many tiles cost no halo: images, and positions along axes without one. (ln (1 − h + h · e^u) is convex in u, so
//! equal numbers of tiles are the least for a given product.) Of three axes with a halo, the one with the least is taken as one without.
//! A tile of positions has at least the mean of what all move, A · f / M. So
//!
//! ```text
//! A·f(M) / (M·K) + B / (N·K) + C / (M·N) ≤ S
//! traffic = compulsory + A·(f·N − 1) + B·(M − 1)                 C stays
//!         = compulsory + A·(f − 1)   + B·(M − 1) + 2·C·(K − 1)   A stays
//!         = compulsory + A·(f·N − 1)                             B stays, K = 1
//!         ≥ compulsory + A·(N − 1)               + 2·C·(K − 1)   B stays, K ≥ 2, tiles of one position
//! ```
//! For given N or K the least M has a closed form, linear or quadratic in M^(−1/d). In the logarithms of M, N and K room
//! and traffic are sums of exponentials: what moves is convex in ln N or ln K (a geometric program). So whole numbers up to eight are
//! walked through from a place near the best, beyond them a grid of steps of at most 17/16: of what lies between two of its points, A has
//! at least 16/17 of the passes at the upper one, and there are as many tiles of positions. The least over the grid is the bound, whatever
//! place the walk starts from.
//!
//! **Source**: derived here; halos of tiles as in [`super::conv`]; geometric programs as in Boyd, Vandenberghe, "Convex Optimization",
//! 2004, section 4.5.

use super::bound::{Case, Product, above, least, room, walked, with};
use crate::error::Error;
use crate::nest::{Axis, ConvLoops, ElementSizes, LoopNest, Loops, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};

/// Numbers of tiles up to which they are whole.
const WHOLE: f32 = 8.0;

/// Largest step of the grid beyond that.
const STEP: f32 = 17.0 / 16.0;

/// Bytes that must pass between a memory of this capacity and the level outside it, for a convolution.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(super) fn bound_conv(loops: &ConvLoops, sizes: &ElementSizes, capacity: Bytes) -> Result<Bytes, Error> {
    let nest = LoopNest::new(Loops::Conv(*loops), *sizes);
    let traffic = Traffic::compulsory(&nest)?;
    let compulsory = traffic.total()?;
    let positions = product([loops.batch, product(loops.output)?])?;
    let groups = to_f32(loops.groups);
    let [m, n, k] = [positions, loops.c_out, loops.c_in].map(to_f32);
    let (a, b) = (traffic.a.as_f32() / groups, traffic.b.as_f32() / groups);
    let c = to_f32(sizes.partial) * m * n;
    let halo = Halo::of(loops.batch, &loops.axes()?);
    let window = halo.map_or(1.0, |halo| halo.factor(m)) * a / k / m;
    let room = room(capacity).max(least(window, b / k / n, c / m / n));
    let product = Product { extents: [m, n, k], a, b, c, room };
    let beyond = match halo {
        Some(halo) => halo.beyond(&product),
        None => product.beyond(f32::INFINITY),
    };
    Ok(with(compulsory, beyond * groups))
}

/// What neighbouring tiles of positions share.
#[derive(Clone, Copy, Debug)]
struct Halo {
    /// Share of the input positions of an axis.
    share: f32,
    /// Whether there are two such axes.
    two: bool,
    /// Tiles without a halo.
    free: f32,
}

/// Which operand stays, and of which axis the number of tiles is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// C; along `c_out`.
    C,
    /// A; along `c_in`.
    A,
    /// B of all `c_in`; along `c_out`.
    B,
}

impl Halo {
    /// None where neighbouring tiles share nothing.
    fn of(batch: u64, axes: &[Axis; 3]) -> Option<Self> {
        let mut free = to_f32(batch);
        // The two largest shares, and the positions of their axes.
        let (mut most, mut next) = ((0.0, 1.0), (0.0, 1.0));
        for axis in axes {
            let mut other = (shared(axis), to_f32(axis.output));
            if other.0 > most.0 {
                core::mem::swap(&mut most, &mut other);
            }
            if other.0 > next.0 {
                core::mem::swap(&mut next, &mut other);
            }
            free *= other.1;
        }
        let two = next.0 > 0.0;
        (most.0 > 0.0).then_some(Self { share: if two { next.0 } else { most.0 }, two, free })
    }

    /// What moves beyond the compulsory; infinite where nothing fits.
    fn beyond(&self, product: &Product) -> f32 {
        let [m, n, k] = product.extents;
        let [held_a, held_b, held_c] = product.held();
        let window = held_a * self.factor(m) / m;
        // More than one tile of input channels, tiles of one position.
        let cut = Case { v: window, fewest: 2.0, ..product.b_stays() };
        let mut best = if k < 2.0 { f32::INFINITY } else { cut.least(cut.centre(), f32::INFINITY) };
        // What moves without a halo says which case is the better one, and near which number of tiles.
        let [c, a] = [(product.c_stays(), Stays::C, n), (product.a_stays(), Stays::A, k)].map(|(case, stays, most)| {
            let (place, bytes) = case.centre();
            (bytes, case.q(place), stays, most)
        });
        let left = 1.0 - window;
        let fewest = if left > 0.0 { ((held_b + held_c / m) / left).max(1.0) } else { f32::INFINITY };
        let b = (product.a * (fewest - 1.0), fewest, Stays::B, n);
        let (first, second) = if a.0 < c.0 { (a, c) } else { (c, a) };
        for (bytes, place, stays, most) in [first, second, b] {
            if bytes < best {
                best = self.least(product, stays, most, (place, bytes), best);
            }
        }
        best
    }

    /// Share of A that so many tiles of positions move.
    fn factor(&self, tiles: f32) -> f32 {
        let tiles = (tiles / self.free).max(1.0);
        let along = 1.0 - self.share + self.share * if self.two { libm::sqrtf(tiles) } else { tiles };
        if self.two { along * along } else { along }
    }

    /// Fewest tiles of positions, M, with a · f(M) / M + c / M + b ≤ 1.
    fn tiles(&self, a: f32, b: f32, c: f32) -> f32 {
        let left = 1.0 - b;
        if left <= 0.0 {
            return f32::INFINITY;
        }
        let tiles = (a + c) / left;
        if tiles <= self.free {
            return tiles.max(1.0);
        }
        // Of M / F: the halo is there however many.
        let (share, rest) = (self.share, 1.0 - self.share);
        if self.two {
            // With w = (M / F)^(−1/2): a · ((1 − h) · w + h)² + c · w² ≤ F · left.
            let (squared, linear, left) = (a * rest * rest + c, a * rest * share, self.free * left - a * share * share);
            if left <= 0.0 {
                return f32::INFINITY;
            }
            let root = (linear + libm::sqrtf(linear * linear + squared * left)) / left;
            self.free * root * root
        } else {
            let left = self.free * left - a * share;
            if left <= 0.0 { f32::INFINITY } else { self.free * (a * rest + c) / left }
        }
    }

    /// The least of a case, or `best` if that is less; near this place, and not below these bytes.
    fn least(&self, product: &Product, stays: Stays, most: f32, (place, bound): (f32, f32), best: f32) -> f32 {
        let ([_, n, k], [a, b, c]) = (product.extents, product.held());
        // Tiles of positions for this many along the other axis.
        let tiles = |q: f32| match stays {
            Stays::C => self.tiles(a / k, b / k / q, c / q),
            Stays::A => self.tiles(a / q, b / n / q, c / n),
            Stays::B => self.tiles(a, b / q, c / q),
        };
        let bytes = |q: f32, tiles: f32| match stays {
            Stays::C => product.a * (self.factor(tiles) * q - 1.0) + product.b * (tiles - 1.0),
            Stays::A => {
                product.a * (self.factor(tiles) - 1.0) + product.b * (tiles - 1.0) + 2.0 * product.c * (q - 1.0)
            }
            Stays::B => product.a * (self.factor(tiles) * q - 1.0),
        };
        let of = |q: f32| {
            let tiles = tiles(q);
            if tiles.is_finite() { (bytes(q, tiles), bytes(q, above(tiles))) } else { (f32::INFINITY, f32::INFINITY) }
        };
        let best = walked(of, [1.0, most.min(WHOLE)], place, best);
        if most <= WHOLE {
            return best;
        }
        let more = walked_grid(|q| bytes(q / STEP, tiles(q)), most, place).max(bound);
        if more < best { more } else { best }
    }
}

/// The least of a convex function over the grid of numbers with four bits after the first, from above [`WHOLE`] to `most`.
fn walked_grid(of: impl Fn(f32) -> f32, most: f32, place: f32) -> f32 {
    // Neighbours on the grid, 2^19 apart as bits; sixteen of them are an octave.
    const BIT: u32 = 1 << 19;
    let near = |at: f32, steps: u32, up: bool| {
        let (bits, by) = (at.to_bits() & !(BIT - 1), BIT.saturating_mul(steps));
        f32::from_bits(if up { bits.saturating_add(by) } else { bits.saturating_sub(by) })
    };
    let (first, last) = (near(WHOLE, 1, true), near(most, 1, true));
    let mut place = near(place.min(most), 1, true).max(first);
    let mut least = of(place);
    for steps in [16, 1] {
        for up in [true, false] {
            let mut at = near(place, steps, up);
            while at >= first && at <= last {
                let bytes = of(at);
                // Where nothing fits, more tiles may.
                if bytes >= least && (bytes.is_finite() || !up) {
                    break;
                }
                (place, least, at) = (at, bytes, near(at, steps, up));
            }
        }
    }
    least
}

/// Least share of an axis' input positions that two neighbouring tiles share.
fn shared(axis: &Axis) -> f32 {
    let Some(windows) = axis.output.checked_sub(1).filter(|&windows| windows > 0) else { return 0.0 };
    let Some(both) = axis.reach.checked_sub(axis.stride).filter(|&both| both > 0) else { return 0.0 };
    // Between the first two windows and between the last two, positions counted from the start of the padding; elsewhere less lies in
    // the padding.
    let within = |window: u64| {
        let start = window.saturating_mul(axis.stride);
        let end = start.saturating_add(both).min(axis.border());
        end.saturating_sub(start.max(axis.padding))
    };
    to_f32(within(1).min(within(windows))) / to_f32(axis.touched().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 x 3, step 1, a row of padding on each side.
    fn loops(c_in: u64, c_out: u64, extent: u64) -> ConvLoops {
        ConvLoops {
            batch: 1,
            groups: 1,
            c_in,
            c_out,
            input: [1, extent, extent],
            output: [1, extent, extent],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0, 1, 1],
        }
    }

    #[test]
    fn tiles_share_what_is_within_the_input() -> Result<(), Error> {
        // Windows 0 and 1 of a row have positions 0 and 1 in common, of 56.
        let [_, height, _] = loops(1, 1, 56).axes()?;
        assert!((shared(&height) - 2.0 / 56.0).abs() < 1e-7);
        // 7 taps in steps of 2, 3 of padding, 224 positions: windows 0 and 1 have −1..3 in common, 4 of them within; the last two,
        // of starts 217 and 219, have 219..223, 5. Of 224.
        let seven = Axis { input: 224, output: 112, stride: 2, reach: 7, padding: 3 };
        assert!((shared(&seven) - 4.0 / 224.0).abs() < 1e-7);
        assert!(shared(&Axis { reach: 1, padding: 0, ..seven }).abs() < 1e-9);
        Ok(())
    }

    #[test]
    fn fewest_tiles_meet_their_equation() {
        for two in [false, true] {
            let halo = Halo { share: 0.1, two, free: 3.0 };
            for (a, b, c) in [(5.0, 0.5, 20.0), (0.2, 0.1, 30.0), (1.0, 0.0, 0.5)] {
                let tiles = halo.tiles(a, b, c);
                let held = a * halo.factor(tiles) / tiles + b + c / tiles;
                assert!((held - 1.0).abs() < 1e-5, "{tiles} {held}");
            }
            // What the halo alone takes, no number of tiles makes less.
            assert!(halo.tiles(3000.0, 0.5, 1.0).is_infinite());
        }
    }

    #[test]
    fn a_halo_by_hand() -> Result<(), Error> {
        // 8 channels to 8 of 64 x 64, one byte each, sums of one byte: A and C 32768 bytes, B 576. In 4 KiB less 4096/18 tiles of C cannot do
        // with one: A in tiles of all channels beside 576 bytes of B. M = 20 tiles move f = (1 − 1/32 + √20/32)² = 1.228 times A.
        let bound = bound_conv(&loops(8, 8, 64), &ElementSizes::all(1), Bytes(4096))?;
        let moved = |tiles: f32| {
            let along = 1.0 - 1.0 / 32.0 + libm::sqrtf(tiles) / 32.0;
            32768.0 * along * along + 32768.0 + 576.0
        };
        // All channels of both take (A · f + C) / M + 576 ≤ 4096: 19.6 tiles or more.
        assert!(to_f32(bound.0) > moved(10.0) && to_f32(bound.0) < moved(21.0), "{bound:?}");
        Ok(())
    }
}
