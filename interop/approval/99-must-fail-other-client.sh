# shellcheck shell=bash
# A request is no secret: whoever has seen one can send it. Only the credential that it came with may fetch by it.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"
own_server other

# A device with a birth certificate, in NAME.id, NAME-birth.key and NAME-birth.pem.
born() {
    device "$1" manufacturing >"$2.id"
    key "$2-birth.key"
    csr "$2-birth.key" "$2-birth.csr"
    est_post "$2-birth" idev/simpleenroll "$2-birth.csr" -u "$(<"$2.id"):$(token "$(<"$2.id")" idev)"
    issued "$2-birth" "$2-birth.key"
    vitae device move "$(<"$2.id")" deployment
    vitae device move "$(<"$2.id")" deployment --owner SUH
}

born BR700031 victim >born.txt
born BR700032 thief >>born.txt
key victim.key
csr victim.key victim.csr
est_post victim ldev/simpleenroll victim.csr --cert victim-birth.pem --key victim-birth.key
asked victim

got_one() {
    [[ $(<"$1.status") == 200 ]] && certificates "$1" && (($(count "$1.pem") > 0))
}

by_another() {
    local won=1 id
    : >said
    for id in "$(<victim.id)" "$(<thief.id)"; do
        est_post answer ldev/simpleenroll victim.csr -u "$id:$(token "$id")"
        if got_one answer; then won=0; fi
        cat answer.status answer.body >>said
    done
    est_post answer ldev/simpleenroll victim.csr --cert thief-birth.pem --key thief-birth.key
    if got_one answer; then won=0; fi
    cat answer.status answer.body >>said
    est_post answer ldev/simpleenroll victim.csr
    if got_one answer; then won=0; fi
    cat answer.status answer.body >>said
    return "$won"
}

before_and_after() {
    local won=1
    if by_another; then won=0; fi
    mv said said.before
    vitae approve grant "$(<victim.approval)"
    if by_another; then won=0; fi
    return "$won"
}

# And the one that asked is served.
all_told() {
    equal "$(cat said.before said | grep -c "another client's")" 6
    equal "$(cat said.before said | grep -c 'who is asking')" 2
    est_post victim ldev/simpleenroll victim.csr --cert victim-birth.pem --key victim-birth.key
    issued victim victim.key
}

must_fail 12 all_told before_and_after
