# shellcheck shell=bash
# Bytes that are not what they should be, from a device with a good token, and bytes that are in spite of their looks.
. "$SUITE_DIR/../lib.sh"

device BR200401 >unit.id
token "$(<unit.id)" >unit.token
key unit.key
csr unit.key unit.csr
base64 -w 0 unit.csr >unit.base64
user=$(<unit.id):$(<unit.token)

# bad OUT FILE STATUS [CURL-ARGUMENTS...]
bad() {
    local out=$1 file=$2 status=$3
    shift 3
    est_post_bytes "$out" simpleenroll "$file" -u "$user" "${@:--HContent-Type: application/pkcs10}"
    refused "$out" "$status" .
}

# good SERIAL FILE CURL-ARGUMENTS...: enrols another device with these bytes, whose request is of good.key.
good() {
    local id
    id=$(device "$1")
    est_post_bytes good simpleenroll "$2" -u "$id:$(token "$id")" "${@:3}"
    issued good good.key
}

# fresh: a request of a new key in good.base64, as a key is for one device.
fresh() {
    key good.key
    csr good.key good.csr
    base64 -w 0 good.csr >good.base64
}

content_type() {
    bad none unit.base64 415 -H 'Content-Type:'
    bad form unit.base64 415 -H 'Content-Type: application/x-www-form-urlencoded'
    bad pkcs7 unit.base64 415 -H 'Content-Type: application/pkcs7-mime'
    bad prefix unit.base64 415 -H 'Content-Type: application/pkcs10x'
    fresh
    good BR200402 good.base64 -H 'Content-Type: APPLICATION/PKCS10'
    fresh
    good BR200403 good.base64 -H 'content-type: application/pkcs10; charset=us-ascii'
}

no_request() {
    printf 'this is no base64!' >garbage
    bad garbage garbage 400
    printf 'this is base64, of no request' | base64 -w 0 >text
    bad text text 400
    # Of some hundred characters a few are those that the two alphabets write differently.
    tr '+/' '-_' <unit.base64 >urlsafe
    has urlsafe '[-_]'
    bad urlsafe urlsafe 400
    openssl req -inform DER -in unit.csr -out pem
    bad pem pem 400
    : >empty
    bad empty empty 400
    head -c 40 unit.csr | base64 -w 0 >half
    bad half half 400
    openssl x509 -in "$VITAE_DIR/ca/root.pem" -outform DER | base64 -w 0 >certificate
    bad certificate certificate 400
}

trailing() {
    printf 'x' | cat unit.csr - | base64 -w 0 >inside
    bad inside inside 400
    cat unit.csr unit.csr | base64 -w 0 >twice
    bad twice twice 400
    { cat unit.base64; printf '!!'; } >after
    bad after after 400
}

# The last byte of an ECDSA signature belongs to one of its two numbers.
signature() {
    local size last
    size=$(wc -c <unit.csr)
    last=$(tail -c 1 unit.csr | od -An -tu1)
    {
        head -c $((size - 1)) unit.csr
        # shellcheck disable=SC2059  # the format is the byte
        printf "\\$(printf %o $((last ^ 1)))"
    } | base64 -w 0 >forged
    bad forged forged 400
}

oversized() {
    head -c 100000 /dev/zero | base64 -w 0 >big
    bad big big 413
    head -c 3000000 /dev/zero | base64 -w 0 >huge
    bad huge huge 413
}

layout() {
    fresh
    base64 -w 64 good.csr | sed 's/$/\r/' >lines
    good BR200404 lines -H 'Content-Type: application/pkcs10' -H 'Content-Transfer-Encoding: base64'
    fresh
    { cat good.base64; printf '\n'; } >newline
    good BR200405 newline -H 'Content-Type: application/pkcs10' -H 'Content-Transfer-Encoding: binary'
    fresh
    { printf ' \t\n'; base64 -w 7 good.csr | tr '\n' '\t'; printf '\r\n \r\n'; } >blanks
    good BR200406 blanks -H 'Content-Type: application/pkcs10' -H 'Content-Transfer-Encoding: 8bit'
}

waits() {
    fresh
    good BR200407 good.base64 -H 'Content-Type: application/pkcs10' -H 'Expect: 100-continue'
    has good.head '^HTTP/1.1 100 Continue'
}

# bad_key: the profile does not take the key in weak.key.
bad_key() {
    csr weak.key weak.csr
    base64 -w 0 weak.csr >weak
    bad weak weak 400
}

keys() {
    openssl genrsa -out weak.key 1024
    bad_key
    openssl ecparam -name secp224r1 -genkey -noout -out weak.key
    bad_key
    openssl ecparam -name secp256k1 -genkey -noout -out weak.key
    bad_key
    openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out weak.key
    bad_key
    openssl genrsa -out good.key 2048
    csr good.key good.csr
    base64 -w 0 good.csr >good.base64
    good BR200408 good.base64 -H 'Content-Type: application/pkcs10'
    openssl ecparam -name secp384r1 -genkey -noout -out good.key
    csr good.key good.csr
    base64 -w 0 good.csr >good.base64
    good BR200409 good.base64 -H 'Content-Type: application/pkcs10'
}

claim 32 content_type
claim 33 no_request
claim 34 trailing
claim 35 signature
claim 36 oversized
claim 37 layout
claim 38 waits
claim 39 keys
