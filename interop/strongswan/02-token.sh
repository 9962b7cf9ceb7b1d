# shellcheck shell=bash
# Enrolment by token, with nothing but pki.
. "$SUITE_DIR/lib.sh"

# by_token SERIAL NAME VERSION
by_token() {
    local name=$2
    device "$1" >"$name.id"
    pki_key "$name.key"
    pki --req --in "$name.key" --type ecdsa --dn "serialNumber=$1" >"$name.csr"
    est "$name" "$3" "$name.csr" --userpass "$(<"$name.id"):$(token "$(<"$name.id")")"
    has "$name.txt" "^negotiated TLS $3 "
    has "$name.txt" '^Issued certificate is trusted'
    of_key "$name.pem" "$name.key"
    owned "$name.pem" "$(<"$name.id")"
}

verified() {
    local name
    for name in old new; do
        online "$name.pem" "$name"
        has "$name.verify" '^certificate trusted'
        # Its own status, and that of its CA.
        equal "$(grep -c '^certificate status is good$' "$name.verify.txt")" 2
        equal "$(pki --keyid --in "$name.key" --type ecdsa --id spk)" "$(pki --keyid --in "$name.pem" --type x509 --id spk)"
    done
}

wrong_token() {
    device BR300003 >wrong.id
    fails est wrong 1.3 new.csr --userpass "$(<wrong.id):vt_wrong"
    refused_by_est wrong 401
    none_issued "$(<wrong.id)"
}

claim 4 by_token BR300001 old 1.2
claim 5 by_token BR300002 new 1.3
claim 6 verified
claim 7 wrong_token
