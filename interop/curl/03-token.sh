# shellcheck shell=bash
# The life of a one-time token.
. "$SUITE_DIR/../lib.sh"

device BR200010 >unit.id
token "$(<unit.id)" >unit.token
key unit.key
csr unit.key unit.csr

enrols() {
    est_post unit ldev/simpleenroll unit.csr -u "$(<unit.id):$(<unit.token)"
    issued unit unit.key
    equal "$(header unit Content-Type)" 'application/pkcs7-mime; smime-type=certs-only'
}

recorded() {
    vitae cert list --device "$(<unit.id)" --json >list.json
    tr -d ' \n' <list.json >list.txt
    has list.txt "\"serial\":\"$(serial_of unit.pem)\""
    has list.txt "\"device\":\"$(<unit.id)\""
    has list.txt '"profile":"ldev"'
    has list.txt '"status":"good"'
    vitae cert show "$(serial_of unit.pem)" --pem >shown.pem
    equal "$(openssl x509 -in shown.pem)" "$(openssl x509 -in unit.pem)"
}

spent() {
    est_post again simpleenroll unit.csr -u "$(<unit.id):$(<unit.token)"
    refused again 401 'token'
    key again.key
    csr again.key again.csr
    est_post again simpleenroll again.csr -u "$(<unit.id):$(<unit.token)"
    refused again 401 'token'
    vitae cert list --device "$(<unit.id)" --json | tr -d ' \n' >list.txt
    equal "$(grep -o '"serial":' list.txt | wc -l)" 1
}

at_once() {
    local n
    device BR200031 >race.id
    token "$(<race.id)" >race.token
    for n in {1..8}; do
        key "race-$n.key"
        csr "race-$n.key" "race-$n.csr"
    done
    for n in {1..8}; do est_post "race-$n" simpleenroll "race-$n.csr" -u "$(<race.id):$(<race.token)" & done
    wait
    tail -n +1 race-?.status
    equal "$(grep -lx 200 race-?.status | wc -l)" 1
    equal "$(grep -lx 401 race-?.status | wc -l)" 7
    vitae cert list --device "$(<race.id)" --json | tr -d ' \n' >list.txt
    equal "$(grep -o '"serial":' list.txt | wc -l)" 1
}

# 'token cancel' takes the digest that 'token list' shows: SHA-256 of the token.
cancelled() {
    device BR200011 >unsure.id
    token "$(<unsure.id)" >unsure.token
    vitae token cancel "$(printf %s "$(<unsure.token)" | sha256sum | cut -d ' ' -f 1)"
    est_post unsure simpleenroll unit.csr -u "$(<unsure.id):$(<unsure.token)"
    refused unsure 401 'cancelled'
}

other_profile() {
    device BR200012 >tls.id
    token "$(<tls.id)" tls >tls.token
    key tls.key
    csr tls.key tls.csr
    est_post tls ldev/simpleenroll tls.csr -u "$(<tls.id):$(<tls.token)"
    refused tls 403 'tls.*ldev'
    est_post tls tls/simpleenroll tls.csr -u "$(<tls.id):$(<tls.token)"
    issued tls tls.key
}

names() {
    local number=20 subject id serial
    for subject in / /CN=ID /CN=SERIAL /serialNumber=SERIAL /O=brannoc /O=brannoc/serialNumber=SERIAL/CN=ID; do
        number=$((number + 1)) serial=BR2000$number
        id=$(device "$serial")
        subject=${subject//SERIAL/$serial}
        key named.key
        csr named.key named.csr -subj "${subject//ID/$id}"
        est_post named simpleenroll named.csr -u "$id:$(token "$id")"
        issued named named.key
        openssl x509 -in named.pem -noout -subject -nameopt RFC2253,esc_msb >named.txt
        has named.txt "^subject=CN=[0-9a-f-]{36},serialNumber=$serial\$"
    done
}

no_name() {
    device BR200030 >alone.id
    key alone.key
    csr alone.key alone.csr
    est_post alone simpleenroll alone.csr -u ":$(token "$(<alone.id)")"
    issued alone alone.key
    equal "$(alt_names_of alone.pem)" 'URI:urn:dev:ops:32473-P3-BR200030'
}

claim 9 enrols
claim 10 recorded
claim 11 spent
claim 12 at_once
claim 13 cancelled
claim 14 other_profile
claim 15 names
claim 16 no_name
