# shellcheck shell=bash
# Whoever may not enrol gets no key, and nobody gets one unprotected who asked for protection.
. "$SUITE_DIR/lib.sh"

key own.key
csr own.key own.csr
device BR280020 >unit.id
token "$(<unit.id)" >unit.token

gets_a_key() {
    est_post "$1" ldev/serverkeygen "$2" -u "$(<unit.id):$(<unit.token)"
    status_is "$1" 200
    certified "$1"
}

wanting unknown.csr "$DECRYPT_KEY" "$(printf nobody | od -An -tx1 | tr -d ' \n')"
says_unknown() { refused unknown 400 'shared secret that is not known'; }
says_spent() { refused again 401 'token'; }

must_fail 9 says_unknown gets_a_key unknown unknown.csr
# The token is still good: nothing was issued.
gets_a_key first own.csr
must_fail 8 says_spent gets_a_key again own.csr
