# shellcheck shell=bash
# What a device may have depends on where it is in its life.
. "$SUITE_DIR/../lib.sh"

# try OUT DEVICE: a first request with a new key and a good token.
try() {
    key "$1.key"
    csr "$1.key" "$1.csr"
    est_post "$1" simpleenroll "$1.csr" -u "$(<"$2"):$(token "$(<"$2")")"
}

# renew OUT: with unit's certificate, for a new key.
renew() {
    key "$1.key"
    csr_like unit.pem "$1.key" "$1.csr"
    est_post "$1" simplereenroll "$1.csr" --cert unit.pem --key unit.key
}

# revocation OUT CERTIFICATE: what OCSP says.
revocation() {
    text "$1" openssl ocsp -url "$(ocsp_url "$2")" -issuer "$VITAE_DIR/ca/operational.pem" -CAfile "$CHAIN" -cert "$2"
    has "$1" 'Response verify OK'
}

unclaimed() {
    device BR200601 manufacturing >new.id
    vitae device move "$(<new.id)" deployment --reason shipped
    try early new.id
    refused early 403 'claimed'
}

in_use() {
    enrol BR200602 unit
    vitae device move "$(<unit.id)" clinical-use --reason accepted
    try anew unit.id
    refused anew 403 'clinical-use'
    has anew.body 'ldev'
}

renewed_in_use() {
    renew next
    issued next next.key
    # From here on the device has this one.
    mv next.pem unit.pem
    mv next.key unit.key
}

quarantined() {
    vitae device move "$(<unit.id)" quarantine --reason 'strange traffic'
    try held unit.id
    refused held 403 'quarantine'
    renew held
    refused held 403 'hold|quarantine'
    revocation held.txt unit.pem
    has held.txt '^unit.pem: revoked$'
    has held.txt 'Reason: certificateHold$'
    vitae device move "$(<unit.id)" clinical-use --reason 'false alarm'
    revocation released.txt unit.pem
    has released.txt '^unit.pem: good$'
    renew released
    issued released released.key
}

# A device with everything it can have.
retire() {
    device BR200603 manufacturing >old.id
    key birth.key
    csr birth.key birth.csr
    est_post birth idev/simpleenroll birth.csr -u "$(<old.id):$(token "$(<old.id)" idev)"
    issued birth birth.key
    vitae device move "$(<old.id)" deployment --reason shipped
    vitae device move "$(<old.id)" deployment --reason received --owner SUH
    key unit.key
    csr unit.key unit.csr
    est_post unit simpleenroll unit.csr --cert birth.pem --key birth.key
    issued unit unit.key
    key web.key
    csr web.key web.csr
    est_post web tls/simpleenroll web.csr --cert birth.pem --key birth.key
    issued web web.key
    # A token from before must not outlive the device either.
    token "$(<old.id)" >old.token
    vitae device move "$(<old.id)" retired --reason 'worn out' --evidence 'wiped, protocol 17'
}

nothing_more() {
    key last.key
    csr last.key last.csr
    est_post last simpleenroll last.csr -u "$(<old.id):$(<old.token)"
    refused last 403 'retired'
    est_post last simpleenroll last.csr --cert birth.pem --key birth.key
    refused last 403 'retired'
    renew last
    refused last 403 'retired|revoked'
}

all_revoked() {
    local certificate
    for certificate in unit web; do
        http retired.crl "$(crl_url "$certificate.pem")"
        openssl crl -inform DER -in retired.crl.body -noout -text >retired.txt
        revocation "$certificate.txt" "$certificate.pem"
        has "$certificate.txt" "^$certificate.pem: revoked\$"
        has "$certificate.txt" 'Reason: cessationOfOperation$'
        has retired.txt "Serial Number: $(serial_of "$certificate.pem" | tr a-f A-F)"
    done
}

claim 42 unclaimed
claim 43 in_use
claim 44 renewed_in_use
claim 45 quarantined
retire
claim 46 nothing_more
claim 47 all_revoked
