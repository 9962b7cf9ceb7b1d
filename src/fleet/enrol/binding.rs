//! Whether a request was made for the connection it came on (RFC 7030 section 3.5): if not, somebody may be passing on
//! what another device has signed.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Ask, Refusal};
use crate::config::ChannelBinding;
use crate::ids::HolderId;

/// RFC 2985 appendix A: pkcs-9-ub-challengePassword.
const LONGEST: usize = 255;

/// The values by which both ends know a connection, each as a challengePassword spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings(Vec<String>);

impl Bindings {
    /// Values that no other connection can have. None: nothing of this connection could be relied on.
    pub fn of_connection(values: Vec<String>) -> Self {
        Self(values)
    }
}

/// Why a request is not believed to belong to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// It does not say, and has to.
    Missing,
    TooLong,
    /// The connection has nothing that it could be held against.
    NoValue,
    /// It belongs to another connection, or to none.
    OtherConnection,
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the request must be linked to its connection: put the base64 of the connection's tls-exporter value \
                 (RFC 9266), or of its tls-unique value under TLS 1.2, into its challengePassword"
            }
            Self::TooLong => "the challengePassword is longer than 255 octets and links the request to no connection",
            Self::NoValue => {
                "the challengePassword cannot be verified, because this connection has no value that could be relied \
                 on (TLS 1.2 without extended master secret): use TLS 1.3"
            }
            Self::OtherConnection => {
                "the challengePassword does not link the request to this connection: it must be the base64 of this \
                 connection's tls-exporter value (RFC 9266), or of its tls-unique value under TLS 1.2"
            }
        })
    }
}

/// `is_registration_authority`: whoever asks passes on the requests of others, made for other connections (RFC 7030
/// section 3.7).
pub(super) fn check(
    policy: ChannelBinding,
    presented: Option<&str>,
    connection: &Bindings,
    is_registration_authority: bool,
) -> Result<(), Unbound> {
    if policy == ChannelBinding::Ignored || is_registration_authority {
        return Ok(());
    }
    // Whoever sends one claims to be linked, so a wrong one is refused even where none is needed (section 3.5).
    let Some(presented) = presented else {
        return if policy == ChannelBinding::Required { Err(Unbound::Missing) } else { Ok(()) };
    };
    if presented.len() > LONGEST {
        return Err(Unbound::TooLong);
    }
    let equal = |value: &String| verify_slices_are_equal(value.as_bytes(), presented.as_bytes()).is_ok();
    match connection.0.iter().any(equal) {
        true => Ok(()),
        false if connection.0.is_empty() => Err(Unbound::NoValue),
        false => Err(Unbound::OtherConnection),
    }
}

/// The same for a holder that has proven who it is.
pub(super) fn check_of(
    ask: &Ask<'_>,
    holder: &HolderId,
    is_registration_authority: bool,
) -> Result<(), Refusal> {
    let policy = ask.profile.channel_binding();
    check(policy, ask.challenge, ask.bindings, is_registration_authority).map_err(|reason| Refusal::Unbound {
        holder: holder.clone(),
        reason,
        may_leave_out: policy == ChannelBinding::Optional,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E26, E27, E30, E31.
    #[test]
    fn a_request_belongs_to_its_connection_or_makes_no_claim() {
        use ChannelBinding::{Ignored, Optional, Required};
        let known = Bindings::of_connection(vec!["AAAA".to_owned(), "BBBBBBBB".to_owned()]);
        let unknown = Bindings::default();
        let long = "A".repeat(256);
        let longest = "A".repeat(255);
        let other = Err(Unbound::OtherConnection);
        for (policy, presented, connection, expected) in [
            (Optional, None, &known, Ok(())),
            (Optional, None, &unknown, Ok(())),
            (Optional, Some("AAAA"), &known, Ok(())),
            (Optional, Some("BBBBBBBB"), &known, Ok(())),
            (Optional, Some("CCCC"), &known, other),
            (Optional, Some("AAAA\n"), &known, other),
            (Optional, Some("AAA"), &known, other),
            (Optional, Some(""), &known, other),
            (Optional, Some(""), &unknown, Err(Unbound::NoValue)),
            (Optional, Some("AAAA"), &unknown, Err(Unbound::NoValue)),
            (Optional, Some(longest.as_str()), &known, other),
            (Optional, Some(long.as_str()), &known, Err(Unbound::TooLong)),
            (Required, None, &known, Err(Unbound::Missing)),
            (Required, None, &unknown, Err(Unbound::Missing)),
            (Required, Some("AAAA"), &known, Ok(())),
            (Required, Some("CCCC"), &known, other),
            (Required, Some("AAAA"), &unknown, Err(Unbound::NoValue)),
            (Ignored, None, &known, Ok(())),
            (Ignored, Some("secret"), &known, Ok(())),
            (Ignored, Some(long.as_str()), &unknown, Ok(())),
        ] {
            let found = check(policy, presented, connection, false);
            assert_eq!(found, expected, "{policy:?} {presented:?} {connection:?}");
            let passed_on = check(policy, presented, connection, true);
            assert_eq!(passed_on, Ok(()), "{policy:?} {presented:?} {connection:?}");
        }
    }
}
