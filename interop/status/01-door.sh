# shellcheck shell=bash
# The status door as plain http: whatever way the path is written, whatever version of HTTP, and what caches are told.
. "$SUITE_DIR/lib.sh"

javac -cp /usr/share/java/bcprov.jar -d classes "$SUITE_DIR/Status.java"
enrol BR800001 device
enrol BR800002 other
issuer=$(issuer_file device.pem)
url=$(ocsp_url device.pem)

# question NAME OPENSSL-OCSP-ARGUMENTS...: NAME.der and, without line breaks, NAME.base64.
question() {
    openssl ocsp -issuer "$issuer" "${@:2}" -no_nonce -reqout "$1.der" >/dev/null 2>&1
    base64 -w 0 "$1.der" >"$1.base64"
}

# answered OUT STATUS OPENSSL-OCSP-ARGUMENTS...: 200 and not a redirect, and openssl believes the answer.
answered() {
    local out=$1 status=$2
    shift 2
    status_is "$out" 200
    equal "$(header "$out" Content-Type)" application/ocsp-response
    equal "$(header "$out" Content-Length)" "$(wc -c <"$out.body")"
    text "$out.txt" openssl ocsp -CAfile "$CHAIN" -respin "$out.body" -issuer "$issuer" -no_nonce "$@"
    has "$out.txt" "^[^ ]*: $status\$"
    has "$out.txt" 'Response verify OK'
}

get() {
    http "$1" --path-as-is "${url%/ocsp}$2" "${@:3}"
}

# A serial of ones has the base64 of slashes; the other letters of base64 that paths mangle are looked for.
paths() {
    local way base64 pattern serial=0x7fffffffffffffffffffffffffffffff awkward
    question slashes -serial "$serial"
    [[ $(<slashes.base64) == *//* ]]
    # The same for '+', wherever the serial number begins among the groups of three octets.
    for pattern in fbefbe efbefb befbef; do
        awkward=0x10$pattern$pattern$pattern$pattern$pattern
        question plus -serial "$awkward"
        if [[ $(<plus.base64) == *++++* ]]; then break; fi
    done
    [[ $(<plus.base64) == *++++*= ]]
    question device -cert device.pem
    for way in cat 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g' 's/+/%2b/g; s|/|%2f|g; s/=/%3d/g' 's|/|%2F|' 's/=//2; s/=/%3D/'; do
        [[ $way != cat ]] || way=
        for base64 in device slashes plus; do
            # The last way would drop padding where there are two: it is only for what has one.
            [[ $way != 's/=//2'* || $(<$base64.base64) != *== ]] || continue
            for slash in / //; do
                get way "/ocsp$slash$(sed "$way" "$base64.base64")"
                case $base64 in
                    device) answered way good -cert device.pem ;;
                    slashes) answered way unknown -serial "$serial" ;;
                    plus) answered way unknown -serial "$awkward" ;;
                esac
            done
        done
    done
    get way "//ocsp/$(<device.base64)"
    answered way good -cert device.pem
}

old_http() {
    question device -cert device.pem
    http old-get --http1.0 "$url/$(sed 's|/|%2F|g; s/+/%2B/g' device.base64)"
    answered old-get good -cert device.pem
    http old-post --http1.0 -H 'Content-Type: application/ocsp-request' --data-binary @device.der "$url"
    answered old-post good -cert device.pem
    for out in old-get old-post; do
        lacks "$out.head" '^[Tt]ransfer-[Ee]ncoding'
        # Asked in 1.0, the connection ends with the answer.
        lacks "$out.head" '^[Cc]onnection: *keep-alive'
    done
    # What 'openssl ocsp' sends by itself is HTTP/1.0; nothing in between may hide that.
    openssl_ocsp device.pem >old.txt
    equal "$(<old.txt)" good
    http old-list --http1.0 "$(crl_url device.pem)"
    status_is old-list 200
    openssl crl -inform DER -in old-list.body -noout
}

seconds() {
    date -u -d "$1" +%s
}

kept_by_caches() {
    local age
    question device -cert device.pem
    get cached "/ocsp/$(sed 's|/|%2F|g; s/+/%2B/g' device.base64)"
    answered cached good -cert device.pem
    equal "$(header cached ETag)" "\"$(sha256sum <cached.body | cut -d ' ' -f 1)\""
    equal "$(seconds "$(header cached Expires)")" "$(seconds "$(sed -n 's/^\tNext Update: //p' cached.txt)")"
    equal "$(seconds "$(header cached Last-Modified)")" "$(seconds "$(sed -n 's/^\tThis Update: //p' cached.txt)")"
    [[ $(header cached Date) == *' GMT' && $(header cached Expires) == *' GMT' ]]
    header cached Cache-Control | tr -d ' ' | tr , '\n' | sort >directives.txt
    equal "$(grep -v max-age directives.txt | tr '\n' ' ')" 'must-revalidate no-transform public '
    age=$(sed -n 's/^max-age=//p' directives.txt)
    ((age > 0 && $(seconds "$(header cached Date)") + age <= $(seconds "$(header cached Expires)")))
    get same "/ocsp/$(sed 's|/|%2F|g; s/+/%2B/g' device.base64)" -H "If-None-Match: $(header cached ETag)"
    status_is same 304
    equal "$(wc -c <same.body)" 0
    equal "$(header same ETag)" "$(header cached ETag)"
}

errors() {
    get wrong /ocsp/MAA
    status_is wrong 200
    equal "$(od -An -tx1 <wrong.body | tr -d ' \n')" 30030a0101
    has wrong.head '^Cache-Control: .*no-(store|cache)'
    lacks wrong.head '^(ETag|Expires|Last-Modified):'
    http method --request PUT --data x "$url"
    status_is method 405
}

claim 1 paths
claim 2 old_http
claim 3 kept_by_caches
claim 4 errors
