# shellcheck shell=bash
# A device serves TLS, and brings its own status along: what it fetched goes into its handshakes (RFC 6066 section 8).
. "$SUITE_DIR/lib.sh"

enrol BR800006 unit
key web.key
csr web.key web.csr
est_post web tls/simpleenroll web.csr -u "$(<unit.id):$(token "$(<unit.id)" tls)"
issued web web.key
issuer=$(issuer_file web.pem)
# The certificate has no DNS name; clients know the device by the UUID that is its common name.
name=$(openssl x509 -in web.pem -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= //p')

server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true' EXIT

# visit OUT: a device that has just fetched its status, and its two clients.
visit() {
    local tries port
    openssl ocsp -CAfile "$CHAIN" -issuer "$issuer" -cert web.pem -url "$(ocsp_url web.pem)" -no_nonce \
        -respout "$1.ocsp" >"$1.txt" 2>&1
    port=$((20000 + RANDOM % 12000))
    openssl s_server -accept "127.0.0.1:$port" -www -cert web.pem -key web.key -cert_chain "$issuer" \
        -status_file "$1.ocsp" >"$1.server" 2>&1 &
    server=$!
    for ((tries = 0; tries < 100; tries++)); do
        if grep -q '^ACCEPT' "$1.server"; then break; fi
        sleep 0.1
    done
    # --insecure: gnutls-cli takes no common name beside a subjectAltName. It says all that is wrong, and so the status.
    gnutls-cli --insecure --x509cafile "$ROOT" --save-ocsp="$1.saved" --port "$port" 127.0.0.1 </dev/null \
        >"$1.gnutls" 2>&1 || true
    curl --silent --show-error --verbose --cacert "$ROOT" --cert-status --resolve "$name:$port:127.0.0.1" \
        "https://$name:$port/" >"$1.page" 2>"$1.curl" && echo 0 >"$1.exit" || echo $? >"$1.exit"
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    cmp "$1.ocsp" "$1.saved"
}

good_staple() {
    visit good
    has good.gnutls '^- Options: .*OCSP status request'
    # The name, and nothing else.
    has good.gnutls '^- Status: The certificate is NOT trusted\. The name in the certificate does not match [a-z ]*\. $'
    has good.curl 'SSL certificate status: good'
    equal "$(<good.exit)" 0
}

revoked_staple() {
    vitae revoke "$(serial_of web.pem)" --reason superseded
    visit revoked
    has revoked.gnutls '^- Status: .*The certificate chain is revoked\.'
    has revoked.curl 'SSL certificate revocation reason: superseded'
    # CURLE_SSL_INVALIDCERTSTATUS
    equal "$(<revoked.exit)" 91
}

claim 22 good_staple
claim 23 revoked_staple
