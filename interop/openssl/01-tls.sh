# shellcheck shell=bash
# Handshakes: which versions, which ciphers, whose certificate.
. "$SUITE_DIR/lib.sh"

handshake() {
    local version=$1 name=$2
    connect "$name.txt" "-$version" -verify_hostname localhost
    has "$name.txt" "^New, $3, Cipher is $4"
    has "$name.txt" '^ *Verify return code: 0 \(ok\)'
}

# The client has to be able to speak what the server must refuse, or it would stop by itself: hence SECLEVEL=0,
# and hence an alert from the server as the evidence.
old_versions() {
    local version
    for version in tls1 tls1_1; do
        connect "$version.txt" "-$version" -cipher 'ALL:@SECLEVEL=0'
        has "$version.txt" 'alert protocol version|alert handshake failure'
        has "$version.txt" '^New, \(NONE\)'
    done
}

weak_ciphers() {
    local ciphers
    for ciphers in AES128-GCM-SHA256:AES256-SHA:AES128-SHA ADH-AES128-SHA256:AECDH-AES128-SHA \
        ECDHE-ECDSA-NULL-SHA:NULL-SHA256 ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384; do
        connect "weak-$ciphers.txt" -tls1_2 -cipher "$ciphers:@SECLEVEL=0"
        has "weak-$ciphers.txt" 'alert handshake failure'
        has "weak-$ciphers.txt" '^New, \(NONE\)'
    done
}

names() {
    connect name.txt -verify_hostname localhost -verify_return_error
    has name.txt '^ *Verify return code: 0 \(ok\)'
    connect address.txt -verify_ip 127.0.0.1 -verify_return_error
    has address.txt '^ *Verify return code: 0 \(ok\)'
    connect other.txt -verify_hostname est.example
    has other.txt '^ *Verify return code: 62 '
    connect stranger.txt -verify_ip 192.0.2.1
    has stranger.txt '^ *Verify return code: 64 '
}

client_certificate() {
    connect asked.txt -tls1_2
    has asked.txt '^(Client Certificate Types|Requested Signature Algorithms):'
    has asked.txt '^ *Verify return code: 0 \(ok\)'
    lacks asked.txt 'alert'
}

claim 1 handshake tls1_2 tls12 TLSv1.2 ECDHE-ECDSA-
claim 2 handshake tls1_3 tls13 TLSv1.3 TLS_
claim 3 old_versions
claim 4 weak_ciphers
claim 5 names
claim 6 client_certificate
