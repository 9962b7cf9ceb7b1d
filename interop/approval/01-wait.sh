# shellcheck shell=bash
# A request that waits, an operator who approves it, and the same command that fetches.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"
own_server wait

device BR700001 >unit.id
token "$(<unit.id)" >unit.token
key unit.key
csr unit.key unit.csr

# The one command of this step.
ask() {
    est_post "$1" ldev/simpleenroll "${2:-unit.csr}" -u "$(<unit.id):$(<unit.token)"
}

waits() {
    ask first
    asked first
    if base64 -d first.body 2>/dev/null | openssl pkcs7 -inform DER -noout 2>/dev/null; then return 1; fi
}

same_entry() {
    ask second
    asked second
    equal "$(<second.approval)" "$(<first.approval)"
    csr unit.key anew.csr -subj /serialNumber=BR700001
    differ "$(sha256sum <anew.csr)" "$(sha256sum <unit.csr)"
    ask anew anew.csr
    asked anew
    equal "$(<anew.approval)" "$(<first.approval)"
    equal "$(waiting)" 1
    vitae approve list >list.txt
    has list.txt "$(<first.approval) .*$(<unit.id) .*ldev .*pending"
}

kept() {
    equal "$(waiting)" 1
    ask kept
    asked kept
    equal "$(<kept.approval)" "$(<first.approval)"
}

fetched() {
    vitae approve grant "$(<first.approval)" --reason 'delivery note 17' >grant.txt
    has grant.txt granted
    ask unit
    issued unit unit.key
    equal "$(waiting)" 0
    vitae cert list --device "$(<unit.id)" --json | tr -d ' \n' >certificates.txt
    equal "$(grep -o '"serial":' certificates.txt | wc -l)" 1
}

told() {
    vitae cert trace "$(serial_of unit.pem)" >trace.txt
    has trace.txt '^approved by +admin \(local socket\): approval [0-9a-f]+: delivery note 17'
    vitae device history "$(<unit.id)" >history.txt
    has history.txt 'admin \(local socket\).*granted: delivery note 17'
}

renews() {
    csr_like unit.pem unit.key renewal.csr
    est_post renewed ldev/simplereenroll renewal.csr --cert unit.pem --key unit.key
    issued renewed unit.key
}

claim 1 waits
claim 2 same_entry
cut_off
begin
claim 3 kept
claim 4 fetched
claim 5 told
claim 6 renews
