//! Stub
use super::*;
pub const FORMS: &str = "";
pub fn read(_: &str, _: &Options) -> Option<Result<Import, ImportError>> {
    None
}
