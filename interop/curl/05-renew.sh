# shellcheck shell=bash
# A certificate asks for its successor.
. "$SUITE_DIR/../lib.sh"

enrol BR200201 unit

# renewed OUT KEY: a good successor with the same names.
renewed() {
    issued "$1" "$2"
    differ "$(serial_of "$1.pem")" "$(serial_of unit.pem)"
    equal "$(subject_of "$1.pem")" "$(subject_of unit.pem)"
    equal "$(alt_names_of "$1.pem")" "$(alt_names_of unit.pem)"
    text "$1.verify" openssl verify -CAfile "$CHAIN" -x509_strict -purpose sslclient "$1.pem"
    has "$1.verify" ': OK$'
}

same_key() {
    csr_like unit.pem unit.key same.csr
    est_post same simplereenroll same.csr --cert unit.pem --key unit.key
    renewed same unit.key
}

new_key() {
    key new.key
    csr_like unit.pem new.key new.csr
    est_post new ldev/simplereenroll new.csr --cert same.pem --key unit.key
    renewed new new.key
}

# The answer was lost on the way, so the device asks again with the certificate it has.
repeated() {
    est_post repeat ldev/simplereenroll new.csr --cert same.pem --key unit.key
    issued repeat new.key
    equal "$(serial_of repeat.pem)" "$(serial_of new.pem)"
}

no_certificate() {
    csr_like new.pem new.key bare.csr
    est_post bare simplereenroll bare.csr
    refused bare 401 'certificate'
    est_post bare simplereenroll bare.csr -u "$(<unit.id):$(token "$(<unit.id)")"
    refused bare 401 'certificate'
}

other_label() {
    csr_like new.pem new.key other.csr
    est_post other tls/simplereenroll other.csr --cert new.pem --key new.key
    refused other 403 'ldev'
}

# It has no client usage, yet it is what the device has to show here.
device_server() {
    key web.key
    csr web.key web.csr
    est_post web tls/simpleenroll web.csr -u "$(<unit.id):$(token "$(<unit.id)" tls)"
    issued web web.key
    key web-next.key
    csr_like web.pem web-next.key web-next.csr
    est_post web-next tls/simplereenroll web-next.csr --cert web.pem --key web.key
    issued web-next web-next.key
}

claim 22 same_key
claim 23 new_key
claim 24 repeated
claim 25 no_certificate
claim 26 other_label
claim 27 device_server
