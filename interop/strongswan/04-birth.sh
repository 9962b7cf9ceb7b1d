# shellcheck shell=bash
# With a certificate this version of pki can only renew, and it knows no labels: a birth certificate is no use to it.
. "$SUITE_DIR/lib.sh"

born BR300004 birth

asks_to_renew() {
    local version
    pki_key unit.key
    pki --req --in unit.key --type ecdsa --dn serialNumber=BR300004 >unit.csr
    for version in 1.2 1.3; do
        fails est unit "$version" unit.csr --cert birth.pem --key birth.key
        has unit.txt '^sending TLS client certificate '
        refused_by_est unit 403
    done
    none_issued "$(<birth.id)"
    vitae device history "$(<birth.id)" >history.txt
    has history.txt 'idev'
}

# What another client has enrolled goes on with pki.
goes_on() {
    est_post unit ldev/simpleenroll unit.csr --cert birth.pem --key birth.key
    issued unit unit.key
    pki_key next.key
    request_like unit.pem next.key next.csr
    est next 1.3 next.csr --cert unit.pem --key unit.key
    of_key next.pem next.key
    successor next.pem unit.pem
}

claim 11 asks_to_renew
claim 12 goes_on
