# shellcheck shell=bash
# The renewal that has just worked, after the certificate was revoked.
. "$SUITE_DIR/lib.sh"

born BR300005 lost
pki_key unit.key
csr unit.key unit.csr
est_post unit ldev/simpleenroll unit.csr --cert lost.pem --key lost.key
issued unit unit.key
pki_key next.key
request_like unit.pem next.key next.csr

# renew OUT VERSION
renew() {
    est "$1" "$2" next.csr --cert unit.pem --key unit.key
    of_key "$1.pem" next.key
}

renew before 1.3
vitae revoke "$(serial_of unit.pem)" --reason key-compromise >revoke.txt

# The certificate that the renewal gave first is still good: were it given once more, it would be seen.
said_no() {
    refused_by_est "after-$version" 403
}

version=1.2
must_fail 13 said_no renew after-1.2 1.2
version=1.3
must_fail 14 said_no renew after-1.3 1.3

said_revoked() {
    has unit.verify.txt 'certificate was revoked on .* reason: key compromise'
}

# pki itself sees the revocation, too.
must_fail 15 said_revoked online unit.pem unit
