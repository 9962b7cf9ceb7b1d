# shellcheck shell=bash
# A certificate of every profile that can be enrolled, so that there is something to judge when this suite runs alone.
. "$SUITE_DIR/lib.sh"

# by_token OUT ID PROFILE KEY-COMMAND...
by_token() {
    "${@:4}" -out "$1.key"
    csr "$1.key" "$1.csr"
    est_post "$1" "$3/simpleenroll" "$1.csr" -u "$2:$(token "$2" "$3")"
    issued "$1" "$1.key"
}

# identity KIND ARGUMENTS...: its id.
identity() {
    vitae identity register --kind "$1" --owner 'Release desk' --purpose linting "${@:2}" "lint-$1"
}

p256=(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)
p384=(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384)
rsa=(openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048)

every_profile() {
    born BR700001 birth
    device BR700002 >second.id
    device BR700003 >third.id
    by_token working "$(<birth.id)" ldev "${p256[@]}"
    by_token second "$(<second.id)" ldev "${p384[@]}"
    by_token third "$(<third.id)" ldev "${rsa[@]}"
    by_token web "$(<birth.id)" tls "${p256[@]}"
    key next.key
    csr_like working.pem next.key next.csr
    est_post next simplereenroll next.csr --cert working.pem --key working.key
    issued next next.key

    # Suite openssl revokes this CA; what was issued under it before is judged all the same.
    if vitae cert list --status good --json | grep -q "\"$(serial_of "$VITAE_DIR/ca/update.pem")\""; then
        by_token signer "$(identity signer --maker brannoc)" update "${p256[@]}"
    fi
    by_token service "$(identity service)" svc "${p256[@]}"

    vitae revoke "$(serial_of third.pem)" --reason superseded
    vitae device move "$(<birth.id)" quarantine --reason 'strange traffic'
    key remedy.key
    csr remedy.key remedy.csr
    est_post remedy remed/simpleenroll remedy.csr --cert birth.pem --key birth.key
    issued remedy remedy.key
}

# By the record, so that nothing is left out: the authority's own certificates are in it as well.
collect() {
    local serial
    vitae cert list --json >list.json
    mkdir certificates
    for serial in $(sed -n 's/^ *"serial": "\(.*\)",$/\1/p' list.json); do
        vitae cert show "$serial" --pem >"certificates/$serial.pem"
    done
}

claim 1 every_profile
collect
