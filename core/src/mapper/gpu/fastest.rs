//! The plan of least time: arithmetic and the bytes of every level, as an estimate weighs them.

use super::Gpu;
use super::blocks::Plan;
use crate::error::Error;
use crate::mapper::levels::{Crossing, Levels, Pace, of};
use crate::mapping::Machine;
use crate::nest::{LoopNest, Traffic};
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, to_f32};

/// What takes plans, one after the other.
pub(super) trait Sink {
    /// One plan more, of a single run.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    fn see(&mut self, plan: Plan) -> Result<(), Error>;

    /// Whether no plan is wanted whose run takes so many cycles or more.
    fn is_beaten(&self, cycles: f32) -> bool {
        let _ = cycles;
        false
    }
}

/// Plans of which none is worse than another in cycles, bytes from shared memory and bytes from outside: what another kernel of
/// the same nest is weighed with.
#[derive(Clone, Debug, Default)]
pub(super) struct Front {
    pub(super) plans: heapless::Vec<Plan, 24>,
}

impl Sink for Front {
    fn see(&mut self, plan: Plan) -> Result<(), Error> {
        let bytes = |traffic: &Traffic| traffic.a.as_f32() + traffic.b.as_f32() + traffic.c.as_f32();
        let cost = |plan: &Plan| [plan.cycles, bytes(&plan.fragments), bytes(&plan.tiles) + plan.local.as_f32()];
        let no_worse = |one: &Plan, other: &Plan| cost(one).iter().zip(cost(other)).all(|(one, other)| *one <= other);
        if self.plans.iter().any(|known| no_worse(known, &plan)) {
            return Ok(());
        }
        let mut kept = heapless::Vec::new();
        for known in self.plans.iter().filter(|known| !no_worse(&plan, known)) {
            kept.push(*known).ok();
        }
        kept.push(plan).ok();
        self.plans = kept;
        Ok(())
    }
}

/// A plan of all runs of a nest, and what it moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) plan: Plan,
    pub(super) crossing: Crossing,
    /// Bytes that each level serves or takes.
    pub(super) traffic: [Bytes; MAX_LEVELS],
    /// Time in cycles with the launches beside the first, cycles of arithmetic, bytes at all levels.
    cost: (f32, f32, f32),
}

/// Of several plans of a nest the one of least time, then of fewest cycles, then of fewest bytes.
///
/// What fits a device fits a larger one too, and is no slower there: neither is the fastest.
pub(super) struct Fastest<'a> {
    pub(super) levels: Levels<'a>,
    machine: &'a Machine<'a>,
    pace: Pace,
    repeats: u64,
    /// Whether every operand passes the two innermost levels.
    all_from_outside: bool,
    /// Cycles until a kernel starts.
    launch: f32,
    pub(super) chosen: Option<Chosen>,
}

impl<'a> Fastest<'a> {
    /// Of no plan yet.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn of(nest: &'a LoopNest, gpu: &Gpu, machine: &'a Machine<'a>) -> Result<Self, Error> {
        let launch = gpu.launch.0 * machine.clock.get();
        let levels = Levels::of(nest, machine, 1)?;
        Ok(Self {
            all_from_outside: levels.all_pass(2),
            levels,
            machine,
            pace: Pace::of(machine),
            repeats: nest.repeats,
            launch,
            chosen: None,
        })
    }
}

impl Sink for Fastest<'_> {
    fn is_beaten(&self, cycles: f32) -> bool {
        let least = self.chosen.as_ref().map_or(f32::INFINITY, |chosen| chosen.cost.0);
        self.pace.computing(cycles * to_f32(self.repeats)) > least
    }

    fn see(&mut self, mut plan: Plan) -> Result<(), Error> {
        let launches = self.launch * to_f32(plan.kernels.saturating_sub(1));
        let least = self.chosen.as_ref().map_or(f32::INFINITY, |chosen| chosen.cost.0);
        let runs = to_f32(self.repeats);
        if self.pace.computing(plan.cycles * runs) + launches > least {
            return Ok(());
        }
        // Outside shared memory passes what the tiles ask for, or what the fragments do where that is less.
        let inside = plan.fragments.total()?.as_f32();
        let bytes = [inside, inside.min(plan.tiles.total()?.as_f32())];
        if self.all_from_outside
            && self.pace.is_longer(least - launches, plan.cycles * runs, bytes.map(|bytes| bytes * runs))
        {
            return Ok(());
        }
        plan.repeat(self.repeats)?;
        let crossing = self.levels.crossing(&[plan.fragments, plan.tiles])?;
        let mut traffic = self.levels.served(&crossing, 1.0)?;
        let outside = of(self.machine).len().saturating_sub(1).min(1);
        if let Some(bytes) = traffic.get_mut(outside) {
            *bytes = bytes.checked_add(plan.local)?;
        }
        let bytes = traffic.iter().fold(0.0, |sum, bytes| sum + bytes.as_f32());
        let cost = (self.pace.busy(plan.cycles, &traffic) + launches, plan.cycles, bytes);
        if self.chosen.as_ref().is_none_or(|chosen| cost < chosen.cost) {
            self.chosen = Some(Chosen { plan, crossing, traffic, cost });
        }
        Ok(())
    }
}
