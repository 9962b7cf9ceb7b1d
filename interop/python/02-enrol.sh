# shellcheck shell=bash
# First certificates.
. "$SUITE_DIR/lib.sh"

# by_token SERIAL OUT VERSION
by_token() {
    device "$1" >"$2.id"
    est enrol "$3" "$2" --serial "$1" --user "$(<"$2.id")" --password "$(token "$(<"$2.id")")"
    of_key "$2.pem" "$2.key"
    owned "$2.pem" "$(<"$2.id")"
}

# by_birth SERIAL OUT VERSION
by_birth() {
    born "$1" "birth-$2"
    est enrol "$3" "$2" --label ldev --serial "$1" --cert "birth-$2.pem" --certkey "birth-$2.key"
    of_key "$2.pem" "$2.key"
    owned "$2.pem" "$(<"birth-$2.id")"
}

verified() {
    local name
    for name in token birth; do
        client "$name-verify" verify --cert "$name.pem" --cas cas.pem --root "$ROOT" --status "$(ocsp_url "$name.pem")"
        has "$name-verify.txt" '^verified: urn:dev:ops:32473-P3-BR6'
        has "$name-verify.txt" '^status: GOOD'
    done
}

wrong_token() {
    device BR600005 >wrong.id
    fails est enrol 1.3 wrong --serial BR600005 --user "$(<wrong.id)" --password vt_wrong
    refused_by_est wrong 401 token
    none_issued "$(<wrong.id)"
}

foreign_serial() {
    fails est enrol 1.3 foreign --serial BR600001 --user "$(<wrong.id)" --password "$(token "$(<wrong.id)")"
    refused_by_est foreign 403 BR600001
    none_issued "$(<wrong.id)"
}

claim 4 by_token BR600001 token-old 1.2
claim 5 by_token BR600002 token 1.3
claim 6 by_birth BR600003 birth-old 1.2
claim 7 by_birth BR600004 birth 1.3
claim 8 verified
claim 9 wrong_token
claim 10 foreign_serial
