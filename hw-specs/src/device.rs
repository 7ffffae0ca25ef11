//! Every device as a constant. Written from `devices/`; do not edit.

mod alif_ensemble_e7;
mod arc_ev7x;
mod coral_edge_tpu;
mod dpu_b4096_zcu104;
mod efr32mg24;
mod esp32c3;
mod ethos_u55_128;
mod ethos_u55_256;
mod ethos_u65_512;
mod ethos_u85_1024;
mod fe310;
mod gap9;
mod hailo_10h;
mod hailo_8;
mod k210;
mod kpu_t128;
mod kpu_t256;
mod kpu_t64;
mod kpu_t768;
mod max78000;
mod neupro_m_npm11;
mod nrf52840;
mod nrf5340;
mod numicro_m467;
mod plasticine_isca17;
mod plasticine_v2;
mod qrb5165;
mod ra6m4;
mod ra8d1;
mod rp2040;
mod stm32f746;
mod stm32h743;
mod stm32h7a3;
mod stm32l4r5;
mod stm32u575;
mod tda4al;
mod tda4vh;
mod tda4vl;
mod tda4vm;
mod tensilica_vision_q8;
mod prelude;

use derate_core::mapper::Any;
use derate_core::mapping::Device;

use prelude::any;

pub use alif_ensemble_e7::ALIF_ENSEMBLE_E7;
pub use arc_ev7x::ARC_EV7X;
pub use coral_edge_tpu::CORAL_EDGE_TPU;
pub use dpu_b4096_zcu104::DPU_B4096_ZCU104;
pub use efr32mg24::EFR32MG24;
pub use esp32c3::ESP32C3;
pub use ethos_u55_128::ETHOS_U55_128;
pub use ethos_u55_256::ETHOS_U55_256;
pub use ethos_u65_512::ETHOS_U65_512;
pub use ethos_u85_1024::ETHOS_U85_1024;
pub use fe310::FE310;
pub use gap9::GAP9;
pub use hailo_10h::HAILO_10H;
pub use hailo_8::HAILO_8;
pub use k210::K210;
pub use kpu_t128::KPU_T128;
pub use kpu_t256::KPU_T256;
pub use kpu_t64::KPU_T64;
pub use kpu_t768::KPU_T768;
pub use max78000::MAX78000;
pub use neupro_m_npm11::NEUPRO_M_NPM11;
pub use nrf52840::NRF52840;
pub use nrf5340::NRF5340;
pub use numicro_m467::NUMICRO_M467;
pub use plasticine_isca17::PLASTICINE_ISCA17;
pub use plasticine_v2::PLASTICINE_V2;
pub use qrb5165::QRB5165;
pub use ra6m4::RA6M4;
pub use ra8d1::RA8D1;
pub use rp2040::RP2040;
pub use stm32f746::STM32F746;
pub use stm32h743::STM32H743;
pub use stm32h7a3::STM32H7A3;
pub use stm32l4r5::STM32L4R5;
pub use stm32u575::STM32U575;
pub use tda4al::TDA4AL;
pub use tda4vh::TDA4VH;
pub use tda4vl::TDA4VL;
pub use tda4vm::TDA4VM;
pub use tensilica_vision_q8::TENSILICA_VISION_Q8;

/// The device of this name, for programs that learn it when they run: all of them are linked then.
#[must_use]
pub fn find(name: &str) -> Option<Device<'static, Any>> {
    Some(match name {
        "alif-ensemble-e7" => any(&ALIF_ENSEMBLE_E7, Any::Roofline(ALIF_ENSEMBLE_E7.mapper)),
        "arc-ev7x" => any(&ARC_EV7X, Any::Roofline(ARC_EV7X.mapper)),
        "coral-edge-tpu" => any(&CORAL_EDGE_TPU, Any::Roofline(CORAL_EDGE_TPU.mapper)),
        "dpu-b4096-zcu104" => any(&DPU_B4096_ZCU104, Any::Roofline(DPU_B4096_ZCU104.mapper)),
        "efr32mg24" => any(&EFR32MG24, Any::Roofline(EFR32MG24.mapper)),
        "esp32c3" => any(&ESP32C3, Any::Roofline(ESP32C3.mapper)),
        "ethos-u55-128" => any(&ETHOS_U55_128, Any::Roofline(ETHOS_U55_128.mapper)),
        "ethos-u55-256" => any(&ETHOS_U55_256, Any::Roofline(ETHOS_U55_256.mapper)),
        "ethos-u65-512" => any(&ETHOS_U65_512, Any::Roofline(ETHOS_U65_512.mapper)),
        "ethos-u85-1024" => any(&ETHOS_U85_1024, Any::Roofline(ETHOS_U85_1024.mapper)),
        "fe310" => any(&FE310, Any::Roofline(FE310.mapper)),
        "gap9" => any(&GAP9, Any::Roofline(GAP9.mapper)),
        "hailo-10h" => any(&HAILO_10H, Any::Roofline(HAILO_10H.mapper)),
        "hailo-8" => any(&HAILO_8, Any::Roofline(HAILO_8.mapper)),
        "k210" => any(&K210, Any::Roofline(K210.mapper)),
        "kpu-t128" => any(&KPU_T128, Any::Roofline(KPU_T128.mapper)),
        "kpu-t256" => any(&KPU_T256, Any::Roofline(KPU_T256.mapper)),
        "kpu-t64" => any(&KPU_T64, Any::Roofline(KPU_T64.mapper)),
        "kpu-t768" => any(&KPU_T768, Any::Roofline(KPU_T768.mapper)),
        "max78000" => any(&MAX78000, Any::Roofline(MAX78000.mapper)),
        "neupro-m-npm11" => any(&NEUPRO_M_NPM11, Any::Roofline(NEUPRO_M_NPM11.mapper)),
        "nrf52840" => any(&NRF52840, Any::Roofline(NRF52840.mapper)),
        "nrf5340" => any(&NRF5340, Any::Roofline(NRF5340.mapper)),
        "numicro-m467" => any(&NUMICRO_M467, Any::Roofline(NUMICRO_M467.mapper)),
        "plasticine-isca17" => any(&PLASTICINE_ISCA17, Any::Roofline(PLASTICINE_ISCA17.mapper)),
        "plasticine-v2" => any(&PLASTICINE_V2, Any::Roofline(PLASTICINE_V2.mapper)),
        "qrb5165" => any(&QRB5165, Any::Roofline(QRB5165.mapper)),
        "ra6m4" => any(&RA6M4, Any::Roofline(RA6M4.mapper)),
        "ra8d1" => any(&RA8D1, Any::Roofline(RA8D1.mapper)),
        "rp2040" => any(&RP2040, Any::Roofline(RP2040.mapper)),
        "stm32f746" => any(&STM32F746, Any::Roofline(STM32F746.mapper)),
        "stm32h743" => any(&STM32H743, Any::Roofline(STM32H743.mapper)),
        "stm32h7a3" => any(&STM32H7A3, Any::Roofline(STM32H7A3.mapper)),
        "stm32l4r5" => any(&STM32L4R5, Any::Roofline(STM32L4R5.mapper)),
        "stm32u575" => any(&STM32U575, Any::Roofline(STM32U575.mapper)),
        "tda4al" => any(&TDA4AL, Any::Roofline(TDA4AL.mapper)),
        "tda4vh" => any(&TDA4VH, Any::Roofline(TDA4VH.mapper)),
        "tda4vl" => any(&TDA4VL, Any::Roofline(TDA4VL.mapper)),
        "tda4vm" => any(&TDA4VM, Any::Roofline(TDA4VM.mapper)),
        "tensilica-vision-q8" => any(&TENSILICA_VISION_Q8, Any::Roofline(TENSILICA_VISION_Q8.mapper)),
        _ => return None,
    })
}
