# shellcheck shell=bash
# A one-time token is good once.
. "$SUITE_DIR/../lib.sh"

# The token was in a variable of the transcript: the same line is run again, behind a device that exists by now.
sed -e 's/^id=.*/id=brannoc.P3.BR000001; token=$(cat token.txt)/' transcript.sh >again.sh
# An answer without a certificate leaves a file that openssl cannot verify.
sed -i '/cert trace\|revoke\|openssl ocsp/d' again.sh

"$VITAE" token issue brannoc.P3.BR000001 >token.txt
use_up() {
    key used.key
    csr used.key used.csr
    est_post used simpleenroll used.csr -u "brannoc.P3.BR000001:$(<token.txt)"
    status_is used 200
}
use_up >/dev/null

again() { vitae=$VITAE bash again.sh >again.txt 2>&1; }

said_used() {
    est_post used simpleenroll used.csr -u "brannoc.P3.BR000001:$(<token.txt)"
    status_is used 401
    has used.body 'the token was used at'
}

must_fail 5 said_used again
