//! Prints the estimate of a network, made on the device itself, through semihosting; the exit code is the verdict.
//!
//! `estimate.out` beside this file is what it must print. QEMU proves the function, not the speed: it counts instructions.
#![no_std]
#![no_main]

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::{hio, hprintln};
use derate_firmware::report::{self, Failure};
use derate_hw_specs::device::STM32L4R5;

#[entry]
fn main() -> ! {
    match run() {
        Ok(()) => debug::exit(EXIT_SUCCESS),
        Err(failure) => {
            hprintln!("{failure}");
            debug::exit(EXIT_FAILURE);
        }
    }
    // Only where no debugger listens.
    halt()
}

fn run() -> Result<(), Failure> {
    let mut out = hio::hstdout().map_err(|()| Failure::Write)?;
    report::write(&mut out, &STM32L4R5)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("{info}");
    debug::exit(EXIT_FAILURE);
    halt()
}

// SAFETY: the handler does not return, and touches no memory but its frame.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    hprintln!("hard fault at {:#010x}", frame.pc());
    debug::exit(EXIT_FAILURE);
    halt()
}

fn halt() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
