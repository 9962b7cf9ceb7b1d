# shellcheck shell=bash
# From the factory to the hospital: the birth certificate is there to get others.
. "$SUITE_DIR/../lib.sh"

device BR200101 manufacturing >unit.id
key birth.key
csr birth.key birth.csr -subj '/serialNumber=BR200101'
key unit.key
csr unit.key unit.csr -subj '/serialNumber=BR200101'

born() {
    est_post birth idev/simpleenroll birth.csr -u "$(<unit.id):$(token "$(<unit.id)" idev)"
    issued birth birth.key
    openssl x509 -in birth.pem -noout -subject -nameopt RFC2253,esc_msb >birth.txt
    has birth.txt '^subject=CN=P3-BR200101,O=brannoc,serialNumber=BR200101$'
    text birth.verify openssl verify -CAfile "$CHAIN" -x509_strict birth.pem
    has birth.verify ': OK$'
}

deployed() {
    vitae device move "$(<unit.id)" deployment --reason shipped
    est_post early ldev/simpleenroll unit.csr --cert birth.pem --key birth.key
    refused early 403 'claimed'
    vitae device move "$(<unit.id)" deployment --reason received --owner SUH
    est_post unit ldev/simpleenroll unit.csr --cert birth.pem --key birth.key
    issued unit unit.key
}

not_renewed() {
    csr_like birth.pem birth.key renew.csr
    est_post renew idev/simplereenroll renew.csr --cert birth.pem --key birth.key
    refused renew 403 'idev'
}

one_purpose() {
    est_post same ldev/simpleenroll birth.csr --cert birth.pem --key birth.key
    refused same 409 'key'
}

not_anew() {
    key anew.key
    csr anew.key anew.csr
    est_post anew ldev/simpleenroll anew.csr --cert unit.pem --key unit.key
    refused anew 403 'simplereenroll'
}

claim 17 born
claim 18 deployed
claim 19 not_renewed
claim 20 one_purpose
claim 21 not_anew
