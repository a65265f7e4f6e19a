//! Classes of failures, found in the layers of the client's errors.

use std::error::Error as StdError;
use std::io;

use super::guard::NotDialled;
use crate::outcome::ErrorClass;
use crate::resolver::Failure;

/// Returns the class of a failed request.
pub(super) fn class_of(error: &reqwest::Error) -> ErrorClass {
    if error.is_builder() {
        return ErrorClass::RefusedUrl;
    }

    // The client wraps what happened in layers of its own. The outermost layer that is known tells
    // the class.
    let mut layer = error.source();
    while let Some(cause) = layer {
        if let Some(not_dialled) = cause.downcast_ref::<NotDialled>() {
            return class_of_not_dialled(*not_dialled);
        }
        if let Some(class) = cause.downcast_ref::<io::Error>().and_then(class_of_io) {
            return class;
        }
        layer = cause.source();
    }

    if error.is_connect() {
        ErrorClass::CannotConnect
    } else {
        ErrorClass::BrokenOff
    }
}

/// Returns the innermost cause of an error as text.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn StdError = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

fn class_of_not_dialled(not_dialled: NotDialled) -> ErrorClass {
    match not_dialled {
        NotDialled::Refused => ErrorClass::RefusedAddress,
        NotDialled::Unresolved(Failure::NotFound) => ErrorClass::NameNotFound,
        NotDialled::Unresolved(Failure::NoNameServer) => ErrorClass::NoNameServer,
    }
}

/// Returns the class of an I/O error; `None` if the error by itself does not tell.
fn class_of_io(error: &io::Error) -> Option<ErrorClass> {
    /// ENFILE and EMFILE, which have no `io::ErrorKind`.
    const OUT_OF_FILES: [i32; 2] = [23, 24];

    // The connector wraps I/O errors in another I/O error during the TLS handshake and nowhere
    // else.
    if error.get_ref().is_some_and(|inner| inner.is::<io::Error>()) {
        return Some(ErrorClass::Tls);
    }

    // This machine's shortage says nothing about the endpoint.
    let is_out_of_memory_or_ports = matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    );
    let is_out_of_files = error
        .raw_os_error()
        .is_some_and(|code| OUT_OF_FILES.contains(&code));
    (is_out_of_memory_or_ports || is_out_of_files).then_some(ErrorClass::NoSockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_for_lack_of_system_resources_is_the_operator_s() {
        // EMFILE, ENFILE, ENOMEM, EADDRNOTAVAIL of Linux.
        for code in [24, 23, 12, 99] {
            let class = class_of_io(&io::Error::from_raw_os_error(code));
            assert_eq!(class, Some(ErrorClass::NoSockets), "{code}");
        }

        // ECONNREFUSED, ECONNRESET, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT.
        for code in [111, 104, 101, 113, 110] {
            let class = class_of_io(&io::Error::from_raw_os_error(code));
            assert_eq!(class, None, "{code}");
        }
    }
}
