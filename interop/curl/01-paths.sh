# shellcheck shell=bash
# What can be asked where, without showing who one is.
. "$SUITE_DIR/../lib.sh"

# cacerts_of LABEL CA...: by way of this label a client learns whom to trust for what it gets there.
cacerts_of() {
    local label=$1 ca
    shift
    est_get "cacerts-$label" "$label/cacerts"
    status_is "cacerts-$label" 200
    certificates "cacerts-$label"
    fingerprints "cacerts-$label.pem" >"cacerts-$label.txt"
    for ca in root service "$@"; do
        fingerprints "$VITAE_DIR/ca/$ca.pem" >ca.txt
        has "cacerts-$label.txt" "$(<ca.txt)"
    done
}

every_label() {
    cacerts_of idev birth
    cacerts_of ldev operational
    cacerts_of tls operational
    cacerts_of remed operational
    cacerts_of maint operational
    cacerts_of update update update-root
    cacerts_of svc service
    est_get cacerts cacerts
    status_is cacerts 200
    cmp cacerts.body cacerts-ldev.body
}

# not_allowed OUT METHOD OPERATION ALLOW
not_allowed() {
    est_get "$1" "$3" --request "$2"
    status_is "$1" 405
    header "$1" Allow | has /dev/stdin "\\b$4\\b"
    header "$1" Allow | tr ',' '\n' | lacks /dev/stdin "^ *$2 *\$"
}

wrong_method() {
    not_allowed post-cacerts POST cacerts GET
    not_allowed delete-cacerts DELETE ldev/cacerts GET
    not_allowed get-enrol GET simpleenroll POST
    not_allowed get-renew GET ldev/simplereenroll POST
    not_allowed put-enrol PUT simpleenroll POST
}

nowhere() {
    local path
    for path in "$@"; do
        http nowhere --path-as-is "$EST/$path"
        status_is nowhere 404
    done
}

claim 1 every_label
claim 2 wrong_method
claim 3 nowhere unknown/cacerts LDEV/cacerts ldev%2Fcacerts ldev/idev/cacerts ldev/../cacerts /cacerts cacerts/ ldev
claim 4 nowhere cacerts/cacerts simpleenroll/cacerts simplereenroll/cacerts csrattrs/cacerts

attributes() {
    est_get csrattrs csrattrs
    if [[ $(<csrattrs.status) == 200 ]]; then
        equal "$(header csrattrs Content-Type)" application/csrattrs
        base64 -d csrattrs.body | openssl asn1parse -inform DER >csrattrs.txt
        has csrattrs.txt 'SEQUENCE'
    else
        has csrattrs.status '^(204|404)$'
    fi
}

claim 5 attributes
