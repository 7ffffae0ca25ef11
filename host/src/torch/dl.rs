//! Shared libraries that are there on some machines only: opened when they are asked for, never linked.
//!
//! Source: dlopen(3), dlsym(3).

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

/// A library that stays open as long as the process lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Library(NonNull<c_void>);

// SAFETY: a handle of dlopen(3) may be used from every thread, and this one is never closed.
unsafe impl Send for Library {}
// SAFETY: as above; dlsym(3) is thread-safe.
unsafe impl Sync for Library {}

/// Why a library or a function of it is not there, in the loader's own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(String);

fn last_error(what: &str) -> LoadError {
    // SAFETY: dlerror(3) gives a string that lives until the next call of this thread, or null.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return LoadError(format!("{what}: not found"));
    }
    // SAFETY: not null, and ended by a zero byte, as dlerror(3) says; copied before any other call.
    LoadError(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

impl Library {
    /// The first of these names or paths that can be opened; its symbols serve libraries opened later.
    ///
    /// # Errors
    /// What the loader says of the last.
    pub(super) fn open(names: &[&str]) -> Result<Self, LoadError> {
        let mut error = LoadError("no name of a library".to_owned());
        for name in names {
            let Ok(file) = CString::new(*name) else { continue };
            // SAFETY: `file` is a string ended by zero that outlives the call. The library's constructors run: it is one of the
            // user's own installation, which the loader's search path or LIBTORCH names.
            let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
            match NonNull::new(handle) {
                Some(handle) => return Ok(Self(handle)),
                None => error = last_error(name),
            }
        }
        Err(error)
    }

    /// Address of a function of the library.
    ///
    /// # Errors
    /// The loader's words where there is none of this name.
    pub(super) fn address(self, name: &CStr) -> Result<NonNull<c_void>, LoadError> {
        // SAFETY: the handle is of dlopen(3) and open; `name` is ended by zero.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        NonNull::new(address).ok_or_else(|| last_error(&name.to_string_lossy()))
    }
}

/// Address of a function of any library of this process.
///
/// # Errors
/// The loader's words where there is none of this name.
pub(super) fn anywhere(name: &CStr) -> Result<NonNull<c_void>, LoadError> {
    // SAFETY: the pseudo-handle of all libraries; `name` is ended by zero.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    NonNull::new(address).ok_or_else(|| last_error(&name.to_string_lossy()))
}

/// A function of a library by its name, as a pointer of the type `$function`; an early return of the error where it is missing.
///
/// The caller says in a SAFETY comment why the type is the function's.
macro_rules! function {
    ($library:expr, $name:literal as $function:ty) => {
        std::mem::transmute::<*mut std::ffi::c_void, $function>($library.address($name)?.as_ptr())
    };
}
pub(super) use function;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_found_and_others_are_not() {
        let library = Library::open(&["libnowhere.so.0", "libc.so.6"]).expect("the C library");
        assert!(library.address(c"strlen").is_ok());
        let missing = library.address(c"no_such_function").expect_err("no such function").to_string();
        assert!(missing.contains("no_such_function"), "{missing}");
        let missing = Library::open(&["libnowhere.so.0"]).expect_err("no such library").to_string();
        assert!(missing.contains("libnowhere.so.0"), "{missing}");
        assert!(anywhere(c"strlen").is_ok() && anywhere(c"no_such_function").is_err());
    }
}
