# shellcheck shell=bash
# Quarantine and false alarm: revoked for a time. Then quarantine and a confirmed compromise: revoked for good.
. "$SUITE_DIR/lib.sh"

enrol BR800005 held
id=$(<held.id)
vitae device move "$id" clinical-use --reason accepted >move.txt
vitae device move "$id" quarantine --reason 'strange traffic' >hold.txt
everybody hold held.pem
vitae device move "$id" clinical-use --reason 'false alarm' >release.txt
everybody release held.pem
vitae device move "$id" quarantine --reason 'strange traffic again' >again.txt
everybody again held.pem
vitae revoke "$(serial_of held.pem)" --reason key-compromise >confirm.txt
everybody confirmed held.pem
table hold release again confirmed >hold.table

on_hold() {
    all_say hold 'revoked(, certificate-hold)?'
    equal "$(cat hold/*.verdict | grep -c certificate-hold)" $((${#CLIENTS[@]} - 8))
}

released() {
    all_say release good
}

for_good() {
    all_say again 'revoked(, certificate-hold)?'
    all_say confirmed 'revoked(, key-compromise)?'
    equal "$(cat confirmed/*.verdict | grep -c key-compromise)" $((${#CLIENTS[@]} - 8))
}

claim 17 on_hold
claim 18 released
claim 19 for_good
