# shellcheck shell=bash
# Signers of updates and services of the back office enrol as devices do.
. "$SUITE_DIR/../lib.sh"

# identity KIND ARGUMENTS...: its id.
identity() {
    vitae identity register --kind "$1" --owner 'Release desk' --purpose interoperation "${@:2}" "curl-$1"
}

# by_token OUT LABEL
by_token() {
    key "$1.key"
    csr "$1.key" "$1.csr"
    est_post "$1" "$2/simpleenroll" "$1.csr" -u "$(<"$1.id"):$(token "$(<"$1.id")" "$2")"
}

each_its_own() {
    identity signer --maker brannoc >signer.id
    by_token signer update
    issued signer signer.key
    equal "$(alt_names_of signer.pem)" 'URI:urn:vitae:signer:curl-signer'
    text signer.verify openssl verify -CAfile "$VITAE_DIR/ca/update-root.pem" -untrusted "$VITAE_DIR/ca/update.pem" \
        signer.pem
    has signer.verify ': OK$'

    identity service >service.id
    by_token service svc
    issued service service.key
    equal "$(alt_names_of service.pem)" 'URI:urn:vitae:service:curl-service'
    text service.verify openssl verify -CAfile "$CHAIN" -x509_strict -purpose sslclient service.pem
    has service.verify ': OK$'

    fails token "$(<signer.id)" svc
    fails token "$(<service.id)" update
}

claim 48 each_its_own
