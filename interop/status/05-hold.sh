# shellcheck shell=bash
# Quarantine and false alarm: revoked for a time. Then quarantine and a confirmed compromise: revoked for good.
. "$SUITE_DIR/lib.sh"

enrol BR800005 held
id=$(<held.id)
vitae device move "$id" clinical-use --reason accepted >move.txt
lists held.pem unheld
vitae device move "$id" quarantine --reason 'strange traffic' >hold.txt
everybody hold held.pem
with_deltas hold-delta held.pem unheld
lists held.pem listed
vitae device move "$id" clinical-use --reason 'false alarm' >release.txt
everybody release held.pem
# One list has it, and so has none: both kinds of readers learn of the release (C10, C12).
with_deltas release-delta held.pem listed
with_deltas skip-delta held.pem unheld
vitae device move "$id" quarantine --reason 'strange traffic again' >again.txt
everybody again held.pem
vitae revoke "$(serial_of held.pem)" --reason key-compromise >confirm.txt
everybody confirmed held.pem
with_deltas confirmed-delta held.pem listed
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

by_deltas() {
    they_say hold-delta 'revoked(, certificate-hold)?'
    they_say release-delta good
    they_say skip-delta good
    they_say confirmed-delta 'revoked(, key-compromise)?'
    openssl crl -in release-delta/given/delta-1.pem -noout -text >delta.txt
    grep -A 4 "Serial Number: $(serial_of held.pem | tr a-f A-F)" delta.txt >entry.txt
    has entry.txt 'Remove From CRL'
}

claim 18 on_hold
claim 19 released
claim 20 for_good
claim 21 by_deltas
