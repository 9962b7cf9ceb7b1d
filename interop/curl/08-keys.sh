# shellcheck shell=bash
# A key belongs to one device, and to nobody when it is known to others.
. "$SUITE_DIR/../lib.sh"

enrol BR200501 first
enrol BR200502 second

of_another() {
    device BR200503 >third.id
    csr first.key copied.csr
    est_post third simpleenroll copied.csr -u "$(<third.id):$(token "$(<third.id)")"
    refused third 409 'key'
    csr_like second.pem first.key copied.csr
    est_post second-renewed simplereenroll copied.csr --cert second.pem --key second.key
    refused second-renewed 409 'key'
}

compromised() {
    vitae revoke "$(serial_of second.pem)" --reason key-compromise
    csr second.key again.csr
    est_post again simpleenroll again.csr -u "$(<second.id):$(token "$(<second.id)")"
    has again.status '^(403|409)$'
    refused again "$(<again.status)" 'key'
}

claim 40 of_another
claim 41 compromised
