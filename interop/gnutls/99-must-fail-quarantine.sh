# shellcheck shell=bash
# A device in quarantine keeps its birth certificate, which is good: the very thing that enrols must not now.
. "$SUITE_DIR/lib.sh"

born BR500099 held
tool_request first 'dn = "serialNumber=BR500099"'
tool_request second 'dn = "serialNumber=BR500099"'

# enrol_by OUT VERSION
enrol_by() {
    post "$1" "$2" ldev/simpleenroll "$1.csr" '' --x509certfile held.pem --x509keyfile held.key
    got "$1"
}

enrol_by first 1.3
vitae device move "$(<held.id)" quarantine --reason 'strange traffic' >move.txt

said_quarantine() {
    refused second 403 quarantine
}

must_fail 12 said_quarantine enrol_by second 1.2
must_fail 13 said_quarantine enrol_by second 1.3

