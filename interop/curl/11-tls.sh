# shellcheck shell=bash
# Everything that small clients need, over either version alone.
. "$SUITE_DIR/../lib.sh"

# life SERIAL NAME CURL-ARGUMENTS...
life() {
    local serial=$1 name=$2 only=("${@:3}")
    est_get "$name-cas" cacerts "${only[@]}"
    certificates "$name-cas"
    all_cas "$name-cas.pem"

    born "$serial" "$name-birth"
    key "$name.key"
    csr "$name.key" "$name.csr" -subj "/serialNumber=$serial"
    est_post "$name" ldev/simpleenroll "$name.csr" --cert "$name-birth.pem" --key "$name-birth.key" "${only[@]}"
    issued "$name" "$name.key"

    key "$name-next.key"
    csr_like "$name.pem" "$name-next.key" "$name-next.csr"
    est_post "$name-next" simplereenroll "$name-next.csr" --cert "$name.pem" --key "$name.key" "${only[@]}"
    issued "$name-next" "$name-next.key"
    successor "$name-next.pem" "$name.pem"

    key "$name-web.key"
    csr "$name-web.key" "$name-web.csr"
    token "$(<"$name-birth.id")" tls >"$name.token"
    est_post "$name-web" tls/simpleenroll "$name-web.csr" -u "$(<"$name-birth.id"):$(<"$name.token")" "${only[@]}"
    issued "$name-web" "$name-web.key"
    est_post "$name-web" tls/simpleenroll "$name-web.csr" -u "$(<"$name-birth.id"):$(<"$name.token")" "${only[@]}"
    refused "$name-web" 401 token
}

claim 49 life BR200701 old --tlsv1.2 --tls-max 1.2
claim 50 life BR200702 new --tlsv1.3
