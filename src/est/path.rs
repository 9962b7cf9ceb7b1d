//! The paths of EST: `/.well-known/est/[LABEL/]OPERATION` (RFC 7030 section 3.2.2), compared byte for byte.

use super::answer::WELL_KNOWN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) label: Option<&'a str>,
    pub(super) operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CaCerts,
    SimpleEnroll,
    SimpleReenroll,
    CsrAttrs,
    ServerKeyGen,
    /// An operation that RFC 7030 makes optional and this server does not have.
    NotOffered(&'static str),
}

/// `None`: no EST path at all. A label that is the name of an operation is none (E03).
pub(super) fn parse(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix(WELL_KNOWN)?;
    let (label, name) = match rest.split_once('/') {
        None => (None, rest),
        Some((label, name)) => (Some(label), name),
    };
    if label.is_some_and(|label| label.is_empty() || operation(label).is_some()) {
        return None;
    }
    Some(Route { label, operation: operation(name)? })
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "cacerts" => Operation::CaCerts,
        "simpleenroll" => Operation::SimpleEnroll,
        "simplereenroll" => Operation::SimpleReenroll,
        "csrattrs" => Operation::CsrAttrs,
        "serverkeygen" => Operation::ServerKeyGen,
        "fullcmc" => Operation::NotOffered("fullcmc"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Option<(Option<&str>, Operation)> {
        parse(path).map(|route| (route.label, route.operation))
    }

    /// E01, E02.
    #[test]
    fn operations_with_and_without_label() {
        assert_eq!(parsed("/.well-known/est/cacerts"), Some((None, Operation::CaCerts)));
        assert_eq!(
            parsed("/.well-known/est/ldev/simpleenroll"),
            Some((Some("ldev"), Operation::SimpleEnroll))
        );
        assert_eq!(
            parsed("/.well-known/est/tls/fullcmc"),
            Some((Some("tls"), Operation::NotOffered("fullcmc")))
        );
    }

    /// E03, E04: no operation as a label, one segment only, no folding, no tricks.
    #[test]
    fn what_is_no_est_path() {
        for path in [
            "/",
            "/.well-known/est",
            "/.well-known/est/",
            "/.well-known/est/CACERTS",
            "/.well-known/est/cacerts/",
            "/.well-known/est//cacerts",
            "/.well-known/est/cacerts/cacerts",
            "/.well-known/est/fullcmc/simpleenroll",
            "/.well-known/est/a/b/cacerts",
            "/.well-known/est/../est/cacerts/x",
            "/.well-known/EST/cacerts",
            "/well-known/est/cacerts",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
    }
}
