# shellcheck shell=bash
# The worst that an enrolment server can do is to give a certificate to the wrong one.
. "$SUITE_DIR/../lib.sh"

labels=(idev ldev tls remed maint update svc)

# get_one: any answer with a certificate is a success. The attack tries everything and succeeds if anything did.
got_one() {
    [[ $(<"$1.status") == 200 ]] && certificates "$1" && (($(count "$1.pem") > 0))
}

enrol BR200901 stolen
vitae revoke "$(serial_of stolen.pem)" --reason key-compromise >revoke.txt
key thief.key

with_revoked() {
    local label won=1
    csr thief.key first.csr
    csr_like stolen.pem thief.key renewal.csr
    : >revoked.said
    for label in '' "${labels[@]/%//}"; do
        est_post answer "${label}simpleenroll" first.csr --cert stolen.pem --key stolen.key
        if got_one answer; then won=0; fi
        { cat answer.status answer.body; echo; } >>revoked.said
        est_post answer "${label}simplereenroll" renewal.csr --cert stolen.pem --key stolen.key
        if got_one answer; then won=0; fi
        { cat answer.status answer.body; echo; } >>revoked.said
    done
    return "$won"
}

said_revoked() {
    equal "$(grep -c 'revoked' revoked.said)" $((2 * (${#labels[@]} + 1)))
}

must_fail 51 said_revoked with_revoked

enrol BR200902 mine
enrol BR200903 victim
token "$(<mine.id)" >mine.token

# With what the device rightly has, it asks for what is another's.
as_another() {
    local won=1 asked
    key new.key
    csr new.key by-serial.csr -subj /serialNumber=BR200903
    csr new.key by-id.csr -subj "/CN=$(<victim.id)"
    csr new.key by-alt-name.csr -addext "subjectAltName=DER:$(alt_names_der victim.pem)"
    csr_like victim.pem new.key like.csr
    : >another.said
    for asked in by-serial by-id by-alt-name like; do
        est_post answer simpleenroll "$asked.csr" -u "$(<mine.id):$(<mine.token)"
        if got_one answer; then won=0; fi
        { cat answer.status; echo; } >>another.said
        est_post answer simplereenroll "$asked.csr" --cert mine.pem --key mine.key
        if got_one answer; then won=0; fi
        { cat answer.status; echo; } >>another.said
    done
    # Its own certificate with a token of the other: two identities are none.
    est_post answer simpleenroll like.csr --cert mine.pem --key mine.key -u "$(<victim.id):$(token "$(<victim.id)")"
    if got_one answer; then won=0; fi
    { cat answer.status; echo; } >>another.said
    return "$won"
}

all_forbidden() {
    equal "$(grep -c '^403$' another.said)" 9
}

must_fail 52 all_forbidden as_another
