# shellcheck shell=bash
# What every step of every suite uses. interop/run sets:
#   VITAE VITAE_DIR VITAE_CONFIG   the binary, its data and its configuration: 'vitae' below needs no options
#   EST_ADDRESS STATUS_ADDRESS     host:port of the listeners
#   SUITE_DIR RESULTS              the suite's folder, and the file that takes one line for each claim
#   VENV                           the virtual environment with what the suites' requirements.txt name
# A step runs in the suite's work folder. Steps hand on to later ones by files there.
set -euo pipefail

EST=https://$EST_ADDRESS/.well-known/est
# shellcheck disable=SC2034  # for the steps
STATUS=http://$STATUS_ADDRESS
CHAIN=$VITAE_DIR/ca/chain.pem
# shellcheck disable=SC2034
ROOT=$VITAE_DIR/ca/root.pem

vitae() { "$VITAE" "$@"; }

# claim NUMBER COMMAND...: judges the claim with this number in the suite's README.md. The command is a function
# whose every line must succeed; what it printed, traced, is kept beside the artifacts.
claim() {
    local number=$1 status
    shift
    set +e
    (
        set -exo pipefail
        "$@"
    ) >"claim-$number.log" 2>&1
    status=$?
    set -e
    verdict "$number" "$status"
}

# must_fail NUMBER REFUSAL ATTACK...: the attack is the very function that elsewhere proves success. Here it has to
# fail, and REFUSAL, another function, has to find the server's reason: a broken test fails for no reason at all.
must_fail() {
    local number=$1 refusal=$2 status
    shift 2
    set +e
    (
        set -exo pipefail
        "$@"
    ) >"claim-$number.log" 2>&1
    status=$?
    if ((status == 0)); then
        echo "the attack succeeded" >>"claim-$number.log"
        status=1
    else
        (
            set -exo pipefail
            "$refusal"
        ) >>"claim-$number.log" 2>&1
        status=$?
    fi
    set -e
    verdict "$number" "$status"
}

verdict() {
    local word=FAIL
    (($2 != 0)) || word=PASS
    printf '%s\t%s\n' "$1" "$word" >>"$RESULTS"
}

# Tests that say what they saw. '! grep' and '[[ ]]' alone would leave no trace in the log.

equal() {
    [[ $1 == "$2" ]] || { echo "expected '$2', found '$1'"; return 1; }
}

differ() {
    [[ $1 != "$2" ]] || { echo "both are '$1'"; return 1; }
}

# has FILE REGEX, lacks FILE REGEX
has() {
    grep -qE -- "$2" "$1" || { echo "$1 lacks '$2':"; cat "$1"; return 1; }
}

lacks() {
    [[ -e $1 ]] || { echo "$1 does not exist"; return 1; }
    if grep -nE -- "$2" "$1"; then
        echo "$1 has '$2'"
        return 1
    fi
}

# fails COMMAND...: what must not succeed. Not by 'if' or '!', which would let a function go on behind its first failure.
fails() {
    local status
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    ((status != 0)) || { echo "this succeeded: $*"; return 1; }
}

# text FILE COMMAND...: keeps what a tool says; whether it was content is judged from that, not from its exit code.
text() {
    local file=$1
    shift
    "$@" >"$file" 2>&1 </dev/null || true
}

# HTTP. Every request leaves OUT.status, OUT.head and OUT.body.

# http OUT CURL-ARGUMENTS...
http() {
    local out=$1
    shift
    : >"$out.head"
    : >"$out.body"
    curl --silent --show-error --max-time 30 --cacert "$CHAIN" --dump-header "$out.head" --output "$out.body" \
        --write-out '%{http_code}' "$@" >"$out.status" || true
}

# est_get OUT [LABEL/]OPERATION [CURL-ARGUMENTS...]
est_get() {
    local out=$1 path=$2
    shift 2
    http "$out" "$@" "$EST/$path"
}

# est_post OUT [LABEL/]OPERATION CSR.DER [CURL-ARGUMENTS...]
est_post() {
    local out=$1 path=$2 csr=$3
    shift 3
    base64 -w 0 "$csr" >"$out.request"
    est_post_bytes "$out" "$path" "$out.request" -H 'Content-Type: application/pkcs10' "$@"
}

# est_post_bytes OUT [LABEL/]OPERATION FILE [CURL-ARGUMENTS...]: the body as it is, and no type but the one given.
est_post_bytes() {
    local out=$1 path=$2 body=$3
    shift 3
    http "$out" --data-binary "@$body" "$@" "$EST/$path"
}

status_is() {
    local found
    found=$(<"$1.status")
    [[ $found == "$2" ]] || { echo "expected HTTP $2, found $found"; cat "$1.head" "$1.body"; return 1; }
}

# header OUT NAME: the value, whatever the case of the name.
header() {
    tr -d '\r' <"$1.head" | sed -n "s/^$2: *//Ip" | head -n 1
}

# certificates OUT: unpacks the answer in OUT.body to OUT.p7 (DER) and OUT.pem.
certificates() {
    base64 -d "$1.body" >"$1.p7"
    openssl pkcs7 -inform DER -in "$1.p7" -print_certs -out "$1.pem"
}

count() {
    grep -c 'BEGIN CERTIFICATE' "$1" || true
}

# fingerprints FILE: one line for each certificate in it, sorted.
fingerprints() {
    local folder file
    folder=$(mktemp -d ./split.XXXXXX)
    awk -v folder="$folder" '/BEGIN CERTIFICATE/ { n++ } n { print > (folder "/" n) }' "$1"
    for file in "$folder"/*; do openssl x509 -in "$file" -noout -fingerprint -sha256; done | sort
}

# issued OUT KEY: the answer is exactly one certificate, of this key.
issued() {
    status_is "$1" 200
    certificates "$1"
    equal "$(count "$1.pem")" 1
    equal "$(openssl x509 -in "$1.pem" -noout -pubkey)" "$(openssl pkey -in "$2" -pubout)"
}

# refused OUT STATUS REGEX: refused with this status and a text that says why; no certificate in it.
refused() {
    status_is "$1" "$2"
    has "$1.body" "$3"
    if base64 -d "$1.body" 2>/dev/null | openssl pkcs7 -inform DER -noout 2>/dev/null; then
        echo "the refusal carries a certificate"
        return 1
    fi
}

# The same by hand, for tools that know TLS and no HTTP.

# request FILE METHOD [LABEL/]OPERATION [HEADER...]: writes the head of a request. Append the body yourself.
request() {
    local file=$1 method=$2 path=$3
    shift 3
    printf '%s /.well-known/est/%s HTTP/1.1\r\nHost: localhost\r\n' "$method" "$path" >"$file"
    (($# == 0)) || printf '%s\r\n' "$@" >>"$file"
    printf '\r\n' >>"$file"
}

# post_request OUT OPERATION CSR.DER AUTHORIZATION-HEADER|'': the whole of an enrolment in OUT.request.
post_request() {
    local out=$1 operation=$2 csr=$3 authorization=$4 body
    body=$(base64 -w 0 "$csr")
    request "$out.request" POST "$operation" ${authorization:+"$authorization"} \
        'Content-Type: application/pkcs10' "Content-Length: ${#body}" 'Connection: close'
    printf '%s' "$body" >>"$out.request"
}

basic() {
    printf 'Authorization: Basic %s' "$(printf '%s:%s' "$1" "$2" | base64 -w 0)"
}

# take_apart OUT: the answer in OUT.raw to OUT.status, OUT.head (with its empty line) and OUT.body.
take_apart() {
    sed '/^\r$/q' "$1.raw" >"$1.head"
    tail -c "+$(($(wc -c <"$1.head") + 1))" "$1.raw" >"$1.body"
    head -n 1 "$1.head" | cut -d ' ' -f 2 >"$1.status"
}

# Devices, keys, requests.

# device SERIAL [STAGE]: registers an infusion pump and prints its id.
device() {
    vitae device register --maker brannoc --model P3 --serial "$1" --stage "${2:-deployment}"
}

# token DEVICE [PROFILE]
token() {
    vitae token issue "$1" --profile "${2:-ldev}"
}

key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

# csr KEY OUT.DER [OPENSSL-REQ-ARGUMENTS...]: an empty subject unless -subj is given.
csr() {
    local key=$1 out=$2
    shift 2
    printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n' >"$out.conf"
    openssl req -new -key "$key" -outform DER -out "$out" -config "$out.conf" -subj / "$@"
}

# csr_like CERTIFICATE KEY OUT.DER: repeats subject and subjectAltName of the certificate, as a renewal must.
csr_like() {
    csr "$2" "$3" -subj "$(subject_of "$1")" -addext "subjectAltName=DER:$(alt_names_der "$1")"
}

# The subject as 'openssl req -subj' takes it, in the order of the certificate.
subject_of() {
    openssl x509 -in "$1" -noout -subject -nameopt esc_msb,utf8,sep_multiline,sname |
        sed -n 's/^ \{4\}/\//p' | tr -d '\n'
}

alt_names_of() {
    openssl x509 -in "$1" -noout -ext subjectAltName | sed -n '2s/^ *//p'
}

# In hex: openssl cannot write every kind of name in the words in which it shows it.
alt_names_der() {
    openssl asn1parse -in "$1" | sed -n '/:X509v3 Subject Alternative Name/{n; s/.*\[HEX DUMP\]://p}'
}

# Lower-case hex, as the commands of Vitae take it.
serial_of() {
    openssl x509 -in "$1" -noout -serial | sed 's/^serial=//' | tr A-F a-f
}

# enrol SERIAL NAME [STAGE]: a device with a good operational certificate, in NAME.id, NAME.key and NAME.pem.
enrol() {
    device "$1" "${3:-deployment}" >"$2.id"
    key "$2.key"
    csr "$2.key" "$2.csr"
    est_post "$2" simpleenroll "$2.csr" -u "$(<"$2.id"):$(token "$(<"$2.id")")"
    issued "$2" "$2.key"
}

# born SERIAL NAME: a claimed device with nothing but its birth certificate, in NAME.id, NAME.key and NAME.pem.
born() {
    device "$1" manufacturing >"$2.id"
    key "$2.key"
    csr "$2.key" "$2.csr" -subj "/serialNumber=$1"
    est_post "$2" idev/simpleenroll "$2.csr" -u "$(<"$2.id"):$(token "$(<"$2.id")" idev)"
    issued "$2" "$2.key"
    vitae device move "$(<"$2.id")" deployment --reason shipped
    vitae device move "$(<"$2.id")" deployment --reason received --owner SUH
}

# What other clients than curl were given. They judge it by their own means too.

# all_cas FILE: it holds what cacerts has to, byte by byte.
all_cas() {
    equal "$(fingerprints "$1")" "$(fingerprints "$CHAIN")"
}

# of_key CERTIFICATE KEY
of_key() {
    equal "$(count "$1")" 1
    equal "$(openssl x509 -in "$1" -noout -pubkey)" "$(openssl pkey -in "$2" -pubout)"
}

# successor NEW OLD: another certificate with the same names.
successor() {
    differ "$(serial_of "$1")" "$(serial_of "$2")"
    equal "$(subject_of "$1")" "$(subject_of "$2")"
    equal "$(alt_names_of "$1")" "$(alt_names_of "$2")"
}

# owned CERTIFICATE DEVICE: the record has it for this device, as good.
owned() {
    vitae cert list --device "$2" --json | tr -d ' \n' | tr '{' '\n' | grep "\"serial\":\"$(serial_of "$1")\"" >owned.txt
    has owned.txt '"status":"good"'
}

# none_issued DEVICE: the record has no working certificate of it.
none_issued() {
    vitae cert list --device "$1" --json >none.txt
    lacks none.txt '"profile": "(ldev|tls)"'
}

# Where a certificate says its status is.

ocsp_url() {
    openssl x509 -in "$1" -noout -ocsp_uri
}

crl_url() {
    openssl x509 -in "$1" -noout -ext crlDistributionPoints | sed -n 's/^ *URI://p' | head -n 1
}

issuer_url() {
    openssl x509 -in "$1" -noout -ext authorityInfoAccess | sed -n 's/^ *CA Issuers - URI://p' | head -n 1
}

# The PEM file of the CA that issued the certificate, found by its name among those of the data folder.
issuer_file() {
    local issuer file
    issuer=$(openssl x509 -in "$1" -noout -issuer_hash)
    for file in "$VITAE_DIR"/ca/*.pem; do
        [[ $file != "$CHAIN" && $(openssl x509 -in "$file" -noout -subject_hash) == "$issuer" ]] || continue
        echo "$file"
        return
    done
    return 1
}
