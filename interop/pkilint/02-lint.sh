# shellcheck shell=bash
# All that the server has signed since it was made, by whichever suite it was asked.
. "$SUITE_DIR/lib.sh"

certificates() {
    local profile
    for profile in idev ldev tls remed svc admin server ocsp; do has list.json "\"profile\": \"$profile\""; done
    lint certificates.txt certificate certificates/*.pem "${cas[@]}"
    has certificates.txt "^$(($(grep -c '"serial"' list.json) + ${#cas[@]})) files, 0 findings\$"
}

# A root has no issuer but itself, and needs no authorityKeyIdentifier to say so.
self_issued() {
    [[ $(openssl x509 -in "$1" -noout -subject_hash) == $(openssl x509 -in "$1" -noout -issuer_hash) ]]
}

beside_issuer() {
    local certificate below=()
    for certificate in certificates/*.pem "${cas[@]}"; do
        self_issued "$certificate" || below+=("$certificate")
    done
    lint issuers.txt issuer --cas "${cas[@]}" -- "${below[@]}"
    has issuers.txt "^${#below[@]} files, 0 findings\$"
}

# distinct FIND-ARGUMENTS...: one file of each content.
distinct() {
    find "$@" -type f -print0 | xargs -0 sha256sum | sort -u -k 1,1 | sed 's/^[^ ]* *//'
}

lists() {
    local lists
    mapfile -t lists < <(distinct .. -name '*.crl' \( -path '*/crl/*' -o -path '*/status/*' \))
    ((${#lists[@]} >= ${#cas[@]}))
    lint lists.txt crl "${lists[@]}"
    has lists.txt "^${#lists[@]} files, 0 findings\$"
}

# answer NAME ISSUER OPENSSL-OCSP-ARGUMENTS...
answer() {
    text "$1.txt" openssl ocsp -issuer "$2" -CAfile "$CHAIN" -url "$STATUS/ocsp" -respout "$1.ocsp" "${@:3}"
}

answers() {
    local operational=$VITAE_DIR/ca/operational.pem birth=$VITAE_DIR/ca/birth.pem ca answers
    answer good "$operational" -cert second.pem
    has good.txt '^second.pem: good$'
    answer revoked "$operational" -cert third.pem
    has revoked.txt '^third.pem: revoked$'
    answer held "$operational" -cert next.pem
    has held.txt 'Reason: certificateHold$'
    answer unknown "$operational" -serial 0x01
    has unknown.txt '^0x01: unknown$'
    answer sha256 "$birth" -sha256 -cert birth.pem -no_nonce
    has sha256.txt '^birth.pem: good$'
    answer two "$operational" -cert second.pem -cert third.pem
    for ca in root service; do
        answer "of-$ca" "$VITAE_DIR/ca/$ca.pem" -serial 0x01
    done
    mapfile -t answers < <(distinct .. -name '*.ocsp')
    ((${#answers[@]} >= 8))
    lint answers.txt ocsp "${answers[@]}"
    has answers.txt "^${#answers[@]} files, 0 findings\$"
}

allowed_in_use() {
    equal "$(grep -c '^allowed: ' certificates.txt)" "$(grep -c '^[^#]' "$SUITE_DIR/allowed.txt")"
}

claim 2 certificates
claim 3 beside_issuer
claim 4 lists
claim 5 answers
claim 6 allowed_in_use
