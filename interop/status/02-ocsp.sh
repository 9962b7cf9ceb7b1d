# shellcheck shell=bash
# Several certificates in one request, hashes, nonces; where certificates say that their status is.
. "$SUITE_DIR/lib.sh"

enrol BR800003 gone
vitae revoke "$(serial_of gone.pem)" --reason cessation-of-operation >gone.txt
issuer=$(issuer_file device.pem)
url=$(ocsp_url device.pem)

# Asked as three questions with two hashes: each answer repeats the words of its question.
several() {
    text several.txt openssl ocsp -CAfile "$CHAIN" -url "$url" -issuer "$issuer" -sha256 -cert device.pem \
        -sha1 -cert gone.pem -cert other.pem -respout several.ocsp -resp_text
    has several.txt 'Response verify OK'
    has several.txt '^device.pem: good$'
    has several.txt '^gone.pem: revoked$'
    has several.txt '^other.pem: good$'
    equal "$(grep -c 'Hash Algorithm: sha256' several.txt)" 1
    equal "$(grep -c 'Hash Algorithm: sha1' several.txt)" 2
    "$VENV/bin/python" "$SUITE_DIR/status.py" several "$issuer" device.pem gone.pem other.pem <several.ocsp \
        >several.said
    equal "$(paste -sd , several.said)" 'good ,revoked cessationOfOperation,good '
}

hashes() {
    local hash
    for hash in sha1 sha256 sha384 sha512; do
        openssl_asks gone.pem -url "$url" "-$hash" -resp_text >said.txt
        equal "$(<said.txt)" 'revoked cessationOfOperation'
        has openssl.said "Hash Algorithm: $hash"
    done
}

nonces() {
    "$VENV/bin/python" "$SUITE_DIR/nonces.py" "$url" device.pem "$issuer" >nonces.txt
    equal "$(sed -n '1,4p' nonces.txt | paste -sd ' ')" '1:echoed 16:echoed 32:echoed 128:echoed'
    equal "$(sed -n '5,$p' nonces.txt | paste -sd ' ')" '0:MALFORMED_REQUEST 129:MALFORMED_REQUEST'
}

# The record is asked, so that no profile and no CA is left out.
pointers() {
    local serial file n=0
    mkdir -p all
    vitae cert list --status good --json | sed -n 's/^ *"serial": "\(.*\)",$/\1/p' >serials.txt
    while read -r serial; do vitae cert show "$serial" --pem >"all/$serial.pem"; done <serials.txt
    for file in all/*.pem "$VITAE_DIR"/ca/{birth,operational,service,update}.pem; do
        openssl x509 -in "$file" -noout -text >pointers.txt
        # A delegated signer is not asked about (O23), and nobody can say that a root is good.
        if grep -q 'OCSP No Check' pointers.txt; then continue; fi
        if ! cmp -s "$file" "$(issuer_file "$file")"; then
            ocsp_url "$file" >pointer.url
            has pointer.url '^http://'
        fi
        crl_url "$file" >pointer.url
        has pointer.url '^http://'
        http pointer "$(crl_url "$file")"
        status_is pointer 200
        http pointer --head "$(crl_url "$file")"
        status_is pointer 200
        n=$((n + 1))
    done
    ((n > 8))
}

claim 5 several
claim 6 hashes
claim 7 nonces
claim 8 pointers
