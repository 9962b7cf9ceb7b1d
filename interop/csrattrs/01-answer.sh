# shellcheck shell=bash
# What is answered, and to whom.
. "$SUITE_DIR/lib.sh"

answers() {
    local label
    for label in idev ldev tls remed maint svc update; do
        wishes "$label"
        equal "$(header "$label" Content-Type)" application/csrattrs
        equal "$(header "$label" Content-Transfer-Encoding)" base64
        equal "$(header "$label" Content-Length)" "$(stat -c %s "$label.body")"
        est_get wrong "$label/csrattrs" -X POST
        status_is wrong 405
        equal "$(header wrong Allow)" 'GET, HEAD'
    done
}

# Lines of depth 1 are the elements of the list, lines of depth 2 their types.
is_sound() {
    has ldev.txt '^ *0:d=0 .*SEQUENCE'
    equal "$(grep -c 'd=2 .*:id-ecPublicKey$' ldev.txt)" 1
    has ldev.txt 'd=3 .*:prime256v1$'
    equal "$(grep -c 'd=2 .*:Extension Request$' ldev.txt)" 1
    # Older versions of the tool know no name for it.
    equal "$(grep -cE 'd=2 .*:(1\.2\.840\.113549\.1\.9\.16\.2\.61|id-aa-certificationRequestInfoTemplate)$' ldev.txt)" 1
}

says_the_profile() {
    enrol BR270001 unit
    openssl asn1parse -in unit.pem >unit.txt
    equal "$(extension ldev 'X509v3 Key Usage')" "$(extension unit 'X509v3 Key Usage')"
    equal "$(extension ldev 'X509v3 Extended Key Usage')" "$(extension unit 'X509v3 Extended Key Usage')"
    differ "$(extension ldev 'X509v3 Key Usage')" ''
}

claim 1 answers
claim 2 is_sound
claim 3 says_the_profile
