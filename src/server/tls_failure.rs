//! Why a handshake failed, in the few words that an operator counts by.

use std::io;

use tokio_rustls::rustls::Error;

use crate::telemetry::TlsFailure;

pub(super) fn reason(error: &io::Error) -> TlsFailure {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return TlsFailure::Closed;
    };
    match error {
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => TlsFailure::NotTls,
        Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => TlsFailure::ClientCertificate,
        Error::AlertReceived(_) => TlsFailure::RefusedByClient,
        _ => TlsFailure::Other,
    }
}
