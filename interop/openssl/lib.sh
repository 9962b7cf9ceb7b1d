# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# connect FILE S_CLIENT-ARGUMENTS...: one handshake; FILE takes what s_client says about it.
connect() {
    local file=$1
    shift
    text "$file" timeout 30 openssl s_client -connect "$EST_ADDRESS" -CAfile "$CHAIN" "$@"
}

# exchange OUT REQUEST S_CLIENT-ARGUMENTS...: sends the bytes of REQUEST, which asks for the connection to be closed,
# and leaves OUT.raw, OUT.status, OUT.head (with its empty line) and OUT.body.
exchange() {
    local out=$1 request=$2
    shift 2
    timeout 30 openssl s_client -quiet -connect "$EST_ADDRESS" -CAfile "$CHAIN" -verify_return_error "$@" \
        <"$request" >"$out.raw" 2>"$out.err" || true
    take_apart "$out"
}

# post OUT OPERATION CSR.DER AUTHORIZATION-HEADER|'' S_CLIENT-ARGUMENTS...: an EST request by s_client alone.
post() {
    local out=$1
    post_request "${@:1:4}"
    exchange "$out" "$out.request" "${@:5}"
}

# certs_only P7: SignedData of id-data that signs nothing and holds nothing but certificates.
certs_only() {
    openssl cms -cmsout -print -noout -inform DER -in "$1" >"$1.txt"
    has "$1.txt" 'contentType: pkcs7-signedData'
    has "$1.txt" 'eContentType: pkcs7-data'
    grep -A 1 'eContent:' "$1.txt" | has /dev/stdin 'ABSENT'
    grep -A 1 'signerInfos:' "$1.txt" | has /dev/stdin 'EMPTY|ABSENT'
}

# ocsp FILE OPENSSL-OCSP-ARGUMENTS...: FILE takes the text of request, answer and verdict.
ocsp() {
    local file=$1
    shift
    text "$file" openssl ocsp -CAfile "$CHAIN" "$@"
}

# crl FILE CERTIFICATE: fetches the list the certificate points to: FILE.body (DER) and FILE (PEM).
crl() {
    http "$1" "$(crl_url "$2")"
    status_is "$1" 200
    openssl crl -inform DER -in "$1.body" -out "$1"
}

crl_number() {
    local hex
    hex=$(openssl crl -in "$1" -noout -crlnumber | sed 's/^crlNumber=\(0x\)\?//')
    echo $((16#$hex))
}

# path FILE CERTIFICATE OPENSSL-VERIFY-ARGUMENTS...: from the root alone, so that every link is checked.
path() {
    local file=$1 certificate=$2
    shift 2
    text "$file" openssl verify -trusted "$VITAE_DIR/ca/root.pem" -untrusted "$(issuer_file "$certificate")" "$@" \
        "$certificate"
}
