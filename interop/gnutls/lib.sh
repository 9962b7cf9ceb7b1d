# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# send OUT VERSION REQUEST GNUTLS-ARGUMENTS...: what came back in OUT.raw, OUT.status, OUT.head and OUT.body, what
# gnutls-cli says in OUT.txt. It closes its side behind the request.
send() {
    local out=$1 version=$2 request=$3
    shift 3
    timeout 30 gnutls-cli --x509cafile "$ROOT" --priority "NORMAL:-VERS-ALL:+VERS-TLS$version" --logfile "$out.txt" \
        --port "${EST_ADDRESS#*:}" "$@" "${EST_ADDRESS%:*}" <"$request" >"$out.raw" 2>"$out.err"
    take_apart "$out"
    has "$out.txt" '^- Status: The certificate is trusted\.'
    has "$out.txt" "^- Description: \\(TLS$version-X\\.509\\)"
}

# post OUT VERSION OPERATION REQUEST AUTHORIZATION-HEADER|'' GNUTLS-ARGUMENTS...
post() {
    post_request "$1" "$3" "$4" "$5"
    send "$1" "$2" "$1.request" "${@:6}"
}

# Certificates of an answer, by certtool: OUT.pem.
unpack() {
    status_is "$1" 200
    base64 -d "$1.body" >"$1.p7"
    certtool --p7-info --inder --infile "$1.p7" >"$1.p7.txt"
    has "$1.p7.txt" "^Number of certificates: $2\$"
    sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$1.p7.txt" >"$1.pem"
}

# got OUT: one certificate, of the key in OUT.key.
got() {
    unpack "$1" 1
    equal "$(certtool --key-id --infile "$1.pem")" "$(certtool --key-id --load-privkey "$1.key")"
    of_key "$1.pem" "$1.key"
}

# tool_request OUT LINE...: a new key in OUT.key and a request in OUT.csr, by a template of these lines.
tool_request() {
    certtool --generate-privkey --key-type ecdsa --curve secp256r1 --no-text --outfile "$1.key"
    printf '%s\n' "${@:2}" >"$1.template"
    certtool --generate-request --load-privkey "$1.key" --template "$1.template" --outder --outfile "$1.csr"
}

# request_like OUT CERTIFICATE: the names as 'certtool --certificate-info' shows them.
request_like() {
    certtool --certificate-info --infile "$2" >"$2.info"
    tool_request "$1" "dn = \"$(sed -n 's/^\tSubject: //p' "$2.info")\"" \
        "uri = \"$(sed -n 's/^\t*URI: \(urn:\)/\1/p' "$2.info")\""
}
