# shellcheck shell=bash
# Holds, renewals, and a guard that was away. Broker and guard go on where the step before has left them.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"

enrol BR900004 held
enrol BR900005 renewing
enrol BR900006 absent
broker
guard

quarantined() {
    vitae device move "$(<held.id)" clinical-use --reason accepted
    in_step
    connect held
    vitae device move "$(<held.id)" quarantine --reason 'seen beaconing'
    until_has held.log 'Received DISCONNECT \(152\)'
    in_step
    until_has held.log 'alert certificate revoked'
}

released() {
    vitae device move "$(<held.id)" clinical-use --reason 'false alarm' --evidence 'report 17'
    in_step
    : >held.log
    until_has held.log 'Subscribed .*: 0$'
    hears held 'welcome back'
}

renewed() {
    connect renewing
    key next.key
    csr_like renewing.pem next.key next.csr
    est_post next simplereenroll next.csr --cert renewing.pem --key renewing.key
    issued next next.key
    # Its first use is the end of the old certificate.
    csr_like next.pem next.key third.csr
    est_post third simplereenroll third.csr --cert next.pem --key next.key
    vitae cert show "$(serial_of renewing.pem)" --json >old.json
    has old.json '"reason": "superseded"'
    in_step
    hears renewing 'nothing has happened'
    lacks renewing.log DISCONNECT
}

away() {
    connect absent
    end guard
    vitae revoke "$(serial_of absent.pem)" --reason key-compromise
    hears absent 'nobody has told the broker'
    guard
    until_has absent.log 'Received DISCONNECT \(152\)'
    in_step
    until_has absent.log 'alert certificate revoked'
    # And nobody else was bothered.
    lacks renewing.log DISCONNECT
}

claim 5 quarantined
claim 6 released
claim 7 renewed
claim 8 away
