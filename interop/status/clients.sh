# shellcheck shell=bash
# The clients that must agree. Each is a function that is given a certificate and prints 'good', 'unknown' or
# 'revoked', with the reason where the tool tells it; only what the tool has verified counts. All of them find the
# responder and the lists by what stands in the certificate.

# shellcheck disable=SC2034  # for lib.sh
declare -A CLIENTS=(
    [openssl_ocsp]='openssl ocsp: POST, SHA-1, no nonce'
    [openssl_sha256]='openssl ocsp: POST, SHA-256, nonce'
    [curl_get]='curl: GET, checked by openssl ocsp'
    [openssl_lists]='openssl verify: lists and deltas'
    [openssl_download]='openssl verify: lists, downloaded'
    [gnutls_ocsp]='GnuTLS ocsptool'
    [gnutls_lists]='GnuTLS certtool: lists'
    [nss_ocsp]='NSS vfychain: OCSP'
    [nss_client]='NSS ocspclnt'
    [nss_lists]='NSS vfychain: lists, downloaded'
    [nss_imported]='NSS crlutil, vfychain: lists, imported'
    [strongswan_ocsp]='strongSwan pki: OCSP'
    [strongswan_lists]='strongSwan pki: lists, downloaded'
    [java_ocsp]='JDK: OCSP'
    [java_lists]='JDK: lists, downloaded'
    [bouncycastle]='Bouncy Castle: lists and deltas'
    [python_ocsp]='Python cryptography: OCSP, SHA-256'
    [python_lists]='Python cryptography: lists and deltas'
    [pyhanko_ocsp]='pyhanko-certvalidator: OCSP'
    [pyhanko_lists]='pyhanko-certvalidator: lists, deltas'
    [pkijs_ocsp]='Node pkijs: OCSP, SHA-256'
    [pkijs_lists]='Node pkijs: lists'
)

# NSS knows no issuingDistributionPoint. A list that has one is not for all certificates of its CA, and the extension is
# critical, so NSS refuses it and calls every certificate revoked that leads to it: these two can only read the list of a
# whole CA.
WHOLE_LISTS_ONLY=' nss_lists nss_imported '

# These can be given a complete list and a delta that was made later.
KNOW_DELTAS='openssl_lists bouncycastle python_lists pyhanko_lists'

# What the tools are given: the issuer of the certificate, and all lists it leads to, fetched anew by 'lists'.

# urls_in NAME FILE OPENSSL-ARGUMENTS...: the URIs of an extension as openssl shows them.
urls_in() {
    local name=$1
    shift
    "$@" 2>/dev/null | awk -v name="X509v3 $name" '
        /X509v3 |^ *(No )?Revoked Cert|^ *Signature Alg/ { inside = index($0, name) }
        # OpenSSL ends the line behind some of them and not behind others.
        inside && sub(/^ *URI:/, "") { sub(/ .*/, ""); print }'
}

# lists CERTIFICATE FOLDER: base-N.crl and delta-N.crl, in DER and as .pem, with the URL each came from in .url.
lists() {
    local folder=$2 url n=0 d=0 freshest
    rm -rf "$folder"
    mkdir "$folder"
    freshest=$(urls_in 'Freshest CRL' openssl x509 -in "$1" -noout -ext freshestCRL)
    for url in $(urls_in 'CRL Distribution Points' openssl x509 -in "$1" -noout -ext crlDistributionPoints); do
        one_list "$folder/base-$((++n))" "$url"
        freshest+=" $(urls_in 'Freshest CRL' openssl crl -in "$folder/base-$n.pem" -noout -text)"
    done
    ((n > 0))
    for url in $(printf '%s\n' "$freshest" | tr ' ' '\n' | sort -u); do one_list "$folder/delta-$((++d))" "$url"; done
}

one_list() {
    curl --silent --show-error --fail --max-time 30 --output "$1.crl" "$2"
    openssl crl -inform DER -in "$1.crl" -out "$1.pem"
    echo "$2" >"$1.url"
}

# OpenSSL

openssl_asks() {
    local cert=$1 issuer
    shift
    issuer=$(issuer_file "$cert")
    openssl ocsp -CAfile "$CHAIN" -issuer "$issuer" "$@" -cert "$cert" -respout openssl.ocsp \
        >openssl.said 2>openssl.verdict
    grep -qx 'Response verify OK' openssl.verdict
    openssl_told "$cert"
}

# 'asked.pem: revoked', and on the lines below it 'Reason: keyCompromise'.
openssl_told() {
    awk -v name="$1: " 'index($0, name) == 1 { status = substr($0, length(name) + 1) }
        status && sub(/^\tReason: /, "") { reason = " " $0 }
        END { print status reason }' openssl.said
}

openssl_ocsp() {
    openssl_asks "$1" -url "$(ocsp_url "$1")" -no_nonce
}

openssl_sha256() {
    openssl_asks "$1" -url "$(ocsp_url "$1")" -sha256 -resp_text
    grep -q 'Hash Algorithm: sha256' openssl.said
    grep -q 'OCSP Nonce:' openssl.said
    lacks openssl.verdict 'no nonce' >&2
}

curl_get() {
    openssl ocsp -issuer "$(issuer_file "$1")" -cert "$1" -no_nonce -reqout get.request >/dev/null 2>&1
    curl --silent --show-error --fail --path-as-is --output get.ocsp \
        "$(ocsp_url "$1")/$(base64 -w 0 get.request | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')"
    openssl_asks "$1" -no_nonce -respin get.ocsp
}

openssl_path() {
    local cert=$1
    shift
    openssl verify -trusted "$ROOT" -untrusted "$(issuer_file "$cert")" -crl_check "$@" "$cert" >path.said 2>&1 || true
    if grep -qx "$cert: OK" path.said; then echo good; return; fi
    grep -qx 'error 23 at 0 depth lookup: certificate revoked' path.said
    echo revoked
}

openssl_lists() {
    lists "$1" lists
    cat lists/*.pem >lists.pem
    openssl_path "$1" -extended_crl -use_deltas -CRLfile lists.pem
}

openssl_download() {
    openssl_path "$1" -extended_crl -crl_download
}

# GnuTLS

gnutls_ocsp() {
    ocsptool --ask="$(ocsp_url "$1")" --load-cert "$1" --load-issuer "$(issuer_file "$1")" --load-trust "$CHAIN" \
        >ocsptool.said 2>&1
    grep -qx 'Verifying OCSP Response: Success\.' ocsptool.said
    sed -n 's/^\t*Certificate Status: //p' ocsptool.said
}

gnutls_lists() {
    local list
    lists "$1" lists
    for list in lists/*.pem; do
        certtool --verify-crl --load-ca-certificate "$(issuer_file "$1")" --infile "$list" >certtool.said
        grep -q 'Verified\. The certificate is trusted\.' certtool.said
    done
    cat lists/base-*.pem >lists.pem
    cat "$1" "$(issuer_file "$1")" >chain.pem
    certtool --verify --verify-profile medium --load-ca-certificate "$ROOT" --load-crl lists.pem --infile chain.pem \
        >certtool.said 2>&1 || true
    if grep -q '^Chain verification output: Verified\.' certtool.said; then echo good; return; fi
    grep -q '^Chain verification output: .* The certificate chain is revoked\.' certtool.said
    echo revoked
}

# NSS. -8180 is SEC_ERROR_REVOKED_CERTIFICATE; -s failIfNoInfo makes anything but a verified answer a failure.

# nss CERTIFICATE: a database in the folder 'nss' that trusts the root and knows the issuer.
nss() {
    rm -rf nss
    mkdir nss
    certutil -N -d sql:nss --empty-password </dev/null
    # In this order the root, too, is called 'issuer' by what it has issued.
    certutil -A -d sql:nss -n issuer -t ,, -i "$(issuer_file "$1")"
    certutil -A -d sql:nss -n root -t CT,C,C -i "$ROOT"
}

vfychain_says() {
    local cert=$1
    shift
    vfychain -d sql:nss -a -pp -u 0 -g leaf "$@" "$cert" >vfychain.said 2>&1 || true
    if grep -qx 'Chain is good!' vfychain.said; then echo good; return; fi
    grep -q '^ *ERROR -8180:' vfychain.said
    echo revoked
}

nss_ocsp() {
    nss "$1"
    vfychain_says "$1" -h requireFreshInfo -m ocsp -s failIfNoInfo
}

nss_client() {
    nss "$1"
    certutil -A -d sql:nss -n asked -t ,, -i "$1"
    ocspclnt -V asked -u c -d sql:nss >ocspclnt.said 2>&1
    if grep -q 'succeeded\.$' ocspclnt.said; then echo good; return; fi
    grep -qx "Peer's Certificate has been revoked\." ocspclnt.said
    echo revoked
}

nss_lists() {
    nss "$1"
    vfychain_says "$1" -h requireFreshInfo -m crl -s failIfNoInfo
}

nss_imported() {
    local list
    nss "$1"
    lists "$1" lists
    for list in lists/base-*.crl; do
        crlutil -I -d sql:nss -t 1 -u "$(<"${list%.crl}.url")" -i "$list" >crlutil.said
    done
    vfychain_says "$1" -h testLocalInfoFirst -m crl -s forbidFetching
}

# strongSwan: status of the certificate and of its issuer; OCSP unless the settings say no.

strongswan() {
    printf 'pki {\n load = pem pkcs1 pkcs8 pubkey x509 constraints revocation openssl random curl\n' >strongswan.conf
    printf ' plugins { revocation { %s } }\n}\n' "$2" >>strongswan.conf
    STRONGSWAN_CONF=$PWD/strongswan.conf pki --verify --in "$1" --cacert "$ROOT" --cacert "$(issuer_file "$1")" \
        --online >strongswan.said 2>&1 || true
    if grep -q '^certificate trusted, .*, certificate not revoked' strongswan.said; then echo good; return; fi
    grep -q '^certificate untrusted' strongswan.said
    sed -n 's/^ *certificate was revoked on .*, reason: /revoked /p' strongswan.said | head -n 1
}

strongswan_ocsp() {
    strongswan "$1" 'enable_crl = no'
}

strongswan_lists() {
    strongswan "$1" 'enable_ocsp = no'
}

# Java: 'Status.java' is compiled by the first step.

java_says() {
    java -cp "$WORK/classes:/usr/share/java/bcprov.jar" Status "$1" "$2" "$(issuer_file "$2")" "${@:3}"
}

java_ocsp() {
    java_says ocsp "$1" "$ROOT"
}

java_lists() {
    java_says crl "$1" "$ROOT"
}

bouncycastle() {
    lists "$1" lists
    java_says deltas "$1" lists/*.crl
}

# Python and Node

python_ocsp() {
    "$VENV/bin/python" "$SUITE_DIR/status.py" ocsp "$1" "$(issuer_file "$1")"
}

python_lists() {
    lists "$1" lists
    "$VENV/bin/python" "$SUITE_DIR/status.py" crl "$1" "$(issuer_file "$1")" lists/*.crl
}

pyhanko_ocsp() {
    "$VENV/bin/python" "$SUITE_DIR/path.py" ocsp "$1" "$(issuer_file "$1")" "$ROOT"
}

pyhanko_lists() {
    lists "$1" lists
    "$VENV/bin/python" "$SUITE_DIR/path.py" crl "$1" "$(issuer_file "$1")" "$ROOT" lists/*.crl
}

pkijs_ocsp() {
    NODE_PATH=$NODE_MODULES node "$SUITE_DIR/status.js" ocsp "$1" "$(issuer_file "$1")"
}

pkijs_lists() {
    lists "$1" lists
    NODE_PATH=$NODE_MODULES node "$SUITE_DIR/status.js" crl "$1" "$(issuer_file "$1")" lists/*.crl
}
