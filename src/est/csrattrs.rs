//! The operation csrattrs (RFC 7030 section 4.5): what a request should hold, told before it is made.

use super::answer::Answer;
use crate::authority::Authority;
use crate::config::Profile;

/// Everybody may ask (E40), and nothing is written.
pub(super) fn csrattrs(authority: &Authority, profile: &Profile) -> Result<Answer, Answer> {
    let wishes = authority.csr_attributes(profile).map_err(|error| Answer::trouble(&error.to_string()))?;
    Ok(Answer::CsrAttributes(wishes.to_der()))
}
