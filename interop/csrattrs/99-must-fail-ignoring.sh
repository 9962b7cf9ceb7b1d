# shellcheck shell=bash
# The words of the answer, with another key than it names.
. "$SUITE_DIR/lib.sh"

wishes ldev

names_the_kinds() {
    refused obeying 400 'does not take a .* key: it takes p256'
}

must_fail 5 names_the_kinds enrol_by_list BR270003 secp521r1
