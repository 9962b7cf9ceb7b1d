# shellcheck shell=bash
# Nothing is given to strangers, and a token is nothing without its device.
. "$SUITE_DIR/../lib.sh"

device BR200001 >mine.id
device BR200002 >other.id
key mine.key
csr mine.key mine.csr

nobody() {
    est_post nobody simpleenroll mine.csr
    refused nobody 401 .
    header nobody WWW-Authenticate | has /dev/stdin '^Basic( |$)'
}

wrong_token() {
    est_post wrong simpleenroll mine.csr -u "$(<mine.id):vt_wrong"
    refused wrong 401 token
    est_post empty simpleenroll mine.csr -u "$(<mine.id):"
    refused empty 401 .
    token "$(<mine.id)" >mine.token
    est_post other simpleenroll mine.csr -u "$(<other.id):$(<mine.token)"
    refused other 401 token
    # The attempt must not have cost the owner the token.
    est_post mine simpleenroll mine.csr -u "$(<mine.id):$(<mine.token)"
    issued mine mine.key
}

in_header() {
    enrol BR200003 victim
    key thief.key
    csr_like victim.pem thief.key thief.csr
    local pem der name
    pem=$(sed ':a; N; s/\n/%0A/; ta' victim.pem)
    der=$(openssl x509 -in victim.pem -outform DER | base64 -w 0)
    for name in X-SSL-Client-Cert SSL-Client-Cert X-Client-Cert X-Forwarded-Tls-Client-Cert; do
        est_post thief simplereenroll thief.csr -H "$name: $pem" -H 'X-SSL-Client-Verify: SUCCESS'
        refused thief 401 .
    done
    est_post thief simplereenroll thief.csr -H "Client-Cert: :$der:"
    refused thief 401 .
}

claim 6 nobody
claim 7 wrong_token
claim 8 in_header
