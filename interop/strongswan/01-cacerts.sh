# shellcheck shell=bash
# The way to trust: from the root to all that it vouches for.
. "$SUITE_DIR/lib.sh"

# the_cas NAME VERSION
the_cas() {
    local name=$1
    estca "$name" "$2"
    has "$name.txt" "^negotiated TLS $2 "
    equal "$(grep -c 'cert is trusted, valid until .* written to' "$name.txt")" 4
    has "$name.txt" '^Root CA equals trusted TLS Root CA$'
    cat "$name.pem" "$name"-?.pem >"$name-all"
    all_cas "$name-all"
}

asks_ocsp() {
    grep -A 4 '^checking certificate status of "CN=localhost"' ca.txt >status.txt
    has status.txt '^ *ocsp response correctly signed by'
    has status.txt '^certificate status is good$'
    lacks ca.txt 'certificate status is (not|unknown|revoked)'
    equal "$(grep -c '^certificate status is good$' ca.txt)" 2
}

claim 1 the_cas ca-old 1.2
claim 2 the_cas ca 1.3
claim 3 asks_ocsp
