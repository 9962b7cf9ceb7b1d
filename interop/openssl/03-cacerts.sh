# shellcheck shell=bash
# The CA certificates, as a device gets them before it trusts anyone.
. "$SUITE_DIR/lib.sh"

request cacerts.request GET cacerts 'Connection: close'
exchange cacerts cacerts.request

# All that vouches for the listeners and for devices: the chain that 'init' wrote.
same_bytes() {
    status_is cacerts 200
    certificates cacerts
    fingerprints cacerts.pem >found.txt
    fingerprints "$CHAIN" >chain.txt
    equal "$(<found.txt)" "$(<chain.txt)"
    local ca
    for ca in root birth operational service; do
        fingerprints "$VITAE_DIR/ca/$ca.pem" >"$ca.txt"
        has found.txt "$(<"$ca.txt")"
    done
}

only_certificates() {
    status_is cacerts 200
    certificates cacerts
    certs_only cacerts.p7
}

claim 15 same_bytes
claim 16 only_certificates
