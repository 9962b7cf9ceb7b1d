# shellcheck shell=bash
# One certificate is revoked, and all of them see it. What they say is kept in flip.table.
. "$SUITE_DIR/lib.sh"

enrol BR800004 stolen
everybody before stolen.pem
lists stolen.pem old
vitae revoke "$(serial_of stolen.pem)" --reason key-compromise >revoke.txt
everybody after stolen.pem
everybody neighbour device.pem
with_deltas delta stolen.pem old
table before after neighbour >flip.table

good_before() {
    all_say before good
}

revoked_after() {
    all_say after 'revoked(, key-compromise)?'
    # Those that name a reason: all but ocsptool, NSS and the paths of OpenSSL and GnuTLS.
    equal "$(cat after/*.verdict | grep -c key-compromise)" $((${#CLIENTS[@]} - 8))
}

neighbour_good() {
    all_say neighbour good
}

by_delta() {
    they_say delta 'revoked(, key-compromise)?'
}

claim 14 good_before
claim 15 revoked_after
claim 16 neighbour_good
claim 17 by_delta
