# shellcheck shell=bash
# Denials, requests in each other's way, and requests that no operator needs to see.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"
own_server refuse

# unit SERIAL NAME: a device with a token, a key and a request.
unit() {
    device "$1" >"$2.id"
    token "$(<"$2.id")" >"$2.token"
    key "$2.key"
    csr "$2.key" "$2.csr"
}

# ask OUT NAME [CSR]
ask() {
    est_post "$1" ldev/simpleenroll "${3:-$2.csr}" -u "$(<"$2.id"):$(<"$2.token")"
}

denied() {
    unit BR700011 no
    ask no no
    asked no
    vitae approve deny "$(<no.approval)" --reason 'not on the delivery note' >deny.txt
    has deny.txt denied
    ask again no
    refused again 403 'not on the delivery note'
    vitae approve list --all >all.txt
    has all.txt "$(<no.approval) .*denied"
}

another_key() {
    unit BR700012 two
    ask two two
    asked two
    key other.key
    csr other.key other.csr
    ask other two other.csr
    refused other 409 "vitae approve cancel $(<two.approval)"
    vitae approve cancel "$(<two.approval)" >cancel.txt
    ask other two other.csr
    asked other
    differ "$(<other.approval)" "$(<two.approval)"
}

at_once() {
    local before
    unit BR700013 never
    before=$(waiting)
    csr never.key foreign.csr -subj /serialNumber=BR700012
    ask never never foreign.csr
    refused never 403 BR700012
    openssl genrsa -out small.key 1024
    csr small.key small.csr
    ask never never small.csr
    refused never 400 .
    device BR700014 manufacturing >early.id
    token "$(<early.id)" >early.token
    ask early early never.csr
    refused early 403 manufacturing
    equal "$(waiting)" "$before"
}

exit_codes() {
    unit BR700015 codes
    ask codes codes
    asked codes
    local id
    id=$(<codes.approval)
    code() { set +e; vitae approve "$@" >code.txt 2>&1; echo "$?"; set -e; }
    equal "$(code deny "$id")" 2
    equal "$(code grant nobody)" 2
    equal "$(code grant 0000000000000000)" 1
    equal "$(code grant "$id")" 0
    equal "$(code grant "$id")" 1
    has code.txt 'granted already'
    equal "$(code list --json)" 0
}

claim 7 denied
claim 8 another_key
claim 9 at_once
claim 10 exit_codes
