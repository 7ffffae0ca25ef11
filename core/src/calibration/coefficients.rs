//! The coefficients: names, units, meanings, and the values that switch their terms off.

/// What a coefficient is and where it may lie at all; a device narrows it down (see [`super::priors()`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficient {
    /// Name in profiles and reports.
    pub name: &'static str,
    /// Unit; `1` for a factor or a count.
    pub unit: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Value before anything is known of a device: of calls, the one that switches its term off.
    pub value: f32,
    /// Standard deviation of the prior about that value, of the natural logarithm; 0 where [`super::priors()`] has one of its own.
    pub sd: f32,
    /// Lowest value that makes sense on any device.
    pub low: f32,
    /// Highest value that makes sense on any device.
    pub high: f32,
}

/// A struct of coefficients, and a table of what they are; `$constant` holds their values before anything is known.
macro_rules! coefficients {
    ($constant:ident $about:literal $($name:ident: $unit:literal, $value:literal $(sd $sd:literal)? in [$low:literal, $high:literal], $meaning:literal;)*) => {
        /// Values of all coefficients, in SI units.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
        pub struct Coefficients {
            $(#[doc = concat!($meaning, " In ", $unit, ".")] pub $name: f32,)*
        }

        /// Every coefficient, in the order of [`Coefficients::values`].
        pub const COEFFICIENTS: [Coefficient; { [$($value),*].len() }] = [$(Coefficient {
            name: stringify!($name), unit: $unit, meaning: $meaning,
            value: $value, sd: 0.0 $(+ $sd)?, low: $low, high: $high,
        }),*];

        impl Coefficients {
            #[doc = $about]
            pub const $constant: Self = Self { $($name: $value),* };

            #[allow(dead_code, reason = "only tables that are filled in steps start from it")]
            pub(super) const ZERO: Self = Self { $($name: 0.0 * $value),* };

            /// Values in the order of [`COEFFICIENTS`].
            #[must_use]
            pub const fn values(&self) -> [f32; COEFFICIENTS.len()] {
                [$(self.$name),*]
            }

            /// Coefficients of these values, in the order of [`COEFFICIENTS`].
            ///
            /// # Errors
            /// [`CoefficientOutOfRange`](crate::error::Error::CoefficientOutOfRange) for the first that lies outside its range.
            pub fn from_values(values: [f32; COEFFICIENTS.len()]) -> Result<Self, $crate::error::Error> {
                for ((index, value), coefficient) in (0_u8..).zip(values).zip(COEFFICIENTS) {
                    if !(coefficient.low..=coefficient.high).contains(&value) {
                        return Err($crate::error::Error::CoefficientOutOfRange { index });
                    }
                }
                let [$($name),*] = values;
                Ok(Self { $($name),* })
            }
        }
    };
}

pub(super) use coefficients;

coefficients! {
    NEUTRAL "All terms switched off: everything takes no time."
    conv_throughput: "FLOP/s", 1e18 in [1e3, 1e18],
        "Arithmetic of convolutions that a library runs blocked.";
    linear_throughput: "FLOP/s", 1e18 in [1e3, 1e18],
        "Arithmetic of linear layers and products of two activations.";
    direct_throughput: "FLOP/s", 1e18 in [1e3, 1e18],
        "Arithmetic of small convolutions that run as a plain matrix product.";
    depthwise_throughput: "FLOP/s", 1e18 in [1e3, 1e18],
        "Arithmetic of depthwise convolutions.";
    cache_bandwidth: "B/s", 1e18 in [1e3, 1e18],
        "Bandwidth at which bytes pass that the caches hold.";
    memory_bandwidth: "B/s", 1e18 in [1e3, 1e18],
        "Bandwidth of the backing store, for the share of the bytes that the caches do not hold.";
    cache_capacity: "B", 1e6 in [1.0, 1e12],
        "Reuse distance at which half of the bytes come from the backing store.";
    dispatch: "s", 0.0 in [0.0, 1.0],
        "Time of the runtime for an elementwise op, a pooling or a copy, before its work.";
    view_dispatch: "s", 0.0 in [0.0, 1.0],
        "Time of the runtime for an op that only makes a view.";
    reduction_dispatch: "s", 0.0 in [0.0, 1.0],
        "Time of the runtime for a reduction, a softmax or a layer norm, before its work.";
    norm_dispatch: "s", 0.0 in [0.0, 1.0],
        "Time of the runtime for a batch normalisation, before its work.";
    library_dispatch: "s", 0.0 in [0.0, 1.0],
        "Time of the runtime and the library for a convolution or a matrix product, before its work.";
    fork: "s", 0.0 in [0.0, 1.0],
        "Time to start and join the threads of an op above the parallel grain.";
    kernel_floor: "s", 0.0 in [0.0, 1.0],
        "Shortest time of a kernel on a device that works beside its host.";
    reorder_passes: "1", 0.0 in [0.0, 100.0],
        "Passes over operands and result that reorder a blocked convolution's data, not overlapped with its arithmetic.";
    thread_bandwidth: "B/s", 1e18 in [1e3, 1e18],
        "Bandwidth of one thread alone.";
    fault_bandwidth: "B/s", 1e18 in [1e3, 1e18],
        "Rate at which fresh pages come from the system.";
    transcendental_rate: "1/s", 1e18 in [1e3, 1e18],
        "Exponentials and their like.";
    pooling_rate: "1/s", 1e18 in [1e3, 1e18],
        "Taps of pooling windows.";
    indexed_rate: "1/s", 1e18 in [1e3, 1e18],
        "Elements that are addressed one by one: of reductions, of broadcast operands, of weights that are permuted.";
    conv_m: "1", 0.0 in [0.0, 1e6],
        "Rows of a convolution as a matrix product at which half of the throughput is reached.";
    conv_n: "1", 0.0 in [0.0, 1e6],
        "Columns of it, likewise.";
    conv_k: "1", 0.0 in [0.0, 1e6],
        "Length of its sums, likewise.";
    linear_m: "1", 0.0 in [0.0, 1e6],
        "Rows of a matrix product at which half of the throughput is reached.";
    linear_n: "1", 0.0 in [0.0, 1e6],
        "Columns of it, likewise.";
    linear_k: "1", 0.0 in [0.0, 1e6],
        "Length of its sums, likewise.";
    cold_factor: "1", 1.0 in [1.0, 1e3],
        "Overhead of an op whose code and data were not used lately, over that of one repeated at once.";
    network_coldness: "1", 0.0 in [0.0, 1.0],
        "How much of that an op within a network pays.";
    run_overhead: "s", 0.0 in [0.0, 1.0],
        "Time to start a whole run and to wait for its end.";
    idle_clock: "s", 0.0 in [0.0, 1.0],
        "Time that a run loses to a clock that was low while the device idled.";
    wake: "s", 1e-6 in [1e-9, 1.0],
        "Length of a run at which half of that is made up for.";
}
