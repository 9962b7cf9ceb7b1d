# shellcheck shell=bash
# Certificates that make nobody a registration authority, sent by the functions that prove success elsewhere.
. "$SUITE_DIR/lib.sh"

machine service collector svc
unit BR770028
unit BR770029

by_a_service() {
    belt collector BR770028
    born BR770028
}

not_by_a_service() {
    refused BR770028 403 'cannot be enrolled with an operational certificate'
    equal "$(vitae cert list --device "$(<BR770028.id)" --json | tr -d ' \n')" '[]'
}

by_a_revoked_line() {
    vitae revoke "$(serial_of line-7.pem)" --reason key-compromise
    belt line-7 BR770029
    born BR770029
}

not_by_a_revoked_line() {
    refused BR770029 403 'revoked'
    equal "$(vitae cert list --device "$(<BR770029.id)" --json | tr -d ' \n')" '[]'
}

must_fail 13 not_by_a_service by_a_service
must_fail 14 not_by_a_revoked_line by_a_revoked_line
