# shellcheck shell=bash
# With its own certificate a device asks for the names of another: by the call that renews elsewhere.
. "$SUITE_DIR/lib.sh"

enrol BR400098 mine
enrol BR400099 victim

# renew VERSION OUT CARD NAMES
renew() {
    est renew "$1" "$2" cert="$3.pem" certkey="$3.key" like="$4"
    of_key "$2.pem" "$2.key"
}

renew 1.2 own mine mine.pem

said_names() {
    refused_by_est "$out" 403 'subject'
}

out=stolen-1.2
must_fail 15 said_names renew 1.2 "$out" own victim.pem
out=stolen-1.3
must_fail 16 said_names renew 1.3 "$out" own victim.pem

# And what is revoked is refused by those who verify, too.
vitae revoke "$(serial_of mine.pem)" --reason key-compromise >revoke.txt
verify() {
    client verify cert=mine.pem ca="$VITAE_DIR/ca/operational.pem" root="$ROOT" out=revoked.pem
}

said_revoked() {
    has revoked.txt 'certificate revoked, reason=.*keyCompromise'
}

must_fail 17 said_revoked verify
