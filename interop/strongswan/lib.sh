# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# The folder's own settings, not the machine's: only what pki needs is loaded. TLS 1.2 is what libtls does by itself.
plugins='pem pkcs1 pkcs7 pkcs8 pubkey x509 constraints revocation openssl random curl'
printf 'pki {\n    load = %s\n}\n' "$plugins" >tls-1.2.conf
printf 'pki {\n    load = %s\n}\nlibtls {\n    version_max = 1.3\n}\n' "$plugins" >tls-1.3.conf
export STRONGSWAN_CONF=$PWD/tls-1.2.conf

trust=(--cacert ca.pem --cacert ca-1.pem --cacert ca-2.pem --cacert ca-3.pem)

# at VERSION COMMAND...: with at most this version of TLS.
at() {
    STRONGSWAN_CONF=$PWD/tls-$1.conf "${@:2}"
}

# estca NAME VERSION: NAME.pem and NAME-1.pem and so on from the root alone; NAME.txt has what pki says.
estca() {
    at "$2" pki --estca --url "https://$EST_ADDRESS" --cacert "$ROOT" --caout "$1.pem" --outform pem --force 2>"$1.txt"
}

# est OUT VERSION REQUEST [PKI-ARGUMENTS...]: OUT.pem and OUT.txt. What pki trusts is what estca has brought.
est() {
    local out=$1 version=$2 request=$3
    shift 3
    at "$version" pki --est --url "https://$EST_ADDRESS" --in "$request" "${trust[@]}" --outform pem "$@" \
        >"$out.pem" 2>"$out.txt"
}

# online CERTIFICATE OUT: verified with OCSP at every step, to OUT.verify and OUT.verify.txt.
online() {
    pki --verify --in "$1" "${trust[@]}" --online >"$2.verify" 2>"$2.verify.txt"
}

pki_key() {
    pki --gen --type ecdsa --size 256 --outform pem >"$1"
}

# Hex of GeneralName 6, a URI: pki knows no word for it.
uri_name() {
    printf '86%02x%s' "${#1}" "$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n')"
}

# request_like CERTIFICATE KEY OUT: subject and subjectAltName as 'pki --print' shows them.
request_like() {
    pki --print --in "$1" >like.txt
    pki --req --in "$2" --type ecdsa --dn "$(sed -n 's/^ *subject: *"\(.*\)"$/\1/p' like.txt)" \
        --san "asn1gn:#$(uri_name "$(sed -n 's/^ *altNames: *//p' like.txt)")" >"$3"
}

# refused_by_est OUT STATUS: pki names the status and writes no certificate.
refused_by_est() {
    has "$1.txt" "^EST request failed: HTTP $2\$"
    equal "$(count "$1.pem")" 0
}
