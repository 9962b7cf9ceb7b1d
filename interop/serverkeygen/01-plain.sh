# shellcheck shell=bash
# Keys that TLS alone protects.
. "$SUITE_DIR/lib.sh"

key own.key
csr own.key own.csr

off_as_shipped() {
    local label
    for label in '' idev/ ldev/ tls/ remed/ maint/ svc/ update/; do
        base64 -w 0 own.csr >own.request
        http off --cacert "$SHARED_CHAIN" --data-binary @own.request -H 'Content-Type: application/pkcs10' \
            "$SHARED_EST/${label}serverkeygen"
        refused off 404 'does not offer serverkeygen'
    done
}

answers() {
    device BR280001 >unit.id
    token "$(<unit.id)" >unit.token
    est_post unit ldev/serverkeygen own.csr -u "$(<unit.id):$(<unit.token)"
    status_is unit 200
    equal "$(header unit Content-Length)" "$(stat -c %s unit.body)"
    part unit 1 application/pkcs8
    cp unit.1 unit.made
    certified unit
}

works() {
    pair unit
    csr_like unit.pem own.key renewal.csr
    est_post renewed ldev/simplereenroll renewal.csr --cert unit.pem --key unit.key
    issued renewed own.key
}

ignores_the_requests_key() {
    differ "$(openssl x509 -in unit.pem -noout -pubkey)" "$(openssl pkey -in own.key -pubout)"
    # The last octets of a request are its signature's.
    head -c -8 own.csr >false.csr
    printf '\0\1\2\3\4\5\6\7' >>false.csr
    openssl req -inform DER -in false.csr -verify -noout >false.txt 2>&1 || true
    has false.txt 'failure|failed|[Ss]ignature did not match'
    device BR280002 >false.id
    est_post false ldev/serverkeygen false.csr -u "$(<false.id):$(token "$(<false.id)")"
    status_is false 200
    part false 1 application/pkcs8
    cp false.1 false.made
    certified false
    pair false
}

# The private scalar, as octets and in hex.
keeps_nothing() {
    local scalar
    vitae cert trace "$(serial_of unit.pem)" >trace.txt
    has trace.txt '^key +made by the authority'
    scalar=$(openssl pkey -in unit.key -noout -text | sed -n '/^priv:/,/^pub:/{/:$/!s/[ :]//gp; /^ .*:$/s/[ :]//gp}' | tr -d '\n')
    equal "$((${#scalar} >= 64))" 1
    scalar=${scalar: -64}
    openssl ec -in unit.key -outform DER 2>/dev/null | od -An -v -tx1 | tr -d ' \n' >key.hex
    has key.hex "$scalar"
    find "$VITAE_DIR" own-serve.log -type f | while read -r file; do
        od -An -v -tx1 "$file" | tr -d ' \n' >file.hex
        lacks file.hex "$scalar"
        lacks "$file" "$scalar"
    done
}

claim 1 off_as_shipped
claim 2 answers
claim 3 works
claim 4 ignores_the_requests_key
claim 5 keeps_nothing
