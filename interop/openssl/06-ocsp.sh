# shellcheck shell=bash
# Status of good, foreign and unknown certificates. 'openssl ocsp' may exit 0 with an answer nobody should believe:
# its text decides.
. "$SUITE_DIR/lib.sh"

url=$(ocsp_url device.pem)
issuer=$(issuer_file device.pem)

good_by_post() {
    local file=$1
    shift
    ocsp "$file" -url "$url" -issuer "$issuer" "$@" -cert device.pem -resp_text
    has "$file" '^device.pem: good$'
    has "$file" 'Response verify OK'
    has "$file" 'OCSP Nonce:'
    has "$file" 'Next Update:'
    lacks "$file" 'WARNING|[Ee]rror'
}

two_at_once() {
    enrol BR100003 second
    ocsp two.txt -url "$url" -issuer "$issuer" -cert device.pem -cert second.pem
    has two.txt '^device.pem: good$'
    has two.txt '^second.pem: good$'
    has two.txt 'Response verify OK'
}

# get OUT PATH: without --path-as-is curl would tidy the path up, and the test with it.
get() {
    http "$1" --path-as-is "$url$2"
}

question() {
    openssl ocsp -issuer "$issuer" "$@" -no_nonce -reqout question.der >question.txt 2>&1
    base64 -w 0 question.der
}

# answers OUT NAME STATUS OPENSSL-OCSP-ARGUMENTS...: what an answer fetched by hand says.
answers() {
    local out=$1 name=$2 status=$3
    shift 3
    status_is "$out" 200
    equal "$(header "$out" Content-Type)" application/ocsp-response
    ocsp "$out.txt" -respin "$out.body" -issuer "$issuer" -no_nonce "$@"
    has "$out.txt" "^$name: $status\$"
    has "$out.txt" 'Response verify OK'
}

encoded_get() {
    get encoded "/$(question -cert device.pem | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')"
    answers encoded device.pem good -cert device.pem
}

raw_get() {
    get raw "/$(question -cert device.pem)"
    answers raw device.pem good -cert device.pem
    get slash "//$(question -cert device.pem)"
    answers slash device.pem good -cert device.pem
}

# A serial of ones is base64 of slashes.
slashes_get() {
    local base64
    base64=$(question -serial 0x7fffffffffffffffffffffffffffffff)
    [[ $base64 == *//* ]]
    get slashes "/$base64"
    answers slashes 0x7fffffffffffffffffffffffffffffff unknown -serial 0x7fffffffffffffffffffffffffffffff
}

never_issued() {
    ocsp never.txt -url "$url" -issuer "$issuer" -serial 0x0123456789abcdef0123456789abcdef
    has never.txt '^0x0123456789abcdef0123456789abcdef: unknown$'
    has never.txt 'Response verify OK'
    ocsp short.txt -url "$url" -issuer "$issuer" -serial 0x01
    has short.txt '^0x01: unknown$'
}

other_issuer() {
    local serial
    serial=0x$(serial_of device.pem)
    ocsp other.txt -url "$url" -issuer "$VITAE_DIR/ca/birth.pem" -serial "$serial"
    has other.txt "^$serial: unknown\$"
    has other.txt 'Response verify OK'
}

intermediate() {
    ocsp intermediate.txt -url "$(ocsp_url "$issuer")" -issuer "$VITAE_DIR/ca/root.pem" -cert "$issuer"
    has intermediate.txt 'operational.pem: good$'
    has intermediate.txt 'Response verify OK'
}

no_request() {
    local bytes
    for bytes in garbage empty long; do
        case $bytes in
            garbage) printf 'this is no request' >no-request ;;
            empty) : >no-request ;;
            long) { cat question.der; printf 'and more'; } >no-request ;;
        esac
        http "no-$bytes" -H 'Content-Type: application/ocsp-request' --data-binary @no-request "$url"
        status_is "no-$bytes" 200
        text "no-$bytes.txt" openssl ocsp -respin "no-$bytes.body" -resp_text -noverify
        has "no-$bytes.txt" 'malformedrequest \(1\)'
    done
}

claim 23 good_by_post sha1.txt -sha1
claim 24 good_by_post sha256.txt -sha256
claim 25 two_at_once
claim 26 encoded_get
claim 27 raw_get
claim 28 slashes_get
claim 29 never_issued
claim 30 other_issuer
claim 31 intermediate
claim 32 no_request
